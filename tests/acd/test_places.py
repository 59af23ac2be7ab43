"""The place of a caller who was cut off while waiting: kept once, given back once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd.ending import UNKNOWN_CALLER, WITHDRAWN, Ending
from edge.acd.match import match
from edge.acd.places import place_given_back
from edge.acd.plan import Held, held_after, landed_at
from edge.acd.reservation import created, ended, orphan_closed, queued
from edge.calls.places import place_lost
from state import keys
from state.clock import ManualClock
from state.codec import encode
from state.memory import MemoryStore
from state.model import AgentId, CallId, DidNumber, Outcome, Ticket, TicketState
from state.snapshot import Snapshot
from state.snapshot import replace as relist
from state.store import Put
from tests.acd.worlds import World, call_id, ticket

CALLER, DID = "4930777", DidNumber("4930100")


class Desk:
    """A store with one free agent, and callers who come and are lost."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)

    async def open(self) -> None:
        """Let the agent be there."""
        world = World()
        world.agent("ann", sales=3)
        for record in world.snapshot.raw.values():
            await self.store.txn((), (Put(key=record.key, value=record.value),))

    async def snapshot(self) -> Snapshot:
        """Return what an edge would know."""
        listing = await self.store.range(keys.STATE, prefix=True)
        return relist(Snapshot(), listing.records, listing.revision, self.clock.now().mono_s)[0]

    async def arrive(self, number: int, caller: str, **how: object) -> Held:
        """Let a caller come."""
        value = replace(ticket(number, sales=1), caller=caller, **how)
        return await self.held(value)

    async def held(self, value: Ticket) -> Held:
        """Write a ticket; return what is held then."""
        plan = created(value, self.clock.now())
        revision = landed_at(plan, await self.store.txn(plan.compares, plan.success, plan.failure))
        assert revision is not None
        held = held_after(plan, revision)
        assert held is not None
        return held

    async def lose(self, held: Held) -> None:
        """Close a ticket as a survivor does."""
        plan = orphan_closed(held.ticket, None, self.clock.now(), guard=None)
        assert (await self.store.txn(plan.compares, plan.success)).succeeded

    async def give_back(self, held: Held, lost: CallId) -> Held | None:
        """Give the place of `lost` to this call; None: it was too late."""
        place = (await self.snapshot()).places[lost]
        plan = place_given_back(held, place, self.clock.now(), prefers=place.value.prefers)
        revision = landed_at(plan, await self.store.txn(plan.compares, plan.success, plan.failure))
        return None if revision is None else held_after(plan, revision)


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await desk.open()
    return desk


async def test_the_old_place_comes_before_all_who_came_after_it(desk: Desk) -> None:
    early = await desk.arrive(1, CALLER)
    await desk.arrive(2, "somebody")
    await desk.lose(early)
    again = await desk.arrive(3, CALLER)
    assert [each.call for each in match(await desk.snapshot(), desk.clock.now())] == [call_id(2)]
    assert await desk.give_back(again, call_id(1)) is not None
    snapshot = await desk.snapshot()
    assert [each.call for each in match(snapshot, desk.clock.now())] == [call_id(3)]
    assert not snapshot.places


async def test_a_place_is_given_back_once(desk: Desk) -> None:
    await desk.lose(await desk.arrive(1, CALLER))
    first, second = await desk.arrive(2, CALLER), await desk.arrive(3, CALLER)
    place = (await desk.snapshot()).places[call_id(1)]
    plans = [place_given_back(held, place, desk.clock.now()) for held in (first, second)]
    results = [await desk.store.txn(plan.compares, plan.success) for plan in plans]
    assert [result.succeeded for result in results] == [True, False]


async def test_who_is_cut_off_again_keeps_the_first_place(desk: Desk) -> None:
    first = await desk.arrive(1, CALLER)
    await desk.lose(first)
    again = await desk.give_back(await desk.arrive(2, CALLER), call_id(1))
    assert again is not None
    await desk.lose(again)
    place = (await desk.snapshot()).places[call_id(2)].value
    assert place.place == first.ticket.create_revision


TALKED: dict[str, object] = {
    "state": TicketState.CONNECTED,
    "connected_ms": 5,
    "agent": AgentId("ann"),
    "waited_s": 300.0,
}


async def test_who_comes_again_goes_on_waiting_where_they_were(desk: Desk) -> None:
    """What they have waited until their old call was closed counts as well."""
    await desk.lose(await desk.arrive(1, CALLER, **TALKED))
    again = await desk.arrive(2, CALLER)
    desk.clock.advance(9.0)
    back = await desk.give_back(again, call_id(1))
    assert back is not None
    waits = back.ticket.value
    assert (waits.waited_s, waits.prefers_for_s) == (309.0, 329.0)


async def test_who_comes_again_goes_on_waiting_where_they_were_after_what_is_announced(
    desk: Desk,
) -> None:
    """Else they would wait for the same agent alone for as long as they ever had waited."""
    await desk.lose(await desk.arrive(1, CALLER, **TALKED))
    again = await desk.arrive(2, CALLER, state=TicketState.GREETING)
    back = await desk.give_back(again, call_id(1))
    assert back is not None
    after = queued(back, desk.clock.advance(7.0)).after
    assert after is not None
    waits = after.ticket.value
    assert (waits.waited_s, waits.prefers_for_s) == (300.0, 320.0)


async def test_who_was_cut_off_as_they_were_called_back_has_waited_for_nothing_that_counts(
    desk: Desk,
) -> None:
    """They come again by themselves, to a queue that lets nobody wait for so long."""
    called = {"state": TicketState.OFFERED, "callback_of": call_id(9), "tries": 1}
    await desk.lose(await desk.arrive(1, CALLER, waited_s=300.0, **called))
    back = await desk.give_back(await desk.arrive(2, CALLER), call_id(9))
    assert back is not None
    assert back.ticket.value.waited_s == 0.0


@pytest.mark.parametrize(
    ("caller", "changes", "is_kept"),
    [
        (CALLER, {}, True),
        (CALLER, {"state": TicketState.OFFERED, "agent": AgentId("ann")}, True),
        (CALLER, {"state": TicketState.CONNECTED, "connected_ms": 5}, True),
        (UNKNOWN_CALLER, {}, False),
    ],
    ids=["waiting", "being offered", "talking", "without a number"],
)
async def test_only_who_has_a_number_has_a_place_to_lose(
    desk: Desk, caller: str, changes: dict[str, object], *, is_kept: bool
) -> None:
    await desk.lose(await desk.arrive(1, caller, **changes))
    assert bool((await desk.snapshot()).places) == is_kept


@pytest.mark.parametrize("outcome", [Outcome.ABANDONED, Outcome.REFUSED, Outcome.ANSWERED])
async def test_who_was_not_cut_off_keeps_no_place(desk: Desk, outcome: Outcome) -> None:
    held = await desk.arrive(1, CALLER)
    plan = ended(held, Ending(outcome=outcome, cause="x"), WITHDRAWN, desk.clock.now())
    assert (await desk.store.txn(plan.compares, plan.success)).succeeded
    assert not (await desk.snapshot()).places


async def test_a_place_is_found_by_number_and_did_the_oldest_first(desk: Desk) -> None:
    held = [await desk.arrive(number, CALLER) for number in (1, 2)]
    for each in reversed(held):
        await desk.lose(each)
    places = (await desk.snapshot()).places
    found = place_lost(places.values(), CALLER, DID)
    assert found is not None
    assert found.value.call == call_id(1)
    assert place_lost(places.values(), CALLER, DidNumber("4930999")) is None
    assert place_lost(places.values(), "4930888", DID) is None
    assert place_lost(places.values(), UNKNOWN_CALLER, DID) is None


async def test_a_greeting_not_heard_is_played_again(desk: Desk) -> None:
    await desk.lose(await desk.arrive(1, CALLER, state=TicketState.GREETING))
    await desk.lose(await desk.arrive(2, "4930666"))
    places = (await desk.snapshot()).places
    assert not places[call_id(1)].value.has_heard_greeting
    assert places[call_id(2)].value.has_heard_greeting
    assert "caller" not in repr(places[call_id(1)].value)
    assert encode(places[call_id(1)].value)
