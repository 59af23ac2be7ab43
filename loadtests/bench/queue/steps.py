"""Where the time goes from an agent's hanging up to the INVITE that rings them next. PURE.

Three witnesses on one machine's monotonic clock: the generator (hung up, rung), the edge's log
(`call_state` lines) and its event log: when its mirror saw the agent's work record, when it decided
to give the agent away, when its mirror showed that the store had granted it. An agent is given a
little before the end of their rest, so that only what takes longer than that is dead time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from edge.acd.eligibility import RESERVED_AHEAD_S
from loadtests.bench.queue.shifts import Idle
from state.errors import BadKeyError
from state.eventlog.lines import DELETED, Changed, Decided, Line
from state.keys import Kind, parse

STEPS: Final = (
    "hung up until the edge knows it",
    "the edge knows it until its mirror shows it",
    "due to be given until given",
    "given until the mirror shows it granted",
    "end of the rest until the INVITE is there",
)
"""The last one is the dead time."""
_CLOCKS_S: Final = 0.005
"""How much the edge's log, by the wall clock and to a millisecond, may be off."""


class Move(Struct, frozen=True, kw_only=True):
    """A line `call_state` of the edge's log."""

    at_s: float
    call: str
    was: str
    state: str
    agent: str | None = None


class Seen:
    """What the edge has logged, by agent, in order."""

    def __init__(self, moves: Iterable[Move], lines: Iterable[Line]) -> None:
        self._over: dict[str, list[float]] = defaultdict(list)
        self._given: dict[str, list[float]] = defaultdict(list)
        self._work: dict[str, list[float]] = defaultdict(list)
        self._granted: dict[str, list[float]] = defaultdict(list)
        agent_of: dict[str, str] = {}
        for move in moves:
            if move.state == "ringing" and move.agent is not None:
                agent_of[move.call] = move.agent
            elif move.state == "ending" and (agent := agent_of.get(move.call)) is not None:
                self._over[agent].append(move.at_s)
        for line in lines:
            if isinstance(line, Decided):
                self._given[str(line.agent)].append(line.mono_s)
            elif isinstance(line, Changed):
                for kind, agent in _changed(line):
                    of = self._work if kind is Kind.WORK else self._granted
                    of[agent].append(line.mono_s)

    def steps_ms(self, idle: Idle) -> tuple[float, ...] | None:
        """Return how long each of `STEPS` took, in ms; None: a witness is missing."""
        agent, rung_s = idle.agent, idle.rung_s
        granted_s = _last(self._granted[agent], rung_s)
        given_s = _last(self._given[agent], granted_s)
        work_s = _last(self._work[agent], given_s)
        over_s = _last(self._over[agent], work_s + _CLOCKS_S)
        if min(granted_s, given_s, work_s, over_s) == _NEVER_S:
            return None
        due_s = work_s + max(0.0, idle.free_s - idle.left_s - RESERVED_AHEAD_S)
        marks = (
            (idle.left_s, over_s),
            (over_s, work_s),
            (due_s, given_s),
            (given_s, granted_s),
            (idle.free_s, rung_s),
        )
        return tuple(1e3 * (end_s - begin_s) for begin_s, end_s in marks)


_NEVER_S: Final = float("-inf")


def _last(instants: list[float], before_s: float) -> float:
    at = bisect_right(instants, before_s)
    return instants[at - 1] if at else _NEVER_S


def _changed(line: Changed) -> Iterable[tuple[Kind, str]]:
    for row in line.changes:
        try:
            key = parse(row.key)
        except BadKeyError:
            continue
        is_made = row.create_revision == row.mod_revision and bytes(row.value) != DELETED
        if key.kind is Kind.WORK or (key.kind is Kind.OFFER and is_made):
            yield key.kind, key.id


def table(idles: Iterable[Idle], seen: Seen) -> Mapping[str, list[float]]:
    """Return the times of each step, in ms, over all idle times that have all witnesses."""
    found: dict[str, list[float]] = {step: [] for step in STEPS}
    for idle in idles:
        for step, ms in zip(STEPS, seen.steps_ms(idle) or (), strict=False):
            found[step].append(ms)
    return found
