"""The commands as a person types them, answered by a desk on a store in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.cli.app import main
from drills.cli.errors import Exit
from drills.demo.calling import place
from drills.desk import wishes
from drills.desk.asks import PlaceAsk
from drills.desk.client import connected
from state import keys
from state.members import EtcdMember
from state.model import (
    AgentId,
    CallBack,
    CallId,
    Clearance,
    DidNumber,
    PauseCode,
    Place,
    PresenceState,
    QueueId,
    TenantId,
    TicketState,
    TrunkId,
    WrapUpCode,
)
from tests.acd.worlds import World, call_id
from tests.cli.asked import Asked, opened, presence, record


@pytest.fixture
async def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    async with opened(tmp_path, monkeypatch) as desk:
        world = World()
        world.queue("sales", sales=3)
        world.did("15550100", "sales")
        world.agent("ann", sales=5)
        world.agent("bob", sales=3, site="b")
        world.agent("cyd", state=None, help=3)
        await desk.fill(world.snapshot)
        yield desk


async def run(*words: str) -> int:
    return await asyncio.to_thread(main, list(words))


# ---- agents --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("asked")
async def test_agents_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("agent", "list") == Exit.OK
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = {line[0]: line for line in lines if line}
    assert rows["ann"][1:4] == ["a", "yes", "ready"]
    assert rows["cyd"][1:5] == ["a", "no", "signed", "out"]


@pytest.mark.usefixtures("asked")
async def test_agents_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("agent", "list", "--json") == Exit.OK
    found = json.loads(capsys.readouterr().out)
    ann = found["agents"][0]
    assert (ann["agent"], ann["state"], ann["skills"]) == ("ann", "ready", {"sales": 5})
    assert "ha1" not in ann


async def test_a_pause_waits_until_the_home_site_has_taken_it(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    home = asyncio.create_task(asked.home_follows("ann"))
    try:
        assert await run("agent", "pause", "ann", "--reason", "lunch") == Exit.OK
        assert capsys.readouterr().out.startswith("ann at a: paused (lunch), taken within")
        assert await run("agent", "ready", "ann") == Exit.OK
        assert capsys.readouterr().out.startswith("ann at a: ready, taken within")
    finally:
        home.cancel()


async def test_where_there_are_pause_codes_no_other_reason_is_taken_and_the_codes_are_told(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    for code in ("training", "lunch"):
        await asked.put(keys.pause_code(code), PauseCode(id=code))
    await asked.put(keys.pause_code("theirs"), PauseCode(id="theirs", tenant=TenantId("other")))
    for words in ((), ("--reason", "theirs"), ("--reason", "Lunch")):
        assert await run("agent", "pause", "ann", *words) == Exit.FAILED
        told = " ".join(capsys.readouterr().err.split())
        assert "use --reason with one of lunch, training" in told
    assert not (await asked.store.range(keys.wish(AgentId("ann")))).records
    home = asyncio.create_task(asked.home_follows("ann"))
    assert await run("agent", "pause", "ann", "--reason", "training") == Exit.OK
    assert await run("agent", "ready", "ann") == Exit.OK
    home.cancel()


async def test_a_wish_of_somebody_without_a_phone_is_kept_and_said_to_wait(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("agent", "ready", "cyd") == Exit.FAILED
    assert "no phone is registered at the home site a; the wish counts when one is" in " ".join(
        capsys.readouterr().out.split()
    )
    held = await asked.store.range(keys.wish(AgentId("cyd")))
    assert json.loads(held.records[0].value)["readiness"] == "ready"


@pytest.mark.usefixtures("asked")
async def test_a_wish_that_nobody_takes_is_said_to_be_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wishes, "TAKEN_WITHIN_S", 0.1)
    assert await run("agent", "pause", "ann", "bob") == Exit.FAILED
    told = " ".join(capsys.readouterr().out.split())
    assert "the home site a has not taken it" in told
    assert "the home site b has not taken it" in told


async def test_the_word_of_a_former_home_does_not_count(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    await asked.put(keys.presence(AgentId("bob")), presence("bob", "a", PresenceState.PAUSED))
    assert await run("agent", "pause", "bob") == Exit.FAILED
    assert "no phone is registered at the home site b" in " ".join(capsys.readouterr().out.split())


async def test_an_unknown_agent_is_told_who_looks_alike_and_nothing_is_written(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("agent", "pause", "ann", "anne") == Exit.FAILED
    assert "no agent 'anne' here: did you mean ann?" in capsys.readouterr().err
    assert not (await asked.store.range(keys.wish(AgentId("ann")))).records


async def test_what_a_later_version_wrote_into_a_wish_is_kept(asked: Asked) -> None:
    key = keys.wish(AgentId("cyd"))
    await asked.put(key, b'{"v":1,"agent":"cyd","readiness":"ready","until":"noon"}')
    assert await run("agent", "pause", "cyd") == Exit.FAILED
    held = json.loads((await asked.store.range(key)).records[0].value)
    assert (held["readiness"], held["until"]) == ("paused", "noon")


async def test_a_wish_of_a_later_version_is_not_overwritten(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    await asked.put(keys.wish(AgentId("ann")), b'{"v":2}')
    assert await run("agent", "pause", "ann") == Exit.FAILED
    assert "version 2 of Wish" in capsys.readouterr().err


async def clear(asked: Asked, number: int, *, may_call: bool) -> None:
    """Let a control plane have looked."""
    (place,) = (await asked.store.range(keys.place(call_id(number)))).records
    told = Clearance(call=call_id(number), place=place.mod_revision, may_call=may_call)
    await asked.put(keys.clearance(told.call), told)


async def test_who_is_to_be_called_back_is_listed_in_order_and_without_numbers(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = CallBack(trunk=TrunkId("t"), tries=3)
    for number, due_s in ((7, 0.0), (5, 115.0), (6, None)):
        lost = Place(
            call=call_id(number),
            did=DidNumber("15550100"),
            caller="4930777",
            place=number,
            queue=QueueId("sales"),
            call_back=rules,
            due_s=due_s,
        )
        await asked.put(keys.place(lost.call), lost)
    assert await run("callback", "list") == Exit.OK
    told = capsys.readouterr().out
    assert "4930777" not in told
    lines = [line.split() for line in told.splitlines() if "15550100" in line]
    assert [line[2] for line in lines] == ["sales", "sales"]
    assert [line[3:6] for line in lines] == [["not", "cleared", "yet"]] * 2
    assert "waiting until somebody has looked whether they may be" in " ".join(told.split())
    await clear(asked, 5, may_call=True)
    await clear(asked, 7, may_call=False)
    assert await run("callback", "list") == Exit.OK
    told = capsys.readouterr().out
    (line,) = [line.split() for line in told.splitlines() if "15550100" in line]
    assert line[3:6] == ["in", "2", "min"]
    assert "looked" not in told
    assert await run("callback", "cancel", "9999") == Exit.FAILED
    assert "./everline callback list names all" in " ".join(capsys.readouterr().err.split())
    assert await run("callback", "cancel", "") == Exit.FAILED
    assert "is not how a call's id begins" in " ".join(capsys.readouterr().err.split())
    assert await run("callback", "list", "--json") == Exit.OK
    assert len(json.loads(capsys.readouterr().out)["callbacks"]) == 1, "nobody was struck off"


async def test_readiness_goes_by_etcds_members_and_names_the_silent(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("readiness") == Exit.OK, "nobody has called, and three sites serve"
    asked.store.told_members = tuple(
        EtcdMember(name=each, hosts=(), is_up=each != "b") for each in "abc"
    )
    capsys.readouterr()
    assert await run("readiness") == Exit.FAILED
    told = " ".join(capsys.readouterr().out.split())
    assert "etcd: 1 of 3 members silent: b" in told
    assert "site a: no quorum would be left" in told
    assert "site b:" not in told, "its member is gone already"


async def test_readiness_fails_where_etcd_has_no_space_left(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.store.is_full = True
    assert await run("readiness") == Exit.FAILED
    assert "./everline state mend" in " ".join(capsys.readouterr().out.split())


async def test_an_agent_says_what_a_call_was_about_in_words_of_the_configuration(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = record(call_id(1)), record(call_id(2))
    for each in (first, last):
        talked = replace(each, agent=AgentId("ann"), connected_ms=each.arrived_ms)
        await asked.put(keys.ended(each.call), talked)
    assert await run("agent", "code", "ann", "complaint") == Exit.FAILED
    assert "no wrap-up codes are configured" in " ".join(capsys.readouterr().err.split())
    for word in ("complaint", "order"):
        await asked.put(keys.wrap_up_code(word), WrapUpCode(id=word))
    assert await run("agent", "code", "ann", "Complaint") == Exit.FAILED
    assert "use one of complaint, order" in " ".join(capsys.readouterr().err.split())
    assert await run("agent", "code", "bob", "order") == Exit.FAILED
    assert "bob has talked in no call" in " ".join(capsys.readouterr().err.split())
    assert await run("agent", "code", "ann", "order") == Exit.OK
    assert await run("agent", "code", "ann", "complaint") == Exit.OK, "the last word counts"
    capsys.readouterr()
    assert await run("calls", "--json") == Exit.OK
    rows = json.loads(capsys.readouterr().out)["calls"]
    assert {row["call"]: row["code"] for row in rows} == {last.call: "complaint", first.call: ""}
    assert await run("report", "--json") == Exit.OK
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["codes"] == {"complaint": 1}


@pytest.mark.parametrize(
    "words", [("agent", "pause"), ("agent", "sleep", "ann"), ("calls", "--last", "0")]
)
async def test_wrong_usage_asks_nobody(words: tuple[str, ...]) -> None:
    assert await run(*words) == Exit.USAGE


# ---- calls ---------------------------------------------------------------------------------------


async def test_calls_are_listed_the_running_first_and_the_newest_first(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    await asked.put(keys.ended(call_id(1)), record(call_id(1)))
    await asked.put(keys.ended(call_id(2)), record(call_id(2), decided=False))
    await asked.put(keys.ended(call_id(3)), b"rubbish")
    world = World()
    running = world.ticket(4, state=TicketState.CONNECTED, agent="ann")
    await asked.fill(world.snapshot)
    while True:
        assert await run("calls", "--json") == Exit.OK
        found = json.loads(capsys.readouterr().out)
        if found["calls"][0]["call"] == running:
            break
    assert [row["call"] for row in found["calls"]] == [running, call_id(2), call_id(1)]
    assert [row["outcome"] for row in found["calls"]] == [None, "abandoned", "answered"]
    assert found["total"] == 3
    assert list(found["bad_records"]) == [keys.ended(call_id(3))]
    assert await run("calls", "--last", "2") == Exit.OK
    assert "1 running, 1 of 3 that are over" in capsys.readouterr().out


async def test_no_number_of_a_caller_is_told(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    call = world.ticket(4)
    await asked.fill(world.snapshot)
    number = json.loads(world.snapshot.raw[keys.ticket(call)].value)["caller"]
    for words in (("calls", "--json"), ("explain", call, "--json")):
        while await run(*words) != Exit.OK:
            capsys.readouterr()
        assert number not in capsys.readouterr().out


async def test_a_call_of_the_ledger_is_explained_by_the_beginning_of_its_id(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = CallId("ab12" * 6), CallId("ab13" * 6)
    await asked.put(keys.ended(one), record(one))
    await asked.put(keys.ended(other), record(other, decided=False))
    assert await run("explain", "AB12") == Exit.OK
    told = " ".join(capsys.readouterr().out.split())
    assert "bob was chosen after 2.5 s, on revision 52 of the shared state" in told
    assert "Not considered: paused (2), of a later version (1)." in told
    assert "2 ann a 1.200" in told
    assert await run("explain", "ab") == Exit.FAILED
    assert "2 calls' ids begin with ab" in capsys.readouterr().err
    assert await run("explain", "ab13") == Exit.OK
    assert "No agent was ever chosen for it." in " ".join(capsys.readouterr().out.split())


async def test_without_an_id_the_newest_decided_call_is_explained(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("explain") == Exit.FAILED
    assert "place one by ./everline call" in capsys.readouterr().err
    for number in (1, 2):
        await asked.put(keys.ended(call_id(number)), record(call_id(number)))
    await asked.put(keys.ended(call_id(3)), record(call_id(3), decided=False))
    assert await run("explain", "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["call"]["call"] == call_id(2)


async def test_a_waiting_call_is_explained_agent_by_agent(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    call = world.ticket(1, sales=4)
    await asked.fill(world.snapshot)
    while await run("explain", call, "--json") != Exit.OK:
        capsys.readouterr()
    found = json.loads(capsys.readouterr().out)
    assert (found["source"], found["place"], found["winner"]) == ("present", 1, "ann")
    because = {each["agent"]: each["excluded"] for each in found["candidates"]}
    assert because == {"ann": None, "bob": "skill_too_low", "cyd": "not_signed_in"}


@pytest.mark.parametrize("begins", ["xyz", " ", "a" * 25])
@pytest.mark.usefixtures("asked")
async def test_what_cannot_be_an_id_is_said_to_be_none(
    capsys: pytest.CaptureFixture[str], begins: str
) -> None:
    assert await run("explain", begins) == Exit.FAILED
    assert "./everline call" in capsys.readouterr().err


# ---- placing calls -------------------------------------------------------------------------------


async def test_a_test_call_is_told_step_by_step(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("call", "15550100") == Exit.OK
    told = capsys.readouterr().out.splitlines()
    assert [line[10:] for line in told[1:4]] == [
        "is answered: greeting, then music",
        "hears the agent",
        "it is over: the caller hung up",
    ]
    call = told[0].split("(call ")[1].rstrip(")")
    assert told[4] == f"Why so: ./everline explain {call}"
    assert asked.switchboard.placed == ["15550100"]


async def test_who_leaves_hangs_up(asked: Asked) -> None:
    asked.switchboard.talks = True

    def begin_and_leave() -> None:
        with connected() as line:
            next(line.follow(PlaceAsk(did="1")))

    await asyncio.to_thread(begin_and_leave)
    async with asyncio.timeout(5):
        await asked.switchboard.hung_up.wait()


@pytest.mark.usefixtures("asked")
async def test_one_connection_takes_many_questions() -> None:
    def ask() -> list[bool]:
        with connected() as line:
            return [place(line, PlaceAsk(did="1")) for _ in range(3)]

    assert await asyncio.to_thread(ask) == [True, True, True]


@pytest.mark.usefixtures("asked")
async def test_rubbish_on_the_socket_is_refused_and_harms_nobody() -> None:
    def rubbish() -> list[bytes]:
        with connected() as line:
            found = []
            for text in (b"rubbish\n", b'{"ask":"nonsense"}\n', b'{"ask":"agents","x":1}\n'):
                line._socket.sendall(text)  # noqa: SLF001 - what no client of ours would send
                found.append(line._file.readline())  # noqa: SLF001
            return found

    for answer in await asyncio.to_thread(rubbish):
        assert json.loads(answer)["error"]
    assert await run("agent", "list") == Exit.OK
