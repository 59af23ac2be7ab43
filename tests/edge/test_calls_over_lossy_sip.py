"""Whole calls on the real SIP stack, over a network that delays, turns round, doubles and loses.

Telephones do what people do, at moments that hypothesis chooses: whatever happens nothing is left,
and who hangs up is not counted as lost.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.calls.telephony import Telephony
from edge.sip import events as sip
from edge.sip.endpoint import SipEndpoint
from edge.sip.errors import LocalError
from edge.sip.events import Address, LegId
from edge.sip.stack import SipStack
from edge.wire import BYE_TIMEOUT_S, CANCEL_TIMEOUT_S, GOODBYE_HOLD_S
from state import keys
from state.model import Claim, EdgeId, EdgeLife, EdgeState, Outcome, Site, SiteId
from tests.edge.fake_telephony import CALLER_SDP
from tests.edge.one_edge import GREETED, SALES, Edge
from tests.edge.stage import Center
from tests.edge.virtual_time import play
from tests.sip.network import counter_tokens

HOST = "192.0.2.1"
HOLD = CALLER_SDP.replace(b"sendrecv", b"sendonly")
AGENTS = {"ann": "a", "bob": "b", "cyd": "c"}


class Wire:
    """Carries datagrams between endpoints, as well as it is told to."""

    def __init__(self, chance: random.Random, lost: float, slow: float) -> None:
        self.chance = chance
        self.lost = lost
        self.slow = slow
        self.ends: dict[Address, End] = {}

    def carry(self, source: Address, datagram: bytes, to: Address) -> None:
        """Deliver it later, or never, or twice."""
        if self.chance.random() < self.lost:
            return
        for _ in range(2 if self.chance.random() < self.lost else 1):
            is_slow = self.chance.random() < self.slow
            delay = self.chance.uniform(0.02, 0.6) if is_slow else 0.005
            asyncio.get_running_loop().call_later(delay, self.ends[to].hear, datagram, source)


class End:
    """A stack with a place on the wire: what `SipEndpoint` is, without a socket."""

    def __init__(
        self, wire: Wire, port: int, on_event: Callable[[sip.Event], None], *, is_edge: bool = False
    ) -> None:
        self._wire = wire
        self._on_event = on_event
        self._timer: asyncio.TimerHandle | None = None
        self._is_dead = False
        self.local = Address(HOST, port)
        wire.ends[self.local] = self
        self.stack = SipStack(
            local=self.local,
            product="test",
            token=counter_tokens(f"p{port}"),
            session_expires_s=90 if is_edge else None,
            bye_timeout_s=BYE_TIMEOUT_S if is_edge else None,
            cancel_timeout_s=CANCEL_TIMEOUT_S if is_edge else None,
            goodbye_hold_s=GOODBYE_HOLD_S if is_edge else None,
        )

    def now(self) -> float:
        """Return the instant."""
        return asyncio.get_running_loop().time()

    def hear(self, datagram: bytes, source: Address) -> None:
        """Take a datagram."""
        if self._is_dead:
            return
        self._hand_out(self.stack.receive(datagram, source, self.now()))

    def fall_silent(self) -> None:
        """Be dead: send no more, and hear nothing."""
        self.flush()
        self._is_dead = True

    def _tick(self) -> None:
        self._timer = None
        self._hand_out(self.stack.handle_timers(self.now()))

    def _hand_out(self, events: list[sip.Event]) -> None:
        for event in events:
            self._on_event(event)
        self.flush()

    def flush(self) -> None:
        """Send what there is, and set the timer anew."""
        for datagram, to in self.stack.take_outgoing():
            if self._is_dead:
                continue
            self._wire.carry(self.local, datagram, to)
        if self._timer is not None:
            self._timer.cancel()
        due = self.stack.next_deadline
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_at(max(due, self.now()), self._tick)


class Person:
    """Somebody with a telephone, who does this and that until it is enough."""

    offer: bytes | None = CALLER_SDP

    def __init__(self, wire: Wire, port: int, edge: Address, *, is_agent: bool) -> None:
        self.end = End(wire, port, self._take)
        self._chance = wire.chance
        self._edge = edge
        self._is_agent = is_agent
        self._legs: set[LegId] = set()
        self.has_enough = False

    def do(self, command: str, *arguments: object) -> bool:
        """Give a command; False: it is too late for it."""
        try:
            getattr(self.end.stack, command)(*arguments, self.end.now())
        except LocalError:
            return False
        finally:
            self.end.flush()
        return True

    def dial(self, number: str, sip_call_id: str) -> None:
        """Call the center; perhaps give it up soon."""
        leg = self.end.stack.invite(
            request_uri=f"sip:{number}@everline",
            from_uri="sip:4930123@everline",
            to_uri=f"sip:{number}@everline",
            next_hop=self._edge,
            sdp=self.offer,
            now=self.end.now(),
            sip_call_id=sip_call_id,
        )
        self._legs.add(leg)
        self.end.flush()
        if self._chance.random() < 0.2:
            self._later(self._chance.uniform(0, 2), "cancel", leg)

    def leave(self) -> None:
        """End whatever there is."""
        self.has_enough = True
        for leg in tuple(self._legs):
            _ = self.do("bye", leg) or self.do("cancel", leg) or self.do("reject", leg, 480)

    def _later(self, after: float, command: str, *arguments: object) -> None:
        asyncio.get_running_loop().call_later(after, self.do, command, *arguments)

    def _take(self, event: sip.Event) -> None:
        match event:
            case sip.IncomingInvite(leg=leg):
                self._legs.add(leg)
                self._rings(leg)
            case sip.Confirmed(leg=leg) | sip.Answered(leg=leg):
                self._live(leg)
            case sip.OfferReceived(leg=leg):
                self._later(self._chance.choice([0, 0, 0.3, 2]), "answer_offer", leg, CALLER_SDP)
            case sip.Ended(leg=leg) | sip.Rejected(leg=leg) | sip.Cancelled(leg=leg):
                self._legs.discard(leg)
            case _:
                pass

    def _rings(self, leg: LegId) -> None:
        what = self._chance.random()
        if self.has_enough or what < 0.1:
            self.do("reject", leg, 486)
        elif what < 0.9:
            self.do("progress", leg, 180)
            self._later(self._chance.choice([0, 0.3, 2.9, 3.1]), "answer", leg, CALLER_SDP)

    def _live(self, leg: LegId) -> None:
        asyncio.get_running_loop().call_later(self._chance.expovariate(0.5), self._act, leg)

    def _act(self, leg: LegId) -> None:
        if self.has_enough or leg not in self._legs:
            return
        what = self._chance.choice(["bye", "reinvite", "update", "refer", "talk"])
        if what == "bye":
            self.do("bye", leg)
        elif what in {"reinvite", "update"}:
            self.do(what, leg, self._chance.choice([HOLD, CALLER_SDP]))
        elif what == "refer" and self._is_agent:
            to = self._chance.choice([*AGENTS, "sales", "greeted", "nobody"])
            self.do("refer", leg, f"sip:{to}@everline")
            if self._chance.random() < 0.3:
                self.do("bye", leg)
        self._live(leg)


async def _center(wire: Wire) -> tuple[Center, Edge, End, list[Person]]:
    """Return a center, its one edge and that one's end of the wire, and the agents."""
    made = Center()
    await made.configure()
    edges: list[Edge] = []
    end = End(wire, 5081, lambda event: edges[0].switchboard.take(event), is_edge=True)  # noqa: PLW0108 - made below
    edge = Edge("a1", made.store, telephony=Telephony(cast("SipEndpoint", end)))
    edges.append(edge)
    made.edges["a1"] = edge
    await edge.start()
    people = []
    for port, (name, site) in enumerate(AGENTS.items(), start=6000):
        where = Site(id=SiteId(site), name=site, sip=f"{HOST}:{port}")
        await made.put(keys.site(where.id), where)
        life = EdgeLife(
            edge=EdgeId(f"{site}9"),
            site=where.id,
            sip="-",
            state=EdgeState.SERVING,
            started_ms=0,
        )
        await made.put(keys.edge(life.edge), life)
        people.append(Person(wire, port, end.local, is_agent=True))
        await made.agent(name, site=site)
    return made, edge, end, people


async def _nothing_is_left(edge: Edge, end: End) -> None:
    assert not edge.switchboard.held()
    assert not end.stack.legs()
    assert not edge.snapshot.tickets
    assert not edge.snapshot.offers
    assert not await edge.media.calls()


async def _scene(seed: int, lost: float, slow: float, seconds: float) -> None:
    wire = Wire(random.Random(seed), lost, slow)  # noqa: S311 - hypothesis chooses the seed
    made, edge, end, people = await _center(wire)
    caller = Person(wire, 7000, end.local, is_agent=False)
    numbers = itertools.count(1)
    for number in (SALES, GREETED, SALES):
        caller.dial(number, f"{next(numbers)}@carrier")
        await asyncio.sleep(wire.chance.choice([0.0, 0.1, 4.0]))
    await asyncio.sleep(seconds)
    wire.lost = wire.slow = 0.0
    for _ in range(8):
        for person in (*people, caller):
            person.leave()
        await asyncio.sleep(10.0)
    await asyncio.sleep(40.0)
    await _nothing_is_left(edge, end)
    lost_by = {
        each.cause for each in (await made.records()).values() if each.outcome is Outcome.LOST
    }
    # Of somebody whose every BYE was lost nobody knows better.
    assert lost_by <= {"goodbye_unheard"}
    await edge.kill()


@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lost=st.sampled_from([0.0, 0.02, 0.05]),
    slow=st.sampled_from([0.0, 0.05, 0.3]),
    seconds=st.sampled_from([10.0, 60.0, 200.0]),
)
def test_whatever_people_and_the_network_do_nothing_is_left_and_nobody_is_lost(
    seed: int, lost: float, slow: float, seconds: float
) -> None:
    play(_scene(seed, lost, slow, seconds))


class Deaf(Person):
    """An agent whose site dies as their telephone rings."""

    def _take(self, event: sip.Event) -> None:
        if isinstance(event, sip.IncomingInvite):
            self.do("progress", event.leg, 180)
            self.end.fall_silent()


async def _rung_at_a_site_that_dies() -> None:
    wire = Wire(random.Random(0), 0.0, 0.0)  # noqa: S311 - chance has no say here
    made, edge, end, people = await _center(wire)
    for port in range(6000, 6000 + len(people)):
        Deaf(wire, port, end.local, is_agent=True)
    caller = Person(wire, 7000, end.local, is_agent=False)
    caller.dial(SALES, "1@carrier")
    await asyncio.sleep(2.0)
    assert edge.snapshot.offers
    caller.leave()
    await asyncio.sleep(8.0 + 1.0)
    await _nothing_is_left(edge, end)
    (record,) = (await made.records()).values()
    assert record.outcome is Outcome.ABANDONED
    await edge.kill()


def test_of_a_ring_at_a_site_that_has_died_nothing_is_left_after_eight_seconds() -> None:
    play(_rung_at_a_site_that_dies())


class Hurried(Person):
    """Calls without an offer, and has had enough in the moment of the answer."""

    offer = None

    def __init__(self, wire: Wire, port: int, edge: Address, *, how: str) -> None:
        super().__init__(wire, port, edge, is_agent=False)
        self._how = how

    def dial(self, number: str, sip_call_id: str) -> None:
        """Call; CANCEL goes out with the 100, and the 200 is there right after it."""
        super().dial(number, sip_call_id)
        if self._how == "cancels":
            self.do("cancel", *self._legs)

    def _take(self, event: sip.Event) -> None:
        if isinstance(event, sip.Answered):
            if self._how == "answers and hangs up":
                self.do("acknowledge", event.leg, CALLER_SDP)
            self.do("bye", event.leg)


class Late(Wire):
    """Has the edge say 100 at the last moment before its 200."""

    def __init__(self) -> None:
        super().__init__(random.Random(0), 0.0, 0.0)  # noqa: S311 - chance has no say here
        self._has_tried = False

    def carry(self, source: Address, datagram: bytes, to: Address) -> None:
        """Deliver it, and the first 200 as a 100 before."""
        if datagram.startswith(b"SIP/2.0 200 ") and not self._has_tried:
            self._has_tried = True
            super().carry(source, datagram.replace(b" 200 ", b" 100 ", 1), to)
        super().carry(source, datagram, to)


async def _given_up_as_it_is_answered(how: str) -> None:
    wire = Late()
    made, edge, end, _ = await _center(wire)
    Hurried(wire, 7000, end.local, how=how).dial(SALES, "1@carrier")
    await asyncio.sleep(5.0)
    await _nothing_is_left(edge, end)
    (record,) = (await made.records()).values()
    assert (record.outcome, record.cause) == (Outcome.ABANDONED, "caller_hung_up")
    await edge.kill()


@pytest.mark.parametrize("how", ["cancels", "hangs up", "answers and hangs up"])
def test_who_calls_without_an_offer_and_gives_up_as_they_are_answered_has_left(how: str) -> None:
    play(_given_up_as_it_is_answered(how))


class Decided(Person):
    """Does what a test says; picks up after a moment."""

    leg: LegId | None = None

    def _take(self, event: sip.Event) -> None:
        match event:
            case sip.IncomingInvite(leg=leg):
                self._later(0.2, "answer", leg, CALLER_SDP)
            case sip.Confirmed(leg=leg) | sip.Answered(leg=leg):
                self.leg = leg
            case sip.OfferReceived(leg=leg, method="INVITE"):
                self.do("answer_offer", leg, CALLER_SDP)
            case sip.OfferReceived(leg=leg):
                self._later(1.0, "answer_offer", leg, CALLER_SDP)
            case _:
                pass


async def _passed_on_while_they_resume() -> None:
    wire = Wire(random.Random(0), 0.0, 0.0)  # noqa: S311 - chance has no say here
    _, edge, end, _ = await _center(wire)
    agents = [Decided(wire, port, end.local, is_agent=True) for port in (6000, 6001, 6002)]
    caller = Decided(wire, 7000, end.local, is_agent=False)
    caller.dial(SALES, "1@carrier")
    await asyncio.sleep(1.0)
    (held,) = edge.switchboard.held()
    assert held.state == "connected"
    (first,) = (each for each in agents if each.leg is not None)
    caller.do("reinvite", caller.leg, HOLD)
    await asyncio.sleep(1.0)
    caller.do("reinvite", caller.leg, None)
    await asyncio.sleep(0.1)
    first.do("refer", first.leg, "sip:greeted@everline")
    await asyncio.sleep(5.0)
    assert held.state == "connected"
    assert sum(each.leg is not None for each in agents) == 2
    await edge.kill()


def test_who_resumes_by_asking_for_an_offer_and_is_slow_to_answer_may_be_passed_on() -> None:
    """As exchanges do that ask first whom they connect: their ACK answers no offer but that one."""
    play(_passed_on_while_they_resume())


class Muted(Wire):
    """One on which no goodbye of the callers arrives."""

    def carry(self, source: Address, datagram: bytes, to: Address) -> None:
        """Deliver all else."""
        if not (source.port == 7000 and datagram.startswith(b"BYE")):
            super().carry(source, datagram, to)


async def _claimed_while_their_goodbye_is_waited_for() -> None:
    wire = Muted(random.Random(0), 0.0, 0.0)  # noqa: S311 - chance has no say here
    made, edge, end, _ = await _center(wire)
    Hurried(wire, 7000, end.local, how="cancels").dial(SALES, "1@carrier")
    await asyncio.sleep(1.0)
    (held,) = edge.switchboard.held()
    await made.put(keys.claim(held.id), Claim(call=held.id, edge=EdgeId("a2")))
    await asyncio.sleep(1.0)
    await _nothing_is_left(edge, end)
    await edge.kill()


def test_who_has_acknowledged_without_a_word_is_hung_up_if_another_has_the_call() -> None:
    play(_claimed_while_their_goodbye_is_waited_for())
