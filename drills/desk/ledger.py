"""Reads the calls that are over, and finds a call by how its id begins."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from drills.desk.errors import RefusedError
from edge.acd.handling import as_rested
from state import keys
from state.codec import decode_at
from state.errors import StateError
from state.listing import read_all
from state.model import CallId, CallRecord, Coding, Rested
from state.raw import KeyValue
from state.snapshot import Snapshot
from state.store import Store

SHORT = 8
"""How many characters of an id are shown; more where they do not tell calls apart."""
MOST_NAMED = 5
_PREFIX = re.compile(r"[0-9a-f]{1,24}")


class Ledger(Struct, frozen=True, kw_only=True):
    """The records that could be read, the newest first, and why the others could not."""

    records: tuple[CallRecord, ...]
    bad: dict[str, str]
    revisions: dict[CallId, int]
    """At which each was written."""
    codes: Mapping[CallId, str] = field(default_factory=dict)
    """What they were about, where their agents have said so."""

    @property
    def total(self) -> int:
        """How many records there are."""
        return len(self.records) + len(self.bad)


NOTHING: Final = Ledger(records=(), bad={}, revisions={})


async def read_ledger(store: Store, begins: str = "") -> Ledger:
    """Return the calls that are over and whose ids begin so, with their wrap-ups as they were."""
    over = parse((await read_all(store, f"{keys.ENDED}{begins}")).records)
    coded = (await read_all(store, f"{keys.CODED}{begins}")).records
    rested = dict(_rests((await read_all(store, f"{keys.RESTED}{begins}")).records))
    records = tuple(as_rested(record, rested.get(record.call)) for record in over.records)
    return replace(over, records=records, codes=dict(_codes(coded)))


def _rests(listing: Iterable[KeyValue]) -> Iterator[tuple[CallId, Rested]]:
    for each in listing:
        with contextlib.suppress(StateError):
            value = decode_at(each.key, each.value)
            if isinstance(value, Rested):
                yield value.call, value


def _codes(listing: Iterable[KeyValue]) -> Iterator[tuple[CallId, str]]:
    for each in listing:
        with contextlib.suppress(StateError):
            value = decode_at(each.key, each.value)
            if isinstance(value, Coding):
                yield value.call, value.code


def parse(listing: Iterable[KeyValue]) -> Ledger:
    """Decode the ledger, the newest first by the order of the store."""
    records, bad, revisions = [], {}, {}
    for each in sorted(listing, key=lambda each: -each.mod_revision):
        try:
            value = decode_at(each.key, each.value)
        except StateError as error:
            bad[each.key] = str(error)
            continue
        if isinstance(value, CallRecord):
            records.append(value)
            revisions[value.call] = each.mod_revision
    return Ledger(records=tuple(records), bad=bad, revisions=revisions)


def check_prefix(begins: str) -> str:
    """Return how an id begins, in small letters; RefusedError when none can begin so."""
    wanted = begins.strip().lower()
    if _PREFIX.fullmatch(wanted) is None:
        raise RefusedError(
            f"{begins[:40]!r} is not how a call's id begins: it has up to 24 of 0-9 a-f;"
            " ./everline calls lists them"
        )
    return wanted


def only_one(begins: str, snapshot: Snapshot, ledger: Ledger) -> CallId:
    """Return the one call whose id begins so; RefusedError when there is none, or several.

    A call that is just over may be in both: it is still one.
    """
    found = {call for call in snapshot.tickets if call.startswith(begins)}
    found |= {record.call for record in ledger.records}
    if len(found) == 1:
        return found.pop()
    if not found and ledger.bad:
        raise RefusedError(next(iter(ledger.bad.values())))
    if not found:
        raise RefusedError(f"no call's id begins with {begins}; ./everline calls lists them")
    named = ", ".join(sorted(found)[:MOST_NAMED])
    more = " and more" if len(found) > MOST_NAMED else ""
    raise RefusedError(f"{len(found)} calls' ids begin with {begins}: {named}{more}; say more")
