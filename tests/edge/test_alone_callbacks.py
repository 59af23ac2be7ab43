"""Whoever is called back by a site that is cut off meanwhile. On a store in memory."""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.plan import Held, Plan
from edge.acd.reservation import edge_is_dead, ended, given_agent, orphan_closed
from edge.calls.records import CallRecords, Landed
from state import keys
from state.codec import decode
from state.model import CallBack, CallId, Now, Outcome, Place, TrunkId
from state.store import Delete
from tests.edge.lone import A1, ANN, CALL, Bench, configured, ticket

LOST = CallId("7" * 24)
"""The call for which they are called back."""
RULES = CallBack(trunk=TrunkId("t"), after_lost_s=20.0)


async def _dialled(bench: Bench) -> CallRecords:
    """Let an agent be kept for somebody who is being called back, as the site is cut off."""
    records = bench.records()
    back = replace(ticket(), callback_of=LOST, call_back=RULES, tries=1, place=3)
    await records.create(back, bench.clock.now())
    await bench.read()
    await bench.reserve(records)
    await bench.read()
    return records


async def _others_close(bench: Bench) -> Place:
    """Let the lease run out and a survivor close it; return the place that is kept."""
    await bench.shared.txn((), (Delete(key=keys.edge(A1)),))
    await bench.read()
    snapshot = bench.mirror.snapshot
    given = given_agent(snapshot, snapshot.offers[ANN])
    guard = edge_is_dead(A1)
    plan = orphan_closed(snapshot.tickets[CALL], given, bench.clock.now(), guard=guard)
    assert (await bench.shared.txn(plan.compares, plan.success)).succeeded
    return await _place(bench)


async def _place(bench: Bench) -> Place:
    (found,) = (await bench.shared.range(keys.place(LOST))).records
    return decode(Place, found.value, found.key)


async def test_who_was_called_back_and_served_by_a_site_alone_is_not_called_again() -> None:
    bench = await configured()
    records = await _dialled(bench)
    bench.store.begin()
    await bench.talk(records)
    assert (await _others_close(bench)).due_s is not None
    assert isinstance(await bench.end(records), Landed)
    await bench.merge()
    assert (await bench.record()).outcome is Outcome.ANSWERED
    assert not await bench.has(keys.place(LOST))


async def test_nor_is_who_talks_yet_when_the_site_is_one_with_the_others_again() -> None:
    bench = await configured()
    records = await _dialled(bench)
    bench.store.begin()
    await bench.talk(records)
    await _others_close(bench)
    await bench.merge()
    assert await bench.has(keys.ticket(CALL))
    assert not await bench.has(keys.place(LOST))
    assert isinstance(await bench.end(records), Landed)


async def test_who_was_called_back_in_vain_by_a_site_alone_is_called_another_time() -> None:
    bench = await configured()
    records = await _dialled(bench)
    bench.store.begin()
    in_vain = Ending(outcome=Outcome.CALLBACK, cause="not_reached")

    def over(held: Held | None, at: Now) -> Plan | None:
        return None if held is None else ended(held, in_vain, WITHDRAWN, at)

    assert isinstance(await records.write(over), Landed)
    await bench.merge()
    kept = await _place(bench)
    assert (kept.tries, kept.due_s, kept.place) == (1, RULES.pause_s, 3)


async def _cut_off_alone(bench: Bench, *, is_taken: bool) -> None:
    """Let a caller be cut off by a site alone whom survivors have closed as well; then merge."""
    records = bench.records()
    await records.create(replace(ticket(), call_back=RULES), bench.clock.now())
    await bench.read()
    bench.store.begin()
    await bench.shared.txn((), (Delete(key=keys.edge(A1)),))
    await bench.read()
    entry = bench.mirror.snapshot.tickets[CALL]
    plan = orphan_closed(entry, None, bench.clock.now(), guard=edge_is_dead(A1))
    assert (await bench.shared.txn(plan.compares, plan.success)).succeeded
    assert await bench.has(keys.place(CALL))
    if is_taken:
        await bench.shared.txn((), (Delete(key=keys.place(CALL)),))
    lost = Ending(outcome=Outcome.LOST, cause="media_lost")

    def over(held: Held | None, at: Now) -> Plan | None:
        return None if held is None else ended(held, lost, WITHDRAWN, at)

    assert isinstance(await records.write(over), Landed)
    await bench.merge()
    assert (await bench.record()).cause == "media_lost"


async def test_who_was_cut_off_alone_has_no_place_if_the_one_that_survivors_kept_is_taken() -> None:
    """They have come again, or have been called back."""
    bench = await configured()
    await _cut_off_alone(bench, is_taken=True)
    assert not await bench.has(keys.place(CALL))


async def test_who_was_cut_off_alone_has_their_place_and_nobody_else_can_be_serving_them() -> None:
    bench = await configured()
    await _cut_off_alone(bench, is_taken=False)
    (found,) = (await bench.shared.range(keys.place(CALL))).records
    kept = decode(Place, found.value, found.key)
    assert (kept.held_by, kept.due_s) == (None, RULES.after_lost_s)
