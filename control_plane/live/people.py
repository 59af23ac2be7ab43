"""The endpoints of what agents are doing, and of the caller whom an agent has."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final, TypeAlias

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Cursor, Page
from control_plane.api.route import Check, Method, Route, Routes, Tx
from control_plane.customers import service
from control_plane.customers.schemas import CustomerView
from control_plane.customers.talking import TALKING
from control_plane.errors import BAD_CURSOR, ApiError, DatabaseUnavailableError, not_found
from control_plane.live import look, views
from control_plane.live.agent_schemas import AgentListing, AgentLiveView, AgentPath
from control_plane.live.call_schemas import PopView
from control_plane.live.desk import follower_of
from control_plane.live.look import AgentFacts
from control_plane.live.talks import Talk
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from state.model import AgentId

Listed: TypeAlias = Ask[Nothing, AgentListing, Nothing]
Named: TypeAlias = Ask[AgentPath, Any, Any]
Mine: TypeAlias = Ask[Nothing, Nothing, Nothing]
_SORT: Final = "id"


async def list_agents(ask: Listed) -> Page[AgentLiveView]:
    """Return a page of agents, by id."""
    query, follower = ask.query, follower_of(ask.request.app)
    paging.check_order(query, _SORT)
    after = ""
    if query.cursor is not None:
        after = str(paging.decode(query.cursor, _SORT).value)
        if not after:
            raise ApiError(BAD_CURSOR)
    snapshot = follower.mirror.snapshot
    own = frozenset(
        agent
        for agent, entry in snapshot.agents.items()
        if agent > after and entry.value.tenant == ask.tenant
    )
    found = (
        each
        for each in look.agents(snapshot, follower.clock.now(), own)
        if _passes(each, query) and ask.sees(views.agent_thing(each))
    )
    # No more are looked at than are shown, and one by whom it is seen whether there are others.
    first = tuple(islice(found, query.limit + 1))
    page, following = paging.cut(first, query, lambda last: Cursor(_SORT, last.id, last.id))
    return Page[AgentLiveView](items=tuple(_view(ask, each) for each in page), next=following)


def _view(ask: Ask[Any, Any, Any], agent: AgentFacts) -> AgentLiveView:
    """Return an agent, and what whoever asks may do with them."""
    may = ask.sees(views.agent_thing(agent), Permission.AGENT_SET_STATE)
    return views.agent(agent).model_copy(update={"may": ("set_state",) if may else ()})


def _passes(agent: AgentFacts, query: AgentListing) -> bool:
    return all(
        wanted is None or wanted == had
        for wanted, had in (
            (query.state, agent.state.value),
            (query.site, agent.site),
            (query.team, agent.team),
        )
    )


def facts(ask: Named) -> AgentFacts:
    """Return what one agent is doing. Raise `not-found`."""
    follower = follower_of(ask.request.app)
    only = frozenset({AgentId(ask.at.agent)})
    found = next(look.agents(follower.mirror.snapshot, follower.clock.now(), only), None)
    if found is None:
        raise not_found()
    return found


async def thing(ask: Named) -> Thing:
    """Return the agent, as the policy decides on them."""
    return views.agent_thing(facts(ask))


async def show_agent(ask: Named) -> AgentLiveView:
    """Return one."""
    return _view(ask, facts(ask))


# ---- the caller ----------------------------------------------------------------------------------


async def pop(ask: Mine) -> PopView:
    """Return the call that the subject has or still wraps up, and who may be calling."""
    follower, agent = follower_of(ask.request.app), ask.subject.agent
    talk = follower.talk(agent) if agent else None
    if talk is None or talk.tenant != ask.tenant:
        return PopView(
            call=None,
            queue=None,
            did=None,
            connected=None,
            is_wrap_up=False,
            caller=None,
            customers=(),
        )
    knows = ask.request.app[TALKING].who
    return PopView(
        call=talk.call,
        queue=talk.queue,
        did=talk.did,
        connected=None if talk.connected_ms is None else instant(talk.connected_ms),
        is_wrap_up=AgentId(agent) not in follower.mirror.snapshot.offers,
        caller=views.caller(talk.tenant, talk.number, ask.sees, knows),
        customers=await _customers(ask, talk),
    )


async def _customers(ask: Mine, talk: Talk) -> tuple[CustomerView, ...] | None:
    """Return who has the calling number; None: the database is away, and the call goes on."""
    if not talk.number.startswith("+"):
        return ()
    try:
        async with ask.services.database.read() as connection:
            ask.connection = connection
            return await service.calling(ask, talk.tenant, talk.number)
    except DatabaseUnavailableError:
        return None
    finally:
        ask.connection = None


ROUTES: Final[Routes] = (
    Route(
        method=Method.GET,
        path="/v1/live/agents",
        summary="List what agents are doing",
        access=Permission.AGENT_READ,
        check=Check.EACH,
        handler=list_agents,
        query=AgentListing,
        answer=Page[AgentLiveView],
        tx=Tx.NONE,
    ),
    Route(
        method=Method.GET,
        path="/v1/agents/{agent}/live",
        summary="Show what an agent is doing",
        access=Permission.AGENT_READ,
        handler=show_agent,
        thing=thing,
        at=AgentPath,
        answer=AgentLiveView,
        tx=Tx.NONE,
    ),
    Route(
        method=Method.GET,
        path="/v1/me/call",
        summary="Show the caller whom I have: the screen pop",
        access=Permission.CUSTOMER_BASIC_READ_MASKED,
        check=Check.EACH,
        handler=pop,
        answer=PopView,
        tx=Tx.NONE,
    ),
)
