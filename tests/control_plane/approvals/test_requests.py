"""A second person is asked, says yes or no, and what was asked for is done once or never."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import update

from control_plane.approvals.request import GLASS_MS, USED_WITHIN_MS
from control_plane.approvals.tables import RequestRow
from control_plane.permissions import Role
from control_plane.users.tables import GrantRow, UserRow
from tests.control_plane.center import Center, Person, Reply

ASKED = {"act": "customer:export", "things": ["customers"], "digest": "customers", "why": "case 7"}


async def ask(person: Person, **changes: Any) -> str:  # noqa: ANN401 - JSON
    """Ask for approval; return the request's id."""
    reply = await person.post("/v1/approval-requests", ASKED | changes)
    assert reply.status == 201, reply.body
    return str(reply.json["id"])


async def say(person: Person, request: str, word: str = "approve") -> Reply:
    """Say yes, or no."""
    return await person.post(f"/v1/approval-requests/{request}/{word}", None)


async def export(person: Person, request: str) -> Reply:
    """Do what was asked for."""
    return await person.post("/v1/customer-export", None, {"Everline-Approval": request})


async def two(center: Center) -> tuple[Person, Person]:
    """Return managers of two reporting lines."""
    return await center.person(Role.MANAGER, team="north"), await center.person(
        Role.MANAGER, team="south"
    )


async def test_what_another_approves_is_done_once_for_the_purpose_that_was_said(
    center: Center,
) -> None:
    first, second = await two(center)
    request = await ask(first)
    assert (await export(first, request)).status == 403, "nobody has approved it yet"
    assert (await say(second, request)).json["state"] == "approved"
    assert (await export(first, request)).status == 200
    shown = (await second.get(f"/v1/approval-requests/{request}")).json
    assert (shown["state"], shown["decided_by"], shown["why"]) == ("used", second.id, "case 7")
    assert (await export(first, request)).status == 403, "it is good once"
    auditor = await center.person(Role.AUDITOR)
    (entry,) = (await auditor.get("/v1/audit?action=customer:export&decision=allowed")).json[
        "items"
    ]
    assert (entry["actor"], entry["purpose"]) == (first.id, "case 7")
    assert entry["place"] is not None


async def test_the_state_of_a_customer_is_found_out_by_the_server(center: Center) -> None:
    first, second = await two(center)
    anna = (await first.post("/v1/customers", {"name": "Anna"})).json["id"]
    everybody = await ask(first, digest="")
    await say(second, everybody)
    assert (await export(first, everybody)).status == 200
    request = await ask(first, digest="", things=[anna])
    shown = (await first.get(f"/v1/approval-requests/{request}")).json
    assert shown["things"] == {anna: "1"}
    await say(second, request)
    where = f"/v1/customers/{anna}"
    await first.ask("PATCH", where, {"name": "Anne"}, {"If-Match": '"1"'})
    sent = {"Everline-Approval": request}
    late = await first.post(f"{where}/access-export", None, sent)
    assert late.status == 403, "it was approved as it stood then"
    request = await ask(first, digest="", things=[anna])
    await say(second, request)
    sent = {"Everline-Approval": request}
    assert (await first.post(f"{where}/access-export", None, sent)).status == 200


async def test_who_may_not_know_of_a_customer_hears_nothing_of_their_state(center: Center) -> None:
    first, _ = await two(center)
    anna = (await first.post("/v1/customers", {"name": "Anna"})).json["id"]
    blind = await center.person(Role.SRE)
    for thing in (anna, "cus_00000000000000000000000000"):
        reply = await blind.post("/v1/approval-requests", ASKED | {"digest": "", "things": [thing]})
        assert reply.error_id == "not-found"


async def test_nobody_approves_what_they_have_asked_for(center: Center) -> None:
    first, _ = await two(center)
    request = await ask(first)
    assert (await say(first, request)).status == 403
    assert (await export(first, request)).status == 403


async def test_nor_does_somebody_of_the_same_reporting_line(center: Center) -> None:
    first, _ = await two(center)
    peer = await center.person(Role.MANAGER, team="north")
    request = await ask(first)
    assert (await say(peer, request)).status == 200
    assert (await export(first, request)).status == 403


async def test_an_approval_is_for_whoever_asked(center: Center) -> None:
    first, second = await two(center)
    request = await ask(first)
    await say(second, request)
    third = await center.person(Role.MANAGER, team="west")
    assert (await export(third, request)).status == 403
    assert (await export(first, request)).status == 200


@pytest.mark.parametrize(
    "changes", [{"things": ["others"]}, {"digest": "other"}, {"act": "customer:shred"}]
)
async def test_an_approval_of_something_else_is_none(
    center: Center, changes: dict[str, Any]
) -> None:
    first, second = await two(center)
    request = await ask(first, **changes)
    await say(second, request)
    assert (await export(first, request)).status == 403


async def test_without_the_right_nobody_approves_nor_knows_of_it(center: Center) -> None:
    first, _ = await two(center)
    request = await ask(first)
    supervisor = await center.person(Role.SUPERVISOR, team="south")
    assert (await say(supervisor, request)).status == 403
    assert (await supervisor.get("/v1/approval-requests")).status == 403
    sre = await center.person(Role.SRE)
    assert (await sre.get(f"/v1/approval-requests/{request}")).status == 404
    assert (await sre.get("/v1/approval-requests")).json["items"] == []


@pytest.mark.parametrize("fate", ["disabled", "no manager any more"])
async def test_the_word_of_whoever_may_not_give_it_any_more_does_not_count(
    center: Center, fate: str
) -> None:
    first, second = await two(center)
    request = await ask(first)
    assert (await say(second, request)).status == 200
    changed: Any = (
        update(UserRow).where(UserRow.id == second.id).values(is_active=False)
        if fate == "disabled"
        else update(GrantRow).where(GrantRow.user_id == second.id).values(role=Role.AGENT.value)
    )
    async with center.services.database.write() as connection:
        await connection.execute(changed)
    assert (await export(first, request)).status == 403


async def test_a_refusal_stands(center: Center) -> None:
    first, second = await two(center)
    request = await ask(first)
    assert (await say(second, request, "refuse")).json["state"] == "refused"
    again = await say(second, request)
    assert (again.status, again.error_id) == (409, "already-decided")
    assert (await export(first, request)).status == 403


async def over(center: Center, request: str) -> None:
    """Let the time of a request be over."""
    async with center.services.database.write() as connection:
        now_ms = center.clock.now().wall_ms
        mine = RequestRow.id == request
        await connection.execute(update(RequestRow).where(mine).values(until_ms=now_ms))


async def test_a_request_and_an_approval_have_their_time(center: Center) -> None:
    first, second = await two(center)
    late, slow = await ask(first), await ask(first)
    await over(center, late)
    assert (await say(second, late)).error_id == "already-decided"
    assert (await first.get(f"/v1/approval-requests/{late}")).json["state"] == "expired"
    said = (await say(second, slow)).json
    until_s = center.clock.now().wall_ms / 1000 + USED_WITHIN_MS / 1000
    assert datetime.fromisoformat(said["until"]).timestamp() == until_s
    await over(center, slow)
    assert (await export(first, slow)).status == 403
    assert (await first.get(f"/v1/approval-requests/{slow}")).json["state"] == "expired"


async def test_two_who_use_one_approval_at_once_use_it_once(center: Center) -> None:
    first, second = await two(center)
    request = await ask(first)
    await say(second, request)
    replies = [await export(first, request) for _ in range(3)]
    assert sorted(each.status for each in replies) == [200, 403, 403]


async def test_what_cannot_be_asked_for_is_told(center: Center) -> None:
    first, _ = await two(center)
    bad: tuple[dict[str, Any], ...] = (
        {"act": "queue:read"}, {"things": []}, {"act": "glass:break"}
    )  # fmt: skip
    for changes in bad:
        reply = await first.post("/v1/approval-requests", ASKED | changes)
        assert reply.error_id == "invalid", changes


# ---- broken glass --------------------------------------------------------------------------------


async def glass(center: Center) -> tuple[Person, str]:
    """Return an SRE, and the request of theirs that was approved."""
    sre = await center.person(Role.SRE)
    asked = {"act": "glass:break", "things": ["1" * 24], "ticket": "INC-7", "why": "no audio"}
    request = await ask(sre, **asked)
    _, second = await two(center)
    assert (await say(second, request)).status == 200
    return sre, request


async def test_glass_is_broken_once_and_for_half_an_hour(center: Center) -> None:
    sre, request = await glass(center)
    headers = {"Everline-Approval": request}
    assert (await sre.post("/v1/break-glass", None)).status == 403
    broken = await sre.post("/v1/break-glass", None, headers)
    assert broken.status == 201
    assert broken.json["things"] == ["1" * 24]
    until_s = center.clock.now().wall_ms / 1000 + GLASS_MS / 1000
    assert datetime.fromisoformat(broken.json["until"]).timestamp() == until_s
    assert (await sre.post("/v1/break-glass", None, headers)).status == 404, "it is good once"


async def test_glass_is_broken_by_its_own_request_and_by_no_yes_beside_it(center: Center) -> None:
    sre, _ = await glass(center)
    manager = await center.person(Role.MANAGER, team="m")
    asked = {"act": "glass:break", "things": ["2" * 24], "ticket": "INC-8", "why": "no audio"}
    request = (await sre.post("/v1/approval-requests", asked)).json["id"]
    assert (await manager.post(f"/v1/approval-requests/{request}/refuse", None)).status == 200
    yes = {"act": "glass:break", "thing": request, "digest": "d"}
    said = await manager.post("/v1/approvals", yes)
    assert said.error_id == "invalid"
    assert "approval-requests" in said.json["faults"][0]["fault"]


async def test_without_the_log_no_glass_is_broken(center: Center) -> None:
    sre, request = await glass(center)
    whole = center.services.ledger._signer  # noqa: SLF001 - taken away
    center.services.ledger._signer = None  # noqa: SLF001
    refused = await sre.post("/v1/break-glass", None, {"Everline-Approval": request})
    assert (refused.status, refused.error_id) == (503, "audit-unavailable")
    center.services.ledger._signer = whole  # noqa: SLF001
    assert (await sre.post("/v1/break-glass", None, {"Everline-Approval": request})).status == 201
