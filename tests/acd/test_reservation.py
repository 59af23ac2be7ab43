from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, AgentPart, Ending, Holds, rung_in_vain
from edge.acd.granting import created_with_agent, reserved
from edge.acd.heirs import left_places
from edge.acd.match import PASSED_OVER, match
from edge.acd.places import place_given_back, taking
from edge.acd.plan import Held, Plan, held_after, landed_at
from edge.acd.reservation import (
    agent_freed,
    agent_lost,
    connected,
    created,
    edge_is_dead,
    ended,
    given_agent,
    offer_failed,
    orphan_closed,
    orphan_freed,
    queued,
)
from edge.acd.transferring import moved
from state import keys
from state.clock import ManualClock
from state.codec import Record, decode, encode
from state.memory import MemoryStore
from state.model import (
    AgentId,
    CallRecord,
    EdgeId,
    Entry,
    Heir,
    Offer,
    OfferState,
    Outcome,
    Place,
    Queue,
    QueueId,
    Readiness,
    SiteId,
    Ticket,
    TicketState,
    Wish,
    Work,
    WorkEnd,
)
from state.snapshot import Snapshot
from state.snapshot import replace as relist
from state.store import Delete, Put
from tests.acd.worlds import World, call_id, ticket

ANN = AgentId("ann")
EDGE = EdgeId("a1")
TALKED = AgentPart(end=WorkEnd.TALKED, rest_s=5.0)
LOST = Ending(outcome=Outcome.LOST, cause="media_lost")
ANSWERED = Ending(
    outcome=Outcome.ANSWERED,
    cause="caller_hung_up",
    agent_site=SiteId("a"),
    agent_sip_call_id="leg@edge",
)


@dataclass
class Bench:
    """A store in memory with a small world in it, one edge that works on it and its clock."""

    clock: ManualClock = field(default_factory=ManualClock)
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)

    async def put(self, key: str, record: Record) -> None:
        """Write a record, as somebody else would."""
        await self.store.txn((), (Put(key=key, value=encode(record)),))

    async def snapshot(self) -> Snapshot:
        """Return what an edge would know."""
        listing = await self.store.range(keys.STATE, prefix=True)
        seen_s = self.clock.now().mono_s
        return relist(Snapshot(), listing.records, listing.revision, seen_s)[0]

    async def send(self, plan: Plan) -> int | None:
        """Send the plan; return where it landed, if it did."""
        return landed_at(plan, await self.store.txn(plan.compares, plan.success, plan.failure))

    async def do(self, plan: Plan) -> Held:
        """Send the plan, which must land, and return what is held then."""
        revision = await self.send(plan)
        assert revision is not None
        held = held_after(plan, revision)
        assert held is not None
        return held

    async def keys(self) -> set[str]:
        """Return all keys there are."""
        listing = await self.store.range(keys.ROOT, prefix=True, keys_only=True)
        return {record.key for record in listing.records}

    async def value(self, key: str) -> bytes:
        """Return what stands at the key."""
        (record,) = (await self.store.range(key)).records
        return record.value

    async def the_ticket(self) -> Ticket:
        """Return call 1's ticket."""
        key = keys.ticket(call_id(1))
        return decode(Ticket, await self.value(key), key)

    async def the_work(self) -> Work:
        """Return what ann has done."""
        return decode(Work, await self.value(keys.work(ANN)), "work")

    async def the_record(self) -> CallRecord:
        """Return call 1's record."""
        return decode(CallRecord, await self.value(keys.ended(call_id(1))), "ended")


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    world = World()
    world.agent("ann", sales=3)
    for record in world.snapshot.raw.values():
        await bench.store.txn((), (Put(key=record.key, value=record.value),))
    return bench


Step = Callable[[Bench], Awaitable[Held]]


async def arrive(bench: Bench) -> Held:
    plan = created(ticket(1, state=TicketState.GREETING, sales=1), bench.clock.now())
    return await bench.do(plan)


async def reserve(bench: Bench) -> Held:
    held = await arrive(bench)
    held = await bench.do(queued(held, bench.clock.advance(2)))
    return await bench.do(await reservation(bench, held))


async def reservation(bench: Bench, held: Held) -> Plan:
    snapshot = await bench.snapshot()
    now = bench.clock.now()
    (offering,) = match(snapshot, now)
    return reserved(offering, held, snapshot, edge=EDGE, at=now)


async def connect(bench: Bench) -> Held:
    held = await reserve(bench)
    assert held.given is not None
    return await bench.do(connected(held, held.given, bench.clock.advance(3)))


@pytest.mark.parametrize("step", [arrive, reserve, connect])
async def test_what_is_held_is_what_the_store_has(bench: Bench, step: Step) -> None:
    held = await step(bench)
    snapshot = await bench.snapshot()

    entry = snapshot.tickets[call_id(1)]
    assert (held.ticket.value, held.ticket.mod_revision) == (entry.value, entry.mod_revision)
    assert held.ticket.create_revision == entry.create_revision
    if held.given is not None:
        offer = snapshot.offers[ANN]
        assert replace(held.given.offer, seen_s=0.0) == replace(offer, seen_s=0.0)
    else:
        assert ANN not in snapshot.offers


async def test_a_call_from_arrival_to_its_record_leaves_only_the_record(bench: Bench) -> None:
    before = await bench.keys()
    held = await connect(bench)
    revision = await bench.send(ended(held, ANSWERED, TALKED, bench.clock.advance(30)))

    assert revision is not None
    left = {keys.ended(call_id(1)), keys.work(ANN)}
    assert await bench.keys() == before | left
    record = await bench.the_record()
    assert (record.outcome, record.agent, record.agent_sip_call_id) == (
        Outcome.ANSWERED,
        ANN,
        "leg@edge",
    )
    arrived = record.arrived_ms
    assert record.queued_ms is not None
    assert record.connected_ms is not None
    assert arrived <= record.queued_ms < record.connected_ms < record.ended_ms


async def test_a_talk_before_is_no_waiting_to_an_edge_that_has_found_the_call(bench: Bench) -> None:
    """Nor goes on as guessed what is known since the edge has written the ticket itself."""
    await connect(bench)
    bench.clock.advance(300)
    snapshot, now = await bench.snapshot(), bench.clock.now()
    given = given_agent(snapshot, snapshot.offers[ANN])
    found = Held(ticket=snapshot.tickets[call_id(1)], given=given)
    assert found.ticket.is_found
    part = replace(TALKED, rest_s=0.0)
    lost = await bench.do(agent_lost(found, given, part, now, Holds(), SiteId("a")))
    assert not lost.ticket.is_found
    bench.clock.advance(10)
    again = await bench.do(await reservation(bench, lost))
    assert again.ticket.value.waited_s == pytest.approx(13.0)


async def test_a_call_that_another_edge_holds_is_not_taken_over(bench: Bench) -> None:
    await arrive(bench)
    late = replace(ticket(1, sales=1), holder=EdgeId("b1"))
    assert await bench.send(created(late, bench.clock.now())) is None
    assert (await bench.the_ticket()).holder == EDGE


async def test_an_invite_that_comes_after_the_call_is_over_makes_no_ticket(bench: Bench) -> None:
    held = await arrive(bench)
    await bench.send(ended(held, LOST, WITHDRAWN, bench.clock.now()))
    assert await bench.send(created(ticket(1, sales=1), bench.clock.now())) is None
    assert keys.ticket(call_id(1)) not in await bench.keys()


async def test_a_plan_sent_twice_lands_once_and_is_known_to_have_landed(bench: Bench) -> None:
    held = await reserve(bench)
    assert held.given is not None
    plan = connected(held, held.given, bench.clock.now())
    first = await bench.send(plan)
    await bench.put("/everline/state/wish/else", _wish())
    assert first is not None
    assert await bench.send(plan) == first


@pytest.mark.parametrize("changed", ["ticket", "presence", "work", "offer"])
async def test_a_reservation_fails_when_what_it_rests_on_has_changed(
    bench: Bench, changed: str
) -> None:
    held = await bench.do(queued(await arrive(bench), bench.clock.now()))
    plan = await reservation(bench, held)
    snapshot = await bench.snapshot()
    records: dict[str, tuple[str, Record]] = {
        "ticket": (keys.ticket(call_id(1)), held.ticket.value),
        "presence": (keys.presence(ANN), snapshot.presences[ANN].value),
        "work": (keys.work(ANN), Work(agent=ANN)),
        "offer": (keys.offer(ANN), _offer(call=7)),
    }
    await bench.put(*records[changed])
    before = await bench.snapshot()

    assert await bench.send(plan) is None
    assert await bench.snapshot() == before


async def test_a_reservation_made_on_an_older_ticket_than_the_one_held_fails(bench: Bench) -> None:
    held = await bench.do(queued(await arrive(bench), bench.clock.now()))
    snapshot = await bench.snapshot()
    now = bench.clock.now()
    (offering,) = match(snapshot, now)
    stale = replace(offering, ticket_revision=offering.ticket_revision - 1)
    assert await bench.send(reserved(stale, held, snapshot, edge=EDGE, at=now)) is None


async def test_of_two_reservations_of_one_agent_one_lands(bench: Bench) -> None:
    first = await bench.do(queued(await arrive(bench), bench.clock.now()))
    other = await bench.do(created(ticket(2, sales=1), bench.clock.now()))
    snapshot = await bench.snapshot()
    now = bench.clock.now()
    (offering,) = match(snapshot, now)
    for_other = replace(offering, call=call_id(2), ticket_revision=other.ticket.mod_revision)
    plans = (
        reserved(offering, first, snapshot, edge=EDGE, at=now),
        reserved(for_other, other, snapshot, edge=EDGE, at=now),
    )
    landed = [await bench.send(plan) for plan in plans]
    assert [revision is not None for revision in landed] == [True, False]


async def test_the_token_is_the_revision_at_which_the_offer_was_created(bench: Bench) -> None:
    held = await reserve(bench)
    assert held.given is not None
    offer = (await bench.snapshot()).offers[ANN]
    assert held.given.offer.mod_revision == offer.create_revision == offer.mod_revision


@pytest.mark.parametrize(("tried", "expected"), [(True, (ANN,)), (False, ())])
async def test_an_offer_that_fails_puts_the_caller_back_and_lets_the_agent_rest(
    bench: Bench, *, tried: bool, expected: tuple[AgentId, ...]
) -> None:
    held = await reserve(bench)
    assert held.given is not None
    part = AgentPart(end=WorkEnd.NO_ANSWER, rest_s=10.0)
    bench.clock.advance(15)
    after = await bench.do(offer_failed(held, held.given, part, bench.clock.now(), tried=tried))

    waiting = await bench.the_ticket()
    assert (waiting.state, waiting.agent, waiting.tried) == (TicketState.QUEUED, None, expected)
    assert after.ticket.create_revision == held.ticket.create_revision
    assert after.given is None
    work = await bench.the_work()
    assert (work.end, work.rest_s, work.calls, work.busy_s) == (WorkEnd.NO_ANSWER, 10.0, 0, 15.0)
    assert keys.offer(ANN) not in await bench.keys()


async def test_an_agent_who_fails_twice_is_named_once(bench: Bench) -> None:
    held = await reserve(bench)
    part = AgentPart(end=WorkEnd.DECLINED)
    for _ in range(2):
        assert held.given is not None
        now = bench.clock.now()
        held = await bench.do(offer_failed(held, held.given, part, now, tried=True))
        held = await bench.do(await reservation(bench, held))
    assert held.ticket.value.tried == (ANN,)


async def test_who_has_put_a_caller_into_another_queue_was_not_rung_in_vain(bench: Bench) -> None:
    held = await connect(bench)
    assert held.given is not None
    other, at = Queue(id=QueueId("other"), needs=()), bench.clock.advance(60)
    waits = await bench.do(moved(held, held.given, other, TALKED, Holds(), SiteId("a"), at))
    assert waits.ticket.value.tried == (ANN,), "others come first there"
    cyd = AgentId("cyd")
    again = replace(waits.ticket.value, tried=(ANN, cyd))
    assert rung_in_vain(again) == (cyd,)
    await bench.send(ended(waits, ANSWERED, WITHDRAWN, bench.clock.advance(5)))
    assert (await bench.the_record()).tried == ()


async def test_an_agent_is_freed_before_the_end_of_the_call_is_known(bench: Bench) -> None:
    held = await connect(bench)
    assert held.given is not None
    freed = await bench.do(agent_freed(held, held.given, TALKED, bench.clock.advance(60)))

    assert keys.offer(ANN) not in await bench.keys()
    assert (await bench.the_work()).busy_s == 3 + 60 + TALKED.rest_s
    assert await bench.send(ended(freed, ANSWERED, TALKED, bench.clock.now())) is not None
    assert (await bench.the_record()).agent == ANN
    assert (await bench.the_work()).calls == 1


async def test_a_call_that_never_connected_has_no_agent_in_its_record(bench: Bench) -> None:
    held = await reserve(bench)
    await bench.send(ended(held, ANSWERED, WITHDRAWN, bench.clock.now()))
    record = await bench.the_record()
    assert (record.agent, record.agent_site, record.agent_sip_call_id) == (None, None, None)
    assert (await bench.the_work()).rest_s == 0.0


async def test_a_survivor_closes_the_call_of_a_dead_edge_and_frees_its_agent(bench: Bench) -> None:
    await connect(bench)
    await bench.store.txn((), (_delete(keys.edge(EDGE)),))
    snapshot = await bench.snapshot()
    plan = orphan_closed(
        snapshot.tickets[call_id(1)],
        given_agent(snapshot, snapshot.offers[ANN]),
        bench.clock.advance(6),
        guard=edge_is_dead(EDGE),
    )
    assert await bench.send(plan) is not None
    record = await bench.the_record()
    assert (record.outcome, record.cause, record.edge) == (Outcome.LOST, "edge_died", EDGE)
    work = await bench.the_work()
    assert (work.end, work.rest_s, work.busy_s) == (WorkEnd.WITHDRAWN, 0.0, 6.0)
    assert not {keys.offer(ANN), keys.ticket(call_id(1))} & await bench.keys()


async def test_a_survivor_who_has_missed_whom_a_call_holds_does_not_close_it(bench: Bench) -> None:
    """Nobody would know any more for what the agent is held."""
    await connect(bench)
    await bench.store.txn((), (_delete(keys.edge(EDGE)),))
    entry = (await bench.snapshot()).tickets[call_id(1)]
    plan = orphan_closed(entry, None, bench.clock.now(), guard=edge_is_dead(EDGE))
    assert await bench.send(plan) is None
    assert keys.ticket(call_id(1)) in await bench.keys()


async def test_a_survivor_closes_a_call_whose_agent_has_another_offer_by_now(bench: Bench) -> None:
    await connect(bench)
    await bench.store.txn((), (_delete(keys.edge(EDGE)),))
    await bench.put(keys.offer(ANN), _offer(call=7))
    snapshot = await bench.snapshot()
    entry, offer, now = snapshot.tickets[call_id(1)], snapshot.offers[ANN], bench.clock.now()
    plan = orphan_closed(entry, None, now, guard=edge_is_dead(EDGE), seen_offer=offer.mod_revision)
    assert await bench.send(plan) is not None
    assert keys.offer(ANN) in await bench.keys()


async def test_an_edge_that_lives_again_keeps_its_calls(bench: Bench) -> None:
    await connect(bench)
    snapshot = await bench.snapshot()
    entry = snapshot.tickets[call_id(1)]
    given = given_agent(snapshot, snapshot.offers[ANN])
    now = bench.clock.now()
    guard = edge_is_dead(EDGE)
    assert await bench.send(orphan_closed(entry, given, now, guard=guard)) is None
    assert await bench.send(orphan_freed(given, now, guard=guard)) is None


async def test_a_restarted_edge_closes_what_its_former_life_left(bench: Bench) -> None:
    await arrive(bench)
    snapshot = await bench.snapshot()
    entry = snapshot.tickets[call_id(1)]
    plan = orphan_closed(entry, None, bench.clock.now(), cause="edge_restarted", guard=None)
    assert await bench.send(plan) is not None
    assert (await bench.the_record()).cause == "edge_restarted"


async def test_an_offer_without_a_ticket_is_freed(bench: Bench) -> None:
    await bench.put(keys.offer(ANN), _offer(call=7))
    snapshot = await bench.snapshot()
    given = given_agent(snapshot, snapshot.offers[ANN])
    plan = orphan_freed(given, bench.clock.now(), guard=None)
    revision = await bench.send(plan)
    assert revision is not None
    assert held_after(plan, revision) is None
    assert keys.offer(ANN) not in await bench.keys()


async def test_a_holder_who_was_taken_for_dead_cannot_write_any_more(bench: Bench) -> None:
    held = await connect(bench)
    snapshot = await bench.snapshot()
    given = given_agent(snapshot, snapshot.offers[ANN])
    entry = snapshot.tickets[call_id(1)]
    await bench.send(orphan_closed(entry, given, bench.clock.now(), guard=None))

    assert held.given is not None
    now = bench.clock.now()
    for plan in (
        queued(held, now),
        connected(held, held.given, now),
        offer_failed(held, held.given, TALKED, now, tried=True),
        agent_freed(held, held.given, TALKED, now),
        ended(held, ANSWERED, TALKED, now),
    ):
        assert await bench.send(plan) is None
    assert (await bench.the_record()).outcome is Outcome.LOST


async def test_a_work_record_that_cannot_be_read_is_written_anew(bench: Bench) -> None:
    await bench.store.txn((), (Put(key=keys.work(ANN), value=b"rubbish"),))
    held = await connect(bench)
    assert await bench.send(ended(held, ANSWERED, TALKED, bench.clock.advance(4))) is not None
    assert (await bench.the_work()).calls == 1


def _offer(call: int) -> Offer:
    return Offer(
        agent=ANN, call=call_id(call), edge=EdgeId("b1"), state=OfferState.RINGING, since_ms=0
    )


def _wish() -> Wish:
    return Wish(agent=AgentId("else"), readiness=Readiness.READY)


def _delete(key: str) -> Delete:
    return Delete(key=key)


async def test_how_long_the_caller_has_waited_stands_in_every_write(bench: Bench) -> None:
    held = await reserve(bench)
    assert held.given is not None
    before_s = held.ticket.value.waited_s
    bench.clock.advance(7.0)
    at = bench.clock.now()
    back = offer_failed(held, held.given, WITHDRAWN, at, tried=False)
    assert back.after is not None
    assert back.after.ticket.value.waited_s == before_s + 7.0
    again = queued(Held(ticket=back.after.ticket), at)
    assert again.after is not None
    assert again.after.ticket.value.waited_s == 0.0


# -- at the place of a call that is left behind


async def inherit(bench: Bench, *, between_s: float = 0.0) -> tuple[Plan, Entry[Ticket]]:
    """Plan to give ann to call 2, at the place of call 1, which b1 has left behind.

    `between_s`: how long after the last word of the one the other has come.
    """
    old = replace(ticket(1, sales=1), holder=EdgeId("b1"), waited_s=7.0)
    left = (await bench.do(created(old, bench.clock.now()))).ticket
    bench.clock.advance(between_s)
    held = await bench.do(created(ticket(2, sales=1), bench.clock.now()))
    now, snapshot = bench.clock.advance(3), await bench.snapshot()
    (offering,) = match(snapshot, now, asked={left.value.call: PASSED_OVER})
    plan = reserved(offering, held, snapshot, edge=EDGE, at=now, left=left)
    return plan, left


async def test_with_the_agent_goes_what_was_waited_there_until_now(bench: Bench) -> None:
    plan, _ = await inherit(bench, between_s=20.0)
    assert (await bench.do(plan)).ticket.value.waited_s == 30.0


async def test_with_the_agent_goes_the_place_that_was_left_behind(bench: Bench) -> None:
    plan, left = await inherit(bench)
    held = await bench.do(plan)
    value = held.ticket.value
    assert (value.place, value.waited_s) == (left.create_revision, 10.0)
    snapshot = await bench.snapshot()
    assert snapshot.tickets[call_id(2)].value == value
    assert snapshot.tickets[call_id(1)].value == left.value
    assert snapshot.heirs[call_id(1)].value == Heir(call=call_id(1), heir=call_id(2))


@pytest.mark.parametrize("what", ["written", "closed", "had"])
async def test_nobody_inherits_what_is_not_left_behind_any_more(bench: Bench, what: str) -> None:
    plan, left = await inherit(bench)
    if what == "written":
        await bench.put(keys.ticket(call_id(1)), replace(left.value, tried=(ANN,)))
    elif what == "closed":
        await bench.send(orphan_closed(left, None, bench.clock.now(), guard=None))
    else:
        await bench.put(keys.heir(call_id(1)), Heir(call=call_id(1), heir=call_id(3)))
    assert await bench.send(plan) is None
    assert not (await bench.snapshot()).offers


async def inherit_a_place(bench: Bench) -> tuple[Plan, Held, Entry[Place]]:
    """Plan to give ann to call 2, at the place of call 1, which has been closed."""
    old = replace(ticket(1, sales=1), holder=EdgeId("b1"), waited_s=7.0)
    left = (await bench.do(created(old, bench.clock.now()))).ticket
    again = replace(ticket(2, sales=1), again_of=(old.call,))
    held = await bench.do(created(again, bench.clock.now()))
    await bench.send(orphan_closed(left, None, bench.clock.now(), guard=None))
    now, snapshot = bench.clock.advance(3), await bench.snapshot()
    place = snapshot.places[old.call]
    (offering,) = match(snapshot, now)
    plan = reserved(offering, held, snapshot, edge=EDGE, at=now, left=place)
    return plan, held, place


async def test_with_the_agent_goes_the_place_of_a_call_that_was_closed(bench: Bench) -> None:
    plan, _, place = await inherit_a_place(bench)
    value = (await bench.do(plan)).ticket.value
    assert (value.place, value.waited_s) == (place.value.place, place.value.waited_s + 3.0)
    snapshot = await bench.snapshot()
    assert snapshot.tickets[call_id(2)].value == value
    assert not snapshot.places
    assert not snapshot.heirs


async def test_nobody_has_the_place_of_a_closed_call_that_another_has_had(bench: Bench) -> None:
    plan, _, place = await inherit_a_place(bench)
    await bench.store.txn(*taking((place,)))
    assert await bench.send(plan) is None
    assert not (await bench.snapshot()).offers


async def test_who_was_given_the_place_back_meanwhile_is_given_the_agent_with_it(
    bench: Bench,
) -> None:
    _, held, place = await inherit_a_place(bench)
    held = await bench.do(place_given_back(held, place, bench.clock.now()))
    now, snapshot = bench.clock.now(), await bench.snapshot()
    (offering,) = match(snapshot, now)
    plan = reserved(offering, held, snapshot, edge=EDGE, at=now, left=place)
    value = (await bench.do(plan)).ticket.value
    assert (value.place, value.agent) == (place.value.place, ANN)


async def test_who_has_just_come_has_the_place_with_the_agent_or_neither(bench: Bench) -> None:
    old = replace(ticket(1, sales=1), holder=EdgeId("b1"))
    left = (await bench.do(created(old, bench.clock.now()))).ticket
    now, snapshot = bench.clock.now(), await bench.snapshot()
    (offering,) = match(snapshot, now)
    for number, place in ((2, left.create_revision), (3, None)):
        come = ticket(number, sales=1)
        plan = created_with_agent(
            replace(offering, call=come.call), come, snapshot, edge=EDGE, at=now, left=left
        )
        await bench.store.txn(plan.compares, plan.success, plan.failure)
        written = (await bench.snapshot()).tickets[come.call].value
        assert (written.place, written.agent) == (place, None if place is None else ANN)


@pytest.mark.parametrize("was_sent_away", [False, True])
async def test_a_place_that_was_had_is_not_given_back_but_to_who_was_told_so(
    bench: Bench, *, was_sent_away: bool
) -> None:
    plan, left = await inherit(bench)
    await bench.send(plan)
    await bench.send(orphan_closed(left, None, bench.clock.now(), guard=None))
    place = (await bench.snapshot()).places[call_id(1)].value
    await bench.put(keys.place(call_id(1)), replace(place, was_sent_away=was_sent_away))
    held = await bench.do(created(ticket(3, sales=1), bench.clock.now()))
    snapshot = await bench.snapshot()
    assert bool([*left_places(snapshot)]) == was_sent_away
    back = place_given_back(held, snapshot.places[call_id(1)], bench.clock.now())
    assert (await bench.send(back) is not None) == was_sent_away
