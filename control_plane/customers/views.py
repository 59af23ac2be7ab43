"""PURE. From a customer to what one subject may see of them: the only way to an answer.

Each group of fields is asked about by itself: in full, masked, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from control_plane.api.model import instant
from control_plane.customers.numbers import MASK, mask_email, mask_name, mask_number
from control_plane.customers.schemas import BasicView, ContactView, CustomerView, InteractionView
from control_plane.customers.store import Customer
from control_plane.history.store import Interaction
from control_plane.permissions import Permission
from control_plane.subjects import Thing

HISTORY: Final = 100
"""Entries of a history that are shown."""
Sees = Callable[[Thing, Permission], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What may be seen of one customer."""

    basic: bool | None
    """In full; False: masked; None: not at all."""
    contact: bool | None
    notes: bool
    payment: bool
    """Which sensitive fields are filled."""

    @property
    def are_closed(self) -> bool:
        """Whether the customer looks as if there were none."""
        return self.basic is None and self.contact is None


def thing(customer: Customer, on_call_with: frozenset[str] | None) -> Thing:
    """Return what the policy is asked about."""
    return Thing(
        kind="customer",
        tenant=customer.tenant,
        id=customer.id,
        on_call_with=on_call_with,
        has_legal_hold=customer.has_legal_hold,
        digest=str(customer.version),
        numbers=customer.numbers or None,
    )


def eyes(about: Thing, sees: Sees) -> Eyes:
    """Ask the policy, group by group."""

    def how(full: Permission, masked: Permission) -> bool | None:
        if sees(about, full):
            return True
        return False if sees(about, masked) else None

    payment = how(Permission.CUSTOMER_PAYMENT_READ_FULL, Permission.CUSTOMER_PAYMENT_READ_MASKED)
    return Eyes(
        basic=how(Permission.CUSTOMER_BASIC_READ_FULL, Permission.CUSTOMER_BASIC_READ_MASKED),
        contact=how(Permission.CUSTOMER_CONTACT_READ_FULL, Permission.CUSTOMER_CONTACT_READ_MASKED),
        notes=sees(about, Permission.CUSTOMER_NOTES_READ_FULL),
        payment=payment is not None,
    )


def view(customer: Customer, allowed: Eyes, filled: tuple[str, ...]) -> CustomerView:
    """Return what is told of `customer`; `filled`: the names of its sensitive fields."""
    return CustomerView(
        id=customer.id,
        tenant=customer.tenant,
        created=instant(customer.created_ms),
        updated=instant(customer.updated_ms),
        has_legal_hold=customer.has_legal_hold if allowed.basic else None,
        merged_into=customer.merged_into,
        basic=None if allowed.basic is None else _basic(customer, is_full=allowed.basic),
        contact=None if allowed.contact is None else _contact(customer, is_full=allowed.contact),
        notes=customer.notes if allowed.notes else None,
        sensitive=filled if allowed.payment else None,
    )


def _basic(customer: Customer, *, is_full: bool) -> BasicView:
    return BasicView(
        name=customer.name if is_full else mask_name(customer.name),
        language=customer.language,
        tags=customer.tags if is_full else (),
        consent=customer.consent if is_full else {},
        is_masked=not is_full,
    )


def _contact(customer: Customer, *, is_full: bool) -> ContactView:
    if is_full:
        return ContactView(
            numbers=customer.numbers,
            email=customer.email,
            address=customer.address,
            is_masked=False,
        )
    return ContactView(
        numbers=tuple(mask_number(each) for each in customer.numbers),
        email=mask_email(customer.email),
        address=MASK if customer.address else "",
        is_masked=True,
    )


def entries(found: Iterable[Interaction], most: int = HISTORY) -> tuple[InteractionView, ...]:
    """Return entries as they are shown, the newest first."""
    return tuple(
        InteractionView(
            at=instant(each.at_ms),
            kind=each.kind,
            reference=each.reference,
            what=each.what,
            by=each.by,
        )
        for each in sorted(found, key=lambda one: one.at_ms, reverse=True)[:most]
    )
