"""Whether those who are left can take what comes: by queue, before a site is lost or drained. PURE.

Owns who is left, and how people who suit several queues are shared among them: by the load that
each queue brings. Waits are Erlang's (`erlang`); what comes is `coming`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from edge.acd.eligibility import Reason, agent_facts, unsuited_because
from edge.acd.relaxation import asked_at_once
from edge.steering.erlang import Service, agents_needed, service
from state.model import Agent, AgentId, QueueId, SiteId
from state.snapshot import Snapshot

TARGET_S: Final = 20.0
LEVEL: Final = 0.8
"""Of the calls, so many answered within the target: the usual goal."""
_ROUNDS: Final = 20
_PRESENT: Final = frozenset({None, Reason.HAS_OFFER})


class Demand(Struct, frozen=True, kw_only=True):
    """What comes to one queue."""

    calls_per_s: float
    handling_s: float
    """Ringing, talk, and the wrap-up after it."""

    @property
    def erlangs(self) -> float:
        """How many agents it keeps busy."""
        return self.calls_per_s * self.handling_s


class QueueForecast(Struct, frozen=True, kw_only=True):
    """How one queue would fare."""

    queue: QueueId
    erlangs: float
    agents: float
    """Those left who suit it, each counted by the part of their time it gets."""
    suited: int
    """The same people, counted whole."""
    mean_wait_s: float
    level: float
    """The share answered within the target."""
    short: int
    """Agents missing for the goal."""

    @property
    def fits(self) -> bool:
        """Whether the goal would be kept."""
        return self.short == 0


def without(
    snapshot: Snapshot,
    demand: Mapping[QueueId, Demand],
    lost: frozenset[SiteId] = frozenset(),
) -> tuple[QueueForecast, ...]:
    """Return how each queue would fare without some sites, and the agents at home there."""
    suited = _suited(snapshot, demand, lost)
    shares = _shared(suited, {queue: each.erlangs for queue, each in demand.items()})
    return tuple(
        _forecast(
            queue,
            demand[queue],
            suited=len(suited[queue]),
            agents=shares[queue],
        )
        for queue in sorted(demand)
    )


def _forecast(queue: QueueId, demand: Demand, *, suited: int, agents: float) -> QueueForecast:
    found: Service = service(demand.calls_per_s, demand.handling_s, agents, TARGET_S)
    needed = agents_needed(demand.calls_per_s, demand.handling_s, TARGET_S, LEVEL)
    return QueueForecast(
        queue=queue,
        erlangs=demand.erlangs,
        agents=agents,
        suited=suited,
        mean_wait_s=found.mean_wait_s,
        level=found.level,
        short=0 if found.level >= LEVEL else max(1, -int(-(needed - agents) // 1)),
    )


def present_at(snapshot: Snapshot) -> Mapping[SiteId, int]:
    """Return how many agents at home at each site are at work, busy or not."""
    found: defaultdict[SiteId, int] = defaultdict(int)
    for agent in _present(snapshot):
        found[agent.site] += 1
    return found


def _present(snapshot: Snapshot) -> list[Agent]:
    facts = agent_facts(snapshot)
    return [each.agent for each in facts.values() if each.barred_because in _PRESENT]


def _suited(
    snapshot: Snapshot, queues: Iterable[QueueId], lost: frozenset[SiteId]
) -> Mapping[QueueId, frozenset[AgentId]]:
    present = [agent for agent in _present(snapshot) if agent.site not in lost]
    # Who is handed to a backup at once asks for its agents alone (`edge.acd.relaxation`).
    asked = {q: asked_at_once(snapshot.queues[q].value, snapshot.queues) for q in queues}
    return {
        queue: frozenset(agent.id for agent in present if unsuited_because(agent, needs) is None)
        for queue, needs in asked.items()
    }


def _shared(
    suited: Mapping[QueueId, frozenset[AgentId]], erlangs: Mapping[QueueId, float]
) -> Mapping[QueueId, float]:
    """Return how much of its agents' time each queue gets.

    A queue takes from each agent by how much it still lacks, so that those whom nobody else needs
    are used first; found by going round until nothing moves any more.
    """
    queues_of: defaultdict[AgentId, list[QueueId]] = defaultdict(list)
    for queue, agents in suited.items():
        for agent in agents:
            queues_of[agent].append(queue)
    got = {queue: float(len(agents)) for queue, agents in suited.items()}
    for _ in range(_ROUNDS):
        given = dict.fromkeys(suited, 0.0)
        # Who has few agents for their load pulls harder.
        pull = {queue: erlangs[queue] / max(got[queue], 1e-9) for queue in suited}
        for queues in queues_of.values():
            whole = sum(pull[queue] * got[queue] / len(suited[queue]) for queue in queues)
            for queue in queues:
                mine = pull[queue] * got[queue] / len(suited[queue])
                given[queue] += mine / whole if whole > 0.0 else 1.0 / len(queues)
        got = {queue: (got[queue] + given[queue]) / 2 for queue in suited}
    return got
