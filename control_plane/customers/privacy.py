"""What those whose data it is may ask for: all of it, or its end; and what stands against that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Answer, Method, Route, Routes, Tx
from control_plane.approvals import store as approvals
from control_plane.customers import secrets, service, store, turn, views
from control_plane.customers.errors import ERASED, LEGAL_HOLD, NO_KEYS
from control_plane.customers.files import ALL
from control_plane.customers.held import CLEARINGS, HELD, Leaving
from control_plane.customers.schemas import (
    CustomerDraft,
    CustomerPath,
    CustomerView,
    HoldChange,
    SensitiveView,
    SubjectAccess,
)
from control_plane.errors import CONFLICT, VERSION_MISMATCH, ApiError, not_found
from control_plane.history import store as history
from control_plane.permissions import Permission
from control_plane.subjects import Thing

AnyAsk: TypeAlias = Ask[Any, Any, Any]
Named: TypeAlias = Ask[CustomerPath, Nothing, Nothing]
Held: TypeAlias = Ask[CustomerPath, Nothing, HoldChange]


async def _thing(ask: Named | Held) -> Thing:
    await approvals.bring(ask)
    return await service.named(ask)


async def _thing_to_erase(ask: Named) -> Thing:
    async with ask.services.database.read() as connection:
        ask.connection = connection
        return await _thing(ask)


async def state(ask: AnyAsk, what: str) -> str:
    """Return what an approval is bound to: the version that was looked at, else the present one.

    Only for those who may know of the customer, for that purpose: `not_found()` for others.
    """
    if ask.body.digest:
        return str(ask.body.digest)
    if what == ALL:
        return ALL
    customer = await service.load(ask, what)
    ask.around = replace(ask.around, purpose=ask.body.why)
    if not ask.sees(service.about(ask, customer), Permission.CUSTOMER_BASIC_READ_MASKED):
        raise not_found()
    return str(customer.version)


async def read_sensitive(ask: Named) -> SensitiveView:
    """Return the sensitive fields; that it was done is written down."""
    fields = await secrets.read(ask.request.app, ask.db, (ask.tenant, ask.at.customer))
    await ask.audit(ask.at.customer, detail={"fields": sorted(fields)})
    return SensitiveView(fields=fields)


async def hold(ask: Held) -> Answer[CustomerView]:
    """Keep one from being erased, or no longer."""
    await turn.take(ask.db, ask.tenant)
    customer = await service.load(ask, ask.at.customer)
    if customer.version != ask.version:
        raise ApiError(VERSION_MISMATCH)
    values = {"has_legal_hold": ask.body.has_legal_hold}
    changed = await store.change(ask.db, customer, values, ask.now_ms)
    if changed is None:
        raise ApiError(VERSION_MISMATCH)
    await ask.audit(customer.id, detail=values)
    return Answer(body=await service.one(ask, changed), version=changed.version)


async def export(ask: Named) -> SubjectAccess:
    """Return all that is held of one, for the person themselves."""
    await approvals.use(ask)
    customer = await service.load(ask, ask.at.customer)
    ids = (customer.id, *await store.merged_away(ask.db, ask.tenant, customer.id))
    found = [e for each in ids for e in await history.latest(ask.db, ask.tenant, each, 10_000)]
    merged = await store.find_all(ask.db, ask.tenant, ids[1:])
    also = {
        name: tuple([e for each in ids for e in await tell(ask.db, ask.tenant, each)])
        for name, tell in ask.request.app[HELD].items()
    }
    await ask.audit(customer.id)
    return SubjectAccess(
        customer=await _whole(ask, customer),
        merged=tuple([await _whole(ask, each) for each in merged]),
        id=customer.id,
        created=instant(customer.created_ms),
        updated=instant(customer.updated_ms),
        history=views.entries(found, most=len(found)),
        also=also,
    )


async def _whole(ask: Named, customer: store.Customer) -> CustomerDraft:
    names = (name for name in CustomerDraft.model_fields if name != "sensitive")
    sensitive = await secrets.read(ask.request.app, ask.db, (ask.tenant, customer.id))
    # What is stored was checked when it came; a tag that the rules have outgrown is still held.
    return CustomerDraft.model_construct(
        **{name: getattr(customer, name) for name in names}, sensitive=sensitive
    )


async def erase(ask: Named) -> None:
    """Destroy the customer's key and all that is held in the open; it cannot be undone.

    First what is going to be destroyed stands in the audit log, sealed and committed. Then the keys
    of all of them go, at once. If we stop behind that, the rest is erased at the next start, by the
    tombstones; if we stop before it, everything is there still, and may be asked for again.
    """
    keys = secrets.keys_of(ask.request.app)
    async with ask.services.database.write() as connection:
        ask.connection = connection
        everybody, _ = await _who_goes(ask)
        await ask.audit(everybody[0].id, detail=_told(everybody, is_done=False))
        await ask.seal()
    async with ask.services.database.write() as connection:
        ask.connection = connection
        everybody, leaving = await _who_goes(ask)  # a hold may have been set in between
        await approvals.use(ask)
        await ask.audit(everybody[0].id, detail=_told(everybody, is_done=True))
        async with keys.destroying() as store_:
            for each in leaving:
                for clearing in ask.request.app[CLEARINGS]:
                    await clearing.clear(ask.db, store_, each)
                await keys.destroy(store_, ask.tenant, each.customer, ask.now_ms)
        for each in leaving:
            await secrets.wipe(ask.db, ask.tenant, each.customer)


async def _who_goes(ask: Named) -> tuple[tuple[store.Customer, ...], list[Leaving]]:
    """Take the turn, and return whom it is about: the customer, and who was merged into them.

    Raise `not-found`, `legal-hold`, `conflict` if they are not as they were approved.
    """
    await turn.take(ask.db, ask.tenant)
    customer = await service.load(ask, ask.at.customer)
    if customer.merged_into is not None:
        raise ApiError(CONFLICT, "It was merged into another one: erase that one.")
    merged = await store.merged_away(ask.db, ask.tenant, customer.id)
    everybody = (customer, *await store.find_all(ask.db, ask.tenant, merged))
    leaving = [await _leaving(ask, each.id) for each in everybody]
    clearings = ask.request.app[CLEARINGS]
    is_held = any(each.has_legal_hold for each in everybody)
    if is_held or any([await c.is_held(ask.db, each) for c in clearings for each in leaving]):
        raise ApiError(LEGAL_HOLD)
    if ask.thing is None or service.about(ask, customer).digest != ask.thing.digest:
        raise ApiError(CONFLICT, "It was changed at this moment.")
    return everybody, leaving


def _told(everybody: tuple[store.Customer, ...], *, is_done: bool) -> dict[str, object]:
    return {"with": [each.id for each in everybody[1:]], "is_done": is_done}


async def _leaving(ask: Named, customer: str) -> Leaving:
    by = ask.around.approval.by if ask.around.approval else ""
    return Leaving(
        tenant=ask.tenant,
        customer=customer,
        numbers=await store.own_numbers(ask.db, ask.tenant, customer),
        detail=f"asked by {ask.subject.id}, approved by {by}",
        now_ms=ask.now_ms,
    )


ROUTES: Routes = (
    Route(
        method=Method.GET,
        path="/v1/customers/{customer}/sensitive",
        summary="Read a customer's sensitive fields",
        access=Permission.CUSTOMER_PAYMENT_READ_FULL,
        handler=read_sensitive,
        thing=_thing,
        at=CustomerPath,
        answer=SensitiveView,
        tx=Tx.WRITE,
        problems=(NO_KEYS, ERASED),
    ),
    Route(
        method=Method.PUT,
        path="/v1/customers/{customer}/hold",
        summary="Put a customer under legal hold, or release them",
        access=Permission.CUSTOMER_HOLD,
        handler=hold,
        thing=_thing,
        at=CustomerPath,
        body=HoldChange,
        answer=CustomerView,
        is_versioned=True,
    ),
    Route(
        method=Method.POST,
        path="/v1/customers/{customer}/access-export",
        summary="Export all that is held of a customer, for themselves",
        access=Permission.CUSTOMER_EXPORT,
        handler=export,
        thing=_thing,
        is_sealed=True,
        takes_approval=True,
        at=CustomerPath,
        answer=SubjectAccess,
        problems=(NO_KEYS, ERASED),
    ),
    Route(
        method=Method.DELETE,
        path="/v1/customers/{customer}",
        summary="Erase a customer for ever",
        access=Permission.CUSTOMER_SHRED,
        handler=erase,
        thing=_thing_to_erase,
        is_sealed=True,
        tx=Tx.NONE,
        takes_approval=True,
        at=CustomerPath,
        status=204,
        problems=(NO_KEYS, LEGAL_HOLD, CONFLICT),
    ),
)
