"""What an agent hears of a caller who keys tones: a real rtpengine, a real recorder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import pytest

from custody.frame import State
from edge.keyed_tones import KeyedTones
from edge.media.rtpengine import MediaEngine
from edge.phone import tones
from edge.recorder import inband
from edge.recorder.marks import KEYED
from state.model import CallId
from tests.media.servers import until
from tests.recorder.site import RecorderSite
from tests.recorder.test_recorder_parts import (
    CALL,
    Talk,
    WithoutEvents,
    dial_tone,
    engine,
    heard,
    server,
    site,
)

__all__ = ["engine", "server", "site"]
pytestmark = pytest.mark.parts
DIGITS = 16


class Ear(tones.Listener):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[bytes] = []

    def hear(self, payload: bytes, payload_type: int, now_s: float) -> str:
        self.kept.append(bytes(payload))
        return super().hear(payload, payload_type, now_s)

    def digits(self) -> tuple[int, int]:
        """Return how many digits can be told from it, and how many packets hold one."""
        whole = inband.digits(b"".join(self.kept), 0).tolist()
        begins = sum(
            now and not before for before, now in zip([False, *whole], whole, strict=False)
        )
        return begins, self.sounds[tones.OTHER].packets if tones.OTHER in self.sounds else 0


class Desk:
    """What an edge does about it, with one call."""

    def __init__(self, site: RecorderSite, engine: MediaEngine, agent_sdp: bytes) -> None:
        self._site, self._engine, self._agent_sdp = site, engine, agent_sdp
        self._apart: dict[CallId, bool] = {}
        tones = KeyedTones(ask=self._ask, part=self._part, apart=lambda: dict(self._apart))
        self._task = asyncio.create_task(tones.run())

    async def _ask(self, seen: int, within_s: float) -> Mapping[str, object]:
        reader, writer = await asyncio.open_unix_connection(self._site.socket)
        try:
            request = {"cmd": "keyed_tones", "edge": "a1", "seen": seen, "s": within_s}
            writer.write(json.dumps(request).encode() + b"\n")
            answer: Mapping[str, object] = json.loads(await reader.readline())
            return answer
        finally:
            writer.close()

    async def _part(self, call: CallId, on: bool) -> None:  # noqa: FBT001 - as it is called
        await self._engine.part(call, self._agent_sdp, on=on)
        self._apart = {call: True} if on else {}

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


@pytest.fixture
async def talk(site: RecorderSite, engine: MediaEngine) -> AsyncIterator[Talk]:
    talk = Talk(engine, kind=WithoutEvents)
    await talk.begin()
    desk = Desk(site, engine, talk.agent.sdp)
    yield talk
    await desk.close()
    talk.close()


async def key(talk: Talk) -> None:
    """Key a digit: 80 ms of it, and 80 ms of the caller."""
    where = talk.caller.session.remote(talk.for_caller)
    talk.caller.stream.send_to(where.host, where.port, dial_tone(), where.payload_type)
    await asyncio.sleep(0.08)
    talk.caller.talk_to(talk.for_caller)
    await asyncio.sleep(0.08)


async def test_of_tones_that_a_caller_keys_the_agent_hears_nothing(
    site: RecorderSite, talk: Talk, engine: MediaEngine
) -> None:
    answer = await site.record(CALL, f"a1:{CALL}")
    assert answer["copied"]
    await engine.hold_back(CALL)
    await engine.part(CALL, talk.agent.sdp, on=False)
    await until(lambda: talk.agent.hears() == talk.caller.name, "the agent hears the caller")
    await asyncio.sleep(0.5)
    ear = talk.agent.stream.listener = Ear()
    caller_heard = talk.caller.stream.received
    for _ in range(DIGITS):
        await key(talk)
    assert talk.caller.stream.received - caller_heard >= 7 * DIGITS
    assert talk.caller.hears() == talk.agent.name, "the caller hears the agent all the while"
    told, packets = ear.digits()
    before = len(ear.kept)
    assert (told, packets) == (0, 0), "not even the beginning of the first"
    await until(lambda: len(ear.kept) > before, "the agent hears the caller again", within_s=8)
    assert talk.agent.hears() == talk.caller.name
    await asyncio.sleep(1.0)
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    assert [pause.because for pause in account.pauses] == [KEYED]
    frames = await site.frames(account)
    assert set(heard(frames, 0)) <= {talk.caller.name, tones.SILENCE}
    assert State.MASKED in b"".join(frame.states[0] for frame in frames)
    assert account.segments[0].caller.lost == 0
