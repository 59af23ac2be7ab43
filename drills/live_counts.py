"""The ledger of a drill on sites that are up as their control planes count it: sums alone. PURE.

Owns what a drill reads of `GET /v1/ledger`, and what that comes to: which calls have ended since
its first look, by the revision of that answer, and how many were on at the last one. Whoever may
read no calls may know that, and every site's control plane tells it of all sites.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.evidence import CountRow
from drills.live_books import ENDS, ON, UNKNOWN, Books, lost_calls
from state.model import Outcome

PATH: Final = "/v1/ledger"
ENDED: Final = "ended"
_WORDS: Final = {"on": ON, "unaccounted": UNKNOWN}
"""What the API says of how a call stands that has not ended, and what the ledger says."""


class SeenCount(Struct, frozen=True, kw_only=True):
    """How many calls were held at one edge and came to the same."""

    site: str
    edge: str
    standing: str
    outcome: str | None = None
    cause: str = ""
    calls: int


class SeenLedger(Struct, frozen=True, kw_only=True):
    """One answer of a control plane."""

    as_of: dt.datetime
    revision: int
    is_current: bool
    """False: it has not heard of the shared state for some seconds."""
    on: int
    unaccounted: int | None
    """None: it has not followed the calls for so long."""
    unreadable: int | None
    """None: it counts the calls of one tenant alone."""
    counts: tuple[SeenCount, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it leaves nothing open that another control plane could tell."""
        return self.is_current and self.unaccounted is not None


class Told(Struct, frozen=True, kw_only=True):
    """What control planes told of calls: a first and a last answer."""

    first: SeenLedger | None = None
    last: SeenLedger | None = None
    """Of what has been recorded since the first one; it may be another site's."""
    site: str = ""
    """Whose control plane gave the last one."""
    why_not: Mapping[str, str] = {}
    """Site -> why its control plane told nothing, in words, when it was asked last."""


def books_of(told: Told) -> Books | None:
    """Return the ledger as a control plane counts it; None: none told enough."""
    first, last = told.first, told.last
    if first is None or last is None:
        return None
    rows = tuple(map(_row, last.counts))
    ends: Counter[str] = Counter()
    for each in rows:
        ends[each.outcome] += each.calls
    offered = sum(ends.values())
    figures: dict[str, float | None] = {name: ends[end] for end, name in ENDS.items()}
    figures |= {"offered": offered, "still_on": ends[ON]}
    if last.unaccounted is not None:
        figures["unaccounted"] = ends[UNKNOWN]
    findings = tuple(_findings(told.site, first, last, rows))
    is_exact = offered >= first.on and last.is_whole and not ends[UNKNOWN] and last.unreadable == 0
    figures["ledger_sums"] = float(is_exact)
    return Books(
        rows=(),
        counts=rows,
        figures=figures,
        findings=findings,
        by=(f"{told.site} control plane",),
    )


def _row(count: SeenCount) -> CountRow:
    ended = count.standing == ENDED
    outcome = count.outcome or UNKNOWN if ended else _WORDS.get(count.standing, UNKNOWN)
    return CountRow(
        site=count.site,
        edge=count.edge,
        outcome=outcome,
        cause=count.cause,
        calls=count.calls,
    )


def _findings(
    site: str, first: SeenLedger, last: SeenLedger, rows: Iterable[CountRow]
) -> Iterable[str]:
    causes: Counter[str] = Counter()
    offered = 0
    for each in rows:
        offered += each.calls
        if each.outcome == Outcome.LOST:
            causes[each.cause] += each.calls
    if causes:
        yield lost_calls(causes)
    if last.unaccounted:
        yield f"calls that were on, of which nothing is recorded: {last.unaccounted}"
    if last.unaccounted is None:
        yield (
            f"whether something is recorded of every call, nobody knows: the control plane of"
            f" {site} has not followed the calls for so long"
        )
    if not last.is_current:
        yield f"the control plane of {site} had no news of the shared state when it counted"
    if offered < first.on:
        yield f"calls that were on at the first look and are in no later sum: {first.on - offered}"
    if last.unreadable:
        yield f"records of calls that cannot be read: {last.unreadable}"
    if last.unreadable is None:
        yield "the ledger has the calls of one tenant alone: that of whoever ran the drill"


def beside(made: Books, told: Told) -> Books:
    """Return a ledger that was made call by call, with what a control plane knows beyond it.

    Looks come once a second; a control plane hears of every call that comes and goes in between.
    """
    last = told.last
    seen = (last.unaccounted or 0) if last is not None else 0
    found = made.figures["unaccounted"] or 0
    if seen <= found:
        return made
    more = (
        f"the control plane of {told.site} has seen {seen} calls go of which nothing is"
        f" recorded, and the looks {found:g}"
    )
    return replace(
        made,
        figures={**made.figures, "ledger_sums": 0.0},
        findings=(*made.findings, more),
    )


def silent_because(told: Told) -> str:
    """Return why no control plane has counted calls; empty: none was asked."""
    return "; ".join(f"{site}: {why}" for site, why in sorted(told.why_not.items()))
