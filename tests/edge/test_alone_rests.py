"""Who talked while their site was alone rests as long as they would have, merge or not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.attendance import RestChange
from edge.acd.eligibility import rings_from_s
from edge.acd.ending import AgentPart, Ending
from edge.acd.reservation import ended
from edge.acd.token import Token
from edge.alone.moments import revision_at
from edge.calls.records import Landed
from edge.duties.presence import PresenceKeeper
from state import keys
from state.codec import decode, encode
from state.mirror import Mirror
from state.model import AgentId, Outcome, Rested, RestTaken, SiteId, Work, WorkEnd
from state.raw import Change
from state.snapshot.rests import RESTS_ON_S
from tests.edge.lone import A1, ANN, CALL, Bench, configured, living
from tests.edge.virtual_time import in_virtual_time, until

TOKEN = Token(epoch=2, revision=1)
WRAP_UP_S = 60.0
PART = AgentPart(end=WorkEnd.TALKED, rest_s=WRAP_UP_S)
ENDING = Ending(outcome=Outcome.ANSWERED, cause="agent_hung_up")


async def talked_alone() -> Bench:
    """Return an edge that is alone, and whose agent has just talked to a caller."""
    bench = await configured()
    bench.store.begin()
    await talk(bench)
    return bench


async def talk(bench: Bench) -> None:
    records = await bench.waits()
    await bench.give(records, TOKEN)
    written = await records.write(
        lambda held, at: None if held is None else ended(held, ENDING, PART, at)
    )
    assert isinstance(written, Landed)


def keeper(bench: Bench) -> PresenceKeeper:
    return PresenceKeeper(
        store=bench.store,
        clock=bench.clock,
        edge=A1,
        site=SiteId("a"),
        snapshot=lambda: bench.store.snapshot,
        is_alone=lambda: bench.store.is_alone,
    )


def state(bench: Bench) -> AgentState:
    return agent_states(bench.store.snapshot, bench.clock.now())[ANN]


@pytest.mark.parametrize("talked_before_s", [WRAP_UP_S + 1, 20.0])
@in_virtual_time
async def test_nobody_rests_anew_as_their_site_merges(talked_before_s: float) -> None:
    bench = await talked_alone()
    await asyncio.sleep(talked_before_s)
    before = state(bench)
    await bench.merge()
    assert state(bench) is before
    await asyncio.sleep(max(0.0, WRAP_UP_S + 1 - talked_before_s))
    assert state(bench) is AgentState.READY


@pytest.mark.parametrize("is_merged", [True, False])
@in_virtual_time
async def test_nobody_rests_anew_as_an_edge_is_started_again_that_was_alone(
    tmp_path: Path, *, is_merged: bool
) -> None:
    bench = await configured()
    async with living(bench, tmp_path) as (way, alone):
        way.is_away = True
        await until(lambda: alone.is_alone, "it serves alone")
        await talk(bench)
        began_s = bench.clock.now().mono_s
        await asyncio.sleep(WRAP_UP_S - 20.0)
    async with living(bench, tmp_path) as (way, alone):
        way.is_away = not is_merged
        await until(lambda: bool(alone.merges) if is_merged else alone.is_alone)
        assert state(bench) is AgentState.WRAP_UP
        await asyncio.sleep(began_s + WRAP_UP_S + 1.0 - bench.clock.now().mono_s)
        assert state(bench) is AgentState.READY


@in_virtual_time
async def test_a_rest_that_a_sister_tells_of_late_has_run_since_she_wrote_of_it() -> None:
    bench = await configured()
    bench.store.begin()
    work = Work(agent=ANN, calls=1, end=WorkEnd.TALKED, rest_s=WRAP_UP_S, call=CALL)
    told = Change(
        key=keys.work(ANN),
        value=encode(work),
        create_revision=0,
        mod_revision=revision_at(bench.clock.now().mono_s),
    )
    await asyncio.sleep(WRAP_UP_S - 20.0)
    bench.store.note([told], is_ours=False)
    assert state(bench) is AgentState.WRAP_UP
    await asyncio.sleep(21.0)
    assert state(bench) is AgentState.READY


@in_virtual_time
async def test_who_was_offered_in_vain_by_the_others_rests_on_after_a_talk_alone() -> None:
    bench = await talked_alone()
    await asyncio.sleep(10.0)
    ended_ms = bench.clock.now().wall_ms
    in_vain = Work(agent=ANN, end=WorkEnd.WITHDRAWN, rest_s=1.0, ended_ms=ended_ms)
    await bench.put(keys.work(ANN), in_vain)
    await asyncio.sleep(5.0)
    await bench.merge()
    assert state(bench) is AgentState.WRAP_UP
    assert bench.store.snapshot.works[ANN].value.calls == 1
    await asyncio.sleep(WRAP_UP_S - 14.0)
    assert state(bench) is AgentState.READY


@in_virtual_time
async def test_who_has_talked_at_a_sister_rests_on_though_she_has_not_merged_yet() -> None:
    bench = await configured()
    bench.store.begin()
    ended_ms = bench.clock.now().wall_ms
    work = Work(agent=ANN, calls=1, rest_s=WRAP_UP_S, ended_ms=ended_ms, call=CALL)
    told = Change(key=keys.work(ANN), value=encode(work), create_revision=0, mod_revision=0)
    bench.store.note([told], is_ours=False)
    await asyncio.sleep(20.0)
    await bench.merge()
    assert state(bench) is AgentState.WRAP_UP
    await asyncio.sleep(WRAP_UP_S - 19.0)
    assert state(bench) is AgentState.READY


def tell(bench: Bench, to: Bench, told: dict[str, int]) -> None:
    """Let a sister hear what has been written at an edge since she was told last."""
    assert bench.store.overlay is not None
    own = [(key, at) for key, at in bench.store.own_since(0) if told.get(key) != at]
    told |= dict(own)
    records = [bench.store.overlay.record(key) for key, _ in own]
    to.store.note(
        [
            Change(
                key=key,
                value=None if each is None else each.value,
                create_revision=0,
                mod_revision=at,
            )
            for (key, at), each in zip(own, records, strict=True)
        ],
        is_ours=False,
    )


@pytest.mark.parametrize("at_home", [True, False], ids=["of the home edge", "of the other"])
@pytest.mark.parametrize("change", list(RestChange))
@in_virtual_time
async def test_both_edges_of_a_site_know_of_a_rest_that_is_changed_alone(
    change: RestChange, *, at_home: bool
) -> None:
    edges = [await configured(), await configured()]
    home, sister = edges
    told: list[dict[str, int]] = [{}, {}]
    for each in edges:
        each.store.begin()
    await talk(home if at_home else sister)
    for _ in range(2):
        await asyncio.sleep(0.1)
        tell(home, sister, told[0])
        tell(sister, home, told[1])
    await asyncio.sleep(10.0)
    await keeper(home).change_rest(ANN, change, 30.0)
    await asyncio.sleep(0.1)
    tell(home, sister, told[0])
    if change is RestChange.EXTEND:
        await asyncio.sleep(WRAP_UP_S + 15.0)
        assert [state(each) for each in edges] == [AgentState.WRAP_UP] * 2
        await asyncio.sleep(10.0)
    assert [state(each) for each in edges] == [AgentState.READY] * 2


@in_virtual_time
async def test_who_has_finished_their_wrap_up_alone_is_ready_after_the_merge() -> None:
    bench = await talked_alone()
    await asyncio.sleep(10.0)
    await keeper(bench).change_rest(ANN, RestChange.FINISH, 0.0)
    assert state(bench) is AgentState.READY
    await bench.merge()
    assert state(bench) is AgentState.READY


@in_virtual_time
async def test_a_wrap_up_that_was_prolonged_alone_lasts_on_after_the_merge() -> None:
    bench = await talked_alone()
    await asyncio.sleep(RESTS_ON_S)
    await keeper(bench).change_rest(ANN, RestChange.EXTEND, 30.0)
    await bench.merge()
    await asyncio.sleep(WRAP_UP_S + 30 - RESTS_ON_S - 1)
    assert state(bench) is AgentState.WRAP_UP
    await asyncio.sleep(2.0)
    assert state(bench) is AgentState.READY


@in_virtual_time
async def test_who_finds_a_merged_rest_in_a_listing_lets_it_last_to_its_end() -> None:
    bench = await talked_alone()
    await asyncio.sleep(WRAP_UP_S - 10.0)
    await bench.merge()
    found = Mirror(bench.shared, bench.clock)
    await found._list()  # noqa: SLF001 - one look, in place of a loop
    states = [agent_states(found.snapshot, bench.clock.now())[ANN]]
    for seconds in (9.0, 1.0 + RESTS_ON_S):
        await asyncio.sleep(seconds)
        states.append(agent_states(found.snapshot, bench.clock.now())[ANN])
    assert states == [AgentState.WRAP_UP, AgentState.WRAP_UP, AgentState.READY]


@in_virtual_time
async def test_who_is_given_to_a_caller_ahead_is_rung_once_a_merged_rest_is_over() -> None:
    bench = await talked_alone()
    await asyncio.sleep(20.0)
    await bench.merge()
    snapshot, now = bench.store.snapshot, bench.clock.now()
    rings_s = rings_from_s(snapshot.works[ANN], snapshot.presences[ANN], now)
    assert rings_s - now.mono_s == pytest.approx(WRAP_UP_S - 20.0, abs=0.01)


@in_virtual_time
async def test_the_ledger_is_told_all_of_a_wrap_up_that_is_finished_after_the_merge() -> None:
    bench = await talked_alone()
    home = keeper(bench)
    home.set_registered(frozenset({ANN}))
    await asyncio.sleep(20.0)
    await bench.merge()
    await asyncio.sleep(10.0)
    await home.change_rest(ANN, RestChange.FINISH, 0.0)
    (found,) = (await bench.shared.range(keys.rested(CALL))).records
    (told,) = decode(Rested, found.value, found.key).rests
    assert told.rest_s == pytest.approx(30.0)


@pytest.mark.parametrize("is_told_of_another", [True, False])
@in_virtual_time
async def test_a_wrap_up_that_was_changed_alone_is_told_beside_the_calls_record_after_the_merge(
    *, is_told_of_another: bool
) -> None:
    bench = await talked_alone()
    ben = RestTaken(agent=AgentId("ben"), since_ms=1, rest_s=2.0)
    if is_told_of_another:
        await bench.put(keys.rested(CALL), Rested(call=CALL, rests=(ben,), at_ms=2))
    home = keeper(bench)
    home.set_registered(frozenset({ANN}))
    running = asyncio.create_task(home.run())
    await asyncio.sleep(10.0)
    await home.change_rest(ANN, RestChange.EXTEND, 5.0)
    await asyncio.sleep(10.0)
    await home.change_rest(ANN, RestChange.FINISH, 0.0)
    assert (await bench.has(keys.rested(CALL))) is is_told_of_another
    await bench.merge()
    home.wake()
    await until(lambda: not home._untold, "the ledger is told")  # noqa: SLF001 - nothing else tells
    (found,) = (await bench.shared.range(keys.rested(CALL))).records
    told = decode(Rested, found.value, found.key)
    rests = {each.agent: each.rest_s for each in told.rests}
    assert rests == {ANN: pytest.approx(20.0)} | ({ben.agent: 2.0} if is_told_of_another else {})
    assert (await bench.record()).ended_ms in {each.since_ms for each in told.rests}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
