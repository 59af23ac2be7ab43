"""Where the time goes from an agent's hanging up to the INVITE that rings them next. PURE.

Three witnesses on one machine's monotonic clock: the generator (hung up, rung), the edge's log
(`call_state` lines) and its event log (when its mirror saw the agent's work record, when it decided
to give the agent away). The steps of one idle time add up to its dead time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from loadtests.bench.queue.shifts import Idle
from state.errors import BadKeyError
from state.eventlog.lines import Changed, Decided, Line
from state.keys import Kind, parse

STEPS: Final = (
    "hung up until the edge knows it",
    "the edge knows it until its mirror shows it",
    "end of the rest until an agent is given",
    "an agent is given until the store has granted it",
    "granted until the INVITE is there",
)
"""The rest itself stands between the second and the third: the mirror's view begins it."""


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
                self._granted[move.agent].append(move.at_s)
            elif move.state == "ending" and (agent := agent_of.get(move.call)) is not None:
                self._over[agent].append(move.at_s)
        for line in lines:
            if isinstance(line, Decided):
                self._given[str(line.agent)].append(line.mono_s)
            elif isinstance(line, Changed):
                for agent in _works(line):
                    self._work[agent].append(line.mono_s)

    def steps_ms(self, idle: Idle) -> tuple[float, ...] | None:
        """Return how long each of `STEPS` took, in ms; None: a witness is missing."""
        agent, rung_s = idle.agent, idle.rung_s
        granted_s = _last(self._granted[agent], rung_s)
        given_s = _last(self._given[agent], granted_s)
        work_s = _last(self._work[agent], given_s)
        over_s = _last(self._over[agent], work_s)
        if min(granted_s, given_s, work_s, over_s) == _NEVER_S:
            return None
        due_s = work_s + (idle.free_s - idle.left_s)
        marks = (
            (idle.left_s, over_s),
            (over_s, work_s),
            (due_s, given_s),
            (given_s, granted_s),
            (granted_s, rung_s),
        )
        return tuple(1e3 * (end_s - begin_s) for begin_s, end_s in marks)


_NEVER_S: Final = float("-inf")


def _last(instants: list[float], before_s: float) -> float:
    at = bisect_right(instants, before_s)
    return instants[at - 1] if at else _NEVER_S


def _works(line: Changed) -> Iterable[str]:
    for row in line.changes:
        try:
            key = parse(row.key)
        except BadKeyError:
            continue
        if key.kind is Kind.WORK:
            yield key.id


def table(idles: Iterable[Idle], seen: Seen) -> Mapping[str, list[float]]:
    """Return the times of each step, in ms, over all idle times that have all witnesses."""
    found: dict[str, list[float]] = {step: [] for step in STEPS}
    for idle in idles:
        for step, ms in zip(STEPS, seen.steps_ms(idle) or (), strict=False):
            found[step].append(ms)
    return found
