"""A caller whose telephone keys tones in its audio: the agent hears none, in a whole center."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from custody import g711
from custody.frame import BLOCK, Frame, State
from drills.lab.lab import Lab
from drills.lab.plan import CALLS, Part, plan_lab
from edge.media.sdp import keys_apart
from edge.phone import tones
from edge.phone.rtp import RtpClock, RtpStream
from edge.phone.session import EVENT_TYPE, MediaSession
from edge.recorder import inband
from edge.recorder.marks import KEYED
from edge.sip import events as sip
from state.model import SiteId
from tests.integration.center import Center
from tests.integration.people import Leg, Telephone, until
from tests.integration.test_recording import kept

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]
A = SiteId("a")
SIXTEEN = "4929123412341234"
PCMU = 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Lab]:
    """Serve with one site, its edge and its recorder."""
    parts = CALLS | {Part.RECORDER}
    async with Lab(plan_lab(sites=1, edges=1, parts=parts)) as lab:
        yield lab


class Ear(tones.Listener):
    """Keeps what it hears, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[float, bytes]] = []

    def hear(self, payload: bytes, payload_type: int, now_s: float) -> str:
        """Take in a packet."""
        self.kept.append((now_s, bytes(payload)))
        return super().hear(payload, payload_type, now_s)

    @property
    def digits(self) -> int:
        """Tell how many packets are part of a digit, or of anything else that is no chord."""
        told = inband.digits(b"".join(payload for _, payload in self.kept), PCMU)
        return max(int(told.sum()), self.packets(tones.OTHER))


class Voice:
    """The audio of somebody's telephone."""

    def __init__(self, clock: RtpClock, owner: Telephone, *, has_events: bool) -> None:
        host = owner.endpoint.local.host
        self.stream = RtpStream(clock, host)
        self.ear = self.stream.listener = Ear()
        self.session = MediaSession(
            host=host,
            port=self.stream.port,
            session_id=1,
            payload_types=(PCMU,),
            has_events=has_events,
        )
        chord = tones.chord_for(owner.user)
        self.name = str(chord)
        self._payload = g711.encode(tones.samples(chord), PCMU)
        owner.sdp = self.session.offer()

    def talk_to(self, sdp: bytes) -> None:
        """Speak where it wants it."""
        remote = self.session.remote(sdp)
        self.stream.send_to(remote.host, remote.port, self._payload, remote.payload_type)


class Talk:
    """A caller who may key tones and an agent, who hear each other."""

    def __init__(
        self, center: Center, ann: Telephone, caller: Telephone, *, keys_tones: bool
    ) -> None:
        clock = RtpClock()
        self._center = center
        self._ann, self._caller = ann, caller
        self.agent = Voice(clock, ann, has_events=keys_tones)
        self.caller = Voice(clock, caller, has_events=not keys_tones)

    async def ring(self) -> tuple[Leg, Leg]:
        """Let the caller call, and the agent's telephone ring."""
        theirs = self._center.dial(self._caller)
        answer = (await theirs.wait(sip.Answered)).sdp
        assert answer is not None
        self.caller.talk_to(answer)
        return theirs, await self._ann.rung()

    async def answer(self, ours: Leg) -> None:
        """Let the agent answer."""
        assert ours.invite is not None
        assert ours.invite.sdp is not None
        await self._ann.answer(ours)
        self.agent.talk_to(ours.invite.sdp)

    def close(self) -> None:
        """Give the ports back."""
        for voice in (self.agent, self.caller):
            voice.stream.close()


@contextmanager
def talk_of(
    center: Center, ann: Telephone, caller: Telephone, *, keys_tones: bool = True
) -> Iterator[Talk]:
    """Let them have telephones that speak, of which one has telephone-event: not who keys tones."""
    talk = Talk(center, ann, caller, keys_tones=keys_tones)
    try:
        yield talk
    finally:
        talk.close()


def names_of(frames: list[Frame]) -> set[str]:
    """Name all that is in the caller's channel."""
    return {
        tones.name_of(frame.left[start : start + BLOCK], frame.codecs[0])
        for frame in frames
        for start in range(0, len(frame.left), BLOCK)
    }


async def test_of_sixteen_digits_that_a_caller_keys_as_tones_the_agent_hears_nothing(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    with talk_of(center, ann, caller) as talk:
        agent, them = talk.agent, talk.caller
        theirs, ours = await talk.ring()
        await talk.answer(ours)
        await until(lambda: agent.ear.packets(them.name) > 150, "they talk for some seconds")
        heard, parted = them.ear.packets(agent.name), len(agent.ear.kept)
        them.stream.key_tones(SIXTEEN)
        await until(lambda: not them.stream.is_keying, "all is keyed")
        heard = them.ear.packets(agent.name) - heard
        assert heard >= 7 * len(SIXTEEN), "the caller hears the agent"
        assert len(agent.ear.kept) - parted <= 8, "and the agent no more than was on the way"
        before = agent.ear.packets(them.name)
        await until(lambda: agent.ear.packets(them.name) > before + 50, "the agent hears again")
        assert agent.ear.digits == 0, "not even the beginning of the first"
        await caller.hang_up(theirs)
        record = await center.record(theirs)
        account = await kept(center, record.call)
    assert [pause.because for pause in account.pauses] == [KEYED]
    assert account.masks
    frames = [frame async for frame in center.lab.library(A, keys_of=A).frames(account)]
    assert names_of(frames) <= {them.name, tones.SILENCE}
    assert State.MASKED in b"".join(frame.states[0] for frame in frames)
    await center.nothing_is_left()


@pytest.mark.parametrize("after_s", [None, 0.1, 0.3, 1.0])
async def test_of_a_digit_that_is_keyed_when_the_agent_has_just_come_hardly_anything_is_heard(
    center: Center, after_s: float | None
) -> None:
    """None: with the agent's answer, when nobody holds the caller back or listens yet."""
    ann, caller = await center.agent("ann"), center.caller()
    with talk_of(center, ann, caller) as talk:
        agent, them = talk.agent, talk.caller
        theirs, ours = await talk.ring()
        answering = asyncio.create_task(talk.answer(ours))
        if after_s is not None:
            await until(lambda: agent.ear.packets(them.name) > 0, "the agent hears")
            await asyncio.sleep(after_s)
        them.stream.key_tones("5")
        await answering
        await until(lambda: not them.stream.is_keying, "it is keyed")
        before = agent.ear.packets(them.name)
        await until(lambda: agent.ear.packets(them.name) > before + 50, "the agent hears again")
        assert agent.ear.digits <= (2 if after_s is None else 0)
        await caller.hang_up(theirs)
        await center.record(theirs)
    await center.nothing_is_left()


async def test_where_only_the_agents_telephone_has_no_events_the_callers_reach_nobody(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    with talk_of(center, ann, caller, keys_tones=False) as talk:
        agent, them = talk.agent, talk.caller
        theirs, ours = await talk.ring()
        await talk.answer(ours)
        await until(lambda: agent.ear.packets(them.name) > 50, "the agent hears")
        told = [event.sdp for event in theirs.events if isinstance(event, sip.OfferReceived)]
        assert all(sdp is not None and keys_apart(sdp) for sdp in told), "nobody is to key tones"
        them.stream.key(SIXTEEN, EVENT_TYPE)
        await until(lambda: not them.stream.is_keying, "all is keyed")
        before = agent.ear.packets(them.name)
        await until(lambda: agent.ear.packets(them.name) > before + 50, "the agent hears")
        assert agent.ear.chords() == {them.name: len(agent.ear.kept)}, "and nothing else"
        await caller.hang_up(theirs)
        account = await kept(center, (await center.record(theirs)).call)
    assert account.masks
    assert account.segments[0].caller.foreign == 0
    await center.nothing_is_left()
