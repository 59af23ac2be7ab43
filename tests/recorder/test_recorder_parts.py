"""A recorder and an rtpengine, both real: what was said is found where it should be."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import re
import shutil
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import g711
from custody.errors import TamperedError
from custody.frame import BLOCK, Frame, State
from drills.lab.certs import make_authority
from edge.media.facing import standing_answer
from edge.media.rtpengine import AGENT, CALLER, FOREVER, MediaEngine
from edge.media.sdp import audio
from edge.phone import tones
from edge.phone.rtp import RtpClock
from edge.phone.session import EVENT_TYPE
from tests.media.servers import HOST, PROMPTS, Person, Rtpengine, until
from tests.ports import free_tcp_port
from tests.recorder.opus_phone import OPUS, Telephone, hertz
from tests.recorder.site import RecorderSite

pytestmark = pytest.mark.parts
CALL = "0123456789abcdef01234567"


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


@pytest.fixture
async def site(server: Rtpengine, tmp_path: Path) -> AsyncIterator[RecorderSite]:
    digits = f"{HOST}:{server.digits_port}"
    site = RecorderSite(tmp_path, server.ng_port, digits=digits)
    await site.make_key()
    await site.start()
    yield site
    site.kill()


class WithoutEvents(Person):
    """Somebody whose telephone has no telephone-event, and keys tones."""

    def __init__(self, clock: RtpClock, name: str, *, payload_types: tuple[int, ...]) -> None:
        super().__init__(clock, name, payload_types=payload_types)
        self.session.has_events = False


class Talk:
    """A caller and an agent who hear each other."""

    def __init__(
        self,
        engine: MediaEngine,
        *,
        kind: type[Person] = Person,
    ) -> None:
        clock = RtpClock()
        self._engine = engine
        self.for_caller = b""
        """Where the caller sends."""
        self.caller = kind(clock, "caller", payload_types=(0, 8))
        self.agent = Person(clock, "agent", payload_types=(0, 8))

    async def begin(self, call: str = CALL) -> None:
        """Let the agent answer."""
        answer = await self._engine.hold_caller(call, self.caller.sdp)
        self.caller.talk_to(answer)
        await self._engine.play(call, PROMPTS / "music.wav", times=FOREVER)
        offer = await self._engine.offer_to_agent(call, self.caller.sdp)
        answer = await self._engine.join(call, self.agent.session.answer(offer))
        self.agent.talk_to(offer)
        self.for_caller = answer
        self.caller.talk_to(answer)

    def close(self) -> None:
        """Give the ports back."""
        self.caller.stream.close()
        self.agent.stream.close()


@pytest.fixture
async def talk(engine: MediaEngine) -> AsyncIterator[Talk]:
    talk = Talk(engine)
    await talk.begin()
    yield talk
    talk.close()


def heard(frames: list[Frame], side: int) -> list[str]:
    """Name what is in each block of a channel."""
    names = []
    for frame in frames:
        channel = frame.right if side else frame.left
        names += [
            tones.name_of(channel[start : start + BLOCK], frame.codecs[side])
            for start in range(0, len(channel), BLOCK)
        ]
    return names


async def sealed(site: RecorderSite, seconds: int) -> None:
    """Wait until so much of both parties stands in the spool."""
    async with asyncio.timeout(20):
        while sum(path.stat().st_size for path in site.spool.rglob("*")) < seconds * 16_000:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


def most(names: list[str]) -> str:
    return Counter(names).most_common(1)[0][0]


async def test_both_parties_are_found_each_on_their_channel(site: RecorderSite, talk: Talk) -> None:
    began = time.monotonic()
    assert (await site.record(CALL, f"a1:{CALL}"))["ok"]
    await asyncio.sleep(2.5)
    assert (await site.ask(cmd="stop", call=CALL))["was_recorded"]
    spent_s = time.monotonic() - began
    account = await site.kept(CALL)
    frames = await site.frames(account)
    assert account.is_complete
    assert 2.2 < account.samples / 8000 < spent_s + 0.5
    for side, person in ((0, talk.caller), (1, talk.agent)):
        names = heard(frames, side)
        # What was on its way before the fork, and after the end, may be silence; nothing else is.
        assert set(names) <= {person.name, tones.SILENCE}
        assert names[10:-10] == [person.name] * len(names[10:-10])
    segment = account.segments[0]
    assert segment.caller.lost == segment.agent.lost == 0
    await until(lambda: not list(site.spool.iterdir()), "the spool is empty", within_s=10)


async def test_no_file_holds_a_byte_of_what_was_said(site: RecorderSite, talk: Talk) -> None:
    await site.record(CALL, f"a1:{CALL}")
    await asyncio.sleep(2.2)
    said = [g711.encode(tones.samples(each.chord), 0)[:32] for each in (talk.caller, talk.agent)]

    def files_with_plaintext() -> list[Path]:
        files = [path for path in site.folder.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) > 16_000
        return [path for path in files if any(some in path.read_bytes() for some in said)]

    assert files_with_plaintext() == []
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    assert files_with_plaintext() == []
    # It is what would be there.
    frames = await site.frames(account)
    assert said[0] in frames[0].left
    assert said[1] in frames[0].right


async def test_a_recorder_killed_in_a_call_goes_on_with_a_gap_that_says_why(
    site: RecorderSite, talk: Talk
) -> None:
    await site.record(CALL, f"a1:{CALL}")
    await sealed(site, 2)
    site.kill()
    await site.start()
    assert (await site.record(CALL, f"a1:{CALL}"))["ok"]
    await asyncio.sleep(1.5)
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    first, second = account.segments
    assert not first.is_complete
    assert first.samples >= 8000
    (gap,) = account.gaps
    assert gap.because == "recorder_restarted"
    assert (gap.start, gap.end) == (first.samples, second.start)
    frames = await site.frames(account)
    names = heard(frames, 0)
    assert names.count(talk.caller.name) >= 50 + 40
    assert set(names) <= {talk.caller.name, tones.SILENCE}


async def test_a_call_that_ends_while_the_recorder_is_dead_is_kept_as_far_as_it_was_sealed(
    site: RecorderSite, talk: Talk, engine: MediaEngine
) -> None:
    await site.record(CALL, f"a1:{CALL}")
    await sealed(site, 2)
    site.kill()
    await engine.release(CALL)
    await site.start()
    account = await site.kept(CALL, within_s=40)
    assert not account.is_complete
    assert most(heard(await site.frames(account), 1)) == talk.agent.name


async def test_a_call_whose_edge_died_is_recorded_until_the_relay_has_let_go(
    site: RecorderSite, talk: Talk, engine: MediaEngine
) -> None:
    await site.record(CALL, f"a1:{CALL}")
    await asyncio.sleep(1.2)
    await engine.release(CALL)
    account = await site.kept(CALL, within_s=40)
    assert most(heard(await site.frames(account), 0)[:40]) == talk.caller.name


async def test_without_a_key_nothing_is_recorded_and_the_edge_is_told(
    site: RecorderSite, talk: Talk
) -> None:
    del talk
    answer = await site.ask(
        cmd="record", call=CALL, media=f"a1:{CALL}", tenant="other", queue="q", agent="alba"
    )
    assert not answer["ok"]
    assert "no recording key" in answer["error"]
    await asyncio.sleep(0.3)
    assert list(site.spool.iterdir()) == []


async def test_what_was_said_in_a_pause_is_nowhere(site: RecorderSite, talk: Talk) -> None:
    await site.record(CALL, f"a1:{CALL}")
    await asyncio.sleep(1.0)
    paused = await site.record(CALL, f"a1:{CALL}", wish=4, pause_by="supervisor")
    assert (paused["is_paused"], paused["wish"]) == (True, 4)
    # Who says again what was said before changes nothing.
    assert (await site.record(CALL, f"a1:{CALL}", wish=3))["is_paused"]
    await asyncio.sleep(1.0)
    assert not (await site.record(CALL, f"a1:{CALL}", wish=9))["is_paused"]
    await asyncio.sleep(1.0)
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    (pause,) = account.pauses
    assert pause.because == "supervisor"
    names = heard(await site.frames(account), 0)
    within = names[pause.start // BLOCK : pause.end // BLOCK]
    assert len(within) >= 45
    assert set(within) == {tones.SILENCE}
    assert names.count(talk.caller.name) >= 80


async def test_digits_that_a_caller_keys_are_marked_and_nobody_can_tell_which(
    site: RecorderSite, talk: Talk
) -> None:
    assert (await site.record(CALL, f"a1:{CALL}"))["ok"]
    await asyncio.sleep(1.0)
    talk.caller.stream.key("7", EVENT_TYPE)
    await until(lambda: not talk.caller.stream.is_keying, "the digit is keyed")
    await asyncio.sleep(1.0)
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    frames = await site.frames(account)
    states = b"".join(frame.states[0] for frame in frames)
    assert 5 <= states.count(State.MASKED) <= 40
    (mask,) = account.masks
    assert mask.end - mask.start == states.count(State.MASKED) * BLOCK
    assert set(heard(frames, 0)) == {talk.caller.name, tones.SILENCE}
    assert (account.segments[0].caller.foreign, account.segments[0].caller.lost) == (0, 0)
    # The agent has had every packet of the voice, and none of the digit.
    assert talk.agent.count(talk.caller.name) > 80
    assert talk.agent.count(tones.OTHER) == 0


def dial_tone() -> bytes:
    """Return 20 ms of the digit 5, as a telephone without telephone-event keys it (Q.23)."""
    at = np.arange(BLOCK) / 8000
    wave = 6000 * (np.sin(2 * np.pi * 770 * at) + np.sin(2 * np.pi * 1336 * at))
    return g711.encode(wave.astype(np.int16), 0)


async def test_tones_keyed_in_a_pause_for_keys_reach_neither_the_agent_nor_the_recording(
    site: RecorderSite, engine: MediaEngine
) -> None:
    media, talk = f"a1:{CALL}", Talk(engine, kind=WithoutEvents)
    await talk.begin()
    try:
        await key_tones_in_a_pause(site, talk, media)
    finally:
        talk.close()


async def key_tones_in_a_pause(site: RecorderSite, talk: Talk, media: str) -> None:
    await site.record(CALL, media)
    await until(lambda: talk.agent.hears() == talk.caller.name, "the agent hears the caller")
    await asyncio.sleep(0.5)
    paused = await site.record(CALL, media, wish=4, pause_by="agent", keyed=True)
    assert (paused["is_paused"], paused["is_apart"]) == (True, True)
    await until(lambda: talk.agent.hears() == tones.SILENCE, "the agent hears silence")
    tone, where = dial_tone(), talk.caller.session.remote(talk.for_caller)
    before = [talk.agent.count(name) for name in (tones.OTHER, talk.caller.name)]
    for _ in range(3):
        talk.caller.stream.send_to(where.host, where.port, tone, where.payload_type)
        await asyncio.sleep(0.2)
        talk.caller.talk_to(talk.for_caller)
        await asyncio.sleep(0.1)
    assert [talk.agent.count(name) for name in (tones.OTHER, talk.caller.name)] == before
    assert talk.caller.hears() == talk.agent.name, "the caller hears the agent all the while"
    resumed = await site.record(CALL, media, wish=5)
    assert (resumed["is_paused"], resumed["is_apart"]) == (False, False)
    await until(lambda: talk.agent.hears() == talk.caller.name, "the agent hears the caller again")
    await asyncio.sleep(1.0)
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    names = heard(await site.frames(account), 0)
    assert set(names) == {talk.caller.name, tones.SILENCE}
    (pause,) = account.pauses
    after = names[pause.end // BLOCK + 10 : -10]
    assert after == [talk.caller.name] * max(20, len(after))
    assert account.segments[0].caller.lost == 0
    # It is what would have been heard.
    talk.caller.stream.send_to(where.host, where.port, tone, where.payload_type)
    await until(lambda: talk.agent.hears() == tones.OTHER, "the agent hears a tone")


async def test_telephones_that_speak_opus_to_each_other_are_recorded_as_what_they_said(
    site: RecorderSite, engine: MediaEngine
) -> None:
    def offer_at(port: int) -> bytes:
        lines = ("v=0", f"o=- 1 1 IN IP4 {HOST}", "s=-", f"c=IN IP4 {HOST}", "t=0 0")
        media = (f"m=audio {port} RTP/AVP {OPUS} 0", f"a=rtpmap:{OPUS} opus/48000/2")
        return "".join(f"{line}\r\n" for line in (*lines, *media, "a=ptime:20")).encode()

    phones = (Telephone(hertz=440), Telephone(hertz=1000, ssrc=8, stamp=77))
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in phones]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        caller, agent = (offer_at(each.getsockname()[1]) for each in sockets)
        await engine.hold_caller(CALL, caller)
        await engine.play(CALL, PROMPTS / "music.wav", times=FOREVER)
        for_agent = await engine.offer_to_agent(CALL, caller)
        for_caller = await engine.join(CALL, agent)
        assert b"opus/48000" in for_agent
        ports = (audio(for_caller).port, audio(for_agent).port)
        await site.record(CALL, f"a1:{CALL}")
        began_s = asyncio.get_running_loop().time()
        for block in range(100):
            for phone, sock, port in zip(phones, sockets, ports, strict=True):
                # The caller's telephone goes on in another codec in the middle of it.
                is_g711 = phone is phones[0] and block >= 60
                packet = phone.g711(block) if is_g711 else phone.opus(block)
                sock.sendto(packet, (HOST, port))
            due_s = began_s + (block + 1) * 0.02
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
        await site.ask(cmd="stop", call=CALL)
        account = await site.kept(CALL)
        frames = await site.frames(account)
    finally:
        for each in sockets:
            each.close()
    (segment,) = account.segments
    assert (segment.caller.foreign, segment.agent.foreign) == (0, 0)
    assert segment.caller.received + segment.agent.received >= 180
    assert abs(hertz(frames, 10, 50) - 440) <= 15
    assert abs(hertz(frames, 70, 90) - 440) <= 25
    assert abs(hertz(frames, 10, 90, side=1) - 1000) <= 10


async def test_an_agent_pauses_and_resumes_by_keys_of_the_telephone(
    site: RecorderSite, talk: Talk
) -> None:
    await site.record(CALL, f"a1:{CALL}")

    async def is_paused(code: str, *, on: bool) -> None:
        talk.agent.stream.key(code, EVENT_TYPE)
        async with asyncio.timeout(5):
            while (await site.record(CALL, f"a1:{CALL}"))["is_paused"] is not on:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    await is_paused("5*1", on=True)
    await is_paused("*2", on=False)
    assert all(word not in site.log for word in ("key", "digit", "DTMF"))


async def test_a_caller_who_is_asked_presses_the_key_or_does_not(
    site: RecorderSite, engine: MediaEngine
) -> None:
    talk, media = Talk(engine), f"a1:{CALL}"
    try:
        answer = await engine.hold_caller(CALL, talk.caller.sdp)
        await engine.play(CALL, PROMPTS / "music.wav", times=FOREVER)
        talk.caller.talk_to(answer)
        asked = asyncio.create_task(site.ask(cmd="await_key", media=media, key="1", s=20))
        await asyncio.sleep(0.3)
        talk.caller.stream.key("4", EVENT_TYPE)
        await until(lambda: not talk.caller.stream.is_keying, "another digit is keyed")
        await asyncio.sleep(0.2)
        assert not asked.done()
        talk.caller.stream.key("1", EVENT_TYPE)
        async with asyncio.timeout(5):
            assert (await asked)["is_pressed"]
        late = await site.ask(cmd="await_key", media=media, key="1", s=0.1)
        assert not late["is_pressed"]
    finally:
        talk.close()


async def test_hold_and_another_agent_are_in_the_manifest_with_their_times(
    site: RecorderSite, talk: Talk, engine: MediaEngine
) -> None:
    media = f"a1:{CALL}"
    await site.record(CALL, media)
    await asyncio.sleep(0.6)
    # Hold, as the edge has it: a new offer of the agent's, and the caller's standing answer.
    talk.agent.session.on_hold = True
    held = talk.agent.session.offer()
    await engine.relay_offer(CALL, AGENT, CALLER, held)
    facing = standing_answer(talk.caller.sdp, held)
    await engine.relay_answer(CALL, AGENT, CALLER, facing)
    await site.record(CALL, media, held=True)
    await asyncio.sleep(0.6)
    talk.agent.session.on_hold = False
    back = talk.agent.session.offer()
    await engine.relay_offer(CALL, AGENT, CALLER, back)
    await engine.relay_answer(CALL, AGENT, CALLER, talk.caller.sdp)
    await site.record(CALL, media, held=False)
    await asyncio.sleep(0.6)
    # The agent is lost; the caller waits, and gets another one.
    await engine.hold_caller(CALL, talk.caller.sdp)
    await engine.drop_agent(CALL)
    await engine.play(CALL, PROMPTS / "music.wav", times=FOREVER)
    await site.record(CALL, media, agent="", attempt=1)
    await asyncio.sleep(0.6)
    other = Person(RtpClock(), "other")
    try:
        offer = await engine.offer_to_agent(CALL, talk.caller.sdp)
        answer = await engine.join(CALL, other.session.answer(offer))
        other.talk_to(offer)
        talk.caller.talk_to(answer)
        await site.record(CALL, media, agent="ben", attempt=2)
        await asyncio.sleep(1.2)
        await site.ask(cmd="stop", call=CALL)
        account = await site.kept(CALL)
        frames = await site.frames(account)
    finally:
        other.stream.close()
    first, second = account.parts
    assert (first.agent, second.agent) == ("alba", "ben")
    (hold,) = account.holds
    (wait,) = account.pauses
    assert wait.because == "no_agent"
    assert first.start <= hold.start < hold.end < first.end <= wait.end <= second.start + BLOCK
    names = heard(frames, 1)
    assert set(names[hold.start // BLOCK : hold.end // BLOCK]) == {tones.SILENCE}
    assert set(names[wait.start // BLOCK : wait.end // BLOCK]) == {tones.SILENCE}
    assert most(names[10 : hold.start // BLOCK]) == talk.agent.name
    assert most(names[hold.end // BLOCK + 5 : wait.start // BLOCK]) == talk.agent.name
    assert most(names[second.start // BLOCK + 10 : -10]) == other.name
    caller = heard(frames, 0)
    # Whoever is on hold is heard all the same; who waits for another agent is not.
    assert most(caller[hold.start // BLOCK : hold.end // BLOCK]) == talk.caller.name
    assert set(caller[wait.start // BLOCK : wait.end // BLOCK]) == {tones.SILENCE}


async def test_a_changed_store_is_found_out(site: RecorderSite, talk: Talk) -> None:
    del talk
    await site.record(CALL, f"a1:{CALL}")
    await asyncio.sleep(1.5)
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    assert await site.library().verify("main", CALL) == []
    (audio,) = (site.store / "main/audio" / CALL).iterdir()
    changed = bytearray(audio.read_bytes())
    changed[9000] ^= 1
    audio.write_bytes(changed)
    assert await site.library().verify("main", CALL) == [
        "segment 1 is not the one that was written"
    ]
    with pytest.raises(TamperedError):
        await site.frames(account)


async def test_requests_that_make_no_sense_are_refused(site: RecorderSite) -> None:
    for request in (
        {"cmd": "record"},
        {"cmd": "record", "call": "../x", "media": "m", "tenant": "t", "queue": "q", "agent": "a"},
        {"cmd": "stop", "call": ".."},
        {"cmd": "record", "call": CALL, "media": "m", "tenant": "t", "queue": "q", "agent": ""},
        {"cmd": "await_key", "media": "m", "key": "1", "s": 3600},
        {"cmd": "nothing"},
    ):
        assert not (await site.ask(**request))["ok"]
    assert (await site.ask(cmd="stop", call=CALL)) == {
        "ok": True,
        "call": CALL,
        "was_recorded": False,
    }


async def test_a_site_that_is_gone_is_heard_at_the_one_it_copied_to(
    server: Rtpengine, engine: MediaEngine, tmp_path: Path
) -> None:
    authority = make_authority(tmp_path / "certs", now=dt.datetime.now(dt.UTC))  # noqa: TID251 - checked by the real clock
    ports = {"a": free_tcp_port(), "b": free_tcp_port()}
    sites: dict[str, RecorderSite] = {}
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        identity = authority.issue(name, addresses=(HOST,))
        # Each has its own signing key; here both have the same, so that one line says who signs.
        signer = Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw()
        known = base64.b64encode(signer).decode()
        sites[name] = RecorderSite(
            tmp_path / name,
            server.ng_port,
            name=name,
            signing=b"s" * 32,
            more=(
                f'replica_listen = "{HOST}:{ports[name]}"\npeers = ["{HOST}:{ports[other]}"]\n'
                f'tls_ca = "{identity.ca}"\ntls_cert = "{identity.cert}"\n'
                f'tls_key = "{identity.key}"\n[recorders]\na = "{known}"\nb = "{known}"\n'
            ),
        )
    a, b = sites["a"], sites["b"]
    talk = Talk(engine)
    try:
        await a.make_key()
        b.ring.add(a.ring.newest("main"))  # every site has a copy of the folder of keys
        await a.start()
        await b.start()
        await talk.begin()
        await a.record(CALL, f"a1:{CALL}")
        await asyncio.sleep(1.5)
        await a.ask(cmd="stop", call=CALL)
        async with asyncio.timeout(20):
            while (await a.ask(cmd="status"))["replicated"] < 1:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        a.kill()
        shutil.rmtree(a.folder)
        account = await b.kept(CALL)
        frames = await b.frames(account)
        assert most(heard(frames, 0)) == talk.caller.name
        assert most(heard(frames, 1)) == talk.agent.name
        assert (await b.ask(cmd="status"))["replicated"] == 0
    finally:
        talk.close()
        a.kill()
        b.kill()


async def test_what_the_recorder_has_in_memory_comes_to_no_disk(site: RecorderSite) -> None:
    assert site.process is not None
    proc = Path("/proc") / str(site.process.pid)
    limits = (proc / "limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0\s", limits)
    # What may be dumped belongs to whoever runs it; what may not belongs to root.
    assert (proc / "environ").stat().st_uid == 0
    status = (proc / "status").read_text()
    locked = re.search(r"VmLck:\s+([0-9]+) kB", status)
    assert locked is not None
    assert int(locked[1]) > 10_000 or "memory_not_locked" in site.log
