"""The caller whom an agent has: from the first word through wrap-up, masked, and not after."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from control_plane.live.follower import BLIND_S
from control_plane.permissions import Role
from state import keys
from state.codec import encode
from state.model import AgentId, Did, DidNumber, EdgeId, PresenceState, QueueId, SiteId
from state.store import Delete, Put
from tests.control_plane.center import Person, Reply
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.outage import away
from tests.control_plane.live.stage import ANNA_CALLS, Scene, agent, call_id
from tests.control_plane.live.test_calls import over

__all__ = ["database_url"]

MASKED = {"number": "+49••••65", "is_masked": True}


async def anna(scene: Scene) -> str:
    """Let Anna be a customer; return where she stands."""
    manager = await scene.center.person(Role.MANAGER)
    sent = {"name": "Anna Berg", "numbers": [ANNA_CALLS], "notes": "Calls on Mondays"}
    return (await manager.post("/v1/customers", sent)).headers["Location"]


async def outsourced(scene: Scene) -> Person:
    return await scene.center.person(Role.OUTSOURCED_AGENT, agent="out", employer="x")


@pytest.mark.parametrize("caller", ["03098765", "004930 98765", "4930-98765", "(030) 98765"])
async def test_a_number_without_plus_finds_its_customer_by_the_region_of_the_trunk(
    scene: Scene, caller: str
) -> None:
    await anna(scene)
    await scene.know_region("DE", "main")
    ann = await scene.center.person(Role.AGENT, agent="ann")
    manager = await scene.center.person(Role.MANAGER)
    await scene.connect(1, "ann", caller=caller)
    pop = (await ann.get("/v1/me/call")).json
    assert pop["caller"] == {"number": ANNA_CALLS, "is_masked": False}
    assert [each["basic"]["name"] for each in pop["customers"]] == ["Anna Berg"]
    for path in (f"/v1/customers/by-number/{caller}", f"/v1/customers?number={caller}"):
        told = (await manager.get(path)).json
        found = told["customers"] if "customers" in told else told["items"]
        assert [each["basic"]["name"] for each in found] == ["Anna Berg"], path
    await scene.end(1, "ann")
    assert (await over(manager, 1))["caller"]["number"] == ANNA_CALLS


async def test_without_a_region_or_with_two_a_number_without_plus_is_nobodys(
    scene: Scene,
) -> None:
    await anna(scene)
    ann = await scene.center.person(Role.AGENT, agent="ann")
    manager = await scene.center.person(Role.MANAGER)
    await scene.connect(1, "ann", caller="03098765")
    for _ in range(2):
        pop = (await ann.get("/v1/me/call")).json
        assert (pop["caller"]["number"], pop["customers"]) == ("03098765", [])
        assert (await manager.get("/v1/customers?number=03098765")).error_id == "invalid"
        assert (await manager.get("/v1/customers/by-number/03098765")).status == 404
        await scene.know_region("FR", "main", "t2")
        await scene.know_region("DE", "main")


async def test_each_calls_number_is_written_as_where_it_was_dialled(scene: Scene) -> None:
    await scene.know_region("FR", "main")
    did = Did(number=DidNumber("100"), queue=QueueId("sales"), region="DE")
    await scene.put((keys.did(did.number), did))
    manager = await scene.center.person(Role.MANAGER)
    await scene.arrive(1, caller="03098765")
    told = (await manager.get(f"/v1/calls/{call_id(1)}")).json
    assert told["caller"]["number"] == ANNA_CALLS
    await scene.put((keys.ticket(call_id(2)), scene.ticket(2, caller="0142000", region="AT")))
    told = (await manager.get(f"/v1/calls/{call_id(2)}")).json
    assert told["caller"]["number"] == "+43142000", "as the edge understood it when it came"


async def test_a_tenants_numbers_are_of_the_tenants_own_trunks(scene: Scene) -> None:
    await scene.know_region("DE", "main")
    await scene.know_region("FR", "t2")
    zoe = await scene.center.person(Role.AGENT, agent="t2.zoe", tenant="t2")
    await scene.connect(1, "t2.zoe", did="200", caller="0142278186")
    assert (await zoe.get("/v1/me/call")).json["caller"]["number"].startswith("+331")


async def test_an_outsourced_agent_sees_the_caller_while_they_talk_and_wrap_up(
    scene: Scene,
) -> None:
    where, person = await anna(scene), await outsourced(scene)

    async def sees() -> bool:
        pop, shown = (await person.get("/v1/me/call")).json, await person.get(where)
        assert (shown.status == 200) is bool(pop["customers"])
        for reply in (str(pop), shown.body.decode()):
            assert ANNA_CALLS not in reply
            assert "Berg" not in reply
            assert "Mondays" not in reply
        assert (pop["caller"] == MASKED) is bool(pop["customers"])
        return bool(pop["customers"])

    assert not await sees()
    await scene.arrive(1)
    assert not await sees(), "waits for somebody"
    await scene.ring(1, "out")
    assert not await sees(), "only rings"
    await scene.connect(1, "out")
    assert await sees()
    await scene.end(1, "out", rest_s=30)
    assert await sees(), "wraps up"
    assert (await person.get("/v1/me/call")).json["is_wrap_up"] is True
    scene.clock.advance(29)
    assert await sees()
    scene.clock.advance(2)
    assert not await sees(), "has wrapped up"


async def test_the_caller_is_gone_as_soon_as_the_next_one_rings(scene: Scene) -> None:
    where, person = await anna(scene), await outsourced(scene)
    await scene.connect(1, "out")
    await scene.end(1, "out", rest_s=300)
    assert (await person.get(where)).status == 200
    await scene.ring(2, "out", caller="+49301112")
    assert (await person.get(where)).status == 404
    await scene.connect(2, "out", caller="+49301112")
    assert (await person.get(where)).status == 404
    assert (await person.get("/v1/me/call")).json["customers"] == []


async def test_a_call_that_moved_to_another_site_is_still_theirs(scene: Scene) -> None:
    where, person = await anna(scene), await outsourced(scene)
    await scene.connect(1, "out")
    await scene.connect(1, "out", site=SiteId("b"), holder=EdgeId("b1"), via=SiteId("b"))
    assert (await person.get(where)).status == 200
    await scene.write(Delete(key=keys.edge(EdgeId("a1"))))
    assert (await person.get(where)).status == 200, "their home site's edge has died"
    await scene.end(1, "out", rest_s=10)
    assert (await person.get(where)).status == 200
    scene.clock.advance(11)
    assert (await person.get(where)).status == 404


async def test_a_pause_does_not_end_the_wrap_up_and_finishing_it_does(scene: Scene) -> None:
    where, person = await anna(scene), await outsourced(scene)
    await scene.connect(1, "out")
    revision = await scene.end(1, "out", rest_s=30)
    who, (_, (key, presence), _) = AgentId("out"), agent("out", team="x", employer="x")
    assert presence.agent == who  # type: ignore[union-attr]
    paused = replace(presence, state=PresenceState.PAUSED)
    await scene.write(Put(key=key, value=encode(paused)))
    assert (await person.get(where)).status == 200
    finished = replace(presence, rest_of=revision, rest_s=0.0)
    await scene.write(Put(key=key, value=encode(finished)))
    assert (await person.get(where)).status == 404


async def test_a_colleague_and_another_tenants_agent_see_nobody(scene: Scene) -> None:
    where = await anna(scene)
    await scene.connect(1, "out")
    other = await scene.center.person(Role.OUTSOURCED_AGENT, agent="ann", employer="x")
    foreign = await scene.center.person(Role.AGENT, tenant="t2", agent="out")
    for person in (other, foreign):
        assert (await person.get(where)).status == 404
        assert (await person.get("/v1/me/call")).json["customers"] == []


async def test_the_same_number_calling_another_tenant_shows_nobody_here(scene: Scene) -> None:
    where, person = await anna(scene), await outsourced(scene)
    await scene.connect(1, "out", did="200")
    assert (await person.get(where)).status == 404
    assert (await person.get("/v1/me/call")).json["call"] is None


async def test_our_agent_sees_the_caller_in_full_and_is_popped_the_customer(scene: Scene) -> None:
    where = await anna(scene)
    person = await scene.center.person(Role.AGENT, agent="ann")
    await scene.connect(1, "ann")
    pop = (await person.get("/v1/me/call")).json
    assert (pop["call"], pop["queue"], pop["did"]) == (call_id(1), "sales", "100")
    assert pop["caller"] == {"number": ANNA_CALLS, "is_masked": False}
    assert [each["basic"]["name"] for each in pop["customers"]] == ["Anna Berg"]
    assert where.endswith(pop["customers"][0]["id"])


@pytest.mark.parametrize("caller", ["anonymous", "", "sip-phone-7"])
async def test_a_caller_without_a_number_pops_nobody(scene: Scene, caller: str) -> None:
    await anna(scene)
    person = await outsourced(scene)
    await scene.connect(1, "out", caller=caller)
    pop = (await person.get("/v1/me/call")).json
    assert (pop["call"], pop["customers"]) == (call_id(1), [])


async def test_who_has_not_heard_of_the_shared_state_for_long_lets_nobody_see(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, person = await anna(scene), await outsourced(scene)
    await scene.connect(1, "out")
    assert (await person.get(where)).status == 200
    monkeypatch.setattr(type(scene.mirror), "age_s", BLIND_S + 1)
    assert (await person.get(where)).status == 404


async def test_the_call_is_popped_without_the_database(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await anna(scene)
    person = await outsourced(scene)
    await scene.connect(1, "out")
    assert (await person.get("/v1/me/call")).json["customers"] != []
    monkeypatch.setattr(scene.center.services.database, "read", away)
    scene.clock.advance(3)
    pop = (await person.get("/v1/me/call")).json
    assert (pop["call"], pop["caller"], pop["customers"]) == (call_id(1), MASKED, None)


async def test_what_an_agent_has_seen_masked_is_told_anew_while_the_customer_calls(
    scene: Scene,
) -> None:
    """A customer's version says nothing of who looks: who has it need not have this answer."""
    manager = await scene.center.person(Role.MANAGER)
    agent = await scene.center.person(Role.AGENT, agent="ann")
    made = await manager.post("/v1/customers", {"name": "Anna", "numbers": [ANNA_CALLS]})
    where = made.headers["Location"]

    async def again(etag: str) -> Reply:
        return await agent.ask("GET", where, headers={"If-None-Match": etag})

    before = await agent.get(where)
    assert before.json["basic"]["is_masked"]
    await scene.connect(1, "ann")
    now = await again(before.headers["ETag"])
    assert (now.status, now.json["basic"]["name"]) == (200, "Anna")
    await scene.end(1, "ann", rest_s=0)
    after = await again(now.headers["ETag"])
    assert (after.status, after.json["basic"]["is_masked"]) == (200, True)
