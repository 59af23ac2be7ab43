"""A caller is passed on over the API: the answer says what the call's edge has said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from control_plane.live import transfers
from control_plane.permissions import Role
from edge.calls.transfer_wishes import Tell, TransferWishes
from state.model import AgentId, CallId, EdgeId
from tests.control_plane.center import Person, Reply
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.stage import Scene, call_id, eventually

__all__ = ["database_url"]
CALL = call_id(1)


class Held:
    """A call as its edge has it: says what it is told to say."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers = answers
        self.asked: list[tuple[AgentId, str]] = []
        self.tell: Tell = lambda _, __: None

    def obey(self, agent: AgentId, to: str, tell: Tell) -> None:
        self.asked.append((agent, to))
        self.tell = tell
        for answer in self.answers:
            tell(*answer)


@asynccontextmanager
async def edge(scene: Scene, held: Held) -> AsyncIterator[None]:
    """Let the edge's own part obey the wishes of the call that it holds."""

    def call(asked: CallId) -> Held | None:
        return held if asked == CALL else None

    part = TransferWishes(
        edge=EdgeId("a1"), store=scene.store, snapshot=lambda: scene.mirror.snapshot, call=call
    )
    leave = scene.mirror.subscribe(lambda _, deltas: part.take({each.kind for each in deltas}))
    running = asyncio.create_task(part.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
        leave()


async def ask(person: Person, to: str = "ben", call: str = CALL) -> Reply:
    return await person.post(f"/v1/calls/{call}/transfer", {"to": to})


async def talking(scene: Scene) -> Person:
    await scene.connect(1, "ann")
    return await scene.center.person(Role.AGENT, agent="ann")


async def test_an_agent_passes_the_own_caller_on(scene: Scene) -> None:
    ann, held = await talking(scene), Held((100, ""), (200, ""))
    async with edge(scene, held):
        done = await ask(ann)
        assert (done.status, done.json["state"], done.json["status"]) == (200, "done", 200)
        assert held.asked == [("ann", "ben")]
        assert (await ann.get(f"/v1/calls/{CALL}/transfer")).json["state"] == "done"


async def test_a_telephone_that_rings_is_told_at_once_and_its_end_can_be_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "TOLD_S", 0.1)
    ann, held = await talking(scene), Held((100, ""), (180, ""))
    async with edge(scene, held):
        assert (await ask(ann)).json["state"] == "ringing"
        held.tell(486, "")

        async def has_failed() -> bool:
            found = await ann.get(f"/v1/calls/{CALL}/transfer")
            return (found.json["state"], found.json["status"]) == ("failed", 486)

        await eventually(has_failed, "its end can be read")


async def test_where_the_caller_cannot_go_is_said_in_words(scene: Scene) -> None:
    ann = await talking(scene)
    async with edge(scene, Held((403, "No transfers outside"))):
        refused = await ask(ann, "4930123456")
    assert (refused.status, refused.error_id) == (409, "transfer-refused")
    assert "No transfers outside" in refused.json["detail"]


async def test_a_call_in_which_nobody_talks_and_one_whose_edge_is_gone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "TOLD_S", 0.05)
    monkeypatch.setattr(transfers, "TAKEN_S", 0.05)
    await scene.arrive(2)
    ann = await talking(scene)
    assert (await ask(ann)).error_id == "transfer-not-taken"
    boss = await scene.center.person(Role.MANAGER)
    assert (await ask(boss, call=call_id(2))).error_id == "nobody-talks"
    assert (await boss.get(f"/v1/calls/{call_id(2)}/transfer")).json["state"] == "none"


async def test_a_wish_is_obeyed_once(scene: Scene) -> None:
    ann, held = await talking(scene), Held((200, ""))
    async with edge(scene, held):
        await ask(ann)
        await scene.connect(2, "ben")
        await ask(ann, to="sales")
    assert [to for _, to in held.asked] == ["ben", "sales"]


async def test_who_may_and_who_may_not(scene: Scene) -> None:
    await talking(scene)
    held = Held((200, ""))
    async with edge(scene, held):
        ben = await scene.center.person(Role.AGENT, agent="ben")
        assert (await ask(ben)).status == 404
        south = await scene.center.person(Role.SUPERVISOR, team="south", site="a")
        assert (await ask(south)).status == 404
        assert not held.asked
        north = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
        assert (await ask(north)).json["state"] == "done"
        assert scene.mirror.snapshot.transfer_wishes[CALL].value.by
    await scene.center.services.journal.flush()


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("ben", "ben"),
        ("t2.sales", "t2.sales"),
        ("100", "100"),
        ("200", "a number"),
        ("4930123456", "a number"),
    ],
    ids=["a colleague", "a word", "our DID", "another tenant's DID", "a number outside"],
)
async def test_a_number_outside_is_not_written_into_the_audit_log(
    scene: Scene, to: str, told: str
) -> None:
    ann, auditor = await talking(scene), await scene.center.person(Role.AUDITOR)
    async with edge(scene, Held((403, "No transfers outside"))):
        await ask(ann, to)
    await scene.center.services.journal.flush()
    (entry,) = (await auditor.get(f"/v1/audit?actor={ann.id}")).json["items"]
    assert entry["detail"] == {"to": told, "agent": "ann"}
