"""What calls were about: wrap-up codes over the API, and those that are said elsewhere."""

from __future__ import annotations

from typing import Any

from control_plane.permissions import Role
from state import keys
from state.model import AgentId, Coding, TenantId, WrapUpCode
from tests.control_plane.center import Person, Reply
from tests.control_plane.live.stage import Scene, call_id, eventually
from tests.control_plane.live.test_calls import over


async def known(scene: Scene) -> None:
    """Let there be wrap-up codes of two tenants."""
    made = [WrapUpCode(id=each) for each in ("complaint", "order")]
    made.append(WrapUpCode(id="t2.x", tenant=TenantId("t2")))
    await scene.put(*((keys.wrap_up_code(each.id), each) for each in made))


async def say(person: Person, number: int, code: str) -> Reply:
    """Say what a call was about."""
    return await person.ask("PUT", f"/v1/calls/{call_id(number)}/code", {"code": code})


async def shown(person: Person, number: int, code: str) -> Any:  # noqa: ANN401
    """Wait until a call in the database has this code."""

    async def find() -> Any:  # noqa: ANN401
        items = (await person.get(f"/v1/calls?is_live=false&code={code}")).json["items"]
        return next((each for each in items if each["id"] == call_id(number)), None)

    return await eventually(find, f"call {number} is about {code}")


async def test_an_agent_says_in_wrap_up_what_the_call_was_about(scene: Scene) -> None:
    await known(scene)
    ann = await scene.center.person(Role.AGENT, agent="ann")
    await scene.connect(1, "ann")
    assert (await say(ann, 1, "complaint")).error_id == "call-not-talked"
    await scene.end(1, "ann")
    said = await say(ann, 1, "complaint")
    assert (said.status, said.json["code"]) == (200, "complaint")
    assert (await shown(ann, 1, "complaint"))["agent"] == "ann"
    assert (await ann.get(f"/v1/calls/{call_id(1)}")).json["code"] == "complaint"
    assert (await say(ann, 1, "order")).status == 200
    assert (await ann.get("/v1/calls?code=complaint")).json["items"] == []
    assert (await ann.get("/v1/calls?code=order")).json["items"][0]["code"] == "order"
    ledger = (await scene.store.range(keys.coded(call_id(1)))).records
    assert b'"by":""' in ledger[0].value
    assert b'"code":"order"' in ledger[0].value


async def test_only_words_that_the_tenant_has_are_taken(scene: Scene) -> None:
    ann = await scene.center.person(Role.AGENT, agent="ann")
    await scene.end(1, "ann")
    assert "none is configured" in (await say(ann, 1, "order")).json["faults"][0]["fault"]
    await known(scene)
    for code in ("t2.x", "nothing"):
        refused = await say(ann, 1, code)
        assert refused.json["faults"] == [
            {"where": "body.code", "fault": "should be one of complaint, order"}
        ]


async def test_who_may_not_say_it_is_refused(scene: Scene) -> None:
    await known(scene)
    await scene.end(1, "ann")
    await scene.end(2)
    ben = await scene.center.person(Role.AGENT, agent="ben")
    north = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    south = await scene.center.person(Role.SUPERVISOR, team="south", site="a")
    foreign = await scene.center.person(Role.MANAGER, tenant="t2")
    assert [(await say(who, 1, "order")).status for who in (ben, south, foreign)] == [404] * 3
    said = await say(north, 1, "order")
    assert said.json["code"] == "order"
    ledger = (await scene.store.range(keys.coded(call_id(1)))).records
    assert f'"by":"{north.id}"'.encode() in ledger[0].value
    manager = await scene.center.person(Role.MANAGER)
    assert (await say(manager, 2, "order")).error_id == "call-not-talked"


async def test_a_code_that_was_said_elsewhere_is_carried_even_before_its_call(
    scene: Scene,
) -> None:
    """As `./everline agent code` writes it; of two words the later counts, whenever they come."""
    manager = await scene.center.person(Role.MANAGER)
    coding = Coding(call=call_id(1), agent=AgentId("ann"), code="order", at_ms=1)
    await scene.put(
        (keys.ended(call_id(1)), scene.record(1, "ann")), (keys.coded(call_id(1)), coding)
    )
    assert (await shown(manager, 1, "order"))["code"] == "order"


async def test_the_code_of_a_call_that_never_was_holds_nothing_up(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.put(
        (
            keys.coded(call_id(7)),
            Coding(call=call_id(7), agent=AgentId("ann"), code="order", at_ms=1),
        )
    )
    await scene.end(1, "ann")
    await scene.put(
        (
            keys.coded(call_id(1)),
            Coding(call=call_id(1), agent=AgentId("ann"), code="order", at_ms=1),
        )
    )
    await shown(manager, 1, "order")


async def test_a_callback_tells_which_call_it_answers(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.end(1)
    await scene.end(2, "ann", callback_of=call_id(1))
    assert (await over(manager, 2))["callback_of"] == call_id(1)
    found = (await manager.get(f"/v1/calls?callback_of={call_id(1)}")).json["items"]
    assert [each["id"] for each in found] == [call_id(2)]
    assert (await over(manager, 1))["callback_of"] is None
