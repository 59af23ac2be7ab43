"""How long an agent is kept from a caller who keys tones, and who is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from custody.frame import BLOCK
from edge.errors import CommandError
from edge.keyed_tones import KeyedTones as Follower
from edge.recorder.folder import read_marks
from edge.recorder.marks import KEYED
from edge.recorder.tones import AFTER_MORE_S, AFTER_ONE_S, LONGEST_S, KeyedTones
from state.model import CallId
from tests.recorder.test_inband import law, wave
from tests.recorder.test_slow_disk import Stage, stage

__all__ = ["stage"]
BLOCK_S = 0.02
TONE, VOICE = law(wave((852, 1336), BLOCK)), law(wave((300, 2500), BLOCK))


def hear(heard: KeyedTones, now_s: float, for_s: float, *, tone: bool) -> float:
    """Let time pass; return when it is."""
    for _ in range(round(for_s / BLOCK_S)):
        now_s += BLOCK_S
        heard.hear(now_s, is_tone=tone)
    return now_s


def until_heard(heard: KeyedTones, now_s: float) -> float:
    """Return how long it takes until a caller who keys no more is heard."""
    began_s = now_s
    while heard.hear(now_s, is_tone=False):
        now_s += BLOCK_S
        assert now_s < began_s + 2 * LONGEST_S
    return now_s - began_s


def test_one_tone_costs_a_short_silence() -> None:
    heard = KeyedTones()
    assert not heard.hear(9.0, is_tone=False)
    now_s = hear(heard, 10.0, 0.1, tone=True)
    assert heard.is_keying
    assert until_heard(heard, now_s) == pytest.approx(AFTER_ONE_S, abs=2 * BLOCK_S)


def test_who_keys_on_may_look_at_the_card_meanwhile() -> None:
    heard, now_s = KeyedTones(), 10.0
    for _ in range(16):
        now_s = hear(heard, now_s, 0.1, tone=True)
        now_s = hear(heard, now_s, 0.3, tone=False)
    now_s = hear(heard, now_s, AFTER_MORE_S - 0.5, tone=False)
    assert heard.is_keying
    now_s = hear(heard, now_s, 0.1, tone=True)
    assert until_heard(heard, now_s) == pytest.approx(AFTER_MORE_S, abs=2 * BLOCK_S)


def test_a_tone_without_an_end_is_no_key_and_the_caller_is_heard_until_it_has_stopped() -> None:
    heard = KeyedTones()
    now_s = hear(heard, 10.0, LONGEST_S - 1, tone=True)
    assert heard.is_keying
    now_s = hear(heard, now_s, 60, tone=True)
    assert not heard.hear(now_s, is_tone=True)
    now_s = hear(heard, now_s, AFTER_ONE_S + 0.1, tone=False)
    assert heard.hear(now_s, is_tone=True)


async def test_edges_are_told_at_once_and_the_recording_pauses_and_goes_on(stage: Stage) -> None:
    await stage.record("c1")
    (session,) = stage.recorder._sessions.values()  # noqa: SLF001 - nobody sends packets here
    asked = {"edge": "a1", "seen": 0, "s": 5}
    changes = stage.recorder.commands["keyed_tones"]
    first = await changes(asked)
    assert first["calls"] == []
    waiting = asyncio.ensure_future(changes({**asked, "seen": first["seen"]}))
    await asyncio.sleep(0)
    assert not waiting.done()
    caller = session.recording.timeline.sides[0]
    for number, block in enumerate([VOICE, TONE, TONE]):
        head = bytes([0x80, 0, 0, number]) + (number * BLOCK).to_bytes(4) + b"ssrc"
        caller.take(head + block, 12 + BLOCK, number * BLOCK)
    async with asyncio.timeout(2):
        told = await waiting
    assert told["calls"] == ["c1"]
    assert (await changes({**asked, "edge": "a2"}))["calls"] == [], "no other edge's"
    assert session.recording.is_paused_by_tones
    await stage.record("c1", wish=9)
    assert session.recording.is_paused_by_tones, "whoever resumes does not resume that"
    async with asyncio.timeout(2 * AFTER_ONE_S):
        assert (await changes({**asked, "seen": told["seen"]}))["calls"] == []
    assert not session.recording.marks.is_paused
    await session.recording.kept()
    (pause,) = read_marks(stage.spool / "c1").pauses
    assert (pause.what, pause.end is None) == (KEYED, False)


async def key_tones(stage: Stage) -> bool:
    """Let the caller key; tell whether it is noticed."""
    (session,) = stage.recorder._sessions.values()  # noqa: SLF001 - nobody sends packets here
    caller = session.recording.timeline.sides[0]
    for number, block in enumerate([VOICE, TONE, TONE]):
        head = bytes([0x80, 0, 0, number]) + (number * BLOCK).to_bytes(4) + b"ssrc"
        caller.take(head + block, 12 + BLOCK, number * BLOCK)
    stage.recorder._hushing.look([session])  # noqa: SLF001 - as it does each 20 ms
    return session.recording.is_paused_by_tones


@pytest.mark.parametrize("parts", [True, False])
async def test_a_queue_may_let_its_agents_hear_the_tones(stage: Stage, *, parts: bool) -> None:
    await stage.record("c1", part_keyed=parts)
    assert await key_tones(stage) is parts
    changes = stage.recorder.commands["keyed_tones"]
    asked = {"edge": "a1", "seen": 0, "s": 1}
    assert (await changes(asked))["calls"] == (["c1"] if parts else [])
    await stage.record("c1", part_keyed=False)  # the queue is changed meanwhile
    async with asyncio.timeout(2):
        while (await changes(asked))["calls"]:  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("wrong", [{"edge": 1}, {"seen": "all"}, {"s": 0}, {"s": 600}])
async def test_what_makes_no_sense_is_refused(stage: Stage, wrong: Mapping[str, object]) -> None:
    with pytest.raises(CommandError):
        await stage.recorder.commands["keyed_tones"]({"edge": "a1", "seen": 0, "s": 1, **wrong})


class Scene:
    """Stands for the recorder and the calls of an edge."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[tuple[str, ...] | Exception] = asyncio.Queue()
        self.parted: list[tuple[str, bool]] = []
        self.apart: dict[CallId, bool] = {}
        self.said = asyncio.Event()
        self.refuses = 0

    async def ask(self, _seen: int, _within_s: float) -> Mapping[str, object]:
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return {"seen": 1, "calls": list(answer)}

    async def part(self, call: CallId, on: bool) -> None:  # noqa: FBT001 - as it is called
        if self.refuses:
            self.refuses -= 1
            return
        self.parted.append((call, on))
        self.apart[call] = on
        if not on:
            del self.apart[call]
        self.said.set()

    async def says(self, *answers: tuple[str, ...] | Exception) -> list[tuple[str, bool]]:
        """Have all that said; return what the edge has done by the end."""
        following = Follower(ask=self.ask, part=self.part, apart=lambda: dict(self.apart))
        follower = asyncio.create_task(following.run())
        for each in answers:
            self.answers.put_nowait(each)
        async with asyncio.timeout(5):
            while not self.answers.empty():  # noqa: ASYNC110 - another task
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        follower.cancel()
        await asyncio.wait({follower})
        return self.parted


async def test_an_edge_does_what_is_new() -> None:
    said = await Scene().says(("c1",), ("c1",), ("c1", "c2"), ("c2",), ())
    assert said == [("c1", True), ("c2", True), ("c1", False), ("c2", False)]


@pytest.mark.parametrize("away", [OSError("gone"), TimeoutError(), ValueError("no JSON")])
async def test_a_recorder_that_is_away_keeps_nobody_apart(away: Exception) -> None:
    assert await Scene().says(("c1",), away, ()) == [("c1", True), ("c1", False)]


async def test_what_the_relay_refuses_is_said_again() -> None:
    scene = Scene()
    scene.refuses = 2
    assert await scene.says(("c1",), ("c1",), ("c1",), ()) == [("c1", True), ("c1", False)]


async def test_nobody_is_kept_apart_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.keyed_tones.LONGEST_S", 0.0)
    said = await Scene().says(("c1",), ("c1",), ("c1",), (), ("c1",))
    assert said == [("c1", True), ("c1", False), ("c1", True)]
