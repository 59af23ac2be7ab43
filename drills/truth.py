"""For how long the shared state said something untrue of an agent. PURE.

What it said, moment by moment, is `drills.demo.said`'s; what was true the agents' own telephones
tell (rung, talking, put down; registered or not), and the faults: whose lines are dead, who reaches
whom. Of an agent whose site is said to be out of reach nothing else is said.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.blast import dead_lines
from drills.demo.reports import OfferChange
from drills.demo.said import Said
from drills.demo.scenario import WRAP_UP_S
from drills.reach import noticing, said_out, still_out
from drills.seen import Seen
from drills.stretches import Stretch, both, joined, without
from state.model import AgentId, CallId, PresenceState, SiteId

REST_MS: Final = (WRAP_UP_S + 0.5) * 1000.0
"""Between two calls of which nothing is said the agent rests, and is not free either."""
_MS: Final = 1000.0


class Untruth(Struct, frozen=True, kw_only=True):
    """Something untrue was said of somebody."""

    of: str
    """An agent, or the agents of a site."""
    what: str
    for_s: float
    """From the first fault on; without end: it is said still, and will be."""


def untrue_agent_s(seen: Seen, t0_ms: int) -> float:
    """Return for how long, at most, the shared state said something untrue of an agent."""
    return max((each.for_s for each in untruths(seen, t0_ms)), default=0.0)


def untruths(seen: Seen, t0_ms: int) -> Iterator[Untruth]:
    """Yield everything untrue that was said from the first fault on, in no order."""
    yield from _taken(seen, t0_ms)
    yield from _unnoticed(seen)
    outs = {site: said_out(seen, site) for site in frozenset(seen.edges.values())}
    said: defaultdict[AgentId, list[Said]] = defaultdict(list)
    for each in seen.words.agents:
        # Of who is out of everybody's reach that is all that is said, but for whom they talk to.
        within = without([(each.from_ms, each.to_ms)], outs.get(each.site or SiteId(""), ()))
        said[each.agent] += [replace(each, from_ms=one[0], to_ms=one[1]) for one in within]
    for agent, told in said.items():
        yield from _talks_unsaid(seen, agent, told, t0_ms)
        yield from _not_there(seen, agent, told, t0_ms)
        yield from _there(seen, agent, told, t0_ms)


def _taken(seen: Seen, t0_ms: int) -> Iterator[Untruth]:
    """Yield who was taken without having their call: put down, or never heard of."""
    ended: dict[tuple[AgentId, CallId], int] = {}
    for report in seen.agents:
        if report.call is not None:
            over_ms = report.busy_until_ms
            if over_ms is not None:
                key = (report.agent, report.call)
                ended[key] = max(over_ms, ended.get(key, 0))
    given: dict[AgentId, tuple[CallId, int]] = {}
    for event in seen.offers:
        before = given.pop(event.agent, None)
        if event.change is OfferChange.PUT and event.call is not None:
            is_same = before is not None and before[0] == event.call
            given[event.agent] = before if before and is_same else (event.call, event.at_ms)
            before = None if is_same else before
        if before is not None:
            call, since = before
            over_ms = ended.get((event.agent, call), since)
            if event.at_ms >= t0_ms:
                for_ms = event.at_ms - max(over_ms, min(t0_ms, since))
                yield _untruth(event.agent, f"taken by {call}, which is over", for_ms)
    for agent, (call, _) in given.items():
        yield _untruth(agent, f"taken by {call}, when nobody talks any more", math.inf)


def _unnoticed(seen: Seen) -> Iterator[Untruth]:
    """Yield whose site edges took to be within reach when it was not, or the other way round."""
    for each in noticing(seen):
        for_ms = math.inf if each.after_s is None else each.after_s * _MS
        yield _untruth(f"agents of {each.site}", f"within reach, by edge {each.edge}", for_ms)
    for site, for_s in still_out(seen):
        yield _untruth(f"agents of {site}", "out of reach, when nothing parts them", for_s * _MS)


def _talks_unsaid(
    seen: Seen, agent: AgentId, told: Iterable[Said], t0_ms: int
) -> Iterator[Untruth]:
    """Yield for how long they were said to have no call, or another one, while they had one.

    Call after call of which nothing is said is one stretch: the rest between them is not said,
    either.
    """
    told = tuple(told)
    found: list[Stretch] = []
    for report in seen.agents:
        if report.agent == agent and report.call is not None:
            over_ms = math.inf if report.busy_until_ms is None else report.busy_until_ms
            wrong = [(each.from_ms, each.to_ms) for each in told if each.call != report.call]
            found += both([(max(report.invite_ms, t0_ms), over_ms)], wrong)
    for stretch in joined(found, over=REST_MS):
        yield _untruth(agent, "without the call that their telephone had", _long_ms(stretch))


def _not_there(seen: Seen, agent: AgentId, told: Iterable[Said], t0_ms: int) -> Iterator[Untruth]:
    """Yield for how long they were said to be ready while no call could come to their telephone."""
    dead = [
        (each.at_ms, math.inf if each.healed_ms is None else each.healed_ms)
        for each in seen.course.made
        if dead_lines(each.fault) == seen.scenario.agent(agent).site
    ]
    ready = [(each.from_ms, each.to_ms) for each in told if each.state is PresenceState.READY]
    away = without(joined((*dead, *_registered(seen, agent, is_so=False))), _before(t0_ms))
    for stretch in both(away, ready):
        yield _untruth(agent, "ready, when their telephone was cut off", _long_ms(stretch))


def _there(seen: Seen, agent: AgentId, told: Iterable[Said], t0_ms: int) -> Iterator[Untruth]:
    """Yield for how long they were said to be signed out while their telephone was registered."""
    out = [(each.from_ms, each.to_ms) for each in told if each.state is PresenceState.SIGNED_OUT]
    here = without(_registered(seen, agent, is_so=True), _before(t0_ms))
    for stretch in both(here, out):
        yield _untruth(agent, "signed out, when their telephone was registered", _long_ms(stretch))


def _registered(seen: Seen, agent: AgentId, *, is_so: bool) -> tuple[Stretch, ...]:
    """Return when a telephone said that it is registered, or that it is not; before, it is told."""
    mine = sorted((at_ms, is_in) for at_ms, who, is_in in seen.sign_ins if who == agent)
    ends = [*(float(at_ms) for at_ms, _ in mine[1:]), math.inf]
    return joined(
        (at_ms, end_ms)
        for (at_ms, is_in), end_ms in zip(mine, ends, strict=False)
        if is_in == is_so
    )


def _before(t0_ms: int) -> tuple[Stretch, ...]:
    return ((-math.inf, t0_ms),)


def _long_ms(stretch: Stretch) -> float:
    return stretch[1] - stretch[0]


def _untruth(of: str, what: str, for_ms: float) -> Untruth:
    return Untruth(of=of, what=what, for_s=for_ms / _MS)
