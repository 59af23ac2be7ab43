"""PURE. How many calls ended which way, how many are on, and of how many nothing is recorded.

Owns sums: no call, caller, number or agent is in what leaves here.

The laws:

- A call is counted once: as ended, if there is a record of it; else as on, if there is a ticket;
  else, if its ticket has been seen to go, as one that nobody accounts for.
- So what is seen of tickets is taken before the ledger is read: the record of a ticket that had
  gone by then is in there.
- A tenant's sums are of its own calls. The center's own, which runs the sites, has everybody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from control_plane.live.departed import Gone
from control_plane.live.talks import tenant_of
from state import keys
from state.codec import decode_at
from state.errors import StateError
from state.model import MAIN, CallRecord, Outcome
from state.raw import KeyValue
from state.snapshot import Snapshot


class Standing(StrEnum):
    """How a call stands."""

    ENDED = "ended"
    ON = "on"
    UNACCOUNTED = "unaccounted"
    """Its ticket is gone, and there is no record of it."""


class Lot(Struct, frozen=True, kw_only=True):
    """What several calls have in common."""

    site: str
    """That held the caller."""
    edge: str
    standing: Standing
    outcome: Outcome | None = None
    """Of those that ended."""
    cause: str = ""


class Window(Struct, frozen=True, kw_only=True):
    """Which calls that are over count."""

    since_ms: int
    until_ms: int | None = None
    """None: whatever there is."""
    after: int = 0
    """The revision after which their records came: no clock of an edge decides that."""
    kept_from_ms: int = 0
    """Of a ticket that had gone by then, the record may have been taken out since, being old."""

    def has(self, revision: int, ended_ms: int) -> bool:
        """Return whether a call is in it."""
        is_before = self.until_ms is None or ended_ms < self.until_ms
        return revision > self.after and ended_ms >= self.since_ms and is_before


class Sums(Struct, frozen=True, kw_only=True):
    """How many calls have which lot."""

    counts: Counter[Lot]
    unreadable: int = 0
    """Records that cannot be read, of whomever."""


def ended(records: Iterable[KeyValue], snapshot: Snapshot, tenant: str, window: Window) -> Sums:
    """Return the sums of records of the ledger."""
    counts: Counter[Lot] = Counter()
    unreadable = 0
    for each in records:
        if each.mod_revision <= window.after:
            continue
        record = _read(each)
        if record is None:
            unreadable += 1
        elif window.has(each.mod_revision, record.ended_ms) and _is_told(
            tenant, tenant_of(snapshot, record.did, record.queue)
        ):
            lot = Lot(
                site=record.site,
                edge=record.edge,
                standing=Standing.ENDED,
                outcome=record.outcome,
                cause=record.cause,
            )
            counts[lot] += 1
    return Sums(counts=counts, unreadable=unreadable)


def _read(record: KeyValue) -> CallRecord | None:
    try:
        value = decode_at(record.key, record.value)
    except StateError:
        return None
    return value if isinstance(value, CallRecord) else None


def running(snapshot: Snapshot, tenant: str, recorded: Container[str]) -> Counter[Lot]:
    """Return the sums of the calls that are on. `recorded`: the keys of all records by now."""
    tickets = (entry.value for entry in snapshot.tickets.values())
    return Counter(
        Lot(site=each.site, edge=each.holder, standing=Standing.ON)
        for each in tickets
        if keys.ended(each.call) not in recorded
        and _is_told(tenant, tenant_of(snapshot, each.did, each.queue))
    )


def unaccounted(
    gone: Iterable[Gone],
    snapshot: Snapshot,
    tenant: str,
    window: Window,
    recorded: Container[str],
) -> Counter[Lot] | None:
    """Return the sums of the calls that are neither on nor recorded.

    None: one of them may have been recorded, and is too old for that to be kept.
    """
    found = tuple(
        each
        for each in gone
        if keys.ended(each.call) not in recorded
        and keys.ticket(each.call) not in snapshot.raw
        and window.has(each.revision, each.at_ms)
        and _is_told(tenant, each.tenant)
    )
    if any(each.at_ms < window.kept_from_ms for each in found):
        return None
    return Counter(
        Lot(site=each.site, edge=each.edge, standing=Standing.UNACCOUNTED) for each in found
    )


def by_standing(found: Mapping[Lot, int]) -> Counter[Standing]:
    """Return how many calls stand how."""
    sums: Counter[Standing] = Counter()
    for lot, calls in found.items():
        sums[lot.standing] += calls
    return sums


def order(lot: Lot) -> tuple[str, ...]:
    """Return by what sums are put in order."""
    return (lot.site, lot.edge, lot.standing, lot.outcome or "", lot.cause)


def _is_told(tenant: str, whose: str) -> bool:
    return tenant in (MAIN, whose)
