"""Whole calls in several lives of their edge, which dies at any point of them.

Whatever was under way when it died: the caller comes to be with one agent, at the place that they
had; nobody else is held; and the record says who hung up.
"""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.sip.events import LegId
from state.model import OfferState, Outcome, PresenceState, TicketState
from tests.edge.fake_telephony import CALLER_SDP, FakeLeg, S
from tests.edge.one_edge import GREETED, SALES, Edge
from tests.edge.stage import Center
from tests.edge.virtual_time import play, settle

AGENTS = ("ann", "bob")
HOLD = CALLER_SDP.replace(b"sendrecv", b"sendonly")
HEALED_WITHIN_S = 20.0


class Played:
    """One caller, two agents, and an edge."""

    def __init__(self, made: Center, edge: Edge, run_dir: Path, theirs: LegId) -> None:
        self.made = made
        self.edge = edge
        self.run_dir = run_dir
        self.theirs = theirs
        self.asking: LegId | None = None
        self.to: dict[LegId, str] = {}
        """Whose legs there were."""
        self.takeovers: list[asyncio.Task[None]] = []
        self.places: set[int] = set()
        """What the ticket's create_revision was."""

    def legs(self, *states: S) -> list[FakeLeg]:
        """Return the agents' legs in the caller's call, or in a consultation."""
        return [leg for leg in self.edge.sip.open.values() if leg.to and leg.state in states]

    async def passes(self, seconds: float) -> None:
        """Let time pass, in which everybody is heard."""
        self.edge.media.packets += 50
        self.edge.media.callers_packets += 50
        await asyncio.sleep(seconds)
        self.places |= {each.create_revision for each in self.edge.snapshot.tickets.values()}

    async def obey(self) -> None:
        """Let everybody do what they are asked."""
        sip = self.edge.sip
        for leg in list(sip.open.values()):
            sip.acknowledge(leg.id)
            sip.pick_up(leg.id)
            sip.answer_ours(leg.id)
            if leg.state is S.ENDING:
                sip.hang_up(leg.id)
            elif leg.state is S.CANCELLING:
                sip.decline(leg.id, 487)
        await self.passes(0.1)

    def somebody(self, *states: S) -> LegId | None:
        """Return the leg of the agent who has come last."""
        found = [leg.id for leg in self.legs(*states) if leg.state in states]
        return found[-1] if found else None

    def first(self) -> FakeLeg | None:
        """Return the leg of the agent who has come first, and is up."""
        return next(iter(self.legs(S.UP)), None)

    def refer(self, to: str) -> None:
        """Let an agent pass the caller on."""
        leg = self.first()
        if leg is not None:
            self.edge.sip.refer(leg.id, to)

    def other(self) -> str:
        """Return an agent who is not in the call."""
        leg = self.first()
        return next(each for each in AGENTS if leg is None or each != leg.to)

    def consult(self) -> None:
        """Let the agent call the other."""
        leg = self.first()
        if leg is not None:
            self.asking = self.edge.sip.arrive(
                self.other(), caller=leg.to, headers={"x-everline-agent": leg.to}
            )

    def hand_over(self) -> None:
        """Let the agent hand the caller over to the one whom they have called."""
        asking = None if self.asking is None else self.edge.sip.open.get(self.asking)
        if asking is not None:
            named = f"{asking.sip_call_id}%3Bto-tag%3D{asking.id}%3Bfrom-tag%3Dtheirs"
            self.refer(f"sip:{self.other()}@everline?Replaces={named}")

    def on_some(self, command: str, *states: S, sdp: bytes | None = None) -> None:
        """Let the telephone of the last agent do something."""
        leg = self.somebody(*states)
        if leg is not None:
            getattr(self.edge.sip, command)(leg, *(() if sdp is None else (sdp,)))

    async def dies(self) -> None:
        """Let the edge be killed, and its next life take over; that may take its time."""
        before = self.edge
        self.to |= {leg.id: leg.to for leg in before.sip.open.values()}
        await before.kill()
        before.media, unasked = copy.copy(before.media), before.media
        unasked.is_unasked = True
        self.edge = await self.made.next_life(before, self.run_dir)
        self.edge.media.delay_s = 0.0
        takeover = self.edge.takeover()
        for leg in self.edge.sip.open.values():
            leg.to = self.to[leg.id]
        self.takeovers.append(asyncio.create_task(takeover.run()))

    async def goes_on(self) -> None:
        """Let everything be well, until the caller and an agent talk."""
        self.edge.store.is_away, self.edge.store.latency_s = False, 0.0
        self.edge.media.delay_s = 0.0
        for agent in AGENTS:
            await self.made.presence(agent, PresenceState.READY)
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + HEALED_WITHIN_S
        while not (self.edge.state_of(self.theirs) == "connected" and self.is_quiet()):
            assert loop.time() < ends_s, (
                self.edge.state_of(self.theirs),
                await self.made.left(),
            )
            await self.obey()
        await self.takeovers[-1]
        await self.passes(1.0)

    def is_quiet(self) -> bool:
        """Tell whether nobody is asked anything, and one agent is there."""
        legs = self.edge.sip.open.values()
        quiet = all(leg.state is S.UP and leg.our_offer is None for leg in legs)
        return quiet and len(self.legs(S.UP)) == 1 and len(self.edge.sip.open) == 2


ACTS: Mapping[str, Callable[[Played], object]] = {
    "pick up": lambda it: it.on_some("pick_up", S.CALLING),
    "decline": lambda it: it.on_some("decline", S.CALLING),
    "vanish": lambda it: it.on_some("vanish", S.UP),
    "answer": lambda it: it.edge.sip.answer_ours(it.theirs),
    "answer of the agent": lambda it: it.on_some("answer_ours", S.UP),
    "hold": lambda it: it.on_some("offer", S.UP, sdp=HOLD),
    "resume": lambda it: it.on_some("offer", S.UP, sdp=CALLER_SDP),
    "caller holds": lambda it: it.edge.sip.offer(it.theirs, HOLD),
    "pass on": lambda it: it.refer(f"sip:{it.other()}@everline"),
    "to queue": lambda it: it.refer("sip:greeted@everline"),
    "consult": Played.consult,
    "hand over": Played.hand_over,
    "store away": lambda it: setattr(it.edge.store, "is_away", True),
    "store back": lambda it: setattr(it.edge.store, "is_away", False),
    "store slow": lambda it: setattr(it.edge.store, "latency_s", 0.3),
    "answer lost": lambda it: setattr(it.edge.store, "loses_answers", 1),
    "relay slow": lambda it: setattr(it.edge.media, "delay_s", 0.3),
    "relay quick": lambda it: setattr(it.edge.media, "delay_s", 0.0),
}
TIMES = {"obey": None, "a moment": 0.02, "a while": 0.4, "long": 3.5}
STEPS = st.one_of(st.sampled_from(sorted(ACTS)), st.sampled_from([*TIMES, "obey", "obey", "obey"]))


async def _live(it: Played, steps: list[str]) -> None:
    for step in steps:
        if step in ACTS:
            ACTS[step](it)
            await settle()
        elif (seconds := TIMES[step]) is None:
            await it.obey()
        else:
            await it.passes(seconds)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    number=st.sampled_from([SALES, GREETED]),
    is_late=st.booleans(),
    lives=st.lists(st.lists(STEPS, max_size=12), min_size=1, max_size=3),
    who=st.sampled_from(["caller", "agent"]),
    end=st.sampled_from(["well", "and dies", "unwritten, and dies"]),
)
def test_a_caller_whose_edge_dies_comes_to_one_agent_and_has_the_end_that_they_had(
    number: str, *, is_late: bool, lives: list[list[str]], who: str, end: str
) -> None:
    async def scene(run_dir: Path) -> None:
        made = Center()
        await made.configure()
        for agent in AGENTS:
            await made.agent(agent)
        edge = await made.edge("a1", run_dir)
        await asyncio.sleep(1.0)
        theirs = edge.sip.arrive(number, sdp=None if is_late else CALLER_SDP)
        await settle()
        edge.sip.acknowledge(theirs, CALLER_SDP if is_late else None)
        await settle()
        it = Played(made, edge, run_dir, theirs)
        for steps in lives:
            await _live(it, steps)
            await it.dies()
        await it.goes_on()
        (ticket,), (offer,) = await made.tickets(), await made.offers()
        (leg,) = it.legs(S.UP)
        assert (ticket.state, ticket.agent) == (TicketState.CONNECTED, leg.to)
        assert (offer.state, offer.agent) == (OfferState.TALKING, leg.to)
        joined = {call for call in it.edge.media.agents if "~" not in call}
        assert joined == {ticket.call}, "they hear each other"
        assert len(it.places) == 1
        it.edge.store.is_away = end.startswith("unwritten")
        it.edge.sip.hang_up(theirs if who == "caller" else leg.id)
        await settle()
        if end != "well":
            await it.dies()
        for agent in AGENTS:
            await made.presence(agent, PresenceState.PAUSED)
        for _ in range(5):
            await it.obey()
        record = await made.record(edge, theirs)
        assert (record.outcome, record.cause) == (Outcome.ANSWERED, f"{who}_hung_up")
        assert record.agent == leg.to
        await made.nothing_is_left()
        assert not it.edge.dead_parts()
        await it.edge.kill()

    with tempfile.TemporaryDirectory() as run_dir:
        play(scene(Path(run_dir)))
