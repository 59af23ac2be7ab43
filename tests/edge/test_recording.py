"""What an edge tells the recorder, and that no call waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge import keys_told, recording
from edge.media.plan import AGENT, CALLER
from edge.recording import RecorderLink
from edge.sip.keys import Key
from state.model import AgentId, CallId, EdgeId, Entry, QueueId, RecordingWish
from tests.edge.fake_telephony import AGENT_SDP
from tests.edge.one_edge import Edge
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time

QUEUE, ANN = QueueId("sales"), AgentId("ann")


@in_virtual_time
async def test_a_call_is_recorded_from_the_agents_answer_to_its_end() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        (begun,) = a1.recorder.said
        assert (begun[0], begun[3]) == ("record", "ann")
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await made.nothing_is_left()
        assert a1.recorder.said == [begun, ("stop", begun[1])]


@in_virtual_time
async def test_a_caller_who_leaves_before_is_not_recorded() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        a1.sip.hang_up(theirs)
        a1.sip.decline(ours, 487)
        await made.nothing_is_left()
        assert [each for each in a1.recorder.said if each[0] == "record"] == []


@in_virtual_time
async def test_the_recorder_hears_of_hold_of_an_agent_who_is_lost_and_of_the_next_one() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.offer(ours, AGENT_SDP.replace(b"sendrecv", b"sendonly"))
        await until(lambda: ("hold", call(a1)) in a1.recorder.said)
        a1.sip.offer(ours, AGENT_SDP)
        await until(lambda: ("resume", call(a1)) in a1.recorder.said)
        a1.sip.vanish(ours)
        await until(lambda: ("leave", call(a1)) in a1.recorder.said)
        await a1.answer_ours(theirs)  # back to the music
        await made.agent("bob")
        bob = await a1.joined(theirs, "bob")
        told = [each[0] for each in a1.recorder.said]
        assert told == ["record", "hold", "resume", "leave", "record"]
        assert [each[3:] for each in a1.recorder.said if each[0] == "record"] == [
            ("ann", "1"),
            ("bob", "2"),
        ]
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(bob)
        await made.nothing_is_left()


def call(edge: Edge) -> CallId:
    """Return the one call of an edge."""
    (found,) = edge.snapshot.tickets
    return found


class FakeRecorder:
    """A socket that notes what it is told of calls, and may be away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.heard: list[dict[str, object]] = []
        self.answer: dict[str, object] = {"ok": True}
        self.slow_with = ""
        """Of this call it says nothing until it is well."""
        self.is_well = asyncio.Event()
        self.stands_still = False
        """It takes connections, as the kernel does, and answers nobody."""
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, path=self._path)

    async def die(self) -> None:
        """Go without a word."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                told = json.loads(line)
                if "media" in told or "call" in told:
                    self.heard.append(told)
                if self.stands_still or told.get("call") == self.slow_with:
                    await self.is_well.wait()
                writer.write(json.dumps(self.answer).encode() + b"\n")
        writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a test waits
            await asyncio.sleep(0.005)


wishes: dict[CallId, Entry[RecordingWish]] = {}


def wish(call: CallId, revision: int, *, pause: bool) -> None:
    """Let it stand in the shared state."""
    value = RecordingWish(call=call, pause=pause, by="agent")
    wishes[call] = Entry(value=value, create_revision=1, mod_revision=revision, seen_s=0.0)


@pytest.fixture
async def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RecorderLink]:
    monkeypatch.setattr(recording, "RETRY_S", 0.02)
    link = RecorderLink(
        tmp_path / "sock", edge=EdgeId("a1"), tenant_of=lambda _: "main", wish_of=wishes.get
    )
    running = asyncio.create_task(link.run())
    yield link
    wishes.clear()
    running.cancel()
    await asyncio.wait([running])


async def test_a_recorder_that_is_away_is_told_when_it_is_back(
    link: RecorderLink, tmp_path: Path
) -> None:
    link.record(CallId("one"), QUEUE, ANN, 1)
    link.record(CallId("two"), QUEUE, ANN, 1)
    link.stop(CallId("two"))
    await asyncio.sleep(0.05)
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    await until(lambda: len(fake.heard) == 2)
    assert {(each["cmd"], each["call"]) for each in fake.heard} == {
        ("record", "one"),
        ("stop", "two"),
    }
    assert fake.heard[0]["media"] == "a1:one"
    await fake.die()


async def test_a_recorder_that_was_away_for_long_is_told_first_of_calls_that_go_on(
    link: RecorderLink, tmp_path: Path
) -> None:
    """Else a new call is not recorded before all that it missed have been told as over."""
    over, new = [CallId(f"over{count}") for count in range(100)], CallId("new")
    for call in over:
        link.record(call, QUEUE, ANN, 1)
        link.stop(call)
    link.record(new, QUEUE, ANN, 1)
    fake = FakeRecorder(tmp_path / "sock")
    fake.slow_with = over[0]
    await fake.start()
    await until(lambda: link.confirms(new))
    assert fake.heard[0]["call"] == new
    assert len(fake.heard) <= recording.AT_ONCE
    fake.is_well.set()
    await until(lambda: {each["call"] for each in fake.heard} == {new, *over})
    await fake.die()


async def test_a_recorder_started_anew_is_told_all_that_goes_on_and_nothing_that_is_over(
    link: RecorderLink, tmp_path: Path
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    for call in ("one", "two"):
        link.record(CallId(call), QUEUE, ANN, 1)
    link.stop(CallId("two"))
    await until(lambda: bool(fake.heard) and fake.heard[-1]["cmd"] == "stop")
    await fake.die()
    again = FakeRecorder(tmp_path / "sock")
    await again.start()
    await until(lambda: bool(again.heard))
    await asyncio.sleep(0.05)
    assert [(each["cmd"], each["call"]) for each in again.heard] == [("record", "one")]
    await again.die()


async def test_calls_that_come_one_after_the_other_are_told_over_one_connection(
    link: RecorderLink, tmp_path: Path
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    for count in range(1, 6):
        link.record(CallId(f"call{count}"), QUEUE, ANN, 1)
        await until(lambda count=count: len(fake.heard) == count)  # type: ignore[misc]
        await asyncio.sleep(0.01)
    assert fake.connections == 1
    await fake.die()


async def test_a_call_does_not_wait_for_the_relay_to_have_copied_another(
    link: RecorderLink, tmp_path: Path
) -> None:
    calls = [CallId(f"call{count}") for count in range(5)]
    for call in calls:
        link.record(call, QUEUE, ANN, 1)
    fake = FakeRecorder(tmp_path / "sock")
    fake.slow_with = calls[0]
    await fake.start()
    await until(lambda: all(link.confirms(call) for call in calls[1:]))
    assert not link.confirms(calls[0])
    fake.is_well.set()
    await until(lambda: link.confirms(calls[0]))
    assert len([each for each in fake.heard if each["cmd"] == "record"]) == len(calls)
    await fake.die()


@pytest.fixture
def failed(link: RecorderLink, monkeypatch: pytest.MonkeyPatch) -> list[tuple[CallId, str]]:
    """Return who is told of calls that cannot be recorded, of an edge that waits for less."""
    for name, seconds in (("BEAT_S", 0.02), ("ANSWER_S", 0.05), ("AWAY_S", 0.15)):
        monkeypatch.setattr(recording, name, seconds)
    told: list[tuple[CallId, str]] = []
    link.on_failed = lambda call, because: told.append((call, because))
    return told


async def test_a_recorder_that_stands_still_is_away(
    link: RecorderLink, failed: list[tuple[CallId, str]], tmp_path: Path
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    link.record(CallId("one"), QUEUE, ANN, 1)
    await until(lambda: link.confirms(CallId("one")))
    await asyncio.sleep(0.2)
    assert failed == [], "it answers, though it has nothing to say"
    fake.stands_still = True
    await until(lambda: bool(failed))
    assert failed[0] == (CallId("one"), "no_recorder")
    fake.stands_still = False
    fake.is_well.set()
    await fake.die()


async def test_a_recorder_that_is_slow_with_one_call_is_not_away(
    link: RecorderLink, failed: list[tuple[CallId, str]], tmp_path: Path
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    fake.slow_with = "one"
    await fake.start()
    link.record(CallId("one"), QUEUE, ANN, 1)
    await until(lambda: fake.connections >= 5)
    assert failed == []
    fake.is_well.set()
    await until(lambda: link.confirms(CallId("one")))
    await fake.die()


async def test_a_fault_of_ours_in_the_link_does_not_end_the_edge(
    link: RecorderLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(recording, "RETRY_S", 0.02)
        raise RuntimeError("a bug")

    monkeypatch.setattr(recording, "_ask", broken)
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    link.record(CallId("one"), QUEUE, ANN, 1)
    await until(lambda: len(fake.heard) == 1)
    await fake.die()


@pytest.mark.parametrize("parts_keyed", [True, False])
async def test_the_edge_is_told_once_each_time_that_copies_are_begun(
    link: RecorderLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, parts_keyed: bool
) -> None:
    monkeypatch.setattr(link, "_parts_keyed", lambda _: parts_keyed)
    one, copied = CallId("one"), list[CallId]()
    link.on_copied = copied.append
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    for count, (begun, held) in enumerate([(0, False), (5, True), (5, False), (6, True)]):
        fake.answer = {"ok": True, "copied": begun}
        if count:
            link.hold(one, on=held)
        else:
            link.record(one, QUEUE, ANN, 1)
        await until(lambda count=count: len(fake.heard) > count)  # type: ignore[misc]
        await asyncio.sleep(0.01)
    assert copied == ([one, one] if parts_keyed else [])
    await fake.die()


async def test_a_refusal_is_counted_and_not_repeated(link: RecorderLink, tmp_path: Path) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    fake.answer = {"ok": False, "error": "there is no recording key of main here"}
    await fake.start()
    link.record(CallId("one"), QUEUE, ANN, 1)
    await until(lambda: link.refused == 1)
    await asyncio.sleep(0.1)
    assert len(fake.heard) == 1
    await fake.die()


async def test_a_pause_is_confirmed_when_the_recorder_has_said_so_and_not_before(
    link: RecorderLink, tmp_path: Path
) -> None:
    call = CallId("one")
    link.record(call, QUEUE, ANN, 1)
    wish(call, 7, pause=True)
    obeyed = asyncio.create_task(link.obey(call, 7))
    await asyncio.sleep(0.05)
    assert not obeyed.done()
    fake = FakeRecorder(tmp_path / "sock")
    fake.answer = {"ok": True, "wish": 3}
    await fake.start()
    await until(lambda: bool(fake.heard))
    assert (fake.heard[-1]["wish"], fake.heard[-1]["pause_by"]) == (7, "agent")
    assert not obeyed.done()
    await fake.die()
    again = FakeRecorder(tmp_path / "sock")
    again.answer = {"ok": True, "wish": 7}
    await again.start()
    async with asyncio.timeout(10):
        await obeyed
    await again.die()


async def test_a_recorder_whose_disk_is_slow_is_asked_again_and_confirms_nothing_before(
    link: RecorderLink, tmp_path: Path
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    fake.answer = {"ok": True, "is_kept": False, "wish": 7}
    await fake.start()
    call = CallId("one")
    link.record(call, QUEUE, ANN, 1)
    wish(call, 7, pause=True)
    obeyed = asyncio.create_task(link.obey(call, 7))
    await until(lambda: len(fake.heard) >= 2)
    assert not obeyed.done()
    assert not link.confirms(call)
    fake.answer = {"ok": True, "is_kept": True, "wish": 7}
    async with asyncio.timeout(10):
        await obeyed
    assert link.confirms(call)
    await fake.die()


async def test_keys_are_told_in_the_order_in_which_they_were_pressed(
    link: RecorderLink, tmp_path: Path
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    for key in "*142":
        link.key(CallId("one"), AGENT, Key(key=key))
    await until(lambda: len(fake.heard) == 4)
    assert "".join(str(each["key"]) for each in fake.heard) == "*142"
    assert {(each["cmd"], each["media"], each["party"]) for each in fake.heard} == {
        ("key", "a1:one", "agent")
    }
    await fake.die()


def keys_of(fake: FakeRecorder) -> str:
    """Return the keys that the recorder has heard of, in order."""
    return "".join(str(each["key"]) for each in fake.heard if each["cmd"] == "key")


async def test_what_an_agent_keys_while_the_recorder_is_away_is_told_when_it_knows_the_call(
    link: RecorderLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_told, "AGAIN_S", 0.02)
    link.record(CallId("one"), QUEUE, ANN, 1)
    for key in "*2":
        link.key(CallId("one"), AGENT, Key(key=key))
    await asyncio.sleep(0.05)
    fake = FakeRecorder(tmp_path / "sock")
    fake.answer = {"ok": True, "is_known": False}
    await fake.start()
    await until(lambda: keys_of(fake).count("*") >= 2)
    assert "2" not in keys_of(fake), "the first one first"
    fake.heard.clear()
    fake.answer = {"ok": True, "is_known": True}
    await until(lambda: keys_of(fake) == "*2")
    await asyncio.sleep(0.05)
    assert keys_of(fake) == "*2"
    await fake.die()


@pytest.mark.parametrize("how", ["wished since", "not recorded", "the caller", "too late"])
async def test_what_was_keyed_before_something_else_was_wished_is_not_told(
    link: RecorderLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A `*2` of before would go on with a recording that somebody has paused meanwhile."""
    monkeypatch.setattr(keys_told, "AGAIN_S", 0.02)
    if how == "too late":
        monkeypatch.setattr(keys_told, "PATIENCE_S", 0.03)
    if how != "not recorded":
        link.record(CallId("one"), QUEUE, ANN, 1)
    link.key(CallId("one"), CALLER if how == "the caller" else AGENT, Key(key="2"))
    await asyncio.sleep(0.05)
    if how == "wished since":
        wish(CallId("one"), 7, pause=True)
    await asyncio.sleep(0.05)
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    link.record(CallId("two"), QUEUE, ANN, 1)
    await until(lambda: link.confirms(CallId("two")))
    await asyncio.sleep(0.1)
    assert keys_of(fake) == ""
    await fake.die()


async def test_of_keys_without_end_some_are_left_out(link: RecorderLink, tmp_path: Path) -> None:
    link.record(CallId("one"), QUEUE, ANN, 1)
    for _ in range(100):
        link.key(CallId("one"), AGENT, Key(key="2"))
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    await until(lambda: len(keys_of(fake)) == keys_told.MOST)
    await asyncio.sleep(0.05)
    assert len(keys_of(fake)) == keys_told.MOST
    await fake.die()


async def test_a_recorder_that_refuses_confirms_nothing(link: RecorderLink, tmp_path: Path) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    fake.answer = {"ok": False, "error": "cannot be written down", "wish": 7}
    await fake.start()
    call = CallId("one")
    link.record(call, QUEUE, ANN, 1)
    wish(call, 7, pause=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await link.obey(call, 7)
    await fake.die()


async def test_the_recorder_is_told_of_hold_and_of_an_agent_who_left(
    link: RecorderLink, tmp_path: Path
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    call = CallId("one")

    async def told() -> tuple[object, object]:
        count = len(fake.heard)
        await until(lambda: len(fake.heard) > count or count == len(fake.heard) > 0)
        await asyncio.sleep(0.03)
        return fake.heard[-1]["agent"], fake.heard[-1]["held"]

    link.record(call, QUEUE, ANN, 1)
    assert await told() == ("ann", False)
    link.hold(call, on=True)
    assert await told() == ("ann", True)
    link.leave(call)
    assert await told() == ("", False)
    link.record(call, QUEUE, AgentId("ben"), 2)
    assert await told() == ("ben", False)
    link.hold(CallId("unknown"), on=True)
    link.leave(CallId("unknown"))
    await asyncio.sleep(0.03)
    assert len(fake.heard) == 4
    await fake.die()


async def test_each_answer_tells_whether_the_recorder_keeps_the_caller_from_the_agent(
    link: RecorderLink, tmp_path: Path
) -> None:
    said: list[tuple[CallId, bool]] = []
    link.on_silence = lambda call, on: said.append((call, on))
    fake = FakeRecorder(tmp_path / "sock")
    fake.answer = {"ok": True, "is_kept": False, "is_apart": True}
    await fake.start()
    link.record(CallId("one"), QUEUE, ANN, 1)
    await until(lambda: bool(said))
    assert said[0] == (CallId("one"), True), "the relay does not wait for the disk"
    fake.answer = {"ok": True, "is_apart": False}
    await until(lambda: said[-1] == (CallId("one"), False))
    heard = len(said)
    link.stop(CallId("one"))
    await until(lambda: fake.heard[-1]["cmd"] == "stop")
    await fake.die()
    assert len(said) == heard, "of a call that is over nobody asks"


async def test_the_recorder_is_told_whether_a_queue_parts_agents_from_who_keys_tones(
    tmp_path: Path,
) -> None:
    fake = FakeRecorder(tmp_path / "sock")
    await fake.start()
    link = RecorderLink(
        tmp_path / "sock",
        edge=EdgeId("a1"),
        tenant_of=lambda _: "main",
        wish_of=wishes.get,
        parts_keyed=lambda queue: queue != QUEUE,
    )
    running = asyncio.create_task(link.run())
    link.record(CallId("one"), QUEUE, ANN, 1)
    link.record(CallId("two"), QueueId("other"), ANN, 1)
    await until(lambda: len(fake.heard) == 2)
    assert {each["call"]: each["part_keyed"] for each in fake.heard} == {"one": False, "two": True}
    running.cancel()
    await asyncio.wait([running])
    await fake.die()
