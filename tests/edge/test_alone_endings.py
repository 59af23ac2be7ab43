"""How calls end around a merge: each in one way, by its own edge. On a store in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, AgentPart, Ending
from edge.acd.owed import Owed
from edge.acd.plan import Held, Plan
from edge.acd.reservation import agent_lost, ended
from edge.acd.token import Token
from edge.alone.kept import Kept
from edge.alone.merging import merge
from edge.alone.mode import Mode
from edge.alone.store import SiteStore
from edge.calls.journal import Journal
from edge.calls.records import CallRecords, Landed
from edge.duties.debts import Debts
from state import keys
from state.codec import encode
from state.model import (
    AgentId,
    Now,
    Outcome,
    Site,
    SiteId,
    TicketState,
    Work,
    WorkEnd,
)
from state.raw import Change
from state.store import Delete
from tests.edge.lone import A1, ANN, CALL, OTHER, Bench, configured, living, ticket
from tests.edge.virtual_time import in_virtual_time, until

BOB = AgentId("bob")
TOKEN = Token(epoch=2, revision=1)


@pytest.fixture
async def bench() -> Bench:
    return await configured()


async def talk_alone(bench: Bench, *, place_before: bool) -> CallRecords:
    """Let a caller, who came before the cut or after it, talk with Ann without a quorum."""
    records = bench.records()
    if not place_before:
        bench.store.begin()
    await records.create(ticket(), bench.clock.now())
    if place_before:
        await bench.read()
        bench.store.begin()
    await bench.give(records, TOKEN)
    return records


# ---- an agent whom others had given away ---------------------------------------------------------


@pytest.mark.parametrize("place_before", [True, False], ids=["place in store", "place alone"])
async def test_a_call_whose_agent_the_majority_gave_away_and_back_ends_with_its_own_record(
    bench: Bench, *, place_before: bool
) -> None:
    records = await talk_alone(bench, place_before=place_before)
    await bench.others_give_ann_and_back()
    await bench.merge()
    assert isinstance(await bench.end(records), Landed)
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.offer(ANN))
    assert not await bench.has(keys.ticket(CALL))


@pytest.mark.parametrize("place_before", [True, False], ids=["place in store", "place alone"])
async def test_a_call_that_ends_while_the_merge_waits_for_its_agent_has_its_own_record(
    bench: Bench, *, place_before: bool
) -> None:
    records = await talk_alone(bench, place_before=place_before)
    await bench.others_give_ann()
    bench.store.hold(merging=True)
    merging = asyncio.create_task(bench.merge())
    await asyncio.sleep(0.05)
    ending = asyncio.create_task(bench.end(records))
    await asyncio.sleep(0.15)
    assert not merging.done()
    await bench.others_give_ann_and_back()
    await merging
    assert isinstance(await ending, Landed)
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.offer(ANN))


async def test_an_agent_who_does_not_answer_after_such_a_merge_is_given_back(bench: Bench) -> None:
    records = await bench.waits(is_seen=True)
    bench.store.begin()
    await bench.reserve(records, TOKEN)
    await bench.others_give_ann_and_back()
    await bench.merge()
    await bench.give_back(records)
    await bench.read()
    assert bench.store.snapshot.tickets[CALL].value.state is TicketState.QUEUED


async def has_bob(bench: Bench) -> None:
    """Let there be another agent at the site."""
    bob = replace(bench.store.snapshot.agents[ANN].value, id=BOB, name="Bob")
    here = replace(bench.store.snapshot.presences[ANN].value, agent=BOB)
    await bench.put(keys.agent(BOB), bob)
    await bench.put(keys.presence(BOB), here)
    await bench.read()


async def test_a_call_with_an_agent_who_was_another_waiting_calls_before_the_cut_is_merged(
    bench: Bench,
) -> None:
    waits, talks = bench.records(), bench.records(OTHER)
    await waits.create(ticket(), bench.clock.now())
    await bench.read()
    await bench.reserve(waits)
    await bench.read()
    bench.store.begin()
    await bench.give_back(waits)
    gone = Change(key=keys.ticket(CALL), value=None, create_revision=0, mod_revision=0)
    kept = bench.store.snapshot.raw[keys.ticket(CALL)]
    await talks.create(ticket(OTHER), bench.clock.now())
    # Ann takes the later call: the earlier one is not to be had for a moment.
    bench.store.note([gone], is_ours=False)
    await bench.give(talks, TOKEN)
    put_back = replace(gone, value=kept.value, create_revision=kept.create_revision)
    bench.store.note([put_back], is_ours=True)
    async with asyncio.timeout(3.0):
        await bench.merge()
    snapshot = bench.store.snapshot
    assert snapshot.offers[ANN].value.call == OTHER
    assert snapshot.tickets[CALL].value.state is TicketState.QUEUED
    assert isinstance(await bench.end(talks), Landed)


async def test_two_calls_that_have_changed_agents_do_not_wait_for_each_other(bench: Bench) -> None:
    await has_bob(bench)
    first, second = bench.records(), bench.records(OTHER)
    for records, call in ((first, CALL), (second, OTHER)):
        await records.create(ticket(call), bench.clock.now())
        await bench.read()
        await bench.reserve(records)
        await bench.read()
    before = {agent: each.value.call for agent, each in bench.store.snapshot.offers.items()}
    bench.store.begin()
    for records in (first, second):
        await bench.give_back(records)
    for records in (first, second):
        await bench.reserve(records, TOKEN)
    after = {agent: each.value.call for agent, each in bench.store.snapshot.offers.items()}
    assert after == {ANN: before[BOB], BOB: before[ANN]}, "whom they have tried comes last"
    async with asyncio.timeout(3.0):
        await bench.merge()
    merged = {agent: each.value.call for agent, each in bench.store.snapshot.offers.items()}
    assert merged == after
    for records in (first, second):
        assert isinstance(await bench.end(records), Landed)


# ---- merges that take more than one try ----------------------------------------------------------


async def test_what_an_earlier_try_of_a_merge_has_written_is_known_to_the_call(
    bench: Bench,
) -> None:
    records = await talk_alone(bench, place_before=True)
    overlay = bench.store.overlay
    assert overlay is not None
    # A try that landed, and of which nobody was told: the store went away right after it.
    await merge(bench.shared, overlay, bench.mirror.snapshot, A1)
    await bench.merge()
    assert isinstance(await bench.end(records), Landed)
    assert (await bench.record()).cause == "agent_hung_up"


async def test_a_call_that_ends_between_two_tries_of_a_merge_leaves_no_offer_behind(
    bench: Bench,
) -> None:
    records = await talk_alone(bench, place_before=True)
    overlay = bench.store.overlay
    assert overlay is not None
    await bench.read()
    before = bench.mirror.snapshot
    done = await merge(bench.shared, overlay, before, A1)
    # The mirror shows nothing of it yet, and the call ends, alone still.
    assert isinstance(await bench.end(records), Landed)
    overlay = bench.store.overlay
    assert overlay is not None
    await merge(bench.shared, overlay, before, A1, done)
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.offer(ANN))
    assert await bench.has(keys.work(ANN))


async def test_a_talk_from_before_the_cut_that_ended_alone_leaves_its_agents_work(
    bench: Bench,
) -> None:
    records = await bench.waits(is_seen=True)
    await bench.reserve(records)
    await bench.read()
    bench.store.begin()
    assert isinstance(await bench.end(records), Landed)
    await bench.merge()
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.offer(ANN))
    assert bench.store.snapshot.works[ANN].value.end is WorkEnd.TALKED


async def test_a_call_that_ends_on_an_old_copy_leaves_no_offer_of_which_that_copy_knew_nothing(
    bench: Bench,
) -> None:
    """A life that begins alone has the copy that was last on disk."""
    records = await bench.waits(is_seen=True)
    old = SiteStore(bench.shared, bench.mirror, bench.clock)
    await bench.reserve(records)
    bench.store = old
    old.begin()
    assert ANN not in old.snapshot.offers
    again = bench.records()
    again.restore(Held(ticket=old.snapshot.tickets[CALL]))
    assert isinstance(await bench.end(again), Landed)
    await bench.merge()
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.offer(ANN))


async def _taken_up_on_an_old_copy(bench: Bench) -> CallRecords:
    """Let the former life's last write be a reservation of which its next one does not know."""
    records = await bench.waits(is_seen=True)
    old = SiteStore(bench.shared, bench.mirror, bench.clock)
    await bench.reserve(records)
    bench.store = old
    old.begin()
    again = bench.records()
    again.restore(Held(ticket=old.snapshot.tickets[CALL]), is_old=True)
    return again


async def test_a_call_taken_up_on_an_old_copy_that_ends_after_the_merge_frees_its_agent(
    bench: Bench,
) -> None:
    records = await _taken_up_on_an_old_copy(bench)
    await bench.merge()
    assert await bench.has(keys.offer(ANN))
    ending = Ending(outcome=Outcome.ABANDONED, cause="caller_hung_up")

    def close(held: Held | None, at: Now) -> Plan | None:
        return None if held is None else ended(held, ending, WITHDRAWN, at)

    assert isinstance(await records.end(close, A1), Landed)
    assert (await bench.record()).cause == "caller_hung_up"
    assert not await bench.has(keys.offer(ANN))


async def test_a_call_taken_up_on_an_old_copy_and_given_another_agent_alone_has_that_one(
    bench: Bench,
) -> None:
    await has_bob(bench)
    records = await _taken_up_on_an_old_copy(bench)
    (unheard,) = await bench.shared_offers()
    gone = Change(key=keys.presence(unheard), value=None, create_revision=0, mod_revision=0)
    bench.store.note([gone], is_ours=False)
    await bench.reserve(records, TOKEN)
    await bench.merge()
    (merged,) = await bench.shared_offers()
    assert {unheard, merged} == {ANN, BOB}
    assert bench.store.snapshot.tickets[CALL].value.agent == merged


async def test_a_talk_taken_up_on_an_old_copy_has_its_agent_after_the_merge(bench: Bench) -> None:
    records = await _taken_up_on_an_old_copy(bench)
    await bench.merge()
    await records.look_again(A1, lambda: False)
    assert isinstance(await bench.end(records), Landed)
    await bench.read()
    assert (await bench.record()).cause == "agent_hung_up"
    assert bench.store.snapshot.works[ANN].value.end is WorkEnd.TALKED
    assert not await bench.has(keys.offer(ANN))


async def test_a_call_taken_up_on_an_old_copy_waits_on_after_the_merge(bench: Bench) -> None:
    records = await _taken_up_on_an_old_copy(bench)
    await bench.merge()
    assert await bench.has(keys.offer(ANN))
    await records.look_again(A1, lambda: True)
    await bench.read()
    assert bench.store.snapshot.tickets[CALL].value.state is TicketState.QUEUED
    assert not await bench.has(keys.offer(ANN))
    await bench.reserve(records)


async def test_an_agent_whom_a_sister_had_next_keeps_what_they_did_for_her(bench: Bench) -> None:
    records = await bench.waits(is_seen=True)
    await bench.reserve(records)
    await bench.read()
    bench.store.begin()
    await bench.give_back(records)
    hers = encode(Work(agent=ANN, calls=3, end=WorkEnd.TALKED, rest_s=5.0))
    told = Change(key=keys.work(ANN), value=hers, create_revision=9, mod_revision=0)
    bench.store.note([told], is_ours=False)
    await bench.merge()
    assert not await bench.has(keys.offer(ANN))
    assert bench.store.snapshot.works[ANN].value.calls == 3


# ---- what the mirror shows when a merge is over --------------------------------------------------


@in_virtual_time
@pytest.mark.parametrize("lost", ["/ticket/", "/offer/", "/work/"])
async def test_a_call_is_not_taken_for_lost_because_the_watch_lost_what_was_merged(
    lost: str,
) -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        gone: list[str] = []
        bench.store.subscribe(
            lambda _, deltas: gone.extend(each.id for each in deltas if not each.after)
        )
        records = bench.records()
        way.is_away = True
        await until(lambda: alone.is_alone, "it serves alone")
        await records.create(ticket(), bench.clock.now())
        await bench.give(records, TOKEN)
        await bench.others_give_ann_and_back()
        way.is_away, way.loses_events_of = False, lost
        await until(lambda: alone.mode is Mode.QUORUM, "it is merged")
        assert gone == []
        assert CALL in bench.store.snapshot.tickets
        assert isinstance(await bench.end(records), Landed)
        assert (await bench.record()).cause == "agent_hung_up"


# ---- what the mirror did not show when a site began to serve alone -------------------------------


@in_virtual_time
@pytest.mark.parametrize("lost", ["/ticket/", "/offer/"])
async def test_a_call_of_which_the_watch_lost_something_goes_on_and_ends_alone(lost: str) -> None:
    """Else it would be refused what it writes, and what it left be closed as a dead edge's."""
    bench = await configured()
    async with living(bench) as (way, alone):
        records = await bench.waits()
        await until(lambda: CALL in bench.store.snapshot.tickets, "seen")
        way.loses_events_of = lost
        await bench.reserve(records)
        await is_seen_up_to_now(bench)
        assert not bench.store.snapshot.offers or lost == "/ticket/"
        way.is_away = True
        await until(lambda: alone.is_alone, "it serves alone")
        assert ANN in bench.store.snapshot.offers
        assert bench.store.snapshot.tickets[CALL].value.agent == ANN
        await bench.talk(records)
        assert isinstance(await bench.end(records), Landed)
        way.is_away, way.loses_events_of = False, ""
        await until(lambda: alone.mode is Mode.QUORUM, "it is merged")
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.ticket(CALL))
    assert not await bench.has(keys.offer(ANN))


@in_virtual_time
async def test_a_caller_whose_place_the_watch_lost_gives_up_alone_and_is_told_so() -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        records = bench.records()
        way.loses_events_of = "/ticket/"
        await records.create(ticket(), bench.clock.now())
        await is_seen_up_to_now(bench)
        assert CALL not in bench.store.snapshot.tickets
        way.is_away = True
        await until(lambda: alone.is_alone, "it serves alone")
        gave_up = Ending(outcome=Outcome.ABANDONED, cause="caller_hung_up")
        written = await records.end(
            lambda held, at: None if held is None else ended(held, gave_up, WITHDRAWN, at), A1
        )
        assert isinstance(written, Landed)
        way.is_away, way.loses_events_of = False, ""
        await until(lambda: alone.mode is Mode.QUORUM, "it is merged")
    assert (await bench.record()).cause == "caller_hung_up"
    assert not await bench.has(keys.ticket(CALL))


async def test_a_call_that_was_merged_goes_on_alone_again_though_the_watch_lost_its_news(
    bench: Bench,
) -> None:
    """It holds revisions of the first time alone, which are none of the store's."""
    records = await talk_alone(bench, place_before=False)
    await bench.merge()
    place = bench.store.snapshot.tickets[CALL].create_revision
    seen = bench.mirror.snapshot

    def lost(held: Held | None, at: Now) -> Plan | None:
        if held is None or held.given is None:
            return None
        return agent_lost(held, held.given, WITHDRAWN, at)

    assert isinstance(await records.write(lost), Landed)
    revision = (await bench.shared.range(keys.ticket(CALL))).revision
    bench.mirror._turn(replace(seen, revision=revision), ())  # noqa: SLF001 - a batch without changes
    assert records.held is not None
    bench.store.begin(held=(records.held,))
    waits = bench.store.snapshot.tickets[CALL]
    assert (waits.value.state, waits.create_revision) == (TicketState.QUEUED, place)
    assert waits.value.place is None, "what it held is no place in the store's line"
    assert ANN not in bench.store.snapshot.offers, "she is free"
    await bench.give(records, replace(TOKEN, revision=2))
    await bench.merge()
    assert isinstance(await bench.end(records), Landed)
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.offer(ANN))


async def test_a_place_that_somebody_else_has_written_since_is_left_as_it_is(bench: Bench) -> None:
    records = await bench.waits(is_seen=True)
    await bench.reserve(records)
    assert records.held is not None
    await bench.put(keys.ticket(CALL), ticket(holder="b1"))
    freed = Delete(key=keys.offer(ANN))
    await bench.shared.txn((), (freed,))
    await bench.read()
    bench.store.begin(held=(records.held,))
    assert bench.store.snapshot.tickets[CALL].value.holder == "b1"
    assert ANN not in bench.store.snapshot.offers


async def is_seen_up_to_now(bench: Bench) -> None:
    """Wait until the mirror has gone on to a later revision."""
    await bench.put(keys.site(SiteId("b")), Site(id=SiteId("b"), name="B", sip="h:2"))
    now = (await bench.shared.range(keys.ticket(CALL))).revision
    await until(lambda: bench.store.snapshot.revision >= now, "seen")


async def test_a_record_owed_by_a_life_that_died_while_it_merged_is_written_by_the_next(
    bench: Bench, tmp_path: Path
) -> None:
    """The close waited for the merge when the process was killed: journal and copy know of it."""
    path = tmp_path / "alone-a1"
    bench.store = SiteStore(bench.shared, bench.mirror, bench.clock, Kept(path))
    records = await talk_alone(bench, place_before=False)
    assert records.held is not None
    owed = Owed(
        ticket=records.held.ticket.value,
        ending=Ending(outcome=Outcome.ANSWERED, cause="agent_hung_up"),
        part=AgentPart(end=WorkEnd.TALKED, rest_s=1.0),
        at=bench.clock.now(),
    )
    kept = Kept(path)
    again = bench.store = SiteStore(bench.shared, bench.mirror, bench.clock, kept)
    again.begin(written_before=kept.load())
    debts = Debts(
        edge=A1,
        clock=bench.clock,
        store=again,
        snapshot=lambda: again.snapshot,
        is_current=lambda: again.is_alone,
        journal=Journal(tmp_path / "journal-a1"),
        owed={CALL: owed},
    )
    await debts.run()
    await bench.merge()
    assert (await bench.record()).cause == "agent_hung_up"
    assert not await bench.has(keys.ticket(CALL))
    assert not await bench.has(keys.offer(ANN))
    assert bench.store.snapshot.works[ANN].value.end is WorkEnd.TALKED
