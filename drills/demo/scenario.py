"""What the demo will do, as a value made from a seed. PURE.

Owns who calls when, for what, through which site and how they behave; who the agents are and what
they can. Knows nothing of how any of it is carried out, and nothing of what will come of it.
"""

from __future__ import annotations

import math
from enum import StrEnum
from hashlib import blake2b
from typing import TypeVar

from msgspec import Struct, field

from state.model import AgentId, DidNumber, QueueId, SiteId, SkillId, SkillNeed

T = TypeVar("T")

SITES = (SiteId("a"), SiteId("b"), SiteId("c"))

ORDERS, BILLING, TECHNICAL, GERMAN = (
    SkillId("orders"),
    SkillId("billing"),
    SkillId("technical"),
    SkillId("german"),
)

CALLS_PER_S = 4.0
AGENT_TALK_S = 7.0
"""When an agent hangs up, if the caller has not."""
AGENT_DECLINES, AGENT_IGNORES = 0.05, 0.03
"""How often an agent presses the red button, or lets it ring: the next agent's turn, then."""
RING_TIMEOUT_S = 4.0
WRAP_UP_S = 1.0
PATIENCE_S = 40.0
"""How long an ordinary caller waits for an agent."""
AGENT_ENDS_SHARE = 0.35
FEWEST_CALLS = 24
"""Fewer would leave agents idle and the dead site without callers."""
CALLS_FOR_FIFTEEN = 96
"""Up to this many calls five agents a site are enough; more calls get more agents."""


NUMBERS = "1555020"
"""All callers' numbers begin with it; four digits follow. From a range that no network assigns."""


class Behaviour(StrEnum):
    """What a caller means to do. What comes of it depends on the others."""

    CALLER_ENDS = "caller_ends"
    AGENT_ENDS = "agent_ends"
    HOLDS = "holds"
    """Puts the agent on hold for a second, comes back, then hangs up."""
    IMPATIENT = "impatient"
    """Leaves the queue soon, unless an agent is quicker."""
    LEAVES_GREETING = "leaves_greeting"
    """Hangs up while the greeting plays."""


class Dialler(StrEnum):
    """Which program places the call."""

    PHONE = "phone"
    SIPP = "sipp"


class PlannedQueue(Struct, frozen=True, kw_only=True):
    """A queue and the one number that leads to it."""

    id: QueueId
    did: DidNumber
    needs: tuple[SkillNeed, ...]
    priority: int
    share: float
    """Of all calls."""


class PlannedAgent(Struct, frozen=True, kw_only=True):
    """An agent at home, registered at one site."""

    id: AgentId
    name: str
    site: SiteId
    skills: dict[SkillId, int] = field()


class PlannedCall(Struct, frozen=True, kw_only=True):
    """One call that will be placed."""

    index: int
    number: str
    """The calling number."""
    did: DidNumber
    queue: QueueId
    at_s: float
    """From the start of the traffic."""
    first_site: SiteId
    """Where the carrier tries it first."""
    dialler: Dialler
    behaviour: Behaviour
    patience_s: float
    """From the answer, until the caller leaves without an agent."""
    talk_s: float
    """From the agent's voice, until the caller hangs up."""


class Burst(Struct, frozen=True, kw_only=True):
    """From a moment on calls come faster, for a while."""

    from_s: float
    calls_per_s: float
    for_s: float = math.inf
    """After that they come as before."""

    @property
    def ends_s(self) -> float:
        """When calls come as before again."""
        return self.from_s + self.for_s


class Coming(Struct, frozen=True, kw_only=True):
    """How fast calls come, and from which numbers."""

    calls_per_s: float = CALLS_PER_S
    burst: Burst | None = None
    numbers_from: int = 0
    """The first caller's number, counted within the range of all callers."""


USUAL = Coming()


class Scenario(Struct, frozen=True, kw_only=True):
    """The whole plan."""

    seed: int
    sites: tuple[SiteId, ...]
    queues: tuple[PlannedQueue, ...]
    agents: tuple[PlannedAgent, ...]
    calls: tuple[PlannedCall, ...]
    kill_at_s: float
    """When half of the calls have been placed."""
    burst: Burst | None = None
    """While calls come faster."""

    def queue(self, queue: QueueId) -> PlannedQueue:
        """Return the queue of that name; KeyError when there is none."""
        return {each.id: each for each in self.queues}[queue]

    def agent(self, agent: AgentId) -> PlannedAgent:
        """Return the agent of that name; KeyError when there is none."""
        return {each.id: each for each in self.agents}[agent]


QUEUES = (
    PlannedQueue(
        id=QueueId("orders"),
        did=DidNumber("15550100"),
        needs=(SkillNeed(skill=ORDERS, level=1),),
        priority=0,
        share=0.45,
    ),
    PlannedQueue(
        id=QueueId("billing"),
        did=DidNumber("15550101"),
        needs=(SkillNeed(skill=BILLING, level=4),),
        priority=0,
        share=0.33,
    ),
    PlannedQueue(
        id=QueueId("german-support"),
        did=DidNumber("15550102"),
        needs=(SkillNeed(skill=TECHNICAL, level=3), SkillNeed(skill=GERMAN, level=2)),
        priority=5,
        share=0.22,
    ),
)

_ROLES: tuple[dict[SkillId, int], ...] = (
    {ORDERS: 9, BILLING: 3},
    {ORDERS: 6, BILLING: 7},
    {BILLING: 9, GERMAN: 4},
    {TECHNICAL: 8, GERMAN: 9, ORDERS: 2},
    {TECHNICAL: 5, GERMAN: 3, ORDERS: 4, BILLING: 5},
)

_NAMES = {
    "a": ("Alba", "Amir", "Anouk", "Arto", "Asha"),
    "b": ("Basma", "Bela", "Birk", "Bruno", "Bo"),
    "c": ("Carla", "Chen", "Cleo", "Cora", "Cyril"),
}
"""The first letter tells the home site."""


class Dice:
    """Chance that is the same for the same seed, whatever was asked before."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def unit(self, *labels: object) -> float:
        """Return a number in [0, 1) that belongs to these labels."""
        text = "/".join(str(label) for label in (self._seed, *labels))
        digest = blake2b(text.encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big") / 2**56

    def between(self, low: float, high: float, *labels: object) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.unit(*labels)

    def shuffled(self, items: list[T], *labels: object) -> list[T]:
        """Return the items in an order that belongs to these labels."""
        order = sorted(range(len(items)), key=lambda index: self.unit(*labels, index))
        return [items[index] for index in order]


def plan(
    *,
    seed: int,
    calls: int,
    rounds: int | None = None,
    coming: Coming = USUAL,
) -> Scenario:
    """Return the scenario of this seed. ValueError when there are too few calls to tell a story.

    `rounds`: how often the five roles are there at each site; None: by the number of calls.
    """
    if calls < FEWEST_CALLS:
        raise ValueError(f"a demo needs at least {FEWEST_CALLS} calls, not {calls}")
    dice = Dice(seed)
    planned = _calls(dice, calls, coming)
    return Scenario(
        seed=seed,
        sites=SITES,
        queues=QUEUES,
        agents=_agents(rounds or max(1, -(-calls // CALLS_FOR_FIFTEEN))),
        calls=planned,
        kill_at_s=planned[calls // 2].at_s,
        burst=coming.burst,
    )


def _agents(rounds: int) -> tuple[PlannedAgent, ...]:
    """Return the same five roles at each site, more than once when there are many calls."""
    return tuple(
        PlannedAgent(
            id=AgentId(name.lower() + (str(turn + 1) if turn else "")),
            name=name + (f" {turn + 1}" if turn else ""),
            site=site,
            skills=dict(skills),
        )
        for site in SITES
        for turn in range(rounds)
        for name, skills in zip(_NAMES[site], _ROLES, strict=True)
    )


def _at_s(place: float, coming: Coming) -> float:
    """Return when the call at a place of the order comes."""
    burst, at_s = coming.burst, place / coming.calls_per_s
    if burst is None or at_s <= burst.from_s:
        return at_s
    in_burst = place - burst.from_s * coming.calls_per_s
    if in_burst <= burst.for_s * burst.calls_per_s:
        return burst.from_s + in_burst / burst.calls_per_s
    return burst.ends_s + (in_burst - burst.for_s * burst.calls_per_s) / coming.calls_per_s


def _calls(dice: Dice, count: int, coming: Coming) -> tuple[PlannedCall, ...]:
    queues = _spread_queues(dice, count)
    diallers = _spread_diallers(dice, count)
    sites = _spread_sites(dice, count)
    behaviours = _behaviours(dice, diallers)
    return tuple(
        PlannedCall(
            index=index,
            number=f"{NUMBERS}{coming.numbers_from + index:04d}",
            did=queues[index].did,
            queue=queues[index].id,
            # Where calls are few the first is drawn before the traffic begins.
            at_s=round(
                max(0.0, _at_s(index + dice.between(-0.4, 0.4, "at", index), coming) + 0.1), 3
            ),
            first_site=sites[index],
            dialler=diallers[index],
            behaviour=behaviours[index],
            patience_s=_patience_s(dice, index, behaviours[index]),
            talk_s=_talk_s(dice, index, behaviours[index]),
        )
        for index in range(count)
    )


def _spread_sites(dice: Dice, count: int) -> list[SiteId]:
    """Return each site once in every three calls, so that none goes long without a call."""
    rounds = -(-count // len(SITES))
    drawn = [site for turn in range(rounds) for site in dice.shuffled(list(SITES), "site", turn)]
    return drawn[:count]


def _spread_queues(dice: Dice, count: int) -> list[PlannedQueue]:
    """Return one queue a call, exactly by the shares, mixed."""
    drawn: list[PlannedQueue] = []
    for queue in QUEUES[1:]:
        drawn += [queue] * round(queue.share * count)
    drawn += [QUEUES[0]] * (count - len(drawn))
    return dice.shuffled(drawn, "queue")


def _spread_diallers(dice: Dice, count: int) -> list[Dialler]:
    """Return a quarter SIPp: the ledger needs a stranger's count, the audio our own phone."""
    by_sipp = count // 4
    drawn = [Dialler.SIPP] * by_sipp + [Dialler.PHONE] * (count - by_sipp)
    return dice.shuffled(drawn, "dialler")


def _behaviours(dice: Dice, diallers: list[Dialler]) -> list[Behaviour]:
    """Return what each caller does.

    The impatient call late, when the queue is long enough that they leave before an agent comes: at
    the very moment of the answer, people and edges may honestly differ on who was first. SIPp's
    scenario knows neither the hold nor the early leave.
    """
    count = len(diallers)
    drawn = [
        Behaviour.AGENT_ENDS
        if dice.unit("ends", index) < AGENT_ENDS_SHARE
        else Behaviour.CALLER_ENDS
        for index in range(count)
    ]
    phones = [index for index, dialler in enumerate(diallers) if dialler is Dialler.PHONE]
    late = [index for index in range(count) if index > count * 2 // 3]
    for index in dice.shuffled(phones, "holds")[: count // 12]:
        drawn[index] = Behaviour.HOLDS
    for index in dice.shuffled(phones, "leaves")[: count // 24]:
        drawn[index] = Behaviour.LEAVES_GREETING
    for index in dice.shuffled(late, "impatient")[: count // 18]:
        drawn[index] = Behaviour.IMPATIENT
    return drawn


def _patience_s(dice: Dice, index: int, behaviour: Behaviour) -> float:
    match behaviour:
        case Behaviour.IMPATIENT:
            return 2.0
        case Behaviour.LEAVES_GREETING:
            return round(dice.between(0.2, 0.5, "patience", index), 3)
        case Behaviour.CALLER_ENDS | Behaviour.AGENT_ENDS | Behaviour.HOLDS:
            return PATIENCE_S


def _talk_s(dice: Dice, index: int, behaviour: Behaviour) -> float:
    """Return how long the caller talks; one who leaves the end to the agent outlasts them."""
    match behaviour:
        case Behaviour.AGENT_ENDS:
            return 4 * AGENT_TALK_S
        case Behaviour.HOLDS:
            return round(dice.between(5.0, 6.0, "talk", index), 3)
        case Behaviour.CALLER_ENDS | Behaviour.IMPATIENT | Behaviour.LEAVES_GREETING:
            return round(dice.between(4.0, 6.0, "talk", index), 3)
