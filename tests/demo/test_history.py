from __future__ import annotations

import asyncio

import pytest

from drills.demo import history
from drills.demo.failover import Detector, Kill
from drills.demo.history import Seen
from drills.demo.observer import Observer, is_out
from drills.demo.reports import OfferChange
from drills.demo.wall import Wall
from state import keys
from state.clock import SystemClock
from state.codec import Record, encode
from state.errors import StoreError
from state.memory import MemoryStore
from state.model import (
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    Probe,
    QueueId,
    SiteId,
    Ticket,
    TicketState,
)
from state.raw import Change
from state.store import Put

A, B = SiteId("a"), SiteId("b")
A1, A2, B1 = EdgeId("a1"), EdgeId("a2"), EdgeId("b1")
HOMES = {A1: A, A2: A, B1: B}
KILL = Kill(site=B, at_ms=1000)
ALBA = AgentId("alba")
CALL = CallId("1" * 24)


def written(at_ms: int, key: str, value: Record) -> Seen:
    change = Change(key=key, value=encode(value), create_revision=1, mod_revision=at_ms)
    return Seen(at_ms=at_ms, change=change)


def deleted(at_ms: int, key: str) -> Seen:
    return Seen(
        at_ms=at_ms, change=Change(key=key, value=None, create_revision=0, mod_revision=at_ms)
    )


def probe(at_ms: int, edge: EdgeId, *down: SiteId) -> Seen:
    up = tuple(site for site in (A, B) if site not in down)
    return written(at_ms, keys.probe(edge), Probe(edge=edge, up=up, down=down))


def ticket(at_ms: int, holder: EdgeId, state: TicketState = TicketState.QUEUED) -> Seen:
    value = Ticket(
        call=CALL,
        did=DidNumber("1"),
        queue=QueueId("q"),
        needs=(),
        priority=0,
        state=state,
        holder=holder,
        site=HOMES[holder],
        via=HOMES[holder],
        caller="1555",
        sip_call_id="x",
        arrived_ms=at_ms,
    )
    return written(at_ms, keys.ticket(CALL), value)


def offer(at_ms: int, state: OfferState = OfferState.RINGING) -> Seen:
    value = Offer(agent=ALBA, call=CALL, edge=A1, state=state, since_ms=at_ms)
    return written(at_ms, keys.offer(ALBA), value)


def presence(at_ms: int, state: PresenceState) -> Seen:
    value = Presence(agent=ALBA, site=A, state=state, since_ms=at_ms)
    return written(at_ms, keys.presence(ALBA), value)


def life(at_ms: int, edge: EdgeId) -> Seen:
    value = EdgeLife(
        edge=edge, site=HOMES[edge], sip="h:1", state=EdgeState.SERVING, started_ms=at_ms
    )
    return written(at_ms, keys.edge(edge), value)


def test_offers_are_told_in_the_order_of_their_changes() -> None:
    told = history.offers([offer(5), probe(6, A1), deleted(7, keys.offer(ALBA))])
    assert [(each.revision, each.change, each.call) for each in told] == [
        (5, OfferChange.PUT, CALL),
        (7, OfferChange.DELETED, None),
    ]
    assert {each.agent for each in told} == {ALBA}


def test_the_edges_have_noticed_when_the_last_survivor_has() -> None:
    seen = [probe(900, A1), probe(2000, A1, B), probe(2100, B1, B), probe(2600, A2, B)]
    first, last = history.sightings(seen, KILL, HOMES)
    assert (first.at_ms, first.who, first.detected_by) == (2000, "edge a1", None)
    assert (last.at_ms, last.who, last.detected_by) == (2600, "edge a2", Detector.EDGES)


def test_the_edges_have_not_noticed_while_one_survivor_has_not() -> None:
    told = history.sightings([probe(2000, A1, B)], KILL, HOMES)
    assert [each.detected_by for each in told] == [None]


def test_a_probe_from_before_the_kill_is_no_sighting_of_it() -> None:
    assert history.sightings([probe(900, A1, B), probe(950, A2, B)], KILL, HOMES) == ()


def test_leases_of_the_dead_site_running_out_are_told_and_no_others() -> None:
    seen = [life(1, A1), life(1, B1), deleted(7000, keys.edge(B1)), deleted(7001, keys.edge(A1))]
    (lease,) = history.sightings(seen, KILL, HOMES)
    assert (lease.at_ms, lease.what) == (7000, "lease of edge b1 ran out")


def test_tickets_closed_for_the_dead_site_are_counted() -> None:
    seen = [ticket(500, B1), deleted(8000, keys.ticket(CALL))]
    (closed,) = history.sightings(seen, KILL, HOMES)
    assert (closed.at_ms, closed.what) == (8000, "last of 1 tickets of b closed for it")
    living = [ticket(500, A1), deleted(8000, keys.ticket(CALL))]
    assert history.sightings(living, KILL, HOMES) == ()


def test_the_wall_counts_calls_agents_and_edges() -> None:
    wall = Wall()
    for each in (life(1, A1), presence(2, PresenceState.READY), ticket(3, A1)):
        wall.take(each)
    assert wall.agents_at(A) == (1, 0, 0)
    assert wall.edges_at(A) == 1
    assert wall.held_at(A) == 1
    wall.take(offer(4))
    assert wall.agents_at(A) == (0, 1, 0)
    wall.take(offer(5, OfferState.TALKING))
    wall.take(ticket(5, A1, TicketState.CONNECTED))
    assert wall.agents_at(A) == (0, 0, 1)
    assert wall.calls()[TicketState.CONNECTED] == 1
    wall.take(deleted(6, keys.offer(ALBA)))
    wall.take(deleted(6, keys.ticket(CALL)))
    wall.take(presence(7, PresenceState.PAUSED))
    wall.take(deleted(8, keys.edge(A1)))
    assert wall.agents_at(A) == (0, 0, 0)
    assert (wall.edges_at(A), wall.closed) == (0, 1)


def test_the_wall_ignores_what_it_cannot_read() -> None:
    wall = Wall()
    for key in (keys.ticket(CALL), "/elsewhere/x"):
        wall.take(
            Seen(
                at_ms=1,
                change=Change(key=key, value=b"rubbish", create_revision=1, mod_revision=1),
            )
        )
    assert wall.tickets == {}


def listing(*entries: tuple[str, str]) -> object:
    targets = [{"DEST": {"URI": uri, "FLAGS": flags}} for uri, flags in entries]
    return {"result": {"NRSETS": 1, "RECORDS": [{"SET": {"ID": 1, "TARGETS": targets}}]}}


def test_a_site_is_out_when_all_of_its_entries_are() -> None:
    one, other = "sip:198.18.1.10:5060", "sip:198.18.2.10:5060"
    assert is_out(listing((one, "IP"), (other, "AP"), (one, "DP")), "198.18.1.10")
    assert not is_out(listing((one, "IP"), (one, "AP")), "198.18.1.10")
    assert not is_out(
        listing(
            (one, "TP"),
        ),
        "198.18.1.10",
    )
    assert not is_out(listing((other, "IP")), "198.18.1.10")


def test_an_observer_who_begins_anew_still_knows_how_things_stand() -> None:
    observer = Observer(
        store=MemoryStore(SystemClock()), clock=SystemClock(), on_seen=lambda _: None
    )
    gone, last = ticket(10, A1), probe(30, A1, B)
    other = probe(20, B1)
    observer.seen.extend([gone, probe(5, A1), other, last, deleted(40, keys.ticket(CALL))])
    observer.begin_anew()
    assert observer.seen == [other, last]


async def test_a_history_whose_watch_has_ended_is_not_taken_for_a_whole_one() -> None:
    """A drill that reckoned from it would find no double offer in what it never saw."""

    def breaks(_: Seen) -> None:
        raise ValueError("a screen that cannot draw this")

    store = MemoryStore(SystemClock())
    observer = Observer(store=store, clock=SystemClock(), on_seen=breaks)
    watching = observer.begin()
    assert observer.seen == []
    await store.txn((), (Put(key=keys.ticket(CALL), value=b"{}"),))
    await asyncio.wait([watching])
    with pytest.raises(StoreError, match="not whole"):
        _ = observer.seen
