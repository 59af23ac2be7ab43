"""A disk that hangs: no recording begins later for it, and nothing is confirmed too early."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import keyring
from custody.frame import SAMPLES, State
from custody.keyring import Keyring
from custody.manifest import Span
from custody.providers import LocalFile
from custody.store import RecordingStore
from edge.errors import NotRecordedError
from edge.media.errors import MediaRefused, UnknownCall
from edge.media.plan import AGENT, CALLER, Party
from edge.recorder import folder as folders
from edge.recorder import forks, segments
from edge.recorder import recording as recordings
from edge.recorder.folder import (
    Facts,
    finish_left,
    manifest_of,
    read_facts,
    read_marks,
)
from edge.recorder.forks import Fork
from edge.recorder.marks import Marks
from edge.recorder.recorder import Recorder
from edge.recorder.settling import Settler
from edge.recorder.shipping import Shipper

SOON_S = 2.0


class Copied:
    """Stands for the relay: says when it was asked for copies."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Party]] = []
        self.closed = 0
        self.event_clocks: dict[int, int] = {}
        self.opus_types: frozenset[int] = frozenset()
        self.silenced: list[bool] = []
        self.refuses_to_silence = False
        self.knows_nothing_for = 0
        """So often it does not know the call yet."""
        self.copies_agents = asyncio.Event()
        """Else their copies take their time."""
        self.copies_agents.set()

    async def open(self, call: str, speaker: Party) -> Fork:
        """Have `speaker` copied."""
        if self.knows_nothing_for:
            self.knows_nothing_for -= 1
            raise UnknownCall("rtpengine refused `subscribe request`: Unknown call-ID")
        self.asked.append((call, speaker))
        number = len(self.asked)
        if speaker == AGENT:
            await self.copies_agents.wait()
        return Fork(
            listener=f"l{number}",
            source=("127.0.0.1", number),
            event_clocks=self.event_clocks,
            opus_types=self.opus_types,
        )

    async def close(self, _call: str, _fork: Fork) -> None:
        """End a copy."""
        self.closed += 1

    async def silence(self, _call: str, speaker: Party, *, on: bool) -> None:
        """Put silence in the caller's place, or not."""
        assert speaker == CALLER
        if self.refuses_to_silence:
            raise MediaRefused("rtpengine refused it")
        self.silenced.append(on)

    async def has(self, _call: str) -> bool:
        """Tell whether the relay has a call."""
        return True


class NoPackets:
    """Stands for the socket: nothing comes."""

    def add(self, source: tuple[str, int], stream: object) -> None:
        """Nothing comes from there."""

    def remove(self, source: tuple[str, int], stream: object) -> None:
        """Nothing came."""

    def drain(self, _limit: int) -> int:
        """Nothing."""
        return 0


class Stage:
    """A recorder, and a disk that can be made to hang, or to be full."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.spool = folder / "spool"
        self.spool.mkdir()
        ring = Keyring(folder / "keyring")
        providers = {"a": LocalFile(b"a" * 32), "b": LocalFile(b"b" * 32)}
        ring.add(keyring.make("main", keyring.recipients(providers), 1))
        self.relay = Copied()
        self.flows = threading.Event()
        self.flows.set()
        self.is_full = False
        written, added = segments.write_whole, folders.add

        def add(path: Path, what: Facts | Marks) -> None:
            self.flows.wait(10)
            if self.is_full:
                raise OSError(28, "No space left on device")
            added(path, what)

        def write_whole(path: Path, content: bytes) -> None:
            self.flows.wait(10)
            if self.is_full:
                raise OSError(28, "No space left on device")
            written(path, content)

        for each in (recordings, segments):
            patch.setattr(each, "write_whole", write_whole)
        patch.setattr(recordings, "add", add)
        self.recorder = Recorder(
            site="a",
            spool=self.spool,
            keyring=ring,
            intake=NoPackets(),  # type: ignore[arg-type]  # as above
            forks=self.relay,  # type: ignore[arg-type]  # what it uses of it
            shipper=Shipper(
                spool=self.spool,
                store=RecordingStore.open(str(folder / "store")),
                key=Ed25519PrivateKey.from_private_bytes(b"s" * 32),
                recorder="a",
            ),
            settler=Settler(self.spool),
        )

    async def record(self, call: str, **more: object) -> Mapping[str, Any]:
        """Ask for a recording, as an edge does."""
        words = {"call": call, "tenant": "main", "queue": "sales", "agent": "ann"}
        asked = words | {"media": f"a1:{call}", **more}
        return await self.recorder.commands["record"](asked)

    async def until_kept(self, call: str, **more: object) -> None:
        """Ask until it is on the disk, as an edge does."""
        async with asyncio.timeout(SOON_S):
            while not (await self.record(call, **more))["is_kept"]:
                pass


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    made = Stage(tmp_path, monkeypatch)
    running = asyncio.create_task(made.recorder.run())
    yield made
    made.flows.set()
    running.cancel()
    made.recorder.abandon()


async def test_a_disk_that_hangs_delays_no_recordings_beginning(stage: Stage) -> None:
    stage.flows.clear()
    began_s = time.monotonic()
    for call in ("c1", "c2"):
        answer = await stage.record(call)
        assert not answer["is_kept"], "what is not on the disk is not confirmed"
    assert len(stage.relay.asked) == 4
    assert time.monotonic() - began_s < 1.0
    stage.flows.set()
    await stage.until_kept("c1")
    await stage.until_kept("c2")
    assert len(stage.relay.asked) == 4, "and nothing is copied twice"


async def test_a_pause_is_confirmed_only_when_a_later_life_would_keep_to_it(stage: Stage) -> None:
    await stage.record("c1")
    stage.flows.clear()
    assert not (await stage.record("c1", wish=7, pause_by="ann"))["is_kept"]
    assert read_marks(stage.spool / "c1").wish == 0
    stage.flows.set()
    await stage.until_kept("c1", wish=7, pause_by="ann")
    kept = read_marks(stage.spool / "c1")
    assert (kept.wish, kept.is_paused) == (7, True)


async def test_a_recording_that_begins_in_a_pause_keeps_nothing_while_copies_are_asked_for(
    stage: Stage,
) -> None:
    stage.relay.copies_agents.clear()
    asking = asyncio.create_task(stage.record("c1", wish=7, pause_by="ann", held=True))
    async with asyncio.timeout(SOON_S):
        while len(stage.relay.asked) < 2:  # noqa: ASYNC110 - a test waits
            await asyncio.sleep(0)
    (session,) = stage.recorder._sessions.values()  # noqa: SLF001 - what it has
    assert CALLER in session.forks, "whose packets come by now"
    assert [side.stamp for side in session.recording.timeline.sides] == [State.PAUSED] * 2
    stage.relay.copies_agents.set()
    answer = await asking
    assert (answer["wish"], answer["is_paused"]) == (7, True)
    assert not answer["is_apart"]


async def test_a_pause_that_cannot_be_written_down_is_refused(stage: Stage) -> None:
    await stage.record("c1")
    stage.is_full = True
    with pytest.raises(NotRecordedError):
        await stage.record("c1", wish=7, pause_by="ann")


async def test_what_could_not_be_written_down_is_tried_again_when_an_edge_asks_again(
    stage: Stage,
) -> None:
    await stage.until_kept("c1")
    stage.is_full = True
    with pytest.raises(NotRecordedError):
        await stage.record("c1", agent="bob", wish=7, pause_by="ann")
    stage.is_full = False
    await stage.until_kept("c1", agent="bob", wish=7, pause_by="ann")
    marks, facts = read_marks(stage.spool / "c1"), read_facts(stage.spool / "c1")
    assert (marks.wish, marks.is_paused) == (7, True)
    assert facts is not None
    assert facts.agents == ("ann", "bob")


async def test_a_recording_that_cannot_be_begun_leaves_no_copy_behind(stage: Stage) -> None:
    stage.is_full = True
    with pytest.raises(NotRecordedError):
        await stage.record("c1")
    assert stage.relay.closed == len(stage.relay.asked)
    stage.is_full = False
    await stage.record("c1")
    assert (stage.spool / "c1" / "facts.jsonl").exists()


async def test_marks_are_written_in_the_order_in_which_they_were_made(stage: Stage) -> None:
    await stage.record("c1")
    stage.flows.clear()
    for held in (True, False, True):
        await stage.record("c1", held=held)
    stage.flows.set()
    await stage.until_kept("c1", held=True)
    marks = read_marks(stage.spool / "c1")
    assert [each.end is None for each in marks.holds] == [False, True]


async def test_a_relay_that_was_just_started_anew_is_asked_again(stage: Stage) -> None:
    stage.relay.knows_nothing_for = 6
    await stage.record("c1")
    assert len(stage.relay.asked) == 2
    await stage.recorder.commands["stop"]({"call": "c1"})
    account = manifest_of(stage.spool / "c1", "a")
    assert [each.because for each in account.gaps] == ["not_copied"], "so long nothing was copied"


async def test_a_recording_of_which_nothing_was_copied_is_not_whole(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "RELAY_BACK_S", 0.0)
    stage.relay.knows_nothing_for = 2
    with pytest.raises(NotRecordedError):
        await stage.record("c1")
    await asyncio.sleep(0.4)
    await stage.recorder.commands["stop"]({"call": "c1"})
    account = manifest_of(stage.spool / "c1", "a")
    (gap,) = account.gaps
    assert gap.because == "not_copied"
    assert not account.is_complete


async def test_what_was_said_before_there_were_copies_is_a_gap(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "RELAY_BACK_S", 0.0)
    stage.relay.knows_nothing_for = 2
    with pytest.raises(NotRecordedError):
        await stage.record("c1")
    await asyncio.sleep(0.4)
    await stage.record("c1")
    await stage.recorder.commands["stop"]({"call": "c1"})
    account = manifest_of(stage.spool / "c1", "a")
    assert [each.because for each in account.gaps] == ["not_copied"]
    assert account.gaps[0].end < account.samples + 8000


async def test_a_call_that_ended_before_the_next_life_says_that_its_end_is_missing(
    stage: Stage,
) -> None:
    await stage.record("c1")
    stage.recorder.abandon()  # it dies before it has sealed a second
    folder = stage.spool / "c1"
    facts = read_facts(folder)
    assert facts is not None
    finish_left(folder, 5 * SAMPLES)
    account = manifest_of(folder, "a")
    assert account.gaps == (Span(start=0, end=5 * SAMPLES, because="recorder_restarted"),)
    assert not account.is_complete


async def test_a_later_life_that_is_told_of_the_end_finishes_what_is_left(stage: Stage) -> None:
    await stage.record("c1")
    (session,) = stage.recorder._sessions.values()  # noqa: SLF001 - as if it had died
    session.recording.abandon()
    stage.recorder._sessions.clear()  # noqa: SLF001 - likewise
    await asyncio.sleep(0.3)
    answer = await stage.recorder.commands["stop"]({"call": "c1"})
    assert answer["was_recorded"] is False
    (gap,) = manifest_of(stage.spool / "c1", "a").gaps
    assert gap.because == "recorder_restarted"
    assert gap.end - gap.start >= 0.3 * SAMPLES
