"""The reserver among calls: no wake is lost, nobody is stranded, starved or given twice."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.match import PASSED_OVER
from edge.acd.silence import SILENT_S
from edge.sip.events import LegId
from state import keys
from state.model import AgentId, EdgeId, Now, PresenceState, SiteId, Work
from tests.edge.fake_telephony import S
from tests.edge.one_edge import GREETED, PAUSE_S, SALES, Edge
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.virtual_time import in_virtual_time, settle, until


async def _waits_while_ann_has_paused(made: Center) -> Edge:
    """Let a caller wait at a1, as the only agent has paused; return that edge."""
    a1 = made.edges["a1"]
    await made.presence("ann", PresenceState.PAUSED)
    await settle()
    await a1.waiting()
    await asyncio.sleep(1)
    return a1


@in_virtual_time
async def test_an_agent_who_comes_is_given_to_a_caller_who_waits() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await a1.waiting()
        await asyncio.sleep(1)
        await made.agent("ann")
        await a1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
async def test_an_agent_who_becomes_ready_is_given_to_a_caller_who_waits() -> None:
    async with center("ann") as made:
        a1 = await _waits_while_ann_has_paused(made)
        assert not a1.sip.rung("ann")
        await made.presence("ann", PresenceState.READY)
        await a1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
async def test_a_site_that_can_be_reached_again_gives_its_agents_to_callers_who_wait() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.unreachable = frozenset({SiteId("a")})
        await a1.waiting()
        await asyncio.sleep(1)
        assert not a1.sip.rung("ann")
        a1.unreachable = frozenset()
        a1.reserver.wake()
        await a1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
@pytest.mark.parametrize("slow_s", [0.001, 0.01])
async def test_a_rest_that_ends_while_the_match_is_made_is_seen(slow_s: float) -> None:
    """Time passes between the match and the waiting: a rest that ends in between is due too."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        loop = asyncio.get_running_loop()
        await made.put(keys.work(AgentId("ann")), Work(agent=AgentId("ann"), rest_s=2.0))
        await until(lambda: AgentId("ann") in a1.snapshot.works, "seen")
        ends_s = a1.snapshot.works[AgentId("ann")].seen_s + 2.0
        await a1.waiting()
        await asyncio.sleep(ends_s - loop.time() - slow_s / 2)
        # A match just before the end, which lasts until just after it.
        clock = a1.reserver._clock  # noqa: SLF001 - a clock that moves between two looks
        looks = iter([clock.now()])

        class Slow:
            def now(self) -> Now:
                later = clock.now()
                late = Now(mono_s=later.mono_s + slow_s, wall_ms=later.wall_ms)
                return next(looks, None) or late

        a1.reserver._clock = Slow()  # noqa: SLF001 - as above
        a1.reserver.wake()
        await asyncio.sleep(slow_s)
        await until(lambda: bool(a1.sip.rung("ann")), "rung", within_s=0.5)
        await everybody_leaves(made)


@in_virtual_time
@pytest.mark.parametrize("trouble", ["rejects", "loses_requests", "loses_answers"])
async def test_a_reservation_that_goes_wrong_is_made_anew(trouble: str) -> None:
    async with center("ann") as made:
        a1 = await _waits_while_ann_has_paused(made)
        setattr(a1.store, trouble, 2)
        await made.presence("ann", PresenceState.READY)
        await a1.rung("ann")
        assert a1.store.txns < 20
        await everybody_leaves(made)


@in_virtual_time
async def test_a_store_that_rejects_is_not_asked_in_a_storm() -> None:
    async with center("ann") as made:
        a1 = await _waits_while_ann_has_paused(made)
        before = a1.store.txns
        a1.store.rejects = 1_000_000
        await made.presence("ann", PresenceState.READY)
        await asyncio.sleep(2)
        assert a1.store.txns - before < 20
        a1.store.rejects = 0
        await a1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_is_given_an_agent_when_the_store_is_back() -> None:
    async with center("ann") as made:
        a1 = await _waits_while_ann_has_paused(made)
        await made.presence("ann", PresenceState.READY)
        await until(
            lambda: a1.snapshot.presences[AgentId("ann")].value.state is PresenceState.READY
        )
        a1.store.is_away = True
        await asyncio.sleep(6)
        a1.store.is_away = False
        await a1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
async def test_a_refusal_at_a_revision_that_this_mirror_never_sees_strands_nobody() -> None:
    """The store's revision also counts writes that no mirror watches."""
    async with center("ann") as made:
        a1 = await _waits_while_ann_has_paused(made)
        a1.store.latency_s = 0.2
        a1.store.watch_latency_s = 0.1
        await made.presence("ann", PresenceState.READY)
        await asyncio.sleep(0.15)  # the reservation is under way, on this presence
        await made.presence("ann", PresenceState.READY)
        await made.put("/somebody/else", b"1")
        await until(lambda: a1.reserver.refused == 1, "refused")
        a1.store.latency_s = 0.0
        await until(lambda: bool(a1.sip.rung("ann")), "rung", within_s=2)
        await everybody_leaves(made)


def _everybody_takes_part(edge: Edge) -> None:
    """Let agents pick up, callers agree to be joined, and whoever is told goodbye be gone."""
    for leg in list(edge.sip.open.values()):
        if leg.to:
            edge.sip.pick_up(leg.id)
        edge.sip.answer_ours(leg.id)
        if leg.state is S.ENDING:
            edge.sip.hang_up(leg.id)


@in_virtual_time
async def test_two_edges_share_the_agents_and_none_is_given_twice() -> None:
    names = [f"agent{number}" for number in range(6)]
    async with center(*names, edges=("a1", "a2")) as made:
        edges = [made.edges["a1"], made.edges["a2"]]
        for edge in edges:
            edge.store.latency_s = 0.005
            edge.store.watch_latency_s = 0.01
        order = []
        for number in range(24):
            edge = edges[number % 2]
            order.append((edge, await edge.waiting(SALES)))
            await asyncio.sleep(0.03)
        served: list[tuple[Edge, LegId]] = []
        for _ in range(4000):
            most = Counter(each.agent for each in await made.offers()).most_common(1)
            assert not most or most[0][1] == 1
            for edge in edges:
                _everybody_takes_part(edge)
            talking = [each for each in order if each[0].state_of(each[1]) == "connected"]
            for edge, caller in talking:
                served.append((edge, caller))
                edge.sip.hang_up(caller)
            if len(served) == len(order):
                break
            await asyncio.sleep(0.01)
        assert len(served) == len(order), (len(served), await made.left())
        # First come, first served, but for those who are given agents at the same moment.
        places = [order.index(each) for each in served]
        assert all(abs(place - index) < len(names) + 2 for index, place in enumerate(places))
        await everybody_leaves(made)
        records = (await made.records()).values()
        assert len(records) == len(order)
        assert {each.outcome for each in records} == {"answered"}


@in_virtual_time
async def test_a_fault_in_reserving_is_told_and_the_call_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]

        def broken(*_: object, **__: object) -> None:
            raise KeyError("a bug")

        monkeypatch.setattr("edge.reserve.reserved", broken)
        await a1.waiting()
        await asyncio.sleep(2 * PAUSE_S)
        monkeypatch.undo()
        await a1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
async def test_a_record_tells_who_was_presumed_to_be_on_the_way_to_another_edges_caller() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs = await a2.waiting()
        a2.store.latency_s = 0.3
        await made.agent("ann")
        await settle()
        ours = await a1.waiting()
        a1.unreachable = frozenset({SiteId("b")})
        await made.agent("bob")
        await a1.rung("bob")
        await a2.rung("ann")
        a1.sip.hang_up(ours)
        await everybody_leaves(made)
        decision = (await made.record(a1, ours)).decision
        assert decision is not None
        assert decision.asked == {a2.call_of(theirs): "ann"}
        assert decision.unreachable == ("b",)


@pytest.mark.parametrize(("number", "until_it_rings", "in_all"), [(SALES, 1, 3), (GREETED, 3, 5)])
@in_virtual_time
async def test_a_call_takes_one_transaction_until_a_free_agent_rings_and_two_more(
    number: str, until_it_rings: int, in_all: int
) -> None:
    """A greeting takes two: the place is kept from the beginning, an agent once it is over."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        before = a1.store.txns
        theirs = await a1.waiting(number)
        ours = await a1.rung("ann")
        assert a1.store.txns - before == until_it_rings
        a1.sip.pick_up(ours)
        await a1.answer_ours(theirs)
        await settle()
        a1.sip.hang_up(theirs)
        await everybody_leaves(made)
        assert (await made.record(a1, theirs)).decision is not None
        assert a1.store.txns - before == in_all


@in_virtual_time
async def test_only_that_two_talk_may_wait_to_be_written_of_a_call_and_not_its_end() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.store.patience_s.clear()
        theirs = await a1.waiting(SALES)
        await a1.joined(theirs, "ann")
        await settle()
        a1.sip.hang_up(theirs)
        await everybody_leaves(made)
        assert [each > 0 for each in a1.store.patience_s] == [False, True, False]


async def _two_wait_at_a2_and_one_here(made: Center) -> tuple[Edge, Edge, list[LegId]]:
    """Let two callers wait at a2, and then one at a1."""
    a1, a2 = made.edges["a1"], made.edges["a2"]
    theirs = [await a2.waiting(), await a2.waiting()]
    await settle()
    return a1, a2, [*theirs, await a1.waiting()]


@in_virtual_time
async def test_callers_of_a_dead_edge_keep_no_agents_from_others_until_its_lease_is_over() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2, _ = await _two_wait_at_a2_and_one_here(made)
        await a2.kill()
        await made.agent("ann")
        await made.agent("bob")
        await asyncio.sleep(SILENT_S - 0.5)
        assert not [*a1.sip.rung("ann"), *a1.sip.rung("bob")]
        await until(lambda: bool(a1.sip.rung("ann") or a1.sip.rung("bob")), "rung", within_s=1.6)
        assert EdgeId("a2") in a1.snapshot.edges
        # Whoever comes now is served at once: it was looked at though nobody waited.
        await a1.waiting()
        await until(lambda: bool(a1.sip.rung("ann") and a1.sip.rung("bob")), "rung", within_s=0.1)
        assert len(await made.tickets()) == 4
        assert a1.reserver.refused == 0
        await everybody_leaves(made)
        found = [each.decision for each in (await made.records()).values()]
        assert [PASSED_OVER in each.asked.values() for each in found if each] == [True, True]


@in_virtual_time
async def test_a_frozen_edges_caller_is_the_next_once_it_wakes() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2, _ = await _two_wait_at_a2_and_one_here(made)
        later = await a1.waiting()
        a2.store.is_away = True
        await made.agent("ann")
        await a1.rung("ann")
        a2.store.is_away = False
        await until(lambda: not a1.reserver.silent, "it is heard", within_s=5)
        await made.agent("bob")
        await until(lambda: bool(a2.sip.rung("bob")), "the first of all", within_s=2)
        assert a1.state_of(later) == "queued"
        await everybody_leaves(made)


@in_virtual_time
async def test_nobody_is_silent_who_is_only_slow() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2, _ = await _two_wait_at_a2_and_one_here(made)
        a2.store.latency_s = 0.9
        await made.agent("ann")
        await until(lambda: bool(a2.sip.rung("ann")), "rung")
        assert not a1.reserver.silent
        assert not a1.sip.rung("ann")
        await everybody_leaves(made)


async def _ann_calls(edge: Edge, number: str = SALES) -> LegId:
    """Let ann call from her own telephone, as the proxy says, and come as far as the music."""
    leg = edge.sip.arrive(number, caller="ann", headers={"x-everline-agent": "ann"})
    await until(lambda: edge.state_of(leg) not in {"new", "arriving"}, "answered")
    edge.sip.acknowledge(leg)
    return leg


@in_virtual_time
@pytest.mark.parametrize("number", [SALES, GREETED])
async def test_who_calls_a_queue_from_their_own_telephone_is_not_offered_their_own_call(
    number: str,
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await _ann_calls(a1, number)
        await asyncio.sleep(10)
        assert not a1.sip.rung("ann")
        assert AgentId("ann") not in a1.snapshot.works, "nor has she been before"
        # Somebody else has the call as soon as they are there.
        await made.agent("bob")
        await a1.rung("bob")
        await everybody_leaves(made)


@in_virtual_time
async def test_who_is_in_a_call_of_their_own_is_offered_no_other_until_that_is_over() -> None:
    async with center("ann", edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        own = await _ann_calls(a1)
        await until(lambda: AgentId("ann") in b1.snapshot.calling, "b1 sees that she calls")
        await b1.waiting(caller="+4930999")
        await asyncio.sleep(5)
        assert not b1.sip.rung("ann")
        assert agent_states(b1.snapshot, b1.clock.now()) == {"ann": AgentState.TALKING}
        a1.sip.hang_up(own)
        await b1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_who_gives_an_agents_name_for_their_own_keeps_no_call_from_them() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await a1.waiting(caller="ann")
        await a1.rung("ann")
        await everybody_leaves(made)
