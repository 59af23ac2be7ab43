"""The endpoints of calls: those that run, and those that are over, in one listing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, milliseconds
from control_plane.api.paging import Cursor, Page
from control_plane.api.route import Check, Method, Route, Routes, Tx
from control_plane.api.sight import in_sight
from control_plane.calls import store
from control_plane.calls.store import PastCall
from control_plane.customers.talking import TALKING
from control_plane.errors import not_found
from control_plane.live import accounts, look, views
from control_plane.live.call_schemas import CallListing, CallPath, CallView, ExplanationView
from control_plane.live.desk import LIVE
from control_plane.live.look import CallFacts, Whose
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from state.model import CallId

Listed: TypeAlias = Ask[Nothing, CallListing, Nothing]
Named: TypeAlias = Ask[CallPath, Nothing, Any]
AnyAsk = Ask[Any, Any, Any]
_SORT: Final = "-arrived"


# ---- finding -------------------------------------------------------------------------------------


def past(call: PastCall) -> CallFacts:
    """Return a row as what the policy is asked about."""
    who = Whose(call.team, call.employer)
    return look.ended_call(
        call.record, tenant=call.tenant, caller=call.caller, who=who, code=call.code
    )


async def find(ask: AnyAsk) -> CallFacts:
    """Return a call, from wherever it stands. Raise `not-found`."""
    follower = ask.request.app.get(LIVE)
    if follower is not None:
        snapshot = follower.mirror.snapshot
        ticket = look.live_call(snapshot, ask.at.call)
        if ticket is not None:
            return look.call_of(snapshot, ticket, follower.clock.now(), told=True)
    async with ask.services.database.read() as connection:
        found = await store.find(connection, ask.tenant, ask.at.call)
    return past(found) if found is not None else await _in_ledger(ask)


async def _in_ledger(ask: AnyAsk) -> CallFacts:
    """Return a call that is over and has not been carried over yet."""
    follower, call = ask.request.app.get(LIVE), CallId(ask.at.call)
    found = None if follower is None else await follower.ended(call)
    if found is None:
        raise not_found()
    return found


async def thing(ask: Named) -> Thing:
    """Return the call, as the policy decides on it."""
    return views.call_thing(await find(ask))


def view(ask: AnyAsk, call: CallFacts) -> CallView:
    """Return a call as the subject may see it."""
    knows = ask.request.app[TALKING].who
    return views.call(call, views.caller(call.tenant, call.caller, ask.sees, knows))


# ---- listing -------------------------------------------------------------------------------------


async def list_all(ask: Listed) -> Page[CallView]:
    """Return a page of calls, those that came last first."""
    query = ask.query
    paging.check_order(query, _SORT)
    seen, following = await in_sight(
        partial(_page, ask), query, lambda call: ask.sees(views.call_thing(call))
    )
    return Page[CallView](items=tuple(view(ask, call) for call in seen), next=following)


async def _page(ask: Listed, listing: CallListing) -> tuple[Sequence[CallFacts], str | None]:
    """Return those that pass the filters, whoever may see them."""
    after = paging.number_after(listing, _SORT)
    live = _running(ask, after)
    over: list[CallFacts] = []
    if _wants_past(listing):
        live_ids = {call.id for call in live}
        found = await _over(ask, after, listing.limit + 1)
        over = [past(row) for row in found if row.id not in live_ids]
    merged = sorted((*live, *over), key=_order, reverse=True)
    return paging.cut(merged, listing, lambda last: Cursor(_SORT, *_order(last)))


def _order(call: CallFacts) -> tuple[int, str]:
    return (call.arrived_ms, call.id)


def _wants_past(query: CallListing) -> bool:
    return query.is_live is not True and query.state in (None, "ended")


def _running(ask: Listed, after: tuple[int, str] | None) -> list[CallFacts]:
    """Return the tenant's calls that run, pass the filters, and come after the cursor."""
    query, follower = ask.query, ask.request.app.get(LIVE)
    is_of_past = query.state == "ended" or query.outcome or query.code
    if follower is None or query.is_live is False or is_of_past:
        return []
    snapshot, now = follower.mirror.snapshot, follower.clock.now()
    found = (look.call_of(snapshot, entry.value, now) for entry in snapshot.tickets.values())
    return [
        call
        for call in found
        if call.tenant == ask.tenant
        and _passes(call, query)
        and (after is None or _order(call) < after)
    ]


def _passes(call: CallFacts, query: CallListing) -> bool:
    names = ("queue", "agent", "site", "did", "state", "callback_of")
    wanted = {name: getattr(query, name) for name in names}
    since, until = milliseconds(query.since), milliseconds(query.until)
    return (
        all(value is None or getattr(call, name) == value for name, value in wanted.items())
        and (since is None or call.arrived_ms >= since)
        and (until is None or call.arrived_ms < until)
    )


async def _over(ask: Listed, after: tuple[int, str] | None, most: int) -> Iterable[PastCall]:
    """Return the calls that are over; one more than a page has, to know whether there is one."""
    query = ask.query
    wanted: dict[str, Any] = {name: getattr(query, name) for name in store.FILTERS}
    wanted |= {"since": milliseconds(query.since), "until": milliseconds(query.until)}
    async with ask.services.database.read() as connection:
        return await store.latest(connection, ask.tenant, wanted, after, most)


# ---- one -----------------------------------------------------------------------------------------


async def show(ask: Named) -> CallView:
    """Return one."""
    return view(ask, await find(ask))


async def explain(ask: Named) -> ExplanationView:
    """Return why a call has the agent it has, or none."""
    call = await find(ask)
    follower = ask.request.app.get(LIVE)
    if follower is not None and call.state != "ended":
        account = accounts.of_present(follower.mirror.snapshot, call, follower.clock.now())
        if account is not None:
            return accounts.seen(account, ask.sees)
    async with ask.services.database.read() as connection:
        found = await store.find(connection, ask.tenant, call.id)
    if found is None:
        raise not_found()
    snapshot = None if follower is None else follower.mirror.snapshot
    account = await accounts.of_past(ask.services.settings.run, snapshot, found)
    return accounts.seen(account, ask.sees)


ROUTES: Final[Routes] = (
    Route(
        method=Method.GET,
        path="/v1/calls",
        summary="List calls that run and calls that are over",
        access=Permission.CALL_READ,
        check=Check.EACH,
        handler=list_all,
        query=CallListing,
        answer=Page[CallView],
        tx=Tx.NONE,
    ),
    Route(
        method=Method.GET,
        path="/v1/calls/{call}",
        summary="Show a call",
        access=Permission.CALL_READ,
        handler=show,
        thing=thing,
        at=CallPath,
        answer=CallView,
        tx=Tx.NONE,
    ),
    Route(
        method=Method.GET,
        path="/v1/calls/{call}/explanation",
        summary="Show why a call has the agent it has, or none",
        access=Permission.CALL_EXPLAIN,
        handler=explain,
        thing=thing,
        at=CallPath,
        answer=ExplanationView,
        tx=Tx.NONE,
    ),
)
