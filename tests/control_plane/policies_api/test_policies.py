"""A tenant's own lines: within the platform's, tried before they hold, applied by two."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from control_plane import policy, proof
from control_plane.authz import Authz
from control_plane.errors import DatabaseUnavailableError, PolicyError
from control_plane.permissions import Role
from control_plane.policies import bounds, trying
from control_plane.policies.loader import LOADER, Loader
from control_plane.policies.tables import PolicyVersionRow
from control_plane.policies.trial import Tried, tried
from control_plane.policy import Line
from control_plane.subjects import Question
from tests.control_plane.center import Center, Person, Reply
from tests.control_plane.live.outage import away

BASE = policy.parse((Path(__file__).parents[3] / "policies" / "policy.csv").read_text())
NO_NOTES = "p, role:manager, main, customer.notes, read_full, always, deny"


async def propose(person: Person, *lines: str) -> Reply:
    return await person.post("/v1/policy/versions", {"lines": lines, "why": "asked"})


async def apply(center: Center, person: Person, made: dict[str, Any]) -> Reply:
    second = await center.person(Role.MANAGER, team="other")
    said = {"act": "policy:apply", "thing": str(made["number"]), "digest": made["digest"]}
    approval = (await second.post("/v1/approvals", said)).json["id"]
    path = f"/v1/policy/versions/{made['number']}/apply"
    return await person.ask("POST", path, None, {"Everline-Approval": approval})


async def test_lines_hold_when_a_second_person_has_approved_them(center: Center) -> None:
    admin, manager = await center.administrator(), await center.person(Role.MANAGER)
    made = (await manager.post("/v1/customers", {"name": "Anna", "notes": "x"})).headers["Location"]
    assert (await manager.get(made)).json["notes"] == "x"
    proposed = (await propose(admin, NO_NOTES)).json
    assert (proposed["number"], proposed["state"], proposed["added"]) == (
        1, "proposed", [NO_NOTES]
    )  # fmt: skip
    await center.app[LOADER].look()
    assert (await manager.get(made)).json["notes"] == "x", "it is only proposed"
    alone = await admin.ask("POST", "/v1/policy/versions/1/apply")
    assert (alone.status, alone.error_id) == (403, "forbidden")
    before = (await admin.get("/v1/policy")).json
    applied = await apply(center, admin, proposed)
    assert applied.json["applied_by"] == admin.id
    assert applied.json["applied"] is not None
    assert (applied.status, applied.json["state"]) == (200, "holds"), applied.body
    await center.app[LOADER].look()
    assert (await manager.get(made)).json["notes"] is None
    now = (await admin.get("/v1/policy")).json
    assert (now["own"], now["number"]) == ([NO_NOTES], 1)
    assert now["version"] != before["version"], "decisions are stamped with another version"
    back = (await propose(admin)).json
    assert back["removed"] == [NO_NOTES]
    assert (await apply(center, admin, back)).status == 200
    await center.app[LOADER].look()
    assert (await manager.get(made)).json["notes"] == "x"
    states = [each["state"] for each in (await admin.get("/v1/policy/versions")).json["items"]]
    assert states == ["holds", "past"]


@pytest.mark.parametrize(
    ("line", "because"),
    [
        ("p, role:agent, main, customer, export, always, allow", "allows role:agent no such thing"),
        ("p, role:agent, main, customer.basic, read_full, always, allow", "more conditions"),
        ("p, role:manager, main, recording, export, with_purpose, allow", "more conditions"),
        ("p, role:sre, main, *, *, always, allow", "names its role and its kind"),
        ("p, role:supervisor, main, queue, *, always, allow", "no such thing"),
        ("p, role:agent, other, queue, read, always, allow", "can only be 'main'"),
        ("p, role:agent, *, queue, read, always, deny", "can only be 'main'"),
        ("p, role:agent, main, queue, read, sometimes, allow", "nobody knows the condition"),
        ("p, role:agent, main, queue, read, always, Deny", "should be allow or deny"),
        ("p, *, main, *, *, always, deny", "nobody could change the policy"),
        ("p, role:tenant_admin, main, policy, apply, always, deny", "nobody could change"),
        ("g, role:agent, role:manager", "leave g out"),
    ],
)
def test_what_is_beyond_a_tenant_is_told(line: str, because: str) -> None:
    with pytest.raises(PolicyError, match=because):
        bounds.checked(line, BASE, "main")


@pytest.mark.parametrize(
    "line",
    [
        "p, role:agent, main, queue, read, always, allow",
        "p, role:manager, main, recording, play, with_purpose&same_team, allow",
        "p, role:manager, main, agent, read, same_team, allow",
        "p, role:agent, main, *, *, always, deny",
        NO_NOTES,
    ],
)
def test_what_is_within_is_taken(line: str) -> None:
    assert len(bounds.checked(line, BASE, "main").lines) == 1


@pytest.mark.parametrize(
    "lines",
    [
        ("p, *, main, approval, give, always, deny",),
        ("p, *, main, approval, *, with_purpose, deny",),
        (
            "p, role:manager, main, approval, give, always, deny",
            "p, role:privacy_officer, main, *, *, always, deny",
        ),
    ],
)
async def test_somebody_has_to_be_left_who_approves_other_lines(
    center: Center, lines: tuple[str, ...]
) -> None:
    admin = await center.person(Role.TENANT_ADMIN)
    reply = await propose(admin, *lines)
    assert (reply.status, reply.error_id) == (422, "invalid")
    assert "nobody could approve" in str(reply.json["faults"])
    mild = lines[-1].replace("p, *,", "p, role:privacy_officer,")
    assert (await propose(admin, mild)).status == 201, "another one can still approve"


@pytest.mark.parametrize("is_asked_for", [True, False], ids=["asked-for", "said-beforehand"])
async def test_one_person_is_not_both_by_an_account_that_they_made(
    center: Center, *, is_asked_for: bool
) -> None:
    admin, password = await center.administrator(), "they know it, having chosen it"
    draft = {"login": "second", "name": "S", "roles": [Role.MANAGER], "password": password}
    assert (await admin.post("/v1/users", draft)).status == 201
    signed_in = {"tenant": "main", "login": "second", "password": password}
    reply = await center.ask("POST", "/v1/sessions", signed_in)
    second = Person(center, reply.json["user"], reply.json["access_token"])
    made = (await propose(admin, NO_NOTES)).json
    number, digest = str(made["number"]), made["digest"]
    if is_asked_for:
        wanted = {"act": "policy:apply", "things": [number], "digest": digest, "why": "asked"}
        approval = (await admin.post("/v1/approval-requests", wanted)).json["id"]
        said = await second.post(f"/v1/approval-requests/{approval}/approve", None)
        assert said.error_id == "not-a-second-person"
    else:
        yes = {"act": "policy:apply", "thing": number, "digest": digest}
        approval = (await second.post("/v1/approvals", yes)).json["id"]
    path, headers = f"/v1/policy/versions/{number}/apply", {"Everline-Approval": approval}
    assert (await admin.ask("POST", path, None, headers)).error_id == "forbidden"
    assert (await apply(center, admin, made)).status == 200, "another one can say yes"


async def test_a_line_that_will_not_do_is_named(center: Center) -> None:
    admin = await center.administrator()
    refused = await propose(admin, "p, role:agent, main, customer, export, always, allow")
    assert (refused.status, refused.json["faults"][0]["where"]) == (422, "body.lines")
    assert "role:agent, main, customer, export" in refused.json["faults"][0]["fault"]


async def test_lines_are_tried_on_cases_and_nothing_is_written(center: Center) -> None:
    admin = await center.administrator()
    cases = [
        {"case": "reads notes", "roles": ["role:manager"], "may": "customer.notes:read_full",
         "allow": False},
        {"case": "own caller", "roles": ["role:outsourced_agent"], "subject": {"agent": "ann"},
         "may": "customer.contact:read_masked", "thing": {"on_call_with": ["ann"]}, "allow": True},
    ]  # fmt: skip
    told = (await admin.post("/v1/policy/trial", {"lines": [NO_NOTES], "cases": cases})).json
    found = [(each["now"], each["then"], each["is_as_wanted"]) for each in told["cases"]]
    assert found == [(True, False, True), (True, True, True)]
    assert told["cases"][0]["line"] == NO_NOTES
    assert told["platform_cases"] > 300
    assert {each["may"] for each in told["differing"]} == {"customer.notes:read_full"}
    assert (await admin.get("/v1/policy")).json["own"] == []
    assert (await admin.get("/v1/policy/versions")).json["items"] == []


async def test_a_trial_in_its_thread_leaves_the_decisions_of_the_loop_alone(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, asked = await center.person(Role.TENANT_ADMIN), set()
    plain = Authz.lines_for

    def lines_for(self: Authz, question: Question) -> tuple[Line, ...]:
        asked.add((self is center.services.authz, threading.get_ident()))
        return plain(self, question)

    monkeypatch.setattr(Authz, "lines_for", lines_for)
    assert (await admin.post("/v1/policy/trial", {})).status == 200
    assert {thread for is_live, thread in asked if is_live} == {threading.get_ident()}
    assert len({thread for _, thread in asked}) == 2, "the trial was in another one"


async def test_the_platforms_cases_are_not_read_while_others_wait(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, threads = await center.person(Role.TENANT_ADMIN), []
    plain = proof.load

    def load(file: Path) -> tuple[proof.Case, ...]:
        threads.append(threading.get_ident())
        return plain(file)

    monkeypatch.setattr(proof, "load", load)
    trying.cases.cache_clear()
    for _ in range(2):
        assert (await admin.post("/v1/policy/trial", {})).status == 200
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_few_trials_wait_and_the_others_are_told_to_come_again(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, may_go, at_once = await center.person(Role.TENANT_ADMIN), threading.Event(), [0, 0]
    plain = tried

    def slow(*asked: Any) -> tuple[Tried, ...]:  # noqa: ANN401 - as it is
        at_once[0] += 1
        at_once[1] = max(at_once)
        may_go.wait(10)
        found = plain(*asked)
        at_once[0] -= 1
        return found

    monkeypatch.setattr("control_plane.policies.http.tried", slow)
    asked = [asyncio.create_task(admin.post("/v1/policy/trial", {})) for _ in range(8)]
    refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert {each.result().status for each in refused} == {429}
    assert (await admin.get("/v1/policy")).status == 200, "the rest goes on"
    may_go.set()
    statuses = [(await each).status for each in asked]
    assert sorted(statuses) == [200] * trying.MOST + [429] * 4
    assert at_once[1] == 1


async def test_only_the_last_proposal_can_be_applied_and_once(center: Center) -> None:
    admin = await center.administrator()
    first = (await propose(admin, NO_NOTES)).json
    second = (await propose(admin)).json
    outdated = await apply(center, admin, first)
    assert (outdated.status, outdated.error_id) == (409, "policy-outdated")
    assert (await apply(center, admin, second)).status == 200
    assert (await apply(center, admin, second)).status == 409


async def test_another_tenants_lines_are_not_seen_and_do_not_count(center: Center) -> None:
    await center.tenant("t2")
    admin, theirs = (
        await center.administrator(),
        await center.person(Role.TENANT_ADMIN, tenant="t2"),
    )
    made = (await propose(admin, NO_NOTES)).json
    await apply(center, admin, made)
    await center.app[LOADER].look()
    assert (await theirs.get("/v1/policy")).json["own"] == []
    assert (await theirs.get("/v1/policy/versions/1")).status == 404
    denied = await theirs.ask("POST", "/v1/policy/versions/1/apply")
    assert denied.status == 404
    for person in (await center.person(Role.MANAGER), await center.person(Role.AUDITOR)):
        assert (await propose(person)).status == 403


async def test_lines_that_cannot_be_read_allow_nothing_there(center: Center) -> None:
    manager = await center.person(Role.MANAGER)
    async with center.services.database.write() as connection:
        await connection.execute(
            PolicyVersionRow.__table__.insert().values(  # type: ignore[attr-defined]
                tenant="main", number=1, text="p, role:of_a_later_program, main, x, y, z, deny",
                by="", why="", at_ms=0, applied_by="x", applied_ms=1,
            )
        )  # fmt: skip
    assert (await manager.get("/v1/queues")).status == 200
    await center.app[LOADER].look()
    assert (await manager.get("/v1/queues")).status == 403


async def test_the_last_known_policy_goes_on_without_the_database(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await center.administrator()
    await apply(center, admin, (await propose(admin, NO_NOTES)).json)
    loader: Loader = center.app[LOADER]
    await loader.look()
    before = center.services.authz.policy_of("main").version
    monkeypatch.setattr(center.services.database, "read", away)
    with pytest.raises(DatabaseUnavailableError):
        await loader.look()
    assert center.services.authz.policy_of("main").version == before
