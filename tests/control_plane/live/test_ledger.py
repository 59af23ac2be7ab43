"""How many calls ended which way, are on, or have no account: sums, for whoever may have them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from control_plane.api.model import instant
from control_plane.errors import ApiError
from control_plane.live import departed
from control_plane.live.ledger import HOUR_MS, window_of
from control_plane.live.ledger_schemas import LedgerQuery
from control_plane.permissions import Role
from state import keys
from state.codec import encode
from state.errors import UnavailableError
from state.memory import MemoryStore
from state.model import EdgeId, Outcome, SiteId
from state.store import Delete, Put, RangeResult
from tests.control_plane.center import Person
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id

__all__ = ["database_url"]

PATH = "/v1/ledger"
NOW_MS = 1_700_000_000_000


async def asker(scene: Scene, role: Role = Role.SRE, tenant: str = "main") -> Person:
    """Return somebody at a control plane that has followed the calls for longer than an hour."""
    await scene.advance(2 * HOUR_MS / 1000)
    return await scene.center.person(role, tenant=tenant)


async def told(person: Person, query: str = "") -> dict[str, Any]:
    reply = await person.get(f"{PATH}{query}")
    assert reply.status == 200, reply.json
    return dict(reply.json)


def counted(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("site", "edge", "standing", "outcome", "cause", "calls")
    return [tuple(each[name] for name in names) for each in answer["counts"]]


async def test_an_sre_counts_calls_by_site_edge_outcome_and_cause(scene: Scene) -> None:
    sre = await asker(scene)
    for number in (1, 2):
        await scene.connect(number, "ann")
        await scene.end(number, "ann")
    await scene.arrive(3)
    lost: dict[str, Any] = {"outcome": Outcome.LOST, "cause": "edge_died"}
    await scene.end(4, "ben", edge=EdgeId("b1"), site=SiteId("b"), **lost)
    answer = await told(sre)
    assert counted(answer) == [
        ("a", "a1", "ended", "answered", "caller_hung_up", 2),
        ("a", "a1", "on", None, "", 1),
        ("b", "b1", "ended", "lost", "edge_died", 1),
    ]
    assert (answer["ended"], answer["on"], answer["unaccounted"]) == (3, 1, 0)
    assert (answer["unreadable"], answer["is_current"]) == (0, True)


async def test_sums_name_no_call_caller_number_or_agent(scene: Scene) -> None:
    sre = await asker(scene)
    await scene.connect(1, "ann")
    await scene.end(1, "ann")
    await scene.arrive(2)
    text = str(await told(sre))
    for each in (call_id(1), call_id(2), ANNA_CALLS, "ann", "sip-", "'100'", "sales"):
        assert each not in text


async def test_a_call_that_is_over_is_counted_before_the_database_has_it(scene: Scene) -> None:
    sre = await asker(scene)
    await scene.store.txn(
        (), (Put(key=keys.ended(call_id(1)), value=encode(scene.record(1, "ann"))),)
    )
    assert (await told(sre))["ended"] == 1


@pytest.mark.parametrize(
    "role",
    [
        Role.AGENT,
        Role.OUTSOURCED_AGENT,
        Role.SUPERVISOR,
        Role.QUALITY,
        Role.AUDITOR,
        Role.PRIVACY_OFFICER,
        Role.TENANT_ADMIN,
        Role.BREAK_GLASS,
    ],
)
async def test_nobody_else_counts_calls(scene: Scene, role: Role) -> None:
    person = await scene.center.person(role, agent="ann", team="north", site="a")
    reply = await person.get(PATH)
    assert (reply.status, reply.json["error_id"]) == (403, "forbidden")


async def test_a_tenant_counts_its_own_calls_and_the_center_everybodys(scene: Scene) -> None:
    theirs = await asker(scene, Role.MANAGER, "t2")
    ours = await scene.center.person(Role.MANAGER)
    await scene.connect(1, "ann")
    await scene.end(1, "ann")
    await scene.end(2, did="200")
    await scene.arrive(3)
    await scene.arrive(4, did="200")
    for number, did in ((5, "100"), (6, "200")):
        await scene.arrive(number, did=did)
        await scene.write(Delete(key=keys.ticket(call_id(number))))
    answer, whole = await told(theirs), await told(ours)
    assert (answer["ended"], answer["on"], answer["unaccounted"]) == (1, 1, 1)
    assert answer["unreadable"] is None, "whose it is cannot be read"
    assert (whole["ended"], whole["on"], whole["unaccounted"]) == (2, 2, 2)


async def test_a_call_whose_ticket_went_without_a_record_has_no_account(scene: Scene) -> None:
    sre = await asker(scene)
    await scene.arrive(1)
    await scene.arrive(2)
    await scene.write(Delete(key=keys.ticket(call_id(1))))
    answer = await told(sre)
    assert counted(answer) == [
        ("a", "a1", "on", None, "", 1),
        ("a", "a1", "unaccounted", None, "", 1),
    ]
    await scene.end(1)
    assert (await told(sre))["unaccounted"] == 0, "its record came late"


async def test_a_call_that_comes_again_is_on_and_has_an_account(scene: Scene) -> None:
    sre = await asker(scene)
    await scene.arrive(1)
    await scene.write(Delete(key=keys.ticket(call_id(1))))
    await scene.arrive(1)
    answer = await told(sre)
    assert (answer["on"], answer["unaccounted"]) == (1, 0)


async def test_who_asks_by_the_revision_of_an_answer_is_told_what_ended_since(
    scene: Scene,
) -> None:
    sre = await asker(scene)
    await scene.connect(1, "ann")
    await scene.arrive(2)
    await scene.end(3)
    await scene.arrive(4)
    await scene.write(Delete(key=keys.ticket(call_id(4))))
    first = await told(sre)
    assert (first["ended"], first["on"], first["unaccounted"]) == (1, 2, 1)
    # The clock of its edge is slow by ten minutes.
    early_ms = scene.clock.now().wall_ms - 600_000
    await scene.end(2, ended_ms=early_ms)
    await scene.arrive(5)
    await scene.write(Delete(key=keys.ticket(call_id(5))))
    last = await told(sre, f"?after={first['revision']}")
    assert (last["ended"], last["on"], last["unaccounted"]) == (1, 1, 1)


async def test_a_window_has_what_ended_in_it(scene: Scene) -> None:
    sre = await asker(scene)
    now_ms = scene.clock.now().wall_ms
    for number, ago_s in enumerate((5_000, 3_000, 60, 0)):
        await scene.end(number, ended_ms=now_ms - ago_s * 1000)
    await scene.arrive(9)
    assert (await told(sre))["ended"] == 3, "an hour, where nothing is said"
    since, until = (_rfc(now_ms - ago_s * 1000) for ago_s in (5_000, 60))
    answer = await told(sre, f"?since={since}&until={until}")
    assert (answer["ended"], answer["on"]) == (2, 1)
    assert (answer["since"], answer["until"]) == (since, until)


def _rfc(at_ms: int) -> str:
    return instant(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_record_that_cannot_be_read_is_said(scene: Scene) -> None:
    sre = await asker(scene)
    await scene.arrive(1)
    await scene.write(
        Put(key=keys.ended(call_id(1)), value=b"rubbish"), Delete(key=keys.ticket(call_id(1)))
    )
    answer = await told(sre)
    assert (answer["unreadable"], answer["unaccounted"]) == (1, 0)


async def test_what_was_forgotten_is_not_said_to_be_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    sre = await asker(scene)
    day = f"?since={_rfc(scene.clock.now().wall_ms - 20 * HOUR_MS)}"
    assert (await told(sre, day))["unaccounted"] is None, "it has only just begun"
    monkeypatch.setattr(departed, "KEPT", 1)
    await scene.arrive(1)
    await scene.write(Delete(key=keys.ticket(call_id(1))))
    await scene.arrive(2)
    before = (await told(sre))["revision"]
    await scene.write(Delete(key=keys.ticket(call_id(2))))
    assert (await told(sre, f"?after={before}"))["unaccounted"] == 1
    assert (await told(sre, "?after=1"))["unaccounted"] is None


async def test_a_call_whose_record_may_be_too_old_to_be_kept_is_not_called_unaccounted(
    scene: Scene,
) -> None:
    sre = await asker(scene)
    await scene.arrive(1)
    # The clock of its edge is slow: by that, its record is as old a little sooner.
    await scene.end(1, ended_ms=scene.clock.now().wall_ms - 300_000)
    await scene.advance(24 * HOUR_MS / 1000 - 120)
    await scene.write(Delete(key=keys.ended(call_id(1))))
    day, less = (f"?since={_rfc(scene.clock.now().wall_ms - h * HOUR_MS)}" for h in (24, 23))
    sre = await scene.center.person(Role.SRE)
    assert (await told(sre, day))["unaccounted"] is None
    assert (await told(sre, less))["unaccounted"] == 0


@pytest.mark.parametrize(
    ("since_h", "until_h", "fault"),
    [
        (1.0, 2.0, "should be before `until`, or before now where that is left out"),
        (-0.1, None, "should be before `until`, or before now where that is left out"),
        (23.0, -2.0, "should be at most 24 hours before the window's end"),
        (25.0, 24.0, "should be within the last 24 hours: older calls are not kept"),
        (None, 24.0, "should be within the last 24 hours: older calls are not kept"),
    ],
)
def test_a_window_that_is_none_is_refused(
    since_h: float | None, until_h: float | None, fault: str
) -> None:
    def ago(hours: float | None) -> Any:  # noqa: ANN401 - a time, or none
        return None if hours is None else instant(NOW_MS - round(hours * HOUR_MS))

    with pytest.raises(ApiError) as raised:
        window_of(LedgerQuery(since=ago(since_h), until=ago(until_h)), NOW_MS, 24)
    assert raised.value.problem.status == 422
    assert raised.value.details == {"faults": [{"where": "query.since", "fault": fault}]}


def test_a_ledger_that_is_kept_for_an_hour_is_asked_for_no_more() -> None:
    assert window_of(LedgerQuery(), NOW_MS, 1).since_ms == NOW_MS - HOUR_MS
    with pytest.raises(ApiError):
        window_of(LedgerQuery(since=instant(NOW_MS - HOUR_MS - 1)), NOW_MS, 1)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("?since=yesterday", "query.since"),
        ("?after=-1", "query.after"),
        ("?after=999999999", "query.after"),
        ("?since=2023-01-01T00:00:00Z", "query.since"),
    ],
)
async def test_what_is_no_question_is_refused_with_its_place(
    scene: Scene, query: str, where: str
) -> None:
    sre = await asker(scene)
    reply = await sre.get(f"{PATH}{query}")
    assert reply.status == 422
    assert [each["where"] for each in reply.json["faults"]] == [where]


async def test_where_the_shared_state_cannot_be_read_nothing_is_guessed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    sre = await asker(scene)

    async def away(*_: object, **__: object) -> RangeResult:
        raise UnavailableError("no quorum")

    monkeypatch.setattr(MemoryStore, "range", away)
    reply = await sre.get(PATH)
    assert (reply.status, reply.json["error_id"]) == (503, "unavailable")


async def test_a_ticket_that_can_no_longer_be_read_is_no_call_without_account(
    scene: Scene,
) -> None:
    sre = await asker(scene)
    await scene.arrive(1)
    await scene.write(Put(key=keys.ticket(call_id(1)), value=b"rubbish"))
    assert (await told(sre))["unaccounted"] == 0


async def test_many_who_ask_at_once_are_told_the_same(scene: Scene) -> None:
    sre = await asker(scene)
    for number in range(5):
        await scene.end(number)
    answers = await asyncio.gather(*(told(sre) for _ in range(4)))
    assert [each["ended"] for each in answers] == [5, 5, 5, 5]


async def test_a_call_that_moved_is_counted_where_it_is_held(scene: Scene) -> None:
    sre = await asker(scene)
    await scene.arrive(1)
    moved = replace(scene.ticket(1), holder=EdgeId("b1"), site=SiteId("b"))
    await scene.put((keys.ticket(moved.call), moved))
    assert counted(await told(sre)) == [("b", "b1", "on", None, "", 1)]
