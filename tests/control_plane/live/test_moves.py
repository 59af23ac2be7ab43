"""Traffic is moved only where there is room and people for it, unless somebody says why."""

from __future__ import annotations

import asyncio
import threading

import pytest

from control_plane.configuration import contingency, moving
from control_plane.permissions import Role
from edge.steering.coming import RING_S
from edge.steering.judgement import Move, move
from state import keys
from state.codec import Record
from state.model import EdgeId, Probe, Site, SiteId, TicketState
from state.store import Delete
from tests.control_plane.center import Person, Reply
from tests.control_plane.live.stage import Scene, eventually, life

CALLS, EVERY_S, TALK_S = 28, 20, 5


async def busy(scene: Scene, room: int | None = None) -> Person:
    """Let calls have come lately, all to site a, and site b have so much room."""
    sre = await scene.center.person(Role.SRE)
    if room is not None:
        await give_room(sre, room)
    now = scene.clock.now().wall_ms
    for number in range(1, CALLS + 1):
        at_ms = now - number * EVERY_S * 1000
        await scene.end(
            number, "ann", arrived_ms=at_ms, queued_ms=at_ms, connected_ms=at_ms,
            ended_ms=at_ms + TALK_S * 1000, rest_s=0.0,
        )  # fmt: skip
    supervisor = await scene.center.person(Role.MANAGER)

    async def is_carried() -> bool:
        told = await supervisor.get(f"/v1/calls?limit={CALLS}")
        return len(told.json["items"]) == CALLS

    await eventually(is_carried, "the calls are carried into the database")
    return sre


async def give_room(sre: Person, room: int) -> None:
    site = await sre.get("/v1/sites/b")
    body = {"sip": site.json["sip"], "name": site.json["name"], "room": room}
    sent = await sre.ask("PUT", "/v1/sites/b", body, {"If-Match": site.headers["ETag"]})
    assert sent.status == 200, sent.body


DRAIN = "/v1/sites/a/drain"


async def test_a_site_drains_into_one_that_has_room(scene: Scene) -> None:
    sre = await busy(scene, room=200)
    done = await sre.post(DRAIN, {"draining": True})
    assert (done.status, done.json["is_written"]) == (200, True), done.body
    move = done.json["move"]
    assert (move["is_checked"], move["fits"]) == (True, True)
    b = next(each for each in move["sites"] if each["site"] == "b")
    assert b["was_calls_per_s"] == 0.0
    assert b["calls_per_s"] == pytest.approx(1 / EVERY_S, rel=0.1)
    (queue,) = move["queues"]
    assert queue["queue"] == "sales", "another tenant's queues are not told"


async def test_what_has_no_room_is_refused_and_shown(scene: Scene) -> None:
    sre = await busy(scene, room=2)
    tried = await sre.post(f"{DRAIN}?dry_run=true", {"draining": True})
    assert (tried.status, tried.json["move"]["fits"]) == (200, False)
    refused = await sre.post(DRAIN, {"draining": True})
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit")
    assert refused.json["move"] == tried.json["move"]
    (short,) = (each for each in refused.json["move"]["sites"] if not each["fits"])
    assert (short["site"], short["room"]) == ("b", 2)
    assert short["lines_short"] == short["lines"] - 2 > 0
    assert not (await sre.get("/v1/sites/a")).json["draining"]


async def test_who_forces_it_says_why_and_is_written_down(scene: Scene) -> None:
    sre = await busy(scene, room=2)
    mute = await sre.post(f"{DRAIN}?force=true", {"draining": True})
    assert (mute.status, mute.error_id) == (422, "invalid")
    forced = await sre.post(f"{DRAIN}?force=true&why=fire", {"draining": True})
    assert (forced.status, forced.json["move"]["fits"]) == (200, False), forced.body
    auditor = await scene.center.person(Role.AUDITOR)
    log = (await auditor.get("/v1/audit?limit=50")).json["items"]
    (entry,) = (each for each in log if each["action"] == "move.forced")
    assert entry["actor"] == sre.id
    assert (entry["detail"]["why"], entry["detail"]["sites"]) == ("fire", ["b"])


async def test_of_two_who_drain_sites_at_once_the_second_is_judged_by_what_the_first_has_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them alone leaves one that takes the calls, and both a third that cannot."""
    sre = await busy(scene, room=200)
    third = await sre.post("/v1/sites", {"id": "c", "sip": "c:1", "room": 2})
    assert third.status == 201, third.body
    await scene.put((keys.edge(EdgeId("c1")), life("c")))
    reckon, both = move, threading.Barrier(2, timeout=60)
    begun = 0

    def together(*args: object, **named: object) -> Move:
        nonlocal begun
        begun += 1
        if begun <= 2:
            both.wait()
        return reckon(*args, **named)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(moving, "move", together)
    drained = {"draining": True}
    told = await asyncio.gather(
        *(sre.post(f"/v1/sites/{site}/drain", drained) for site in ("a", "b"))
    )
    assert sorted(each.status for each in told) == [200, 409]
    (refused,) = (each for each in told if each.status != 200)
    assert refused.error_id == "move-does-not-fit"
    sites = [(await sre.get(f"/v1/sites/{site}")).json["draining"] for site in ("a", "b")]
    assert sorted(sites) == [False, True]


async def test_shares_are_judged_likewise_and_a_percent_fits_where_the_half_does_not(
    scene: Scene,
) -> None:
    sre = await busy(scene, room=2)
    etag = {"If-Match": (await sre.get("/v1/sites/a")).headers["ETag"]}
    path = "/v1/sites/a/traffic"
    half = await sre.ask("PUT", path, {"shares": {"a": 50, "b": 50}}, etag)
    assert (half.status, half.error_id) == (409, "move-does-not-fit")
    little = await sre.ask("PUT", path, {"shares": {"a": 99, "b": 1}}, etag)
    assert (little.status, little.json["move"]["fits"]) == (200, True), little.body


async def test_a_plan_without_people_for_it_is_refused_and_a_manager_cannot_force_it(
    scene: Scene,
) -> None:
    await busy(scene)
    manager = await scene.center.person(Role.MANAGER)
    queue = {"id": "experts", "needs": {"rare": 9}}
    assert (await manager.post("/v1/queues", queue)).status == 201
    plan = {"id": "night", "dids": {"100": {"queue": "experts"}}}
    assert (await manager.post("/v1/plans", plan)).status == 201
    why = {"why": "a test"}
    refused = await manager.post("/v1/plans/night/activate", why)
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit")
    (short,) = (each for each in refused.json["move"]["queues"] if not each["fits"])
    assert (short["queue"], short["suited"], short["wait_s"]) == ("experts", 0, None)
    assert (short["imagined_level"], short["never"]) == (0.0, short["imagined_calls"])
    forced = await manager.post("/v1/plans/night/activate?force=true", why)
    assert (forced.status, forced.error_id) == (403, "forbidden")
    sre = await scene.center.person(Role.SRE)
    done = await sre.post("/v1/plans/night/activate?force=true", why)
    assert done.status == 200, done.body


@pytest.mark.parametrize("how", ["dead", "ill"])
async def test_a_failing_site_drains_whatever_that_comes_to(scene: Scene, how: str) -> None:
    sre = await busy(scene, room=1)
    if how == "dead":
        await scene.write(Delete(key=keys.edge(EdgeId("a1"))))
    else:
        for edge in ("b1", "c1", "d1"):
            probe = Probe(edge=EdgeId(edge), up=(), down=(SiteId("a"),))
            await scene.put(*extra_site(edge[0]), (keys.probe(probe.edge), probe))
    tried = await sre.post(f"{DRAIN}?dry_run=true", {"draining": True})
    assert tried.json["move"]["is_checked"]
    done = await sre.post(DRAIN, {"draining": True})
    assert (done.status, done.json["is_written"]) == (200, True), done.body
    # It waits for no reckoning.
    assert not done.json["move"]["is_checked"]
    assert done.json["move"]["emergency"] == "a is dead or fails"


def extra_site(name: str) -> tuple[tuple[str, Record], ...]:
    site = Site(id=SiteId(name), name=name, sip=f"{name}:1")
    return ((keys.site(site.id), site), (keys.edge(EdgeId(f"{name}1")), life(name)))


async def test_what_cannot_be_looked_at_is_done_and_said_not_to_have_been_checked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    sre = await busy(scene, room=1)
    monkeypatch.setattr(moving, "can_see", lambda _: False)
    done = await sre.post(DRAIN, {"draining": True})
    assert done.status == 200
    assert (done.json["move"]["is_checked"], done.json["move"]["fits"]) == (False, True)
    assert done.json["move"]["why_unchecked"]


async def test_a_fault_of_the_prediction_keeps_nobody_from_moving_calls(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise AssertionError("a replay's plan does not hold")

    sre = await busy(scene, room=1)
    monkeypatch.setattr(moving, "move", stumble)
    done = await sre.post(DRAIN, {"draining": True})
    assert (done.status, done.json["is_written"]) == (200, True), done.body
    assert done.json["move"]["why_unchecked"] == moving.UNPREDICTED.why_unchecked


class _Slow:
    """The prediction, in a center so large that it takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_over = threading.Event()
        self.begun = 0
        monkeypatch.setattr(moving, "move", self._move)
        monkeypatch.setattr(contingency, "PLAN_WAITS_S", 0.05)

    def _move(self, *args: object, **named: object) -> Move:
        self.begun += 1
        assert self.is_over.wait(60)
        return move(*args, **named)  # type: ignore[arg-type]  # as it was called


async def plan_for_a_storm(scene: Scene) -> Person:
    """Let there be a plan, which gives one call in a hundred away, and an agent."""
    admin = await scene.center.person(Role.TENANT_ADMIN)
    storm = {
        "id": "storm",
        "sites": {"a": {"shares": {"a": 99, "b": 1}}},
        "agents": {"ann": {"site": "b"}},
    }
    made = await admin.post("/v1/plans", storm)
    assert made.status == 201, made.body
    return admin


async def is_active(who: Person) -> bool:
    return bool((await who.get("/v1/plans/storm/state")).json["is_active"])


STORM, WHY = "/v1/plans/storm/activate", {"why": "a storm"}


async def test_a_plan_of_which_nobody_knows_in_time_what_it_comes_to_is_not_carried_out_unseen(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(scene)
    await plan_for_a_storm(scene)
    manager = await scene.center.person(Role.MANAGER)
    slow = _Slow(monkeypatch)
    try:
        refused = await manager.post(STORM, WHY)
        assert (refused.status, refused.error_id) == (409, "move-not-predicted"), refused.body
        assert "ask again" in refused.json["detail"]
        assert not await is_active(manager)
        again = await manager.post(STORM, WHY)
        assert again.error_id == "move-not-predicted"
        assert slow.begun == 1, "who asks again joins the reckoning that goes on"
    finally:
        slow.is_over.set()

    async def is_done() -> bool:
        done = await manager.post(STORM, WHY)
        return done.status == 200 and done.json["move"]["is_checked"]

    await eventually(is_done, "a little later it is known, and the plan is activated")
    assert await is_active(manager)


async def test_a_plan_of_which_a_dry_run_has_told_what_it_comes_to_needs_no_second_reckoning(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(scene)
    admin = await plan_for_a_storm(scene)
    slow = _Slow(monkeypatch)
    trial = asyncio.create_task(admin.post(f"{STORM}?dry_run=true", {"why": "a look"}))
    try:
        while not slow.begun:  # noqa: ASYNC110 - in another thread
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not trial.done(), "a dry run waits as long as it takes"
    finally:
        slow.is_over.set()
    tried = (await trial).json["move"]
    assert tried["is_checked"]
    slow.is_over.clear()
    try:
        done = await admin.post(STORM, WHY)
    finally:
        slow.is_over.set()
    assert (done.status, done.json["is_written"]) == (200, True), done.body
    assert done.json["move"] == tried
    assert slow.begun == 1


async def test_who_has_no_time_to_know_forces_it_says_why_and_is_written_down(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(scene)
    admin = await plan_for_a_storm(scene)
    manager = await scene.center.person(Role.MANAGER)
    slow = _Slow(monkeypatch)
    try:
        refused = await manager.post(f"{STORM}?force=true", WHY)
        assert (refused.status, refused.error_id) == (403, "forbidden")
        done = await admin.post(f"{STORM}?force=true", WHY)
    finally:
        slow.is_over.set()
    assert (done.status, done.json["is_written"]) == (200, True), done.body
    assert done.json["move"]["why_unchecked"] == moving.TOO_LATE.why_unchecked
    auditor = await scene.center.person(Role.AUDITOR)
    log = (await auditor.get("/v1/audit?limit=50")).json["items"]
    (entry,) = (each for each in log if each["action"] == "move.forced")
    assert entry["actor"] == admin.id
    assert entry["detail"]["why"] == "a storm"
    assert entry["detail"]["unchecked"] == moving.TOO_LATE.why_unchecked


async def put_queue(who: Person, query: str = "", /, **changes: object) -> Reply:
    held = await who.get("/v1/queues/sales")
    body = {k: v for k, v in held.json.items() if k not in ("id", "tenant", "version")} | changes
    return await who.ask(
        "PUT", f"/v1/queues/sales{query}", body, {"If-Match": held.headers["ETag"]}
    )


@pytest.mark.parametrize(
    "changes",
    [{"needs": {"rare": 9}}, {"scope": {"sites": ["b"]}}, {"wrap_up_s": 900}],
    ids=["needs what nobody has", "asks where nobody is", "rests for long"],
)
async def test_a_queue_whose_callers_would_get_nobody_is_refused_until_it_is_forced(
    scene: Scene, changes: dict[str, object]
) -> None:
    await busy(scene)
    manager = await scene.center.person(Role.MANAGER)
    tried = await put_queue(manager, "?dry_run=true", **changes)
    assert (tried.status, tried.json["move"]["fits"]) == (200, False), tried.body
    refused = await put_queue(manager, **changes)
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit"), refused.body
    assert [e["queue"] for e in refused.json["move"]["queues"] if not e["fits"]] == ["sales"]
    admin = await scene.center.person(Role.TENANT_ADMIN)
    forced = await put_queue(admin, "?force=true&why=training", **changes)
    assert (forced.status, forced.json["move"]["fits"]) == (200, False), forced.body


async def test_where_talks_are_long_a_queue_is_judged_by_those_that_go_on(scene: Scene) -> None:
    """Of twelve who came in eight minutes four have talked for a minute, and eight still do."""
    now, since = scene.clock.now().wall_ms, 480_000
    for number in range(4):
        at_ms = now - since + number * 1000
        await scene.end(
            number, "ann", arrived_ms=at_ms, queued_ms=at_ms, connected_ms=at_ms,
            ended_ms=at_ms + 60_000, rest_s=0.0,
        )  # fmt: skip
    manager = await scene.center.person(Role.MANAGER)

    async def is_carried() -> bool:
        return len((await manager.get("/v1/calls?limit=9")).json["items"]) == 4

    await eventually(is_carried, "the calls are carried into the database")
    tried = await put_queue(manager, "?dry_run=true", wrap_up_s=100)
    assert tried.json["move"]["fits"], "for all who have talked three agents are enough"
    for number in range(10, 18):
        at_ms = now - since + number * 1000
        talks = scene.ticket(
            number, state=TicketState.CONNECTED, arrived_ms=at_ms, queued_ms=at_ms,
            connected_ms=at_ms,
        )  # fmt: skip
        await scene.put((keys.ticket(talks.call), talks))
    refused = await put_queue(manager, wrap_up_s=100)
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit"), refused.body
    (queue,) = refused.json["move"]["queues"]
    assert queue["erlangs"] == pytest.approx(12 / 480 * (470 + RING_S + 100), rel=0.02)


async def test_a_queue_that_only_orders_its_callers_anew_waits_for_no_reckoning(
    scene: Scene,
) -> None:
    await busy(scene)
    manager = await scene.center.person(Role.MANAGER)
    done = await put_queue(manager, priority=5, aging_s=60)
    assert (done.status, done.json["move"]) == (200, None), done.body


async def test_a_tenants_plan_tells_nothing_of_others(scene: Scene) -> None:
    await busy(scene)
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")
    plan = {"id": "t2.night", "queues": {"t2.sales": {"backup": "t2.spare"}}}
    await theirs.post("/v1/queues", {"id": "t2.spare", "needs": {}})
    assert (await theirs.post("/v1/plans", plan)).status == 201
    done = await theirs.post("/v1/plans/t2.night/activate", {"why": "x"})
    assert done.status == 200, done.body
    assert {each["queue"] for each in done.json["move"]["queues"]} <= {"t2.sales", "t2.spare"}
    sites = done.json["move"]["sites"]
    assert [(each["site"], each["fits"]) for each in sites] == [("a", True), ("b", True)]
    figures = ("agents", "calls_per_s", "was_calls_per_s", "erlangs", "lines", "room")
    told = {each[name] for each in sites for name in figures}
    assert told == {None}, "these are of all tenants together"


async def put_site(who: Person, site: str, query: str = "", /, **changes: object) -> Reply:
    held = await who.get(f"/v1/sites/{site}")
    body = {"sip": held.json["sip"], "name": held.json["name"], **changes}
    return await who.ask(
        "PUT", f"/v1/sites/{site}{query}", body, {"If-Match": held.headers["ETag"]}
    )


@pytest.mark.parametrize(
    "changes", [{"draining": True}, {"shares": {"a": 20, "b": 80}}], ids=["drains", "shares"]
)
async def test_a_sites_table_that_moves_calls_is_judged_as_the_move_is(
    scene: Scene, changes: dict[str, object]
) -> None:
    sre = await busy(scene, room=2)
    refused = await put_site(sre, "a", "", **changes)
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit")
    assert [e["site"] for e in refused.json["move"]["sites"] if not e["fits"]] == ["b"]
    tried = await put_site(sre, "a", "?dry_run=true", **changes)
    assert (tried.status, tried.json["move"]) == (200, refused.json["move"])
    forced = await put_site(sre, "a", "?force=true&why=fire", **changes)
    assert (forced.status, forced.json["move"]["fits"]) == (200, False), forced.body
    auditor = await scene.center.person(Role.AUDITOR)
    log = (await auditor.get("/v1/audit?limit=50")).json["items"]
    assert [e["detail"]["why"] for e in log if e["action"] == "move.forced"] == ["fire"]


async def test_a_sites_table_that_moves_no_call_waits_for_no_reckoning(scene: Scene) -> None:
    sre = await busy(scene, room=2)
    renamed = await put_site(sre, "a", name="Berlin")
    assert (renamed.status, renamed.json["move"]) == (200, None)


async def test_a_site_that_is_dead_drains_by_its_table_too(scene: Scene) -> None:
    sre = await busy(scene, room=2)
    await scene.write(Delete(key=keys.edge(EdgeId("a1"))))
    done = await put_site(sre, "a", draining=True)
    assert (done.status, done.json["move"]["emergency"]) == (200, "a is dead or fails")


async def test_a_number_that_goes_to_a_queue_without_people_is_refused(scene: Scene) -> None:
    await busy(scene)
    manager = await scene.center.person(Role.MANAGER)
    experts = {"id": "experts", "needs": {"rare": 9}}
    assert (await manager.post("/v1/queues", experts)).status == 201
    admin = await scene.center.person(Role.TENANT_ADMIN)
    etag = {"If-Match": (await admin.get("/v1/dids/100")).headers["ETag"]}
    refused = await admin.ask("PUT", "/v1/dids/100", {"queue": "experts"}, etag)
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit"), refused.body


async def test_a_rollback_that_does_not_fit_is_refused_until_it_is_forced(scene: Scene) -> None:
    sre = await busy(scene, room=2)
    drained = await put_site(sre, "a", "?force=true&why=x", draining=True)
    assert (await put_site(sre, "a")).status == 200
    back, body = "/v1/configuration/rollback?why=x", {"to": drained.json["version"]}
    refused = await sre.post(back, body)
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit"), refused.body
    assert (await sre.post(f"{back}&force=true", body)).status == 200
    assert (await sre.get("/v1/sites/a")).json["draining"]


async def test_a_plan_whose_way_back_has_no_room_is_refused(scene: Scene) -> None:
    sre = await busy(scene)
    admin = await scene.center.person(Role.TENANT_ADMIN)
    plan = {"id": "storm", "sites": {"a": {"backups": ["b"]}}}
    assert (await admin.post("/v1/plans", plan)).status == 201
    assert (await sre.post("/v1/plans/storm/activate", {"why": "x"})).status == 200
    assert (await put_site(sre, "a", room=1)).status == 200
    why = {"why": "it is over"}
    tried = await sre.post("/v1/plans/storm/revert?dry_run=true", why)
    assert (tried.status, tried.json["move"]["fits"]) == (200, False), tried.body
    refused = await sre.post("/v1/plans/storm/revert", why)
    assert (refused.status, refused.error_id) == (409, "move-does-not-fit"), refused.body


async def test_a_plan_is_reverted_from_a_site_that_died_whatever_that_comes_to(
    scene: Scene,
) -> None:
    sre = await busy(scene)
    admin = await scene.center.person(Role.TENANT_ADMIN)
    plan = {"id": "storm", "sites": {"a": {"backups": ["b"]}}}
    assert (await admin.post("/v1/plans", plan)).status == 201
    assert (await sre.post("/v1/plans/storm/activate", {"why": "x"})).status == 200
    assert (await put_site(sre, "a", room=1)).status == 200
    await scene.write(Delete(key=keys.edge(EdgeId("b1"))))
    done = await sre.post("/v1/plans/storm/revert", {"why": "b burns"})
    assert (done.status, done.json["move"]["emergency"]) == (200, "b is dead or fails")
