"""PURE. Backup numbers outside the center: which DIDs' calls go to which, and which may be used.

The laws:

- A DID's own number goes before its queue's, and that before its site's, whichever plan says it.
- What is not allowed by a trunk's `dial_out` is denied, and so is what costs extra: whoever may
  write plans does not choose what the center pays for.
- No number leads back into the center.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import phonenumbers
from msgspec.structs import replace

from control_plane.configuration.nouns import PlanTable
from edge.steering.forwarding import trunk_for
from state.configuration import Configuration
from state.configuration_findings import Finding, Severity
from state.model import Did, TenantId

Fault = tuple[str, str, str]
"""Field, fault, remedy."""

_COSTLY: Final = frozenset(
    {phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST}
)


def forwarded(configuration: Configuration, plans: Sequence[PlanTable]) -> Configuration:
    """Return the configuration with the numbers of these plans, its other changes being made."""
    if not any(field for plan in plans for field, _ in named(plan)):
        return configuration
    dids = tuple(replace(did, forward=_number(did, plans) or "") for did in configuration.dids)
    return replace(configuration, dids=dids)


def _number(did: Did, plans: Sequence[PlanTable]) -> str | None:
    own = [plan for plan in plans if plan.tenant == did.tenant]
    by_did = (plan.dids[did.number].number for plan in own if did.number in plan.dids)
    by_queue = (plan.queues[did.queue].number for plan in own if did.queue in plan.queues)
    site = _only_site(did)
    by_site = (plan.sites[site].number for plan in own if site in plan.sites)
    return next((each for each in (*by_did, *by_queue, *by_site) if each), None)


def _only_site(did: Did) -> str:
    return did.sites[0] if len(set(did.sites)) == 1 else ""


def named(plan: PlanTable) -> Iterator[tuple[str, str]]:
    """Yield each backup number that a plan names, with its field."""
    said = (
        *((f"dids.{name}", change.number) for name, change in plan.dids.items()),
        *((f"queues.{name}", change.number) for name, change in plan.queues.items()),
        *((f"sites.{name}", change.number) for name, change in plan.sites.items()),
    )
    yield from ((f"{field}.number", number) for field, number in said if number is not None)


def unusable(plan: PlanTable, configuration: Configuration) -> Iterator[Fault]:
    """Yield why a number of the plan cannot be used; `configuration` is without any plan."""
    own = [did for did in configuration.dids if did.tenant == plan.tenant]
    for name, change in plan.queues.items():
        if change.number is not None and not any(did.queue == name for did in own):
            fault = "no DID leads to this queue: the number would never be called"
            yield f"queues.{name}.number", fault, "name the DIDs themselves"
    for name, site in plan.sites.items():
        if site.number is not None and not any(_only_site(did) == name for did in own):
            fault = "no DID has this site as its only one: the number would never be called"
            yield f"sites.{name}.number", fault, "name the DIDs themselves, or give them `sites`"
    dids = frozenset(did.number for did in configuration.dids)
    for field, number in named(plan):
        found = _unfit(number)
        if found is None and not dids.isdisjoint(_forms(number)):
            found = "is a number of this center: the call would come back", "name one outside"
        if found is None and not trunk_for(number, TenantId(plan.tenant), configuration.trunks):
            hint = f"add how it begins, such as {number[:3]}, to the dial_out of a trunk with a sip"
            found = "no trunk of yours may dial it", f"{hint}, or name another number"
        if found is not None:
            yield field, *found


@lru_cache(maxsize=4096)
def _unfit(number: str) -> tuple[str, str] | None:
    """Return what is wrong with a number by itself, and the way out."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        return "is no telephone number that exists", "write it as E.164: +4930..."
    if phonenumbers.number_type(parsed) in _COSTLY:
        return "costs extra to call", "name a plain number"
    return None


@lru_cache(maxsize=4096)
def _forms(number: str) -> frozenset[str]:
    """Return the ways in which carriers write a number that is fit, abroad and at home."""
    parsed = phonenumbers.parse(number)
    at_home = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    bare, significant = number.removeprefix("+"), phonenumbers.national_significant_number(parsed)
    dialled = "".join(each for each in at_home if each.isdigit())
    return frozenset({number, bare, f"00{bare}", dialled, significant})


def told(dids: Iterable[Did]) -> Iterator[Finding]:
    """Yield a warning for each DID whose calls go out: what nobody here will see of them."""
    for did in dids:
        if did.forward:
            yield Finding(
                severity=Severity.WARNING,
                section="dids",
                id=did.number,
                field="forward",
                fault="an active plan gives its new calls to a number outside, at any hour: they"
                " are neither queued nor recorded, nor in the ledger of calls; those who wait"
                " stay",
                remedy="revert the plan as soon as the center can take them",
            )
