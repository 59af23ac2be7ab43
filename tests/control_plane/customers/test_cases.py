"""Cases: a table of steps, and their traces in the customer's history."""

from __future__ import annotations

from typing import Any

import pytest

from control_plane.cases.workflow import ENDED, HOUR_MS, State, Step, is_overdue, step, steps_from
from control_plane.customers import store
from control_plane.customers.store import Customer
from control_plane.permissions import Role
from tests.control_plane.center import Center
from tests.control_plane.customers.stage import WHY, add, approval, talk

DRAFT = {"kind": "complaint", "title": "Waited an hour", "text": "On Monday"}


@pytest.mark.parametrize("state", State)
def test_every_state_but_the_last_leads_to_the_end(state: State) -> None:
    reached, fresh = {state}, {state}
    while fresh:
        fresh = {after for s in fresh for t in steps_from(s) if (after := step(s, t))} - reached
        reached |= fresh
    assert State.CLOSED in reached
    assert bool(steps_from(state)) is (state is not State.CLOSED)


def test_a_case_is_overdue_from_its_due_time_until_it_is_ended() -> None:
    assert not is_overdue(State.OPEN, 10, 9)
    assert is_overdue(State.OPEN, 10, 10)
    assert not any(is_overdue(each, 10, 11) for each in ENDED)
    assert step(State.CLOSED, Step.REOPEN) is None


async def test_a_case_goes_its_way_and_the_history_tells_each_step(center: Center) -> None:
    manager, made = await add(center)
    where = made.headers["Location"]
    opened = await manager.post(f"{where}/cases", DRAFT)
    assert (opened.status, opened.json["steps"]) == (201, ["start", "close"])
    case = opened.headers["Location"]
    wrong = await manager.ask("PATCH", case, {"step": "resolve"}, {"If-Match": '"1"'})
    assert (wrong.error_id, wrong.json["steps"]) == ("no-such-step", ["start", "close"])
    sent = {"step": "start", "is_escalated": True}
    moved = await manager.ask("PATCH", case, sent, {"If-Match": '"1"'})
    assert (moved.json["state"], moved.json["is_escalated"]) == ("in_work", True)
    stale = await manager.ask("PATCH", case, {"step": "wait"}, {"If-Match": '"1"'})
    assert stale.error_id == "version-mismatch"
    told = (await manager.get(f"{where}/history")).json["items"]
    history = [each for each in told if each["kind"] == "case"]
    assert {each["what"] for each in history} == {"opened", "start", "escalated"}
    assert {each["reference"] for each in history} == {opened.json["id"]}


async def test_overdue_cases_are_listed_first_and_by_themselves(center: Center) -> None:
    manager, made = await add(center)
    for hours in (5, 1, 3):
        draft = DRAFT | {"due_in_h": hours}
        await manager.post(f"{made.headers['Location']}/cases", draft)
    center.clock.advance(2 * HOUR_MS / 1000)
    person = await center.person(Role.MANAGER)
    listed = (await person.get("/v1/cases")).json["items"]
    assert [each["is_overdue"] for each in listed] == [True, False, False]
    late = (await person.get("/v1/cases?is_overdue=true")).json["items"]
    assert late == listed[:1]
    case = f"{made.headers['Location']}/cases/{listed[2]['id']}"
    await person.ask("PATCH", case, {"is_escalated": True}, {"If-Match": '"1"'})
    found = (await person.get("/v1/cases?is_escalated=true")).json["items"]
    assert [each["id"] for each in found] == [listed[2]["id"]]


async def test_an_agent_sees_the_callers_cases_and_moves_their_own_only(center: Center) -> None:
    manager, made = await add(center)
    agent = await center.person(Role.AGENT, agent="a1")
    where = f"{made.headers['Location']}/cases"
    talk(center, "+493098765", "a2")
    theirs = (await manager.post(where, DRAFT)).headers["Location"]
    assert (await agent.get(theirs)).status == 404
    assert (await agent.get("/v1/cases")).json["items"] == []
    assert (await agent.post(where, DRAFT)).status == 404
    talk(center, "+493098765", "a1")
    own = (await agent.post(where, DRAFT)).headers["Location"]
    for case, status in ((theirs, 403), (own, 200)):
        moved = await agent.ask("PATCH", case, {"step": "start"}, {"If-Match": '"1"'})
        assert moved.status == status
    talk(center, "+493098765", "a2")
    assert ((await agent.get(own)).status, (await agent.get(theirs)).status) == (200, 404)
    listed = (await agent.get("/v1/cases")).json["items"]
    assert [each["id"] for each in listed] == [own.rpartition("/")[2]], "who owns a case follows it"


async def test_a_case_follows_whoever_owns_it_and_not_the_agents_id_they_had(
    center: Center,
) -> None:
    """Ids of agents are given to others: they are no word about who looks after a customer."""
    manager, made = await add(center)
    admin = await center.person(Role.TENANT_ADMIN)
    owner = await center.person(Role.AGENT, agent="a1")
    draft = DRAFT | {"owner": owner.id}
    case = (await manager.post(f"{made.headers['Location']}/cases", draft)).headers["Location"]

    async def becomes(change: dict[str, Any]) -> None:
        etag = {"If-Match": (await admin.get(f"/v1/users/{owner.id}")).headers["ETag"]}
        assert (await admin.ask("PATCH", f"/v1/users/{owner.id}", change, etag)).status == 200

    await becomes({"agent": "a2"})
    successor = await center.person(Role.AGENT, agent="a1")
    assert (await owner.get(case)).status == 200
    assert (await successor.get(case)).status == 404
    assert (await successor.get("/v1/cases")).json["items"] == []
    assert len((await owner.get("/v1/cases")).json["items"]) == 1
    await becomes({"is_active": False})
    after = await center.person(Role.AGENT, agent="a2")
    assert (await after.get(case)).status == 404
    moved = await manager.ask("PATCH", case, {"owner": after.id}, {"If-Match": '"1"'})
    assert (moved.status, (await after.get(case)).status) == (200, 200)


async def test_cases_are_in_the_access_export_and_go_with_the_customer(center: Center) -> None:
    manager, made = await add(center)
    where, customer = made.headers["Location"], made.json["id"]
    await manager.post(f"{where}/cases", DRAFT, {"Idempotency-Key": "c1"})
    officer = await center.person(Role.PRIVACY_OFFICER)
    sent = await approval(center, "customer:export", customer, "1")
    told = await officer.ask("POST", f"{where}/access-export", headers=sent)
    assert told.json["also"]["cases"][0]["text"] == "On Monday"
    sent = await approval(center, "customer:shred", customer, "1")
    assert (await officer.ask("DELETE", where, headers=WHY | sent)).status == 204
    async with center.services.database.read() as connection:
        for statement in ("SELECT text FROM cases", "SELECT body FROM answers"):
            assert (await connection.exec_driver_sql(statement)).all() == []


async def test_who_is_erased_while_cases_are_listed_hides_no_others(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, first = await add(center)
    _, second = await add(center, name="Bo", numbers=[])
    for made in (first, second):
        draft = {"kind": "request", "title": "t"}
        opened = await manager.post(f"{made.headers['Location']}/cases", draft)
        assert opened.status == 201, opened.body

    async def without_the_first(*asked: Any) -> list[Customer]:  # noqa: ANN401 - as it is
        return [each for each in await store.find_all(*asked) if each.id != first.json["id"]]

    monkeypatch.setattr("control_plane.cases.http.find_all", without_the_first)
    listed = await manager.get("/v1/cases")
    assert listed.status == 200, listed.body
    assert [each["customer"] for each in listed.json["items"]] == [second.json["id"]]
