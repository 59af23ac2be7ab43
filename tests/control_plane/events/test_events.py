"""The stream: what is told to whom, how it goes on, and when it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from control_plane import policy
from control_plane.errors import DatabaseUnavailableError
from control_plane.events import hub as hub_module
from control_plane.events import listener as listener_module
from control_plane.events.endings import Endings
from control_plane.events.hub import HUB
from control_plane.events.listener import Listener
from control_plane.events.logged import LogNews
from control_plane.events.newsroom import Newsroom
from control_plane.events.ring import TOGETHER, News, event
from control_plane.permissions import Permission, Role
from control_plane.sessions.store import LONGEST_MS
from control_plane.subjects import Grant, Subject, Thing
from control_plane.who import STALE_S
from state import keys
from state.codec import encode
from state.mirror import Mirror, MirrorState
from state.model import AgentId, CallId, Coding, Release, Site, SiteId, WrapUpCode
from state.store import Delete, Put
from tests.control_plane.center import Person
from tests.control_plane.events.stage import listening
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.outage import away
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id

__all__ = ["database_url"]

CALLS = "?topics=calls"
MANAGES = frozenset({Grant(role=Role.MANAGER, tenant="main")})


async def manager(scene: Scene) -> Person:
    return await scene.center.person(Role.MANAGER)


def test_a_person_and_a_machine_of_the_same_roles_are_not_told_the_same_unasked() -> None:
    # A tenant's own lines may speak of machines alone.
    grants = frozenset({Grant(role=Role.MANAGER, tenant="main")})

    def eyes(until_ms: int | None) -> tuple[object, ...]:
        return Listener(
            subject=Subject(id="x", tenant="main", grants=grants, until_ms=until_ms),
            tenant="main",
            topics=frozenset({"calls"}),
            is_fresh=True,
            known_s=0.0,
        ).eyes

    assert eyes(None) == eyes(None)
    assert eyes(None) != eyes(1_000)


async def test_a_call_is_told_from_arrival_to_end(scene: Scene) -> None:
    person = await manager(scene)
    async with listening(person, CALLS) as ear:
        call = await scene.arrive(1)
        came = await ear.of("calls")
        assert (came["what"], came["id"], came["data"]["state"]) == ("changed", call, "queued")
        assert came["data"]["caller"] == {"number": ANNA_CALLS, "is_masked": False}
        await scene.connect(1, "ann")
        assert (await ear.of("calls"))["data"]["agent"] == "ann"
        await scene.end(1, "ann")
        over = await ear.of("calls")
        assert (over["topic"], over["what"], over["id"]) == ("calls", "ended", call)
        assert over["data"] == (await person.get(f"/v1/calls/{call}")).json
        told = over["data"]
        assert (told["outcome"], told["agent"], told["talked_s"]) == ("answered", "ann", 10.0)
        assert told["caller"] == {"number": ANNA_CALLS, "is_masked": False}


async def test_who_calls_from_their_own_telephone_is_told_to_be_in_a_call(scene: Scene) -> None:
    person = await manager(scene)
    async with listening(person, "?topics=agents") as ear:
        await scene.arrive_for(1, by="ben")
        told = await ear.of("agents", "ben")
        assert told["data"]["state"] == "talking"
        assert told["data"]["since"] is not None
        await scene.write(Delete(key=keys.ticket(call_id(1))))
        assert (await ear.of("agents", "ben"))["data"]["state"] == "ready"


async def test_how_a_call_ended_is_told_behind_the_same_masks(scene: Scene) -> None:
    north = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    ben = await scene.center.person(Role.AGENT, agent="ben")
    async with listening(north, CALLS) as of_north, listening(ben, CALLS) as of_ben:
        await scene.connect(1, "ann")
        await scene.end(1, "ann")
        over = await of_north.event(lambda each: each["what"] == "ended")
        assert over["data"]["caller"]["is_masked"] is True
        assert ANNA_CALLS.encode() not in of_north.bytes_heard
        await scene.connect(2, "ben")
        assert (await of_ben.of("calls"))["id"] == call_id(2), "and nothing of ann's before"


async def test_what_a_call_was_about_is_told_when_it_is_said_behind_the_same_masks(
    scene: Scene,
) -> None:
    await scene.put((keys.wrap_up_code("order"), WrapUpCode(id="order")))
    north = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    south = await scene.center.person(Role.SUPERVISOR, team="south", site="a")
    ann = await scene.center.person(Role.AGENT, agent="ann")
    async with listening(north, CALLS) as of_north, listening(south, CALLS) as of_south:
        await scene.connect(1, "ann")
        await scene.end(1, "ann")
        call = (await of_north.event(lambda each: each["what"] == "ended"))["id"]
        said = await ann.ask("PUT", f"/v1/calls/{call}/code", {"code": "order"})
        assert said.status == 200
        told = await of_north.event(lambda each: each["what"] == "changed")
        assert (told["id"], told["data"]["state"], told["data"]["code"]) == (call, "ended", "order")
        assert told["data"] == (await north.get(f"/v1/calls/{call}")).json
        # What an edge writes for `everline agent code` is told like what the API was told.
        later = Coding(call=CallId(call), agent=AgentId("ann"), code="order", at_ms=2, by="")
        await scene.put((keys.coded(later.call), later))
        assert (await of_north.of("calls"))["data"]["code"] == "order"
        assert ANNA_CALLS.encode() not in of_north.bytes_heard
        await scene.connect(2, "ben")
        await of_south.message()
        assert call.encode() not in of_south.bytes_heard


async def test_a_call_whose_record_cannot_be_read_is_told_as_gone(scene: Scene) -> None:
    async with listening(await manager(scene), CALLS) as ear:
        call = await scene.arrive(1)
        await scene.write(
            Delete(key=keys.ticket(call)), Put(key=keys.ended(call), value=b"not a record")
        )
        over = await ear.event(lambda each: each["what"] != "changed")
        assert over == {"topic": "calls", "what": "gone", "id": call, "data": None}


async def test_after_a_fault_of_ours_listeners_list_anew_and_are_told_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(await manager(scene), CALLS) as ear:
        given_on = Endings._give_on  # noqa: SLF001 - where a fault would be

        async def fails_once(_self: Endings, _held: object) -> None:
            monkeypatch.setattr(Endings, "_give_on", given_on)
            raise KeyError

        monkeypatch.setattr(Endings, "_give_on", fails_once)
        await scene.arrive(1)
        await scene.end(1, "ann")
        while (said := await ear.message())["type"] != "list_anew":
            pass
        assert said["revision"] == scene.mirror.snapshot.revision
        call = await scene.arrive(2)
        await ear.of("calls", call)
        await scene.connect(2, "ann")
        await scene.end(2, "ann")
        over = await ear.event(lambda each: each["what"] == "ended")
        assert over["id"] == call


async def test_changes_are_told_in_order_whatever_the_ledger_takes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, free = asyncio.Event(), asyncio.Event()
    read = scene.store.range

    async def slowly(key: str, **words: Any) -> Any:  # noqa: ANN401
        if key == keys.ended(call_id(1)):
            asked.set()
            await free.wait()
        return await read(key, **words)

    async with listening(await manager(scene), CALLS) as ear:
        await scene.arrive(1)
        monkeypatch.setattr(scene.store, "range", slowly)
        await scene.end(1)
        await scene.arrive(2)
        await scene.end(2)
        await asked.wait()
        free.set()
        said = [await ear.of("calls") for _ in range(4)]
        assert [(each["id"], each["what"]) for each in said] == [
            (call_id(1), "changed"), (call_id(1), "ended"),
            (call_id(2), "changed"), (call_id(2), "ended"),
        ]  # fmt: skip


async def test_an_event_says_what_the_endpoint_says(scene: Scene) -> None:
    person = await manager(scene)
    async with listening(person) as ear:
        await scene.connect(1, "ann")
        told = (await ear.of("calls"))["data"]
        assert told == (await person.get(f"/v1/calls/{call_id(1)}")).json
        told = (await ear.of("queues"))["data"]
        shown = (await person.get("/v1/queues/sales/live")).json
        assert told == {name: value for name, value in shown.items() if name != "service"}
    async with listening(person, "?topics=agents") as ear:
        await scene.end(1, "ann", rest_s=30)
        told = (await ear.of("agents", "ann"))["data"]
        shown = (await person.get("/v1/agents/ann/live")).json
        assert told == {name: value for name, value in shown.items() if name != "may"}


async def test_a_rest_that_is_over_is_told_although_nothing_was_written(scene: Scene) -> None:
    await scene.connect(1, "ann")
    async with listening(await manager(scene), "?topics=agents") as ear:
        await scene.end(1, "ann", rest_s=30)
        assert (await ear.of("agents", "ann"))["data"]["state"] == "wrap_up"
        scene.clock.advance(31)
        assert (await ear.of("agents", "ann"))["data"]["state"] == "ready"


async def test_that_another_caller_is_the_first_is_told_though_as_many_wait(scene: Scene) -> None:
    await scene.arrive(1)
    await scene.advance(60)
    await scene.arrive(2)
    async with listening(await manager(scene), "?topics=queues") as ear:
        await scene.advance(10)
        third = scene.ticket(3)
        await scene.write(
            Put(key=keys.ended(call_id(1)), value=encode(scene.record(1))),
            Delete(key=keys.ticket(call_id(1))),
            Put(key=keys.ticket(third.call), value=encode(third)),
        )
        told = (await ear.event(lambda each: each["data"]["longest_s"] < 60))["data"]
        assert (told["waiting"], told["longest_s"]) == (2, 10.0)


async def test_sites_versions_and_customers_are_told(scene: Scene) -> None:
    person = await manager(scene)
    async with listening(person, "?topics=sites&topics=configuration&topics=customers") as ear:
        site = Site(id=SiteId("b"), name="B", sip="b:1", draining=True)
        await scene.put((keys.site(SiteId("b")), site))
        told = await ear.of("sites", "b")
        assert told["data"]["is_draining"] is True
        await scene.write(Put(key=keys.release(), value=encode(Release(version=7))))
        assert (await ear.of("configuration"))["data"] == {"version": 7}

        async def one_more() -> str:
            """Add customers until one is told: the log is followed from some moment on."""
            while True:
                made = await person.post("/v1/customers", {"name": "Anna Berg"})
                await asyncio.sleep(0.3)
                added.append(made.json["id"])

        added: list[str] = []
        adding = asyncio.create_task(one_more())
        told = await ear.of("customers")
        adding.cancel()
        assert (told["id"] in added, told["data"]) == (True, {"act": "create"})
        assert b"Berg" not in ear.bytes_heard


async def test_a_legal_hold_is_told_to_nobody_who_sees_customers_masked(scene: Scene) -> None:
    person, officer = await manager(scene), await scene.center.person(Role.PRIVACY_OFFICER)
    agent = await scene.center.person(Role.AGENT, agent="ann")
    on, why = "?topics=customers", {"Everline-Purpose": "a court"}
    where = (await person.post("/v1/customers", {"name": "Anna"})).headers["Location"]

    is_told = asyncio.Event()

    async def hold_on_and_off() -> None:
        """Until one is told: the log is followed from some moment on."""
        while not is_told.is_set():
            seen = why | {"If-Match": (await person.get(where)).headers["ETag"]}
            for is_held in (True, False):
                body = {"has_legal_hold": is_held}
                done = await officer.ask("PUT", f"{where}/hold", body, seen)
                seen = why | {"If-Match": done.headers["ETag"]}
            await asyncio.sleep(0.3)

    async with listening(person, on) as ear, listening(agent, on) as of_agent:
        holding = asyncio.create_task(hold_on_and_off())
        assert (await ear.of("customers"))["data"] == {"act": "hold"}
        is_told.set()
        await holding
        etag = {"If-Match": (await person.get(where)).headers["ETag"]}
        assert (await person.ask("PATCH", where, {"notes": "x"}, etag)).status == 200
        assert (await of_agent.of("customers"))["data"] == {"act": "update"}


async def test_approvers_hear_what_waits_for_them_and_what_was_said(scene: Scene) -> None:
    asker, approver = await manager(scene), await scene.center.person(Role.MANAGER, team="south")
    sre = await scene.center.person(Role.SRE)
    asked = {"act": "customer:export", "things": ["customers"], "digest": "customers", "why": "x"}
    async with (
        listening(approver, "?topics=approvals") as ear,
        listening(sre, "?topics=approvals") as other,
    ):
        made: list[str] = []

        async def one_more() -> None:
            """Ask until it is told: the log is followed from some moment on."""
            while True:
                made.append((await asker.post("/v1/approval-requests", asked)).json["id"])
                await asyncio.sleep(0.3)

        asking = asyncio.create_task(one_more())
        told = await ear.of("approvals")
        asking.cancel()
        assert told["id"] in made
        assert (told["data"]["state"], told["data"]["by"]) == ("waiting", asker.id)
        path = f"/v1/approval-requests/{told['id']}/approve"
        assert (await approver.post(path, None)).status == 200
        said = await ear.event(lambda each: each["data"]["state"] == "approved")
        assert said["data"]["decided_by"] == approver.id
        assert asker.id.encode() not in other.bytes_heard


async def test_each_hears_what_they_may_see_and_no_byte_more(scene: Scene) -> None:
    person = scene.center.person
    boss = await manager(scene)
    north = await person(Role.SUPERVISOR, team="north", site="a")
    ann = await person(Role.AGENT, agent="ann")
    out = await person(Role.OUTSOURCED_AGENT, agent="out", employer="x")
    sre = await person(Role.SRE)
    foreign = await person(Role.MANAGER, tenant="t2")
    async with (
        listening(boss) as of_boss, listening(north) as of_north, listening(ann) as of_ann,
        listening(out) as of_out, listening(sre) as of_sre, listening(foreign) as of_foreign,
    ):  # fmt: skip
        await scene.arrive(1)
        await scene.connect(2, "ann")
        await scene.connect(3, "ben", caller="+493011223344")
        await scene.connect(4, "t2.zoe", did="200", caller="+493055667788")
        await scene.connect(5, "out", caller="+493099887766")
        last = Site(id=SiteId("b"), name="Last", sip="b:1")
        await scene.put((keys.site(SiteId("b")), last))
        for ear in (of_boss, of_sre, of_foreign):
            await ear.of("sites", "b")
        # Who sees no sites is told of the own state, last.
        await scene.end(2, "ann", rest_s=30)
        await scene.end(5, "out", rest_s=30)

        def resting(each: dict[str, Any]) -> bool:
            return bool(each["topic"] == "agents" and each["data"]["state"] == "wrap_up")

        for ear in (of_north, of_ann, of_out):
            await ear.event(resting)

        def ids(ear: Any, topic: str) -> set[str]:  # noqa: ANN401
            said = (each for message in ear.heard for each in message.get("events", ()))
            return {each["id"] for each in said if each["topic"] == topic}

        assert ids(of_boss, "calls") == {call_id(1), call_id(2), call_id(3), call_id(5)}
        assert ids(of_north, "calls") == {call_id(2)}
        assert ids(of_ann, "calls") == {call_id(2)}
        assert ids(of_out, "calls") == ids(of_sre, "calls") == set()
        assert ids(of_foreign, "calls") == {call_id(4)}
        assert ids(of_out, "agents") == {"out"}
        assert ids(of_foreign, "agents") == {"t2.zoe"}
        assert b"+4930" not in of_north.bytes_heard + of_out.bytes_heard + of_sre.bytes_heard
        assert b"65" in of_north.bytes_heard, "masked"
        for ear in (of_boss, of_north, of_ann, of_out):
            assert b"zoe" not in ear.bytes_heard
            assert b"667788" not in ear.bytes_heard
        assert b'"ann"' not in of_foreign.bytes_heard


async def test_who_may_no_longer_see_a_call_is_told_that_it_is_gone(scene: Scene) -> None:
    north = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    async with listening(north, CALLS) as ear:
        await scene.ring(1, "ann")
        assert (await ear.of("calls"))["what"] == "changed"
        await scene.ring(1, "ben")
        assert (await ear.of("calls"))["what"] == "gone"


ASKED = {"act": "customer:export", "things": ["customers"], "digest": "customers", "why": "x"}


async def ask_for_approval(person: Person) -> str:
    return str((await person.post("/v1/approval-requests", ASKED)).json["id"])


async def test_what_is_asked_right_after_the_greeting_is_told(scene: Scene) -> None:
    """Who listens first and lists then would else never hear of it."""
    asker, approver = await manager(scene), await scene.center.person(Role.MANAGER, team="south")
    async with listening(approver, "?topics=approvals") as ear:
        made = await ask_for_approval(asker)
        assert (await ear.of("approvals"))["id"] == made


# ---- going on ------------------------------------------------------------------------------------


async def test_a_stream_goes_on_where_it_was_cut(scene: Scene) -> None:
    person = await manager(scene)
    async with listening(person, CALLS) as ear:
        await scene.arrive(1)
        await ear.of("calls")
        cursor = ear.cursor
    for number in range(2, 6):
        await scene.arrive(number)
    async with listening(person, f"{CALLS}&after={cursor}") as ear:
        assert ear.heard[0]["resumed"] is True
        found: list[str] = []
        while len(found) < 4:
            found += [each["id"] for each in (await ear.message())["events"]]
        assert found == [call_id(number) for number in range(2, 6)]
        await scene.arrive(6)
        assert (await ear.of("calls"))["id"] == call_id(6)


async def test_what_was_asked_while_a_stream_was_cut_is_told(scene: Scene) -> None:
    asker, approver = await manager(scene), await scene.center.person(Role.MANAGER, team="south")
    on = "?topics=approvals&topics=calls"
    async with listening(approver, on) as ear:
        await scene.arrive(1)
        await ear.of("calls")
        cursor = ear.cursor
    await asyncio.sleep(1.5 * hub_module.LOOK_S)  # nobody listens for as long as a look takes
    made = await ask_for_approval(asker)
    async with listening(approver, f"{on}&after={cursor}") as ear:
        assert ear.heard[0]["resumed"] is True
        assert (await ear.of("approvals"))["id"] == made


async def test_who_goes_on_where_nobody_followed_the_log_is_told_to_list_anew(
    scene: Scene,
) -> None:
    """As from a control plane that has died: what was asked meanwhile nobody has seen here."""
    asker, approver = await manager(scene), await scene.center.person(Role.MANAGER, team="south")
    async with listening(approver, CALLS) as ear:
        await scene.arrive(1)
        await ear.of("calls")
        cursor = ear.cursor
    await ask_for_approval(asker)
    async with listening(approver, f"?topics=approvals&after={cursor}") as ear:
        assert ear.heard[0]["resumed"] is False
        assert (await ear.message())["type"] == "list_anew"
        made = await ask_for_approval(asker)
        assert (await ear.of("approvals"))["id"] == made


async def test_who_came_as_the_database_went_away_lists_anew_once_it_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await manager(scene)
    begin = LogNews.begin

    async def refuse_once(_log: LogNews, _revision: int) -> None:
        monkeypatch.setattr(LogNews, "begin", begin)
        raise DatabaseUnavailableError

    monkeypatch.setattr(LogNews, "begin", refuse_once)
    async with listening(person, "?topics=customers") as ear:
        assert (await ear.message())["type"] == "list_anew"
        where = (await person.post("/v1/customers", {"name": "Anna"})).headers["Location"]
        assert where.endswith((await ear.of("customers"))["id"])


async def test_others_have_their_turn_while_somebody_is_told_what_they_missed(
    scene: Scene,
) -> None:
    """As thousands of news are judged; what comes meanwhile is told at the end."""
    person, hub = await manager(scene), scene.center.app[HUB]

    def about(number: int) -> News:
        return News(
            topic="configuration",
            id=f"n{number}",
            permission=Permission.CONFIGURATION_READ,
            thing=Thing(kind="configuration", tenant="main"),
            render=lambda _mask: event("configuration", f"n{number}", b"null"),
        )

    cursor = hub.revision
    for number in range(10 * TOGETHER):
        hub._publish((about(number),), is_of_change=False)  # noqa: SLF001 - as its parts do
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1
            if turns == 1:
                hub._publish((about(10 * TOGETHER),), is_of_change=False)  # noqa: SLF001

    made = listener_module.Listener(
        subject=Subject(id=person.id, tenant="main", grants=MANAGES),
        tenant="main",
        topics=frozenset({"configuration"}),
        is_fresh=True,
        known_s=0.0,
    )
    taking = asyncio.create_task(take_turns())
    await hub.welcome(made, cursor)
    taking.cancel()
    assert turns >= 10
    messages = [json.loads(made.waiting.get_nowait()) for _ in range(made.waiting.qsize())]
    told = [each["id"] for message in messages[1:] for each in message["events"]]
    assert told == [f"n{number}" for number in range(10 * TOGETHER + 1)]


@pytest.mark.parametrize("cursor", [0, 10**12])
async def test_who_has_missed_too_much_is_told_to_list_anew(scene: Scene, cursor: int) -> None:
    async with listening(await manager(scene), f"{CALLS}&after={cursor}") as ear:
        assert ear.heard[0]["resumed"] is False
        assert (await ear.message())["type"] == "list_anew"
        await scene.arrive(1)
        assert (await ear.of("calls"))["id"] == call_id(1)


# ---- ending --------------------------------------------------------------------------------------


async def test_a_disabled_users_stream_is_closed_within_5_s(scene: Scene) -> None:
    person = await manager(scene)
    admin = await scene.center.administrator()
    async with listening(person) as ear:
        at = f"/v1/users/{person.id}"
        tag = (await admin.get(at)).headers["ETag"]
        await admin.ask("PATCH", at, {"is_active": False}, {"If-Match": tag})
        began = asyncio.get_running_loop().time()
        assert await ear.closed() == 4001
        # Looked up every 2 s; the rest of the 5 s is for a busy machine.
        assert asyncio.get_running_loop().time() - began < 5


async def test_a_session_that_ends_ends_its_stream(scene: Scene) -> None:
    person = await manager(scene)
    async with listening(person) as ear:
        assert (await person.ask("DELETE", "/v1/sessions/current")).status in (200, 204)
        assert await ear.closed() == 4001


async def test_a_session_that_ends_ends_its_stream_though_another_part_fails_again_and_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by something in the shared state that no code of ours can render."""
    failed = asyncio.Event()

    def stumble(*_about: object) -> None:
        failed.set()
        raise KeyError

    person = await manager(scene)
    async with listening(person) as ear:
        monkeypatch.setattr(Newsroom, "of_time", stumble)
        await failed.wait()
        assert (await person.ask("DELETE", "/v1/sessions/current")).status in (200, 204)
        assert await ear.closed() == 4001


async def test_a_session_whose_time_is_over_ends_its_stream(scene: Scene) -> None:
    person = await manager(scene)
    async with listening(person, CALLS) as ear:
        await scene.advance(LONGEST_MS / 1000 - 1)
        await scene.center.app[HUB].check()
        await scene.arrive(1)
        assert (await ear.of("calls"))["id"] == call_id(1)
        await scene.advance(1)
        await scene.center.app[HUB].check()
        assert await ear.closed() == 4001


async def test_a_machine_listens_until_its_token_is_revoked(scene: Scene) -> None:
    admin = await scene.center.administrator()
    draft = {"name": "wallboard", "roles": ["role:manager"], "days": 1}
    made = (await admin.post("/v1/service-tokens", draft)).json
    machine = Person(scene.center, made["id"], made["token"])
    async with listening(machine, CALLS) as ear:
        await scene.center.app[HUB].check()
        await scene.arrive(1)
        assert (await ear.of("calls"))["id"] == call_id(1)
        revoked = await admin.ask("DELETE", f"/v1/service-tokens/{made['id']}")
        assert revoked.status in (200, 204), revoked.body
        assert await ear.closed() == 4001


async def test_who_is_given_another_role_lists_anew_and_sees_by_it(scene: Scene) -> None:
    person = await manager(scene)
    admin = await scene.center.administrator()
    async with listening(person, CALLS) as ear:
        at = f"/v1/users/{person.id}"
        tag = (await admin.get(at)).headers["ETag"]
        changed = await admin.ask("PATCH", at, {"roles": ["role:quality"]}, {"If-Match": tag})
        assert changed.status == 200
        assert (await ear.message())["type"] == "list_anew"
        await scene.arrive(1)
        await scene.put((keys.site(SiteId("b")), Site(id=SiteId("b"), name="Z", sip="b:1")))
        with pytest.raises(TimeoutError):
            await ear.message(1.0)


async def test_who_sees_other_things_by_another_policy_lists_anew(scene: Scene) -> None:
    person, other = await manager(scene), await scene.center.person(Role.MANAGER, tenant="t2")
    lines = "p, role:manager, main, agent, read, always, deny"
    on = "?topics=agents"
    async with listening(person, on) as ear, listening(other, on) as of_another:
        assert (await person.get("/v1/live/agents")).json["items"]
        scene.center.services.authz.set_tenant("main", policy.parse(lines, tenant="main"))
        assert (await ear.message())["type"] == "list_anew"
        assert (await person.get("/v1/live/agents")).error_id == "forbidden"
        with pytest.raises(TimeoutError):
            await of_another.message(1.0)


async def test_a_client_that_takes_nothing_is_cut_off_and_harms_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "WAITING", 4)
    person = await manager(scene)
    async with listening(person, CALLS) as slow, listening(person, CALLS) as quick:
        slow.stop_reading()
        hub = scene.center.app[HUB]
        while hub.count == 2:
            await scene.put(*((keys.ticket(call_id(n)), scene.ticket(n)) for n in range(1, 400)))
            await quick.of("calls")
        assert hub.count == 1
        slow.leave()


async def test_without_the_database_calls_are_told_without_full_numbers_for_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await manager(scene)
    async with listening(person, CALLS) as ear:
        monkeypatch.setattr(scene.center.services.database, "read", away)
        await scene.center.app[HUB].check()
        await scene.arrive(1)
        told = await ear.of("calls")
        assert (told["id"], told["data"]["caller"]) == (call_id(1), None)
        scene.clock.advance(STALE_S + 1)
        await scene.center.app[HUB].check()
        assert await ear.closed() == 4003


async def test_a_control_plane_that_stops_says_so(scene: Scene) -> None:
    async with listening(await manager(scene)) as ear:
        closing = asyncio.create_task(scene.center.app.shutdown())
        assert await ear.closed() == 1001
        await closing


# ---- the way in ----------------------------------------------------------------------------------


async def test_a_browser_says_its_token_as_a_subprotocol(scene: Scene) -> None:
    person = await manager(scene)
    async with person.center.client.ws_connect(
        "http://center/v1/events", protocols=("everline.v1", f"bearer.{person.token}")
    ) as socket:
        assert socket.protocol == "everline.v1"
        assert (await socket.receive_json())["type"] == "hello"


async def test_who_does_not_sign_in_or_upgrade_hears_nothing(scene: Scene) -> None:
    person = await manager(scene)
    reply = await person.get("/v1/events")
    assert (reply.status, reply.error_id) == (426, "upgrade-needed")
    assert (await person.get("/v1/events?topics=secrets")).status == 422
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await scene.center.client.ws_connect(
            "http://center/v1/events", protocols=("everline.v1", "bearer.nonsense")
        )
    assert refused.value.status == 401
    # A token in a subprotocol is for sockets alone.
    reply = await scene.center.ask(
        "GET", "/v1/calls", headers={"Sec-WebSocket-Protocol": f"bearer.{person.token}"}
    )
    assert reply.status == 401


async def test_one_person_has_so_many_streams_and_no_more(scene: Scene) -> None:
    person = await manager(scene)
    sent = {"Authorization": f"Bearer {person.token}"}
    url = "http://center/v1/events"
    sockets = [await scene.center.client.ws_connect(url, headers=sent) for _ in range(10)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with listening(person):
            pass
    assert refused.value.status == 429
    for socket in sockets:
        await socket.close()


async def test_streams_that_are_still_being_let_in_count_too(scene: Scene) -> None:
    person = await manager(scene)
    sent = {"Authorization": f"Bearer {person.token}"}
    # Of a cursor that is ahead of this control plane, which is waited for.
    url = f"http://center/v1/events?after={scene.mirror.snapshot.revision + 1000}"
    client = scene.center.client
    tries = [asyncio.create_task(client.ws_connect(url, headers=sent)) for _ in range(25)]
    told = await asyncio.gather(*tries, return_exceptions=True)
    sockets = [each for each in told if isinstance(each, aiohttp.ClientWebSocketResponse)]
    refused = [each for each in told if isinstance(each, aiohttp.WSServerHandshakeError)]
    assert len(sockets) == 10
    assert {each.status for each in refused} == {429}
    for socket in sockets:
        await socket.close()


async def test_who_could_not_be_let_in_leaves_their_place_to_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, hub = await manager(scene), scene.center.app[HUB]

    async def fail(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(hub, "welcome", fail)
        for _ in range(11):
            with pytest.raises((AssertionError, aiohttp.ClientError)):
                async with listening(person):
                    pass
    async with listening(person):
        assert hub.count == 1


async def test_a_heartbeat_tells_the_cursor_of_who_hears_nothing_else(scene: Scene) -> None:
    out = await scene.center.person(Role.OUTSOURCED_AGENT, agent="out", employer="x")
    async with listening(out, CALLS) as ear:
        revision = (await scene.arrive(1), scene.mirror.snapshot.revision)[1]
        scene.center.app[HUB].beat()
        told = await ear.socket.receive_json()
        assert told == {"type": "heartbeat", "revision": revision, "is_current": True}


@pytest.mark.parametrize("is_current", [True, False])
async def test_who_comes_is_told_at_once_whether_there_is_news_of_the_shared_state(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, is_current: bool
) -> None:
    person = await manager(scene)
    if not is_current:
        monkeypatch.setattr(Mirror, "state", MirrorState.STALE)
    async with listening(person, CALLS) as ear:
        assert ear.heard[0]["is_current"] is is_current
