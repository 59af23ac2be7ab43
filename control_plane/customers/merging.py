"""Customers who turn out to be one: found, merged, and parted again."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select, update

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.paging import Listing, Page
from control_plane.api.route import Method, Route, Routes
from control_plane.customers import service, store, turn
from control_plane.customers.errors import CANNOT_MERGE, NOT_SEARCHABLE
from control_plane.customers.schemas import (
    CustomerPath,
    DuplicatesView,
    MergeDraft,
    MergePath,
    MergeView,
    SharedNumberView,
)
from control_plane.customers.store import Customer
from control_plane.customers.tables import MergeRow
from control_plane.errors import VERSION_MISMATCH, ApiError, not_found
from control_plane.history import store as history
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.subjects import Thing

Named: TypeAlias = Ask[CustomerPath, Nothing, Nothing]
Merged: TypeAlias = Ask[CustomerPath, Nothing, MergeDraft]
Shared: TypeAlias = Ask[Nothing, Listing, Nothing]
Undone: TypeAlias = Ask[MergePath, Nothing, Nothing]


async def duplicates(ask: Named) -> DuplicatesView:
    """Return who has one of the customer's numbers, or the same name."""
    customer = await service.load(ask, ask.at.customer)
    found = {
        each.id: each
        for number in customer.numbers
        for each in await store.by_number(ask.db, ask.tenant, number)
    }
    same = await store.same_name(ask.db, ask.tenant, customer.name)
    found |= {each.id: each for each in same}
    found.pop(customer.id, None)
    return DuplicatesView(customers=await service.seen(ask, found.values()))


async def list_shared(ask: Shared) -> Page[SharedNumberView]:
    """Return the numbers that several customers have, and who these are."""
    whole = Thing(kind="customer", tenant=ask.tenant)
    if not ask.sees(whole, Permission.CUSTOMER_CONTACT_READ_FULL):
        raise ApiError(NOT_SEARCHABLE)
    numbers, after = await store.shared_numbers(ask.db, ask.tenant, ask.query)
    return Page[SharedNumberView](
        items=tuple(
            [
                SharedNumberView(number=each, customers=await service.by_number(ask, each))
                for each in numbers
            ]
        ),
        next=after,
    )


async def merge(ask: Merged) -> MergeView:
    """Make two into one: the one in the path stays, with numbers, tags and refusals of both."""
    await turn.take(ask.db, ask.tenant)
    kept = await service.load(ask, ask.at.customer)
    gone = await service.load(ask, ask.body.gone)
    if not ask.sees(service.about(ask, gone)):
        raise not_found()
    if kept.id == gone.id or kept.merged_into is not None or gone.merged_into is not None:
        raise ApiError(CANNOT_MERGE)
    numbers = tuple(each for each in gone.numbers if each not in kept.numbers)
    tags = tuple(each for each in gone.tags if each not in kept.tags)
    before = _refused_by(gone, kept.consent)
    both = {
        "numbers": kept.numbers + numbers,
        "tags": kept.tags + tags,
        "consent": kept.consent | dict.fromkeys(before, False),
    }
    changed = await _change(ask, kept, both)
    await service.note_consent(ask, changed, kept.consent)
    await _change(ask, gone, {"merged_into": kept.id})
    made = fresh("mrg", ask.now_ms)
    await ask.db.execute(
        insert(MergeRow).values(
            id=made,
            tenant=ask.tenant,
            kept=kept.id,
            gone=gone.id,
            **Got(numbers=numbers, tags=tags, consent=before).columns,
            at_ms=ask.now_ms,
            undone_ms=None,
        )
    )
    await _note(ask, kept.id, made, "merged")
    return MergeView(id=made, kept=kept.id, gone=gone.id)


def _refused_by(gone: Customer, consent: Mapping[str, bool]) -> dict[str, bool | None]:
    """PURE. Return what `consent` said of that to which `gone` has said no; None: nothing.

    The kept one has the numbers now, so a no of either is one of both; a yes stays whose it was.
    """
    refused = [name for name, said in gone.consent.items() if not said]
    return {name: consent.get(name) for name in refused if consent.get(name) is not False}


def _as_before(consent: Mapping[str, bool], before: Mapping[str, bool | None]) -> dict[str, bool]:
    """PURE. Return `consent` without what a merge has made of it; what was said since stays."""
    made = {name: said for name, said in before.items() if consent.get(name) is False}
    given = {name: said for name, said in made.items() if said is not None}
    return {name: said for name, said in consent.items() if name not in made} | given


class Got(Struct, frozen=True, kw_only=True):
    """What the kept one of two got by their merge."""

    numbers: tuple[str, ...]
    tags: tuple[str, ...]
    consent: dict[str, bool | None]
    """What it had said before of that to which the other one has said no."""

    @classmethod
    def of(cls, row: Any) -> Got:  # noqa: ANN401 - a row of the merges
        """Read it."""
        return cls(
            numbers=msgspec.json.decode(row.numbers, type=tuple[str, ...]),
            tags=msgspec.json.decode(row.tags, type=tuple[str, ...]),
            consent=msgspec.json.decode(row.consent, type=dict[str, bool | None]),
        )

    @property
    def columns(self) -> dict[str, str]:
        """Return it as the table holds it."""
        told = msgspec.structs.asdict(self)
        return {name: msgspec.json.encode(value).decode() for name, value in told.items()}


def _parted(got: Got, kept: Customer, stays: Customer, theirs: Got) -> tuple[Got, Got]:
    """PURE. Return what of `got` is not the one's too who stays, and what is that one's from now.

    Who was merged first gave the kept one what both have: it is not the kept one's alone to lose.
    """
    numbers = tuple(each for each in got.numbers if each in stays.numbers and each in kept.numbers)
    tags = tuple(each for each in got.tags if each in stays.tags and each in kept.tags)
    refused = {
        name: said
        for name, said in got.consent.items()
        if stays.consent.get(name) is False and kept.consent.get(name) is False
    }
    goes = Got(
        numbers=tuple(each for each in got.numbers if each not in numbers),
        tags=tuple(each for each in got.tags if each not in tags),
        consent={name: said for name, said in got.consent.items() if name not in refused},
    )
    more = Got(
        numbers=(*theirs.numbers, *numbers),
        tags=(*theirs.tags, *tags),
        consent=refused | theirs.consent,
    )
    return goes, more


async def undo(ask: Undone) -> MergeView:
    """Part them again: the kept one loses what it got by the merge, and keeps what came later.

    And what somebody who stays merged into it has given, or refused, too.
    """
    await turn.take(ask.db, ask.tenant)
    mine = (
        MergeRow.tenant == ask.tenant,
        MergeRow.id == ask.at.merge,
        MergeRow.undone_ms.is_(None),
    )
    row = (await ask.db.execute(select(MergeRow.__table__).where(*mine))).one_or_none()
    if row is None:
        raise not_found()
    done = await ask.db.execute(update(MergeRow).where(*mine).values(undone_ms=ask.now_ms))
    kept, gone = await service.load(ask, row.kept), await service.load(ask, row.gone)
    if done.rowcount != 1 or gone.merged_into != kept.id:
        raise ApiError(CANNOT_MERGE)
    if kept.merged_into is not None:
        # That one has the numbers now, and nobody could tell which of them came from here.
        raise ApiError(CANNOT_MERGE, "The kept one was merged itself since: part those two first.")
    got = Got.of(row)
    goes = await _hand_over(ask, kept, got, row.id)
    left = {
        "numbers": tuple(each for each in kept.numbers if each not in goes.numbers),
        "tags": tuple(each for each in kept.tags if each not in goes.tags),
        "consent": _as_before(kept.consent, goes.consent),
    }
    changed = await _change(ask, kept, left)
    await service.note_consent(ask, changed, kept.consent)
    is_held = await _is_held(ask, kept, gone, set(got.numbers))
    await _change(ask, gone, {"merged_into": None, "has_legal_hold": is_held})
    await _note(ask, kept.id, row.id, "parted")
    return MergeView(id=row.id, kept=kept.id, gone=gone.id)


async def _hand_over(ask: Undone, kept: Customer, got: Got, merge: str) -> Got:
    """Let those who stay merged into `kept` have given what they have, too; return the rest."""
    mine = (
        MergeRow.tenant == ask.tenant,
        MergeRow.kept == kept.id,
        MergeRow.id != merge,
        MergeRow.undone_ms.is_(None),
    )
    statement = select(MergeRow.__table__).where(*mine).order_by(MergeRow.at_ms, MergeRow.id)
    for row in (await ask.db.execute(statement)).all():
        theirs = Got.of(row)
        got, more = _parted(got, kept, await service.load(ask, row.gone), theirs)
        if more != theirs:
            changed = update(MergeRow).where(MergeRow.id == row.id, MergeRow.tenant == ask.tenant)
            await ask.db.execute(changed.values(**more.columns))
    return got


async def _is_held(ask: Undone, kept: Customer, gone: Customer, numbers: AbstractSet[str]) -> bool:
    """Tell whether who is parted has to be kept, with the numbers that they take along.

    Nobody knows of whom a court spoke when it spoke of both as one. And who stays merged into the
    kept one may be under hold and have one of these numbers: it is of both from now on.
    """
    if kept.has_legal_hold or gone.has_legal_hold:
        return True
    theirs = set(await store.merged_away(ask.db, ask.tenant, gone.id))
    stay = set(await store.merged_away(ask.db, ask.tenant, kept.id)) - theirs - {gone.id}
    return any(
        each.has_legal_hold and not numbers.isdisjoint(each.numbers)
        for each in await store.find_all(ask.db, ask.tenant, stay)
    )


async def _change(
    ask: Merged | Undone, customer: Customer, values: Mapping[str, object]
) -> Customer:
    changed = await store.change(ask.db, customer, values, ask.now_ms)
    if changed is None:
        raise ApiError(VERSION_MISMATCH)
    return changed


async def _note(ask: Merged | Undone, customer: str, merge: str, what: str) -> None:
    await history.add(
        ask.db,
        history.Interaction(
            tenant=ask.tenant,
            customer=customer,
            at_ms=ask.now_ms,
            kind="merge",
            reference=merge,
            what=what,
            by=ask.subject.id,
        ),
    )
    await ask.audit(customer, detail={"merge": merge, "what": what})


ROUTES: Routes = (
    Route(
        method=Method.GET,
        path="/v1/customer-duplicates",
        summary="List numbers that several customers have",
        access=Permission.CUSTOMER_MERGE,
        handler=list_shared,
        query=Listing,
        answer=Page[SharedNumberView],
        problems=(NOT_SEARCHABLE,),
    ),
    Route(
        method=Method.GET,
        path="/v1/customers/{customer}/duplicates",
        summary="List who may be the same customer",
        access=Permission.CUSTOMER_MERGE,
        handler=duplicates,
        thing=service.named,
        at=CustomerPath,
        answer=DuplicatesView,
    ),
    Route(
        method=Method.POST,
        path="/v1/customers/{customer}/merge",
        summary="Merge another customer into this one",
        access=Permission.CUSTOMER_MERGE,
        handler=merge,
        thing=service.named,
        at=CustomerPath,
        body=MergeDraft,
        answer=MergeView,
        is_idempotent=True,
        problems=(CANNOT_MERGE, VERSION_MISMATCH),
    ),
    Route(
        method=Method.POST,
        path="/v1/customer-merges/{merge}/undo",
        summary="Part two merged customers again",
        access=Permission.CUSTOMER_MERGE,
        handler=undo,
        at=MergePath,
        answer=MergeView,
        is_idempotent=True,
        problems=(CANNOT_MERGE, VERSION_MISMATCH),
    ),
)
