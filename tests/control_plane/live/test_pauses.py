"""A recording is paused over the API: the answer is yes only when the recorder has said so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from control_plane.audit.tables import AuditRow
from control_plane.live import pauses
from control_plane.permissions import Role
from edge.calls import recording_wishes
from edge.calls.recording_wishes import RecordingWishes
from state import keys
from state.model import CallId, EdgeId
from tests.control_plane.center import Person, Reply
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.outage import unheard
from tests.control_plane.live.stage import Scene, call_id

__all__ = ["database_url"]
CALL = call_id(1)


class Recorder:
    """What an edge knows of its recorder."""

    def __init__(self) -> None:
        self.recorded = {CALL}
        self.is_up = asyncio.Event()
        self.is_up.set()
        self.obeyed: list[int] = []
        self.silences = False
        """Whether it keeps the caller from the agent."""

    def records(self, call: CallId) -> bool:
        return call in self.recorded

    async def obey(self, call: CallId, wish: int) -> bool:
        assert call in self.recorded
        await self.is_up.wait()
        self.obeyed.append(wish)
        return self.silences


class Heard:
    """What the agent hears, and what the edge itself has asked of the relay."""

    def __init__(self, *, hears_keys: bool, recorder: Recorder | None) -> None:
        self.asked: list[bool] = []
        self.refuses = 0
        self.is_silenced = False
        self._hears_keys = hears_keys
        self._recorder = recorder

    def hears_keys(self, call: CallId) -> bool:
        assert call == CALL
        return self._hears_keys

    def hears_caller(self, call: CallId) -> bool:
        assert call == CALL
        return not self.is_silenced

    async def silence_caller(self, call: CallId, on: bool) -> bool:  # noqa: FBT001 - as it is called
        assert call == CALL
        self.asked.append(on)
        if self.refuses:
            self.refuses -= 1
            return False
        self.is_silenced = on and self._hears_keys
        return self._hears_keys or not on


@asynccontextmanager
async def edge(
    scene: Scene, recorder: Recorder | None, *, hears_keys: bool = False
) -> AsyncIterator[Heard]:
    """Let the edge's own part obey the wishes of the calls that it holds."""
    heard = Heard(hears_keys=hears_keys, recorder=recorder)
    part = RecordingWishes(
        edge=EdgeId("a1"),
        store=scene.store,
        snapshot=lambda: scene.mirror.snapshot,
        holds=lambda call: call == CALL,
        hearing=heard,
        recorder=recorder,
    )
    leave = scene.mirror.subscribe(lambda _, deltas: part.take({each.kind for each in deltas}))
    running = asyncio.create_task(part.run())
    try:
        yield heard
    finally:
        running.cancel()
        await asyncio.wait([running])
        leave()


async def ask(person: Person, what: str, call: str = CALL, *, query: str = "") -> Reply:
    return await person.post(f"/v1/calls/{call}/recording/{what}{query}", None)


async def talking(scene: Scene) -> Person:
    await scene.connect(1, "ann")
    return await scene.center.person(Role.AGENT, agent="ann")


async def test_an_agent_pauses_and_resumes_the_own_call(scene: Scene) -> None:
    ann, recorder = await talking(scene), Recorder()
    async with edge(scene, recorder):
        paused = await ask(ann, "pause")
        assert (paused.status, paused.json["state"]) == (200, "paused")
        wish = scene.mirror.snapshot.recording_wishes[CALL]
        assert (wish.value.by, recorder.obeyed) == ("agent", [wish.mod_revision])
        resumed = await ask(ann, "resume")
        assert (resumed.status, resumed.json["state"]) == (200, "recording")
        assert len(recorder.obeyed) == 2


@pytest.mark.parametrize("hears_keys", [True, False])
async def test_who_would_hear_the_callers_keys_is_told_so_with_the_pause(
    scene: Scene, *, hears_keys: bool
) -> None:
    ann = await talking(scene)
    async with edge(scene, Recorder(), hears_keys=hears_keys):
        paused = await ask(ann, "pause")
    assert (paused.json["state"], paused.json["hears_keys"]) == ("paused", hears_keys)


async def test_a_pause_for_keys_keeps_the_caller_who_keys_tones_from_the_agent_until_it_ends(
    scene: Scene,
) -> None:
    ann, recorder = await talking(scene), Recorder()
    async with edge(scene, recorder, hears_keys=True) as heard:
        recorder.silences = heard.is_silenced = True
        paused = (await ask(ann, "pause", query="?keyed=true")).json
        assert (paused["hears_keys"], paused["hears_caller"]) == (False, False)
        assert scene.mirror.snapshot.recording_wishes[CALL].value.keyed
        recorder.silences = heard.is_silenced = False
        resumed = (await ask(ann, "resume")).json
        assert (resumed["hears_keys"], resumed["hears_caller"]) == (True, True)
        assert not scene.mirror.snapshot.recording_wishes[CALL].value.keyed
        assert heard.asked == [], "whoever records does it"
    assert (await ask(ann, "pause", query="?keyed=perhaps")).status == 422


async def test_where_nothing_is_recorded_the_edge_itself_keeps_the_caller_from_the_agent(
    scene: Scene,
) -> None:
    ann = await talking(scene)
    async with edge(scene, None, hears_keys=True) as heard:
        paused = (await ask(ann, "pause", query="?keyed=true")).json
        said = (paused["state"], paused["hears_keys"], paused["hears_caller"])
        assert said == ("unrecorded", False, False)
        assert not (await ask(ann, "pause")).json["hears_keys"], "another's pause opens no ears"
        assert (await ask(ann, "resume")).json["hears_caller"]
        assert (await ask(ann, "pause")).json["hears_keys"], "a pause for what is said"
        assert heard.asked == [True, False]


async def shown(scene: Scene, *, hears_keys: bool, hears_caller: bool) -> None:
    """Wait until the shared state says so."""
    async with asyncio.timeout(10):
        while True:
            status = scene.mirror.snapshot.recordings[CALL].value
            if (status.hears_keys, status.hears_caller) == (hears_keys, hears_caller):
                return
            await asyncio.sleep(0.01)


async def test_an_agent_who_resumes_hears_the_caller_though_the_recorder_has_died(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "CONFIRMED_S", 0.3)
    monkeypatch.setattr(recording_wishes, "PATIENCE_S", 0.05)
    ann, recorder = await talking(scene), Recorder()
    async with edge(scene, recorder, hears_keys=True) as heard:
        recorder.silences = heard.is_silenced = True
        assert not (await ask(ann, "pause", query="?keyed=true")).json["hears_keys"]
        recorder.is_up.clear()
        heard.refuses = 1
        assert (await ask(ann, "resume")).status == 503, "nobody records"
        assert heard.asked[:2] == [False, False], "what the relay does not take is said again"
        await shown(scene, hears_keys=True, hears_caller=True)
        assert heard.asked == [False, False], "and once it has, never again"
        recorder.silences = False
        recorder.is_up.set()
        await until_answered(scene)
        assert recorder.obeyed[-1] == scene.mirror.snapshot.recording_wishes[CALL].mod_revision


async def until_answered(scene: Scene) -> None:
    """Wait until the last wish is."""
    async with asyncio.timeout(10):
        while True:
            now = scene.mirror.snapshot
            if now.recordings[CALL].value.wish >= now.recording_wishes[CALL].mod_revision:
                return
            await asyncio.sleep(0.01)


async def test_what_was_answered_is_corrected_once_it_is_no_longer_so(scene: Scene) -> None:
    ann, recorder = await talking(scene), Recorder()
    async with edge(scene, recorder, hears_keys=True) as heard:
        recorder.silences = heard.is_silenced = True
        await ask(ann, "pause", query="?keyed=true")
        heard.is_silenced = False  # another agent has come
        await shown(scene, hears_keys=True, hears_caller=True)
        assert scene.mirror.snapshot.recordings[CALL].value.state == "paused"


async def test_a_wish_that_the_recorder_refused_is_answered_by_the_edge(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call goes on unrecorded: nobody else will answer."""
    monkeypatch.setattr(recording_wishes, "PATIENCE_S", 0.05)
    ann, recorder = await talking(scene), Recorder()
    recorder.is_up.clear()
    async with edge(scene, recorder, hears_keys=True) as heard:
        asking = asyncio.create_task(ask(ann, "pause", query="?keyed=true"))
        await asyncio.sleep(0)
        recorder.recorded.clear()
        paused = (await asking).json
        assert (paused["state"], paused["hears_keys"]) == ("unrecorded", False)
        heard.refuses = 1
        assert (await ask(ann, "resume")).json["hears_caller"], "only once it is so"


async def test_a_recorder_that_is_away_leaves_the_form_shut_and_does_it_when_it_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "CONFIRMED_S", 0.2)
    ann, recorder = await talking(scene), Recorder()
    recorder.is_up.clear()
    async with edge(scene, recorder):
        refused = await ask(ann, "pause")
        assert (refused.status, refused.error_id) == (503, "recording-not-confirmed")
        assert recorder.obeyed == []
        recorder.is_up.set()
        monkeypatch.undo()
        assert (await ask(ann, "pause")).status == 200


async def test_a_call_whose_edge_is_gone_is_not_confirmed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "CONFIRMED_S", 0.1)
    assert (await ask(await talking(scene), "pause")).error_id == "recording-not-confirmed"


@pytest.mark.parametrize("has_recorder", [True, False])
async def test_where_nothing_is_recorded_a_pause_holds_at_once(
    scene: Scene, *, has_recorder: bool
) -> None:
    ann, recorder = await talking(scene), Recorder()
    recorder.recorded.clear()
    async with edge(scene, recorder if has_recorder else None):
        paused = await ask(ann, "pause")
    assert (paused.status, paused.json["state"]) == (200, "unrecorded")


async def test_a_wish_is_carried_out_once_and_by_the_holder_alone(scene: Scene) -> None:
    ann, recorder = await talking(scene), Recorder()
    async with edge(scene, recorder):
        assert (await ask(ann, "pause")).status == 200
    async with edge(scene, recorder):
        await scene.connect(2, "ben")
        assert (await ask(ann, "resume")).status == 200
    assert len(recorder.obeyed) == 2
    written = scene.mirror.snapshot.recordings[CALL]
    assert written.value.edge == "a1"


async def test_who_may_and_who_may_not(scene: Scene) -> None:
    await talking(scene)
    async with edge(scene, Recorder()):
        ben = await scene.center.person(Role.AGENT, agent="ben")
        assert (await ask(ben, "pause")).status == 404
        south = await scene.center.person(Role.SUPERVISOR, team="south", site="a")
        assert (await ask(south, "pause")).status == 404
        north = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
        assert (await ask(north, "pause")).json["state"] == "paused"
        assert scene.mirror.snapshot.recording_wishes[CALL].value.by == "supervisor"
    await scene.center.services.journal.flush()
    async with scene.center.services.database.read() as connection:
        kept = await connection.execute(
            select(AuditRow.actor, AuditRow.detail).where(AuditRow.thing == CALL)
        )
        told = [(row.actor, row.detail) for row in kept if row.actor == north.id]
    assert len(told) == 1
    assert '"confirmed":true' in told[0][1].replace(" ", "")


async def test_a_pause_that_was_written_though_nobody_could_say_so_is_in_the_audit_log(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await talking(scene)
    monkeypatch.setattr(scene.store, "txn", unheard(scene.store))
    assert (await ask(ann, "pause")).status == 503
    await scene.mirror.wait_until(lambda now: CALL in now.recording_wishes, 2.0)  # and is obeyed
    await scene.center.services.journal.flush()
    async with scene.center.services.database.read() as connection:
        told = select(AuditRow.actor, AuditRow.detail).where(AuditRow.thing == CALL)
        ((actor, detail),) = await connection.execute(told)
    assert (actor, '"confirmed":false' in detail.replace(" ", "")) == (ann.id, True)


async def test_a_call_in_which_nobody_talks_has_nothing_to_pause(scene: Scene) -> None:
    ann = await talking(scene)
    await scene.end(1, "ann")
    gone = await ask(ann, "pause")
    assert (gone.status, gone.error_id) == (409, "nobody-talks")
    assert keys.recording_wish(CALL) not in scene.mirror.snapshot.raw
