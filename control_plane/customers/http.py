"""The endpoints of customers that make, show, find and change them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from aiohttp import web

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.paging import Page
from control_plane.api.route import Answer, Check, Feature, Method, Route
from control_plane.api.sight import in_sight
from control_plane.approvals.state import STATES
from control_plane.customers import sealed, secrets, service, store, views
from control_plane.customers.errors import (
    ERASED,
    LEGAL_HOLD,
    NO_KEYS,
    NOT_SEARCHABLE,
    UNKNOWN_FIELD,
)
from control_plane.customers.fields import ROUTES as FIELDS
from control_plane.customers.files import ROUTES as FILES
from control_plane.customers.merging import ROUTES as MERGING
from control_plane.customers.numbers import dialled
from control_plane.customers.privacy import ROUTES as PRIVACY
from control_plane.customers.privacy import state
from control_plane.customers.schemas import (
    CustomerChange,
    CustomerDraft,
    CustomerListing,
    CustomerPath,
    CustomerView,
    HistoryView,
    NumberPath,
    PopView,
)
from control_plane.customers.talking import TALKING
from control_plane.errors import VERSION_MISMATCH, ApiError, invalid, not_found
from control_plane.history import store as history
from control_plane.permissions import Permission
from control_plane.subjects import Thing

Listed: TypeAlias = Ask[Nothing, CustomerListing, Nothing]
Named: TypeAlias = Ask[CustomerPath, Nothing, Nothing]
Popped: TypeAlias = Ask[NumberPath, Nothing, Nothing]
Drafted: TypeAlias = Ask[Nothing, Nothing, CustomerDraft]
Changed: TypeAlias = Ask[CustomerPath, Nothing, CustomerChange]
SECRETS = (NO_KEYS, UNKNOWN_FIELD, ERASED)


async def _one(ask: Named | Changed, customer: store.Customer) -> Answer[CustomerView]:
    return Answer(body=await service.one(ask, customer), version=customer.version)


async def list_all(ask: Listed) -> Page[CustomerView]:
    """Return those of a page whom the policy lets the subject see."""
    service.check_search(ask, ask.query)
    among = await _exactly(ask)
    seen, after = await in_sight(
        partial(store.page, ask.db, ask.tenant, among=among),
        _whole_number(ask),
        lambda customer: service.is_in_sight(ask, customer),
    )
    return Page[CustomerView](items=await service.seen(ask, seen), next=after)


def _whole_number(ask: Listed) -> CustomerListing:
    """Return the query with its number as E.164. Raise `invalid`."""
    if ask.query.number is None:
        return ask.query
    try:
        number = dialled(ask.query.number, ask.request.app[TALKING].region(ask.tenant))
    except ValueError as error:
        raise invalid("query.number", str(error)) from error
    return ask.query.model_copy(update={"number": number})


async def _exactly(ask: Listed) -> tuple[str, ...] | None:
    """Return who has exactly this value in a sensitive field; None: that is not asked."""
    field, value = ask.query.field, ask.query.value
    if field is None and value is None:
        return None
    known = await sealed.fields(ask.db, ask.tenant)
    if field is None or value is None or not known.get(field, False):
        names = ", ".join(sorted(each for each, searchable in known.items() if searchable))
        raise invalid("query.field", f"goes with value, and should be one of {names}")
    return await secrets.find(ask.request.app, ask.db, ask.tenant, (field, value))


async def by_number(ask: Popped) -> PopView:
    """Return who may be calling, as the subject may see them: the screen pop."""
    try:
        number = dialled(ask.at.number, ask.request.app[TALKING].region(ask.tenant))
    except ValueError as error:
        raise not_found() from error
    return PopView(customers=await service.by_number(ask, number))


async def show(ask: Named) -> Answer[CustomerView]:
    """Return one."""
    return await _one(ask, await service.load(ask, ask.at.customer))


async def show_history(ask: Named) -> HistoryView:
    """Return what happened with one, and with those who turned out to be the same."""
    ids = (ask.at.customer, *await store.merged_away(ask.db, ask.tenant, ask.at.customer))
    found = [
        e for each in ids for e in await history.latest(ask.db, ask.tenant, each, views.HISTORY)
    ]
    return HistoryView(items=views.entries(found))


async def create(ask: Drafted) -> Answer[CustomerView]:
    """Add one."""
    draft = ask.body
    if draft.sensitive:
        whole = Thing(kind="customer", tenant=ask.tenant)
        service.check_writing(ask, whole, ("sensitive",))
    customer = service.drafted(ask, draft)
    await store.create(ask.db, customer)
    await secrets.put(ask.request.app, ask.db, (ask.tenant, customer.id), draft.sensitive)
    await service.note_consent(ask, customer, {})
    await ask.audit(customer.id)
    headers = {"Location": f"/v1/customers/{customer.id}"}
    return Answer(body=await service.one(ask, customer), version=1, headers=headers)


async def change(ask: Changed) -> Answer[CustomerView]:
    """Change one."""
    customer = await service.load(ask, ask.at.customer)
    sent = ask.body.model_dump(exclude_none=True)
    service.check_writing(ask, service.about(ask, customer), sent)
    if customer.version != ask.version:
        raise ApiError(VERSION_MISMATCH)
    values = {name: value for name, value in sent.items() if name != "sensitive"}
    await service.check_keeping(ask, customer, values.get("numbers"))
    changed = await store.change(ask.db, customer, values, ask.now_ms)
    if changed is None:
        raise ApiError(VERSION_MISMATCH)
    who = (ask.tenant, customer.id)
    await secrets.put(ask.request.app, ask.db, who, ask.body.sensitive or {})
    await service.note_consent(ask, changed, customer.consent)
    await ask.audit(customer.id, detail={"changed": sorted(sent)})
    return await _one(ask, changed)


async def _context(app: web.Application) -> AsyncIterator[None]:
    app[STATES]["customer"] = state
    async with asynccontextmanager(secrets.context)(app):
        yield


FEATURE = Feature(
    name="customers",
    context=_context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/customers",
            summary="Search customers",
            access=Permission.CUSTOMER_SEARCH,
            check=Check.EACH,
            handler=list_all,
            query=CustomerListing,
            answer=Page[CustomerView],
            problems=(NOT_SEARCHABLE, NO_KEYS),
        ),
        Route(
            method=Method.POST,
            path="/v1/customers",
            summary="Add a customer",
            access=Permission.CUSTOMER_CREATE,
            handler=create,
            body=CustomerDraft,
            answer=CustomerView,
            status=201,
            is_versioned=True,
            is_idempotent=True,
            problems=SECRETS,
        ),
        Route(
            method=Method.GET,
            path="/v1/customers/by-number/{number}",
            summary="Show who may be calling: the screen pop",
            access=Permission.CUSTOMER_BASIC_READ_MASKED,
            check=Check.EACH,
            handler=by_number,
            at=NumberPath,
            answer=PopView,
        ),
        Route(
            method=Method.GET,
            path="/v1/customers/{customer}",
            summary="Show a customer",
            access=Permission.CUSTOMER_BASIC_READ_MASKED,
            handler=show,
            thing=service.named,
            at=CustomerPath,
            answer=CustomerView,
            is_versioned=True,
            varies=True,
        ),
        Route(
            method=Method.PATCH,
            path="/v1/customers/{customer}",
            summary="Change a customer",
            access=Permission.CUSTOMER_UPDATE,
            handler=change,
            thing=service.named,
            at=CustomerPath,
            body=CustomerChange,
            answer=CustomerView,
            is_versioned=True,
            problems=(*SECRETS, LEGAL_HOLD),
        ),
        Route(
            method=Method.GET,
            path="/v1/customers/{customer}/history",
            summary="Show what happened with a customer",
            access=Permission.CUSTOMER_NOTES_READ_FULL,
            handler=show_history,
            thing=service.named,
            at=CustomerPath,
            answer=HistoryView,
        ),
        *FIELDS,
        *PRIVACY,
        *MERGING,
        *FILES,
    ),
)
