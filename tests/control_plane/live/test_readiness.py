"""Whether the center can lose a site: over the API, as it changes, and to whom."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from control_plane.configuration.desk import DESK
from control_plane.events.hub import HUB
from control_plane.permissions import Role
from control_plane.readiness import watch as watch_module
from control_plane.readiness.http import READINESS
from control_plane.readiness.watch import Watch
from edge.steering.loss import Outlook, QueueRisk, outlook
from state import keys
from state.members import EtcdMember
from state.model import EdgeId, QueueId, Site, SiteId, Unreplicated
from state.space import Space
from state.store import Delete
from tests.control_plane.events.stage import listening
from tests.control_plane.live.outage import away
from tests.control_plane.live.stage import Scene, life

PATH, TOPIC = "/v1/readiness", "?topics=readiness"


def watch(scene: Scene) -> Watch:
    return scene.center.app[READINESS]


async def add_third_site(scene: Scene) -> None:
    site = Site(id=SiteId("c"), name="C", sip="c:1")
    await scene.put((keys.site(site.id), site), (keys.edge(EdgeId("c1")), life("c")))


async def test_of_two_sites_neither_can_be_lost_and_of_three_each(scene: Scene) -> None:
    sre = await scene.center.person(Role.SRE)
    told = (await sre.get(PATH)).json
    assert (told["can_lose_any"], told["is_current"]) == (False, True)
    assert told["alarm_since"] is not None
    by_site = {each["site"]: each for each in told["sites"]}
    assert {name: each["quorum_left"] for name, each in by_site.items()} == {"a": False, "b": False}
    assert "everline_can_lose_a_site 0.0" in scene.center.services.metrics.render().decode()
    await add_third_site(scene)
    await watch(scene).look()
    told = (await sre.get(PATH)).json
    assert (told["can_lose_any"], told["alarm_since"]) == (True, None)
    assert [each["can_be_lost"] for each in told["sites"]] == [True, True, True]
    assert "everline_can_lose_a_site 1.0" in scene.center.services.metrics.render().decode()


async def test_with_a_member_of_etcd_down_a_site_that_has_another_cannot_be_lost(
    scene: Scene,
) -> None:
    sre = await scene.center.person(Role.SRE)
    await add_third_site(scene)
    scene.store.told_members = tuple(
        EtcdMember(name=each, hosts=(), is_up=each != "b") for each in "abc"
    )
    room = scene.center.app[DESK].room
    assert room is not None
    await room.look()
    await watch(scene).look()
    told = (await sre.get(PATH)).json
    assert not told["can_lose_any"], "though all three serve"
    assert {each["site"]: each["quorum_left"] for each in told["sites"]} == {
        "a": False,
        "b": True,
        "c": False,
    }


async def test_the_alarm_is_streamed_when_it_goes_on_and_off_and_keeps_its_beginning(
    scene: Scene,
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await add_third_site(scene)
    await watch(scene).look()
    async with listening(manager, TOPIC) as ear:
        await scene.write(Delete(key=keys.edge(EdgeId("c1"))))
        await watch(scene).look()
        on = (await ear.of("readiness"))["data"]
        assert not on["can_lose_any"]
        assert on == {**(await manager.get(PATH)).json, "as_of": on["as_of"], "since": on["since"]}
        call = await scene.arrive(1)
        await scene.advance(30)
        await watch(scene).look()
        later = (await ear.of("readiness"))["data"]
        assert (later["can_lose_any"], later["alarm_since"]) == (False, on["alarm_since"])
        # Whoever called would have nobody left without site a, where all agents are.
        await scene.write(Delete(key=keys.ticket(call)))
        await scene.put((keys.edge(EdgeId("c1")), life("c")))
        await watch(scene).look()
        assert (await ear.of("readiness"))["data"]["can_lose_any"]


async def test_who_was_cut_off_is_told_of_the_alarm_where_they_go_on(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await add_third_site(scene)
    await watch(scene).look()
    async with listening(manager, TOPIC) as ear:
        await scene.arrive(1)
        await watch(scene).look()
        await ear.of("readiness")
    await scene.write(Delete(key=keys.edge(EdgeId("c1"))))
    await watch(scene).look()
    async with listening(manager, f"{TOPIC}&after={ear.cursor}") as again:
        told = await again.event(lambda each: not each["data"]["can_lose_any"])
        assert told["topic"] == "readiness"


def figure(scene: Scene, name: str) -> float:
    text = scene.center.services.metrics.render().decode()
    (line,) = [each for each in text.splitlines() if each.startswith(f"{name} ")]
    return float(line.split()[1])


async def test_while_nobody_can_look_the_figures_say_so_and_not_what_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await add_third_site(scene)
    await watch(scene).look()
    assert (await manager.get(PATH)).json["is_current"]
    assert figure(scene, "everline_can_lose_a_site") == 1.0
    assert figure(scene, "everline_readiness_age_seconds") == 0.0
    monkeypatch.setattr(scene.center.services.database, "read", away)
    for _ in range(2):
        await scene.advance(50)
        await watch(scene).look()
    assert math.isnan(figure(scene, "everline_can_lose_a_site"))
    assert figure(scene, "everline_readiness_age_seconds") == 100.0
    monkeypatch.undo()
    told = (await manager.get(PATH)).json
    assert (told["is_current"], told["can_lose_any"]) == (False, True), "it is what was"
    await watch(scene).look()
    assert figure(scene, "everline_can_lose_a_site") == 1.0
    assert figure(scene, "everline_readiness_age_seconds") == 0.0


def filling(scene: Scene, share: float) -> Callable[[], Awaitable[Space]]:
    """Return what a member says of which so much is taken."""
    quota = scene.center.services.settings.etcd_quota_bytes

    async def space() -> Space:
        return Space(size_bytes=round(share * quota), used_bytes=1)

    return space


async def test_that_etcd_is_nearly_full_is_told_with_the_remedy_and_to_who_runs_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")
    room = scene.center.app[DESK].room
    assert room is not None
    await add_third_site(scene)
    await room.look()
    await watch(scene).look()
    told = (await manager.get(PATH)).json["etcd"]
    assert (told["has_room"], told["is_full"], told["taken"]) == (True, False, 0.0)
    assert (told["no_room_since"], told["remedy"]) == (None, "")
    async with listening(manager, TOPIC) as ear:
        monkeypatch.setattr(scene.store, "space", filling(scene, 0.85))
        await room.look()
        await watch(scene).look()
        told = (await ear.of("readiness"))["data"]["etcd"]
        assert (told["has_room"], told["is_full"], told["taken"]) == (False, False, 0.85)
        assert "./everline state mend" in told["remedy"]
        assert told["no_room_since"] is not None
    assert (await manager.get(PATH)).json["can_lose_any"], "that is another alarm"
    assert (await theirs.get(PATH)).json["etcd"] is None


async def test_that_etcd_is_full_is_told_while_the_database_is_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    room = scene.center.app[DESK].room
    assert room is not None
    await watch(scene).look()
    monkeypatch.setattr(scene.center.services.database, "read", away)
    scene.store.is_full = True
    await room.look()
    await watch(scene).look()
    monkeypatch.undo()
    told = (await manager.get(PATH)).json
    assert not told["is_current"]
    assert (told["etcd"]["has_room"], told["etcd"]["is_full"]) == (False, True)


async def test_members_that_are_silent_are_named(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    room = scene.center.app[DESK].room
    assert room is not None
    scene.store.told_members = (EtcdMember(name="b", hosts=(), is_up=False),)
    await room.look()
    await watch(scene).look()
    told = (await manager.get(PATH)).json["etcd"]
    assert (told["members"], told["silent"]) == (1, ["b"])


@pytest.mark.parametrize("role", [Role.AGENT, Role.OUTSOURCED_AGENT, Role.SUPERVISOR])
async def test_agents_and_supervisors_are_told_nothing_of_it(scene: Scene, role: Role) -> None:
    person = await scene.center.person(role, agent="ann", team="north", site="a")
    assert (await person.get(PATH)).status == 403
    async with listening(person, TOPIC) as ear:
        await add_third_site(scene)
        await watch(scene).look()
        scene.center.app[HUB].beat()
        assert await ear.up_to_heartbeat() == []


async def test_a_tenant_sees_its_own_queues_and_nothing_of_others(scene: Scene) -> None:
    await add_third_site(scene)
    await scene.arrive(1)
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")
    ours = await scene.center.person(Role.MANAGER)
    await watch(scene).look()
    told, whole = (await theirs.get(PATH)).json, (await ours.get(PATH)).json
    for each in (told["as_it_is"], *told["sites"]):
        assert {queue["queue"] for queue in each["queues"]} <= {"t2.sales"}
        assert (each["calls_there"], each["agents_lost"], each["others_short"]) == (None, None, 0)
    assert [each["calls_there"] for each in whole["sites"]] == [1, 0, 0]


async def test_a_tenants_alarm_begins_when_something_of_theirs_is_at_risk(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_third_site(scene)
    ours = await scene.center.person(Role.MANAGER)
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")

    async def short(*queues: str) -> tuple[dict[str, Any], dict[str, Any]]:
        def found(*asked: Any, **more: Any) -> Outlook:  # noqa: ANN401
            whole = outlook(*asked, **more)
            risks = tuple(map(at_risk, queues))
            sites = tuple(replace(each, queues=risks, can_be_lost=False) for each in whole.sites)
            return replace(whole, sites=sites, can_lose_any=False)

        monkeypatch.setattr(watch_module, "outlook", found)
        await watch(scene).look()
        return (await ours.get(PATH)).json, (await theirs.get(PATH)).json

    began, none = await short("sales")
    assert (none["can_lose_any"], none["alarm_since"]) == (True, None)
    await scene.advance(60)
    goes_on, begins = await short("sales", "t2.sales")
    assert goes_on["alarm_since"] == began["alarm_since"]
    assert (begins["can_lose_any"], begins["alarm_since"]) == (False, begins["as_of"])
    await scene.advance(60)
    assert (await short("t2.sales"))[1]["alarm_since"] == begins["alarm_since"]


def at_risk(queue: str) -> QueueRisk:
    return QueueRisk(
        queue=QueueId(queue), erlangs=1.0, agents=0.0, suited=0, mean_wait_s=None, level=0.0,
        short=1, fits=False, imagined_calls=0, imagined_wait_s=None, imagined_level=None,
    )  # fmt: skip


async def test_recordings_that_no_other_site_has_are_streamed_and_late_copies_are_the_alarm(
    scene: Scene,
) -> None:
    await add_third_site(scene)
    manager = await scene.center.person(Role.MANAGER)
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")
    await watch(scene).look()
    async with listening(manager, TOPIC) as ear:
        for is_late in (False, True):
            told = Unreplicated(
                site=SiteId("b"),
                recordings=3,
                recorded_s=90,
                under_way=1,
                under_way_s=7,
                is_late=is_late,
            )
            await scene.put((keys.unreplicated(told.site), told))
            await watch(scene).look()
            news = (await ear.of("readiness"))["data"]
            of_b = next(each for each in news["sites"] if each["site"] == "b")
            assert of_b["unreplicated"] == {
                "recordings": 3,
                "recorded_s": 90,
                "under_way": 1,
                "under_way_s": 7,
                "is_late": is_late,
            }
            assert (news["can_lose_any"], of_b["can_be_lost"]) == (not is_late, not is_late)
    told_others = (await theirs.get(PATH)).json
    assert not told_others["can_lose_any"], "their recordings are among them"
    assert {each["unreplicated"] for each in told_others["sites"]} == {None}
