"""Locust's tables as figures with names, and whether they keep to limits. PURE.

A figure of a row is `TYPE.NAME.WHAT` in small letters with underscores, such as
`sip.set_up.p99_ms`; of all rows together `all.WHAT`. WHAT is `count`, `failed`, `failed_share`,
`p50_ms`, `p95_ms`, `p99_ms`, `most_ms` or `mean_ms`. What else was measured has names of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from drills.experiment import Bound
from loadtests.load.telling import CALL, PHONE, RESTARTED, RUNG_IN_TALK, SIP
from state.codec import UNREADABLE

_TALKED: Final = frozenset({"ended: talked", "ended: agent hung up"})
_FAULT: Final = "ended: fault"


class LimitsError(ValueError):
    """The file holds no limits; the text says which, and what to do."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a load has to keep to."""

    limit: tuple[Bound, ...]


class TableRow(Struct, frozen=True, kw_only=True):
    """One row of Locust's tables, over the whole load."""

    kind: str
    name: str
    count: int
    failed: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float
    timed: int | None = None
    """So many of them have a time, which the five above are of; None: all have."""


class Judged(Struct, frozen=True, kw_only=True):
    """A limit, and what was found."""

    limit: str
    value: float | None
    held: bool
    missed: str = ""
    """What is not within, never rounded to what is; empty: it held, or was not measured."""

    @property
    def found(self) -> str:
        """What was found, as people read it."""
        return self.missed or ("not measured" if self.value is None else f"{self.value:.4g}")


def read_limits(text: str, source: str) -> Limits:
    """Return the limits of a TOML file. LimitsError names the file and the fault."""
    try:
        found = msgspec.toml.decode(text, type=Limits)
    except (*UNREADABLE, ValueError) as error:
        raise LimitsError(f"{source}: no limits: {error}") from error
    for limit in found.limit:
        # Which figures there are, Locust's tables say in the end.
        wrong = limit.wrong_because()
        if wrong is not None:
            raise LimitsError(f"{source}: {wrong}")
    if not found.limit:
        raise LimitsError(f"{source}: a load without a limit shows nothing: write a [[limit]]")
    return found


def figures(rows: Iterable[TableRow], more: Mapping[str, float]) -> dict[str, float]:
    """Return all figures by name."""
    found: dict[str, float] = {}
    count = failed = 0
    for row in rows:
        name = f"{_word(row.kind)}.{_word(row.name)}"
        count, failed = count + row.count, failed + row.failed
        found |= {
            f"{name}.count": row.count,
            f"{name}.failed": row.failed,
            f"{name}.failed_share": row.failed / row.count if row.count else 0.0,
        }
        if row.timed == 0:
            # Zeros in Locust's tables, which would keep to every limit.
            continue
        found |= {
            f"{name}.mean_ms": row.mean_ms,
            f"{name}.p50_ms": row.p50_ms,
            f"{name}.p95_ms": row.p95_ms,
            f"{name}.p99_ms": row.p99_ms,
            f"{name}.most_ms": row.most_ms,
        }
    found |= {"all.count": count, "all.failed": failed}
    if count:
        found["all.failed_share"] = failed / count
    return found | dict(more)


def people(rows: Iterable[TableRow], caller_hours: float) -> dict[str, float]:
    """Return what became of the people's calls, also where there is no row of it.

    A load in which nobody calls keeps to every limit on what must not happen. `caller_hours`: for
    how long callers were to be there, all together.
    """
    found = list(rows)
    ended = [row for row in found if row.kind == CALL]
    talked = sum(row.count for row in ended if row.name in _TALKED)
    return {
        "calls.ended": sum(row.count for row in ended),
        "calls.talked": talked,
        "calls.talked_per_caller_h": talked / caller_hours if caller_hours else 0.0,
        "calls.faults": sum(row.count for row in ended if row.name == _FAULT),
        "agents.rung_in_a_talk": sum(
            row.count for row in found if row.kind == SIP and row.name == RUNG_IN_TALK
        ),
        "phones.restarted": sum(
            row.count for row in found if row.kind == PHONE and row.name == RESTARTED
        ),
        "phones.missing": sum(
            row.count for row in found if row.kind == PHONE and row.name != RESTARTED
        ),
    }


def judge(limits: Limits, found: Mapping[str, float]) -> tuple[Judged, ...]:
    """Return each limit with what was found; what was not measured does not hold."""
    return tuple(_judged(limit, found.get(limit.figure)) for limit in limits.limit)


def _judged(limit: Bound, value: float | None) -> Judged:
    held = limit.holds(value)
    missed = "" if held or value is None else limit.missed_by(value)
    return Judged(limit=limit.told(), value=value, held=held, missed=missed)


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
