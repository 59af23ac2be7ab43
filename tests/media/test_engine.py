"""Whole calls through a real rtpengine, judged by what each side hears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import pytest

from edge.media.edits import with_events
from edge.media.errors import (
    MediaError,
    MediaExhausted,
    MediaRefused,
    MediaUnavailable,
    SdpError,
    UnknownCall,
)
from edge.media.facing import standing_answer
from edge.media.pinned import is_served
from edge.media.rtpengine import AGENT, CALLER, FOREVER, MediaEngine, Party
from edge.media.sdp import Direction, audio, keys_apart
from edge.phone.rtp import RtpClock
from edge.phone.session import EVENT_TYPE
from edge.phone.tones import OTHER, SILENCE
from state.clock import SystemClock
from tests.media.servers import (
    HOST,
    PROMPTS,
    Person,
    Rtpengine,
    packets_pass,
    port_in,
    ticks,
    until,
)

pytestmark = pytest.mark.parts


@pytest.fixture
async def server() -> AsyncIterator[Rtpengine]:
    server = Rtpengine()
    await server.start()
    yield server
    server.stop()


@pytest.fixture
async def engine(server: Rtpengine) -> AsyncIterator[MediaEngine]:
    engine = MediaEngine(owner="a1", host=HOST, port=server.ng_port)
    await engine.start()
    yield engine
    engine.close()


class Cast:
    """A caller and the agents of one test."""

    def __init__(self) -> None:
        self.clock = RtpClock()
        self.people: list[Person] = []
        self.caller = self.add("caller")
        self.agent = self.add("agent")
        self.other = self.add("other agent")

    def add(self, name: str, *, payload_types: tuple[int, ...] = (0, 8)) -> Person:
        """Bring someone in."""
        person = Person(self.clock, name, payload_types=payload_types)
        self.people.append(person)
        return person


@pytest.fixture
async def people() -> AsyncIterator[Cast]:
    cast_ = Cast()
    yield cast_
    for person in cast_.people:
        person.stream.close()


async def wait_in_queue(engine: MediaEngine, caller: Person) -> bytes:
    answer = await engine.hold_caller("k", caller.sdp)
    caller.talk_to(answer)
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(caller)
    return answer


async def connect(engine: MediaEngine, caller: Person, agent: Person) -> bytes:
    offer = await engine.offer_to_agent("k", caller.sdp)
    answer = await engine.join("k", agent.session.answer(offer))
    agent.talk_to(offer)
    caller.talk_to(answer)
    return answer


async def hears_music(person: Person) -> None:
    """Music, and for a while nothing else."""
    await packets_pass(person, 5)
    await until(lambda: person.hears() == OTHER, "music")
    before = dict(person.stream.listener.chords())
    await packets_pass(person, 10)
    assert person.stream.listener.chords() == before


async def hear_each_other(one: Person, two: Person) -> None:
    """Each hears the other and, from then on, nobody and nothing else."""
    await until(lambda: one.hears() == two.name and two.hears() == one.name, "each other")
    await packets_pass(one, 3)  # what was still under way
    foreign = [person.stream.received - person.count(peer.name) for person, peer in pairs(one, two)]
    await packets_pass(one, 12)
    await packets_pass(two, 12)
    assert foreign == [
        person.stream.received - person.count(peer.name) for person, peer in pairs(one, two)
    ]


def pairs(one: Person, two: Person) -> list[tuple[Person, Person]]:
    return [(one, two), (two, one)]


async def test_caller_hears_greeting_then_music_while_waiting(
    engine: MediaEngine, people: Cast
) -> None:
    answer = await engine.hold_caller("k", people.caller.sdp)
    people.caller.talk_to(answer)
    length_s = await engine.play("k", PROMPTS / "greeting.wav")
    assert 1.5 < length_s < 3.5
    await until(lambda: people.caller.count(OTHER) > 20, "greeting")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(people.caller)
    await engine.stop("k")
    await packets_pass_no_more(people.caller)


async def packets_pass_no_more(person: Person) -> None:
    await ticks(5)
    before = person.stream.received
    await ticks(10)
    assert person.stream.received == before


async def test_agent_and_caller_hear_each_other_and_no_music(
    engine: MediaEngine, people: Cast
) -> None:
    first = await wait_in_queue(engine, people.caller)
    second = await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)
    assert port_in(first) == port_in(second)
    sent = await engine.packets_from("k")
    assert sent is not None
    assert sent[CALLER] > 20
    assert sent[AGENT] > 10
    heard = await engine.last_heard("k")
    assert heard is not None
    # Whole seconds, each taken for its end; the third party, the queue, never says anything.
    assert set(heard) == {CALLER, AGENT}
    now_s = SystemClock().now().wall_ms / 1000
    assert all(-1 <= by_s - now_s <= 1 for by_s in heard.values())


async def test_caller_who_ignores_the_reinvite_is_heard_and_hears(
    engine: MediaEngine, people: Cast
) -> None:
    caller = people.caller
    told = await wait_in_queue(engine, caller)
    offer = await engine.offer_to_agent("k", caller.sdp)
    now = await engine.join("k", people.agent.session.answer(offer))
    people.agent.talk_to(offer)
    await hear_each_other(caller, people.agent)
    assert is_served(caller.sdp, told, now)
    back = await engine.hold_caller("k", caller.sdp)
    await engine.drop_agent("k")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(caller)
    assert is_served(caller.sdp, told, back)


async def test_caller_who_has_to_change_codecs_is_not_taken_for_served(
    engine: MediaEngine, people: Cast
) -> None:
    told = await wait_in_queue(engine, people.caller)
    agent = people.add("agent with A-law", payload_types=(8,))
    offer = await engine.offer_to_agent("k", people.caller.sdp)
    now = await engine.join("k", agent.session.answer(offer))
    assert not is_served(people.caller.sdp, told, now)


async def test_ringing_agent_does_not_disturb_the_music_and_is_not_heard(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    offer = await engine.offer_to_agent("k", people.caller.sdp)
    people.agent.talk_to(offer)
    await hears_music(people.caller)
    assert people.agent.stream.received == 0


async def test_second_agent_answers_after_the_first_declined(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    first = await engine.offer_to_agent("k", people.caller.sdp)
    people.agent.talk_to(first)  # and goes on sending after having declined
    await hears_music(people.caller)
    await connect(engine, people.caller, people.other)
    await hear_each_other(people.caller, people.other)
    assert people.caller.count(people.agent.name) == 0
    assert people.agent.stream.received == 0


async def test_hold_and_resume_from_the_caller(engine: MediaEngine, people: Cast) -> None:
    await wait_in_queue(engine, people.caller)
    await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)
    people.caller.session.on_hold = True
    await reinvite(engine, people.caller, people.agent)
    people.agent.stream.pause()
    await packets_pass_no_more(people.caller)
    people.caller.session.on_hold = False
    await reinvite(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)


async def reinvite(engine: MediaEngine, one: Person, two: Person) -> None:
    """Bring the caller's new offer to the agent and the agent's answer back."""
    offer = await engine.relay_offer("k", CALLER, AGENT, one.sdp)
    expected = Direction.SENDONLY if one.session.on_hold else Direction.SENDRECV
    assert audio(offer).direction == expected
    answer = await engine.relay_answer("k", CALLER, AGENT, two.session.answer(offer))
    one.talk_to(answer)
    if not one.session.on_hold:
        two.talk_to(offer)


async def test_held_by_the_agent_the_caller_gets_music_and_then_the_agent_back(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    await connect(engine, people.caller, people.agent)
    people.agent.session.on_hold = True
    people.agent.stream.pause()
    offer = await engine.relay_offer("k", AGENT, CALLER, people.agent.sdp)
    await engine.relay_answer("k", AGENT, CALLER, people.caller.session.answer(offer))
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(people.caller)
    await engine.stop("k")
    people.agent.session.on_hold = False
    offer = await engine.relay_offer("k", AGENT, CALLER, people.agent.sdp)
    answer = await engine.relay_answer("k", AGENT, CALLER, people.caller.session.answer(offer))
    people.agent.talk_to(answer)
    await hear_each_other(people.caller, people.agent)


async def test_caller_who_moves_to_another_port_is_followed_and_the_old_one_shut_out(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    joined = await connect(engine, people.caller, people.agent)
    moved = people.add("caller elsewhere")
    offer = await engine.relay_offer("k", CALLER, AGENT, moved.sdp)
    answer = await engine.relay_answer("k", CALLER, AGENT, people.agent.session.answer(offer))
    moved.talk_to(answer)
    assert port_in(answer) == port_in(joined)
    await hear_each_other(moved, people.agent)


async def test_stranger_who_sends_to_an_open_port_is_not_heard(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    joined = await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)
    people.other.talk_to(joined)
    await until(lambda: people.other.stream.sent > 25, "half a second of injection")
    assert people.agent.count(people.other.name) == 0
    assert people.other.stream.received == 0
    await hear_each_other(people.caller, people.agent)


async def test_caller_without_an_offer_of_their_own_waits_and_talks_like_any_other(
    engine: MediaEngine, people: Cast
) -> None:
    offer = await engine.offer_caller("k")
    await engine.caller_answered("k", people.caller.session.answer(offer))
    people.caller.talk_to(offer)
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(people.caller)
    await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)


async def test_caller_with_alaw_alone_hears_music_and_agent(
    engine: MediaEngine, people: Cast
) -> None:
    caller = people.add("caller with A-law", payload_types=(8,))
    await wait_in_queue(engine, caller)
    await connect(engine, caller, people.agent)
    await hear_each_other(caller, people.agent)


async def test_transfer_goes_by_the_queue_to_the_second_agent(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)
    await wait_after_agent(engine, people)
    await connect(engine, people.caller, people.other)
    await hear_each_other(people.caller, people.other)
    assert port_in(await engine.hold_caller("k", people.caller.sdp))


async def wait_after_agent(engine: MediaEngine, people: Cast) -> None:
    """Back to the queue; the agent, who goes on sending, is cut off."""
    await engine.hold_caller("k", people.caller.sdp)
    await engine.drop_agent("k")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(people.caller)
    await packets_pass_no_more(people.agent)


async def test_an_agent_who_passed_the_caller_on_in_vain_is_joined_again(
    engine: MediaEngine, people: Cast
) -> None:
    # What `edge.acd.call_transfer` asks for: the queue, a target who declines, the agent again.
    await wait_in_queue(engine, people.caller)
    await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)
    await engine.hold_caller("k", people.caller.sdp)
    await engine.drop_agent("k")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(people.caller)
    await engine.offer_to_agent("k", people.caller.sdp)
    await hears_music(people.caller)
    await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)
    await engine.hold_caller("k", people.caller.sdp)
    await engine.drop_agent("k")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await connect(engine, people.caller, people.other)
    await hear_each_other(people.caller, people.other)


async def test_caller_holding_in_the_queue_is_answered_recvonly_and_comes_back(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    people.caller.session.on_hold = True
    answer = await engine.hold_caller("k", people.caller.sdp)
    assert audio(answer).direction is Direction.RECVONLY
    people.caller.session.on_hold = False
    assert audio(await engine.hold_caller("k", people.caller.sdp)).direction is Direction.SENDRECV
    await hears_music(people.caller)


async def test_nothing_is_left_after_release_and_a_second_one_is_fine(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    await connect(engine, people.caller, people.agent)
    assert await engine.calls() == ("k",)
    await engine.release("k")
    await engine.release("k")
    assert await engine.calls() == ()
    assert await engine.packets_from("k") is None
    assert await engine.last_heard("k") is None


async def test_two_edges_that_took_the_same_call_do_not_touch_each_other(
    server: Rtpengine, engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    twin = MediaEngine(owner="a2", host=HOST, port=server.ng_port)
    await twin.start()
    try:
        await twin.hold_caller("k", people.other.sdp)
        await twin.release("k")
        await hears_music(people.caller)
        assert await twin.calls() == ()
        assert await twin.release_all_of("a1") == 1
        assert await engine.calls() == ()
    finally:
        twin.close()


async def test_used_up_ports_refuse_the_next_caller_and_leave_the_others_alone(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    with pytest.raises(MediaExhausted):
        await fill(engine, people.other)
    assert len(await engine.calls()) > 50
    await hears_music(people.caller)
    await engine.release_all_of("a1")
    assert await engine.calls() == ()
    await take_in_again(engine, people.caller)


async def take_in_again(engine: MediaEngine, caller: Person) -> None:
    """Wait for the ports: another thread of rtpengine closes their sockets a moment later."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + 3
    while loop.time() < ends_s:
        try:
            await wait_in_queue(engine, caller)
        except MediaExhausted:
            await asyncio.sleep(0.02)
        else:
            return
    pytest.fail("the ports did not come back")


async def fill(engine: MediaEngine, caller: Person) -> None:
    for number in range(200):
        await engine.hold_caller(f"other-{number}", caller.sdp)


async def test_caller_whose_agent_gets_no_port_is_lost_to_rtpengine_but_can_be_taken_in_again(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    with pytest.raises(MediaExhausted):
        await ring_everybody(engine, people.caller)
    assert await engine.packets_from("k") is None
    await take_in_again(engine, people.caller)


async def ring_everybody(engine: MediaEngine, caller: Person) -> None:
    for number in range(200):
        await engine.offer_to_agent("k", caller.sdp, agent=Party(f"agent-{number}"))


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("join", UnknownCall),
        ("play", UnknownCall),
        ("stop", UnknownCall),
        ("missing file", MediaRefused),
        ("rubbish", SdpError),
        ("rubbish relayed", MediaRefused),
    ],
)
async def test_each_refusal_has_its_error(
    engine: MediaEngine, people: Cast, step: str, error: type[MediaError]
) -> None:
    await engine.hold_caller("known", people.caller.sdp)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "join": lambda: engine.join("k", people.agent.sdp),
        "play": lambda: engine.play("k", PROMPTS / "music.wav"),
        "stop": lambda: engine.stop("k"),
        "missing file": lambda: engine.play("known", PROMPTS / "no-such.wav"),
        "rubbish": lambda: engine.hold_caller("k", b"v=0\r\nm=nonsense\r\n"),
        "rubbish relayed": lambda: engine.relay_offer("known", CALLER, AGENT, b"rubbish"),
    }
    with pytest.raises(error):
        await steps[step]()
    assert await engine.calls() == ("known",)


async def test_an_answer_without_a_place_is_refused_and_the_next_agent_is_joined(
    engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    await engine.offer_to_agent("k", people.caller.sdp)
    nowhere = b"".join(
        line for line in people.agent.sdp.splitlines(keepends=True) if not line.startswith(b"c=")
    )
    assert audio(nowhere).port
    with pytest.raises(MediaRefused) as refused:
        await engine.join("k", nowhere)
    assert not isinstance(refused.value, UnknownCall)
    await engine.hold_caller("k", people.caller.sdp)
    await engine.drop_agent("k")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await engine.offer_to_agent("k", people.caller.sdp)
    await engine.join("k", people.agent.sdp)


async def test_killed_rtpengine_is_reported_within_the_time_and_a_new_one_serves(
    server: Rtpengine, engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    server.kill()
    began = time.monotonic()
    with pytest.raises(MediaUnavailable, match="did not answer"):
        await engine.offer_to_agent("k", people.caller.sdp)
    assert 0.9 < time.monotonic() - began < 4
    await server.start()
    with pytest.raises(UnknownCall):
        await engine.stop("k")
    await wait_in_queue(engine, people.caller)


async def test_call_is_built_anew_on_a_new_rtpengine_from_what_the_two_sides_last_said(
    server: Rtpengine, engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    await connect(engine, people.caller, people.agent)
    server.kill()
    await server.start()
    offer = await engine.relay_offer("k", CALLER, AGENT, people.caller.sdp)
    answer = await engine.relay_answer("k", CALLER, AGENT, people.agent.session.answer(offer))
    people.agent.talk_to(offer)
    people.caller.talk_to(answer)
    await hear_each_other(people.caller, people.agent)


async def test_caller_whom_a_new_rtpengine_has_never_played_to_is_joined_all_the_same(
    server: Rtpengine, engine: MediaEngine, people: Cast
) -> None:
    await wait_in_queue(engine, people.caller)
    server.kill()
    await server.start()
    with pytest.raises(UnknownCall):
        await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await connect(engine, people.caller, people.agent)
    await engine.stop("k")
    await hear_each_other(people.caller, people.agent)


async def test_waiting_caller_who_asks_for_our_offer_keeps_the_music(
    engine: MediaEngine, people: Cast
) -> None:
    answer = await wait_in_queue(engine, people.caller)
    offer = await engine.offer_caller("k")
    assert port_in(offer) == port_in(answer)
    await engine.caller_answered("k", people.caller.session.answer(offer))
    await hears_music(people.caller)
    await connect(engine, people.caller, people.agent)
    await hear_each_other(people.caller, people.agent)


class Lossy(asyncio.DatagramProtocol):
    """Stands between client and rtpengine; loses what it is told to lose, once each."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.client: tuple[str, int] | None = None
        self.lose_requests = 0
        self.lose_replies = 0
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass on what is not to be lost."""
        assert self.transport is not None
        if addr == self.target:
            self.lose_replies -= 1
            if self.lose_replies < 0 and self.client is not None:
                self.transport.sendto(data, self.client)
        else:
            self.client = addr
            self.lose_requests -= 1
            if self.lose_requests < 0:
                self.transport.sendto(data, self.target)


async def test_lost_commands_and_lost_answers_are_repeated_and_done_once(
    server: Rtpengine, people: Cast
) -> None:
    loop = asyncio.get_running_loop()
    transport, lossy = await loop.create_datagram_endpoint(
        lambda: Lossy((HOST, server.ng_port)), local_addr=(HOST, 0)
    )
    engine = MediaEngine(owner="a1", host=HOST, port=transport.get_extra_info("sockname")[1])
    await engine.start()
    try:
        lossy.lose_requests = 1
        first = await engine.hold_caller("k", people.caller.sdp)
        lossy.lose_replies = 2
        second = await engine.hold_caller("k", people.caller.sdp)
        assert port_in(first) == port_in(second)
        assert engine.counts.repeated == 3
        assert engine.counts.timeouts == 0
    finally:
        engine.close()
        transport.close()


async def test_a_silenced_caller_hears_and_is_not_heard_whoever_offers_what_until_it_is_lifted(
    engine: MediaEngine, people: Cast
) -> None:
    caller, agent, other = people.caller, people.agent, people.other
    await wait_in_queue(engine, caller)
    await connect(engine, caller, agent)
    await hear_each_other(caller, agent)
    await engine.silence_caller("k", on=True)
    await until(lambda: agent.hears() == SILENCE, "the agent hears silence")
    heard = agent.count(caller.name)
    await engine.relay_offer("k", AGENT, CALLER, agent.sdp)
    await engine.relay_answer("k", AGENT, CALLER, caller.sdp)
    await engine.silence_caller("k", on=True)
    await packets_pass(agent, 10)
    assert (agent.count(caller.name), agent.hears()) == (heard, SILENCE)
    assert caller.hears() == agent.name
    caller.talk_to(await engine.hold_caller("k", caller.sdp))
    await engine.drop_agent("k")
    await connect(engine, caller, other)
    await packets_pass(other, 10)
    assert (other.count(caller.name), other.hears()) == (0, SILENCE)
    for _ in range(2):
        await engine.silence_caller("k", on=False)
    await hear_each_other(caller, other)


async def test_of_a_caller_who_is_held_back_a_parted_agent_gets_nothing_and_the_next_one_all(
    engine: MediaEngine, people: Cast
) -> None:
    caller, agent, other = people.caller, people.agent, people.other
    await wait_in_queue(engine, caller)
    await connect(engine, caller, agent)
    await engine.hold_back("k")
    await engine.part("k", agent.sdp, on=False)
    await hear_each_other(caller, agent)
    for _ in range(2):  # and again: nothing is left of the first time
        await engine.part("k", agent.sdp, on=True)
        received = agent.stream.received
        await packets_pass(caller, 15)
        assert agent.stream.received == received, "not even what was held back"
        assert caller.hears() == agent.name
        await engine.part("k", agent.sdp, on=False)
        await hear_each_other(caller, agent)
    await engine.part("k", agent.sdp, on=True)
    caller.talk_to(await engine.hold_caller("k", caller.sdp))
    await engine.drop_agent("k")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(caller)
    await connect(engine, caller, other)
    await hear_each_other(caller, other)


async def test_a_callers_keys_do_not_reach_an_agent_whose_telephone_has_no_telephone_event(
    engine: MediaEngine, people: Cast
) -> None:
    caller, agent = people.caller, people.agent
    agent.session.has_events = False
    await wait_in_queue(engine, caller)
    offer = await engine.offer_to_agent("k", caller.sdp)
    said = with_events(agent.session.answer(offer), caller.sdp)
    told = await engine.join("k", said)
    assert keys_apart(told)
    caller.talk_to(told)
    agent.talk_to(offer)
    await hear_each_other(caller, agent)
    for _ in range(2):
        caller.stream.key("7", EVENT_TYPE)
        await until(lambda: not caller.stream.is_keying, "it is keyed")
        await hear_each_other(caller, agent)
        assert agent.count(OTHER) == 0
        said = with_events(agent.sdp, caller.sdp)
        await engine.relay_offer("k", AGENT, CALLER, said)
        answer = standing_answer(caller.sdp, said)
        agent.talk_to(await engine.relay_answer("k", AGENT, CALLER, answer))
