"""When what a fault took away was back on sites that are up, service by service. PURE.

As far as whoever looks on once a second can tell: by what their desk says of agents and of the
shared state, and by the recordings of test calls. Each is a look late at most, never early. What
test calls say of set-up and media is `drill.live_evidence`'s.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from drills.desk.answers import AgentRow
from drills.live_books import PRESENT
from edge.acd.agent_state import AgentState
from state.model import AgentId, CallId, SiteId


class Talk(Struct, frozen=True, kw_only=True):
    """A test call that heard an agent."""

    call: CallId
    first: SiteId
    """Where it came first."""
    at_ms: int
    joined_ms: int


class Pulse:
    """What looks at agents and the shared state found, one after the other."""

    def __init__(self) -> None:
        self._states: dict[AgentId, list[tuple[int, AgentState]]] = {}
        """Each agent's states, and when each was first seen."""
        self._revision = -1
        self._writes_ms: list[int] = []

    @property
    def writes_ms(self) -> tuple[int, ...]:
        """Return the looks that found the shared state changed since the look before."""
        return tuple(self._writes_ms)

    def look(self, at_ms: int, revision: int, agents: Iterable[AgentRow]) -> None:
        """Take in a look. It may come from a mirror that hears nothing: no revision is new then."""
        if revision > self._revision:
            if self._revision >= 0:
                self._writes_ms.append(at_ms)
            self._revision = revision
        for row in agents:
            been = self._states.setdefault(row.agent, [])
            if not been or been[-1][1] is not row.state:
                been.append((at_ms, row.state))

    def sign_in_rto_s(self, t0_ms: int) -> float | None:
        """Return when the last agent whom a fault had made unreachable could be rung again.

        Of those who could be rung at the first fault. Who signed off, and stays so, is not waited
        for: people do. Infinite where one stays out of reach; None: none was lost.
        """
        back_ms = [_back_ms(been, t0_ms) for been in self._states.values()]
        known = [each for each in back_ms if each is not None]
        return (max(known) - t0_ms) / 1000 if known else None


def _back_ms(been: Sequence[tuple[int, AgentState]], t0_ms: int) -> float | None:
    before = [state for at_ms, state in been if at_ms < t0_ms]
    if not before or before[-1] not in PRESENT:
        return None
    after = [(at_ms, state) for at_ms, state in been if at_ms >= t0_ms]
    out = next((number for number, (_, state) in enumerate(after) if state not in PRESENT), None)
    if out is None:
        return None
    back_ms = next((at_ms for at_ms, state in after[out:] if state in PRESENT), None)
    if back_ms is not None:
        return back_ms
    return math.inf if after[-1][1] is AgentState.UNREACHABLE else None


def recording_rto_s(
    talks: Iterable[Talk], whole: Collection[CallId], t0_ms: int, first_site: SiteId | None
) -> float | None:
    """Return when the first talk of a test call began of which there is a whole recording.

    Of those that came after the first fault; None: there is none.
    """
    begun = [each.joined_ms for each in talks_after(talks, t0_ms, first_site) if each.call in whole]
    return (min(begun) - t0_ms) / 1000 if begun else None


def talks_after(talks: Iterable[Talk], t0_ms: int, first_site: SiteId | None) -> tuple[Talk, ...]:
    """Return the talks of test calls that came after the first fault, to the site it took."""
    after = (each for each in talks if each.at_ms >= t0_ms and first_site in {None, each.first})
    return tuple(sorted(after, key=lambda each: each.joined_ms))
