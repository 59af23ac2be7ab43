"""Who was cut off in talk and comes again before their old call is closed, at whole edges."""

from __future__ import annotations

import asyncio

from edge.sip.events import LegId
from state.model import Outcome, SiteId
from tests.edge.calling_back import NUMBER, calling, dialled, rung_back
from tests.edge.one_edge import SALES, Edge
from tests.edge.stage import Center, everybody_leaves
from tests.edge.virtual_time import in_virtual_time, until

AFTER_LOST_S = 30.0
"""More than what the rules say."""
DIED = frozenset({SiteId("a")})


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def _join(edge: Edge, theirs: LegId, agent: str) -> LegId:
    ours = await edge.joined(theirs, agent)
    await until(lambda: edge.switchboard.states().get("connected", 0) >= 1, "they talk")
    return ours


async def _cut_off(made: Center, agent: str) -> float:
    """Let somebody talk at a1, which dies with its site; return when it did."""
    a1, b1 = made.edges["a1"], made.edges["b1"]
    theirs = await a1.waiting(caller=NUMBER)
    await _join(a1, theirs, agent)
    await b1.sees_them_talk()
    await a1.kill()
    b1.unreachable = DIED
    return _now_s()


async def _dora_is_free_and_they_are_cut_off(made: Center, agent: str, *, site: str) -> float:
    """Let somebody be cut off in talk four seconds ago; return when. Of all others dora is free."""
    await made.agent(agent, site=site)
    died_s = await _cut_off(made, agent)
    await made.agent("dora", site="b")
    await asyncio.sleep(4.0)
    return died_s


@in_virtual_time
async def test_they_wait_for_the_same_agent_who_is_free_when_the_old_call_is_closed() -> None:
    async with calling(edges=("a1", "b1"), longest_wait_s=None) as made:
        b1 = made.edges["b1"]
        died_s = await _dora_is_free_and_they_are_cut_off(made, "bea", site="b")
        await b1.waiting(caller=NUMBER)
        await b1.rung("bea")
        assert _now_s() - died_s < 14.0
        assert not b1.sip.rung("dora")
        await everybody_leaves(made)


@in_virtual_time
async def test_if_the_agent_was_at_the_dead_site_they_are_given_another_at_once() -> None:
    async with calling(edges=("a1", "b1"), longest_wait_s=None) as made:
        b1 = made.edges["b1"]
        died_s = await _dora_is_free_and_they_are_cut_off(made, "ann", site="a")
        await b1.waiting(caller=NUMBER)
        await b1.rung("dora")
        assert _now_s() - died_s < 5.0
        await everybody_leaves(made)


@in_virtual_time
async def test_who_talks_again_when_the_old_call_is_closed_is_not_called_back() -> None:
    async with calling(edges=("a1", "b1"), longest_wait_s=None) as made:
        b1 = made.edges["b1"]
        died_s = await _dora_is_free_and_they_are_cut_off(made, "ann", site="a")
        theirs = await b1.waiting(caller=NUMBER)
        ours = await _join(b1, theirs, "dora")
        await asyncio.sleep(died_s + 12.0 - _now_s())
        assert not b1.snapshot.places, "it was theirs, and they are here"
        b1.sip.hang_up(theirs)
        b1.sip.hang_up(ours)
        assert (await made.record(b1, theirs)).outcome is Outcome.ANSWERED
        await asyncio.sleep(AFTER_LOST_S + 20.0)
        assert not dialled(made)


@in_virtual_time
async def test_who_has_talked_and_gone_before_the_old_call_is_closed_is_not_called_back() -> None:
    async with calling(edges=("a1", "b1", "b2"), longest_wait_s=None) as made:
        b1 = made.edges["b1"]
        await _dora_is_free_and_they_are_cut_off(made, "ann", site="a")
        theirs = await b1.waiting(caller=NUMBER)
        ours = await _join(b1, theirs, "dora")
        b1.sip.hang_up(theirs)
        b1.sip.hang_up(ours)
        assert (await made.record(b1, theirs)).outcome is Outcome.ANSWERED
        (old,) = await made.tickets()
        assert old.holder == "a1", "not closed yet"
        await asyncio.sleep(AFTER_LOST_S + 20.0)
        assert not dialled(made)
        assert not await made.tickets()
        assert not b1.snapshot.places


@in_virtual_time
async def test_nor_are_they_if_the_edge_where_they_talked_has_died_by_then() -> None:
    async with calling(edges=("a1", "b1", "b2"), longest_wait_s=None) as made:
        b1, b2 = made.edges["b1"], made.edges["b2"]
        await _dora_is_free_and_they_are_cut_off(made, "ann", site="a")
        theirs = await b1.waiting(caller=NUMBER)
        ours = await _join(b1, theirs, "dora")
        b1.sip.hang_up(theirs)
        b1.sip.hang_up(ours)
        assert (await made.record(b1, theirs)).outcome is Outcome.ANSWERED
        await b1.kill()
        await asyncio.sleep(AFTER_LOST_S + 10.0)
        assert not await made.tickets(), "nobody waits to be called back"
        assert not b2.snapshot.places


@in_virtual_time
async def test_who_is_cut_off_in_talk_twice_is_called_back_once_for_the_later_call() -> None:
    async with calling(edges=("a1", "b1", "b2"), longest_wait_s=None) as made:
        b1, b2 = made.edges["b1"], made.edges["b2"]
        await _dora_is_free_and_they_are_cut_off(made, "ann", site="a")
        theirs = await b1.waiting(caller=NUMBER)
        await _join(b1, theirs, "dora")
        (again,) = [t.call for t in await made.tickets() if t.holder == "b1"]
        await until(lambda: b2.snapshot.tickets[again].value.connected_ms is not None, "seen")
        await b1.kill()
        await until(lambda: not b2.snapshot.tickets, "both are closed", within_s=15.0)
        await until(lambda: len(b2.snapshot.places) == 1, "one place is left", within_s=2.0)
        assert list(b2.snapshot.places) == [again]
        _, rung = await rung_back(made)
        await asyncio.sleep(1.0)
        assert [leg for _, leg in dialled(made)] == [rung]
        await everybody_leaves(made)


@in_virtual_time
async def test_a_second_of_the_same_number_is_nobody_who_was_cut_off() -> None:
    async with calling(edges=("a1", "b1"), longest_wait_s=None) as made:
        b1 = made.edges["b1"]
        await _dora_is_free_and_they_are_cut_off(made, "bea", site="b")
        first = await b1.waiting(caller=NUMBER)
        await until(lambda: len(b1.snapshot.tickets) == 2, "the first is seen")
        second = await b1.waiting(caller=NUMBER)
        await b1.rung("dora")
        assert (b1.state_of(first), b1.state_of(second)) == ("queued", "ringing")
        await everybody_leaves(made)


@in_virtual_time
async def test_while_the_site_lives_whoever_calls_from_the_same_number_is_somebody_else() -> None:
    async with calling(edges=("a1", "b1"), longest_wait_s=None) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        await made.agent("bea", site="b")
        theirs = await a1.waiting(caller=NUMBER)
        await _join(a1, theirs, "bea")
        await made.agent("dora", site="b")
        await until(lambda: "dora" in b1.snapshot.agents, "dora is there")
        again = b1.sip.arrive(SALES, caller=NUMBER)
        await b1.rung("dora")
        (ticket,) = [t for t in await made.tickets() if t.holder == "b1"]
        assert (ticket.cut_off_of, ticket.prefers) == (None, None)
        assert again
        await everybody_leaves(made)
