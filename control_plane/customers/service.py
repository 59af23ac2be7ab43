"""What may be done with customers, beyond what rows can say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from control_plane.api.ask import Ask
from control_plane.customers import pop, sealed, store, turn
from control_plane.customers.errors import LEGAL_HOLD, NOT_SEARCHABLE
from control_plane.customers.schemas import CustomerDraft, CustomerListing, CustomerView
from control_plane.customers.store import Customer
from control_plane.customers.talking import TALKING
from control_plane.customers.views import eyes, thing, view
from control_plane.errors import FORBIDDEN, ApiError, not_found
from control_plane.history import store as history
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.subjects import Thing

AnyAsk = Ask[Any, Any, Any]
WRITING = {
    "name": Permission.CUSTOMER_BASIC_READ_FULL,
    "language": Permission.CUSTOMER_BASIC_READ_FULL,
    "tags": Permission.CUSTOMER_BASIC_READ_FULL,
    "consent": Permission.CUSTOMER_BASIC_READ_FULL,
    "numbers": Permission.CUSTOMER_CONTACT_READ_FULL,
    "email": Permission.CUSTOMER_CONTACT_READ_FULL,
    "address": Permission.CUSTOMER_CONTACT_READ_FULL,
    "notes": Permission.CUSTOMER_NOTES_READ_FULL,
    "sensitive": Permission.CUSTOMER_PAYMENT_WRITE,
}
"""Who may not see a field whole may not write over it either."""
CONSENT: Final = {True: "given", False: "refused", None: "taken out"}


def about(ask: AnyAsk, customer: Customer) -> Thing:
    """Return what the policy is asked about, with who talks to this customer now."""
    return thing(customer, ask.request.app[TALKING].to(customer.tenant, customer.numbers))


def drafted(ask: AnyAsk, draft: CustomerDraft) -> Customer:
    """Return a new customer of the tenant, by a draft; what is sensitive is kept elsewhere."""
    return Customer(
        id=fresh("cus", ask.now_ms),
        tenant=ask.tenant,
        has_legal_hold=False,
        merged_into=None,
        created_ms=ask.now_ms,
        updated_ms=ask.now_ms,
        version=1,
        **draft.model_dump(exclude={"sensitive"}),
    )


async def load(ask: AnyAsk, customer: str) -> Customer:
    """Return one of the tenant's customers. Raise `not-found`."""
    found = await store.find(ask.db, ask.tenant, customer)
    if found is None:
        raise not_found()
    return found


async def named(ask: AnyAsk) -> Thing:
    """Return the customer in the request's path, as the policy is asked. Raise `not-found`."""
    return about(ask, await load(ask, ask.at.customer))


async def calling(ask: AnyAsk, tenant: str, number: str) -> tuple[CustomerView, ...]:
    """Return what the subject may see of whoever has this number (E.164)."""
    found = await pop.calling(ask.db, tenant, number)
    return await seen(ask, found.customers, found.filled)


async def by_number(ask: AnyAsk, number: str) -> tuple[CustomerView, ...]:
    """Return whoever has this number (E.164), as the subject may look them up by it.

    What is found by a number tells the number, whatever masks it: so it takes the right to see it
    in full, or that very caller on the line.
    """

    def may_know(customer: Customer) -> bool:
        thing, agent = about(ask, customer), ask.subject.agent
        is_theirs = bool(agent) and agent in (thing.on_call_with or ())
        return is_theirs or ask.sees(thing, Permission.CUSTOMER_CONTACT_READ_FULL)

    found = await pop.calling(ask.db, ask.tenant, number)
    return await seen(ask, filter(may_know, found.customers), found.filled)


async def seen(
    ask: AnyAsk,
    customers: Iterable[Customer],
    filled: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[CustomerView, ...]:
    """Return what the subject may see of each; nothing of whom it may not see at all.

    `filled`: the names of their sensitive fields, where these are known already.
    """
    allowed = [(each, eyes(about(ask, each), ask.sees)) for each in customers]
    allowed = [(each, eye) for each, eye in allowed if not eye.are_closed]
    if filled is None:
        ids = [each.id for each, eye in allowed if eye.payment]
        filled = await sealed.names(ask.db, ask.tenant, ids) if ids else {}
    return tuple(view(each, eye, filled.get(each.id, ())) for each, eye in allowed)


def is_in_sight(ask: AnyAsk, customer: Customer) -> bool:
    """Tell whether the subject may see anything of one, who is not shown yet."""
    return not eyes(about(ask, customer), ask.may_see).are_closed


async def one(ask: AnyAsk, customer: Customer) -> CustomerView:
    """Return what the subject may see of one that it may act on: at least that it is there."""
    allowed = eyes(about(ask, customer), ask.sees)
    filled = await sealed.names(ask.db, ask.tenant, [customer.id]) if allowed.payment else {}
    return view(customer, allowed, filled.get(customer.id, ()))


def check_search(ask: AnyAsk, listing: CustomerListing) -> None:
    """Raise `not-searchable` for a filter, or an order, by what may not be seen whole of everybody.

    What is found, counted or put in order by a field tells the field. A right that depends on the
    customer (`on_call`) is not enough: the cursor and the length of a page would tell of others.
    """
    whole = Thing(kind="customer", tenant=ask.tenant)
    needed: set[Permission] = set()
    if listing.name is not None or listing.tag is not None or listing.sort.endswith("name"):
        needed.add(Permission.CUSTOMER_BASIC_READ_FULL)
    if listing.number is not None:
        needed.add(Permission.CUSTOMER_CONTACT_READ_FULL)
    if listing.field is not None or listing.value is not None:
        needed.add(Permission.CUSTOMER_PAYMENT_READ_FULL)
    if not all(ask.sees(whole, each) for each in needed):
        raise ApiError(NOT_SEARCHABLE)


def check_writing(ask: AnyAsk, what: Thing, names: Iterable[str]) -> None:
    """Raise `forbidden` for a field that the subject may not see whole."""
    if not all(ask.sees(what, WRITING[name]) for name in names):
        raise ApiError(FORBIDDEN)


async def check_keeping(ask: AnyAsk, customer: Customer, numbers: Iterable[str] | None) -> None:
    """Raise `legal-hold` if these numbers leave one out of somebody who has to be kept.

    Their calls are kept by their numbers; who was merged into them is known by these, too.
    """
    if numbers is None or set(customer.numbers) <= set(numbers):
        return
    await turn.take(ask.db, ask.tenant)
    merged = await store.merged_away(ask.db, ask.tenant, customer.id)
    everybody = (customer, *await store.find_all(ask.db, ask.tenant, merged))
    if any(each.has_legal_hold for each in everybody):
        raise ApiError(LEGAL_HOLD, "Numbers can be added, and none taken away.")


async def note_consent(ask: AnyAsk, customer: Customer, before: Mapping[str, bool]) -> None:
    """Write into the history what the customer consents to now and did not `before`, or the other.

    Whoever relies on a consent has to show since when there was one, and who took it down.
    """
    for name in sorted({*before, *customer.consent}):
        if before.get(name) != customer.consent.get(name):
            await history.add(
                ask.db,
                history.Interaction(
                    tenant=customer.tenant,
                    customer=customer.id,
                    at_ms=ask.now_ms,
                    kind="consent",
                    reference=name,
                    what=CONSENT[customer.consent.get(name)],
                    by=ask.subject.id,
                ),
            )
