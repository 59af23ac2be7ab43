"""Two edges answer one INVITE: the one whose answer the caller has acknowledged has the call.

The proxy gives a call to a sister when an edge is silent for too long. It answers after all, and
the caller never has its 200; but its ticket came first.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.acd.yielding import ACK_S, ACKNOWLEDGED_ELSEWHERE, CLAIM_S
from edge.sip.events import LegId
from state import keys
from state.keys import Kind
from state.model import Claim, EdgeId, Outcome
from state.snapshot import Delta
from tests.edge.fake_telephony import S
from tests.edge.one_edge import GREETED, SALES, Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import in_virtual_time, settle, until

TWICE = "twice@carrier"
CALL = keys.call_id_for(TWICE, "theirs")


async def _both_answer(made: Center, number: str = SALES) -> tuple[LegId, LegId]:
    """Let a1 have the ticket, and the caller a2's answer."""
    a1, a2 = made.edges["a1"], made.edges["a2"]
    late = a1.sip.arrive(number, sip_call_id=TWICE)
    await until(lambda: a1.state_of(late) not in {"new", "arriving"}, "a1 has answered")
    await until(lambda: CALL in a2.snapshot.tickets, "its ticket stands")
    taken = a2.sip.arrive(number, sip_call_id=TWICE)
    await until(lambda: a2.state_of(taken) not in {"new", "arriving"}, "a2 has answered")
    return late, taken


def _holder(made: Center) -> EdgeId | None:
    ticket = made.edges["a2"].snapshot.tickets.get(CALL)
    return None if ticket is None else ticket.value.holder


async def _withdrawn(edge: Edge) -> None:
    """Let the telephones that were rung answer the CANCEL."""
    for leg in [each.id for each in edge.sip.open.values() if each.state is S.CANCELLING]:
        edge.sip.decline(leg)
    await settle()


async def _hangs_up(edge: Edge, leg: LegId) -> None:
    """Let the caller leave, and all that is on its way for them come to its end."""
    edge.sip.hang_up(leg)
    await settle()
    await _withdrawn(edge)
    await until(lambda: edge.state_of(leg) == "gone", "it is over")


async def _is_over(made: Center, late: LegId, taken: LegId) -> None:
    a1, a2 = made.edges["a1"], made.edges["a2"]
    assert (a1.state_of(late), a2.state_of(taken)) == ("gone", "gone")
    await made.nothing_is_left()
    assert not (await made.store.range(keys.claim(CALL))).records
    assert len(await made.records()) == 1


@in_virtual_time
@pytest.mark.parametrize("number", [SALES, GREETED], ids=["at once", "after a greeting"])
@pytest.mark.parametrize("agents", [(), ("ann",)], ids=["waits", "is offered"])
async def test_the_edge_with_the_acknowledgement_ends_up_with_the_call(
    agents: tuple[str, ...], number: str
) -> None:
    async with center(*agents, edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late, taken = await _both_answer(made, number)
        a2.sip.acknowledge(taken)
        await until(lambda: late not in a1.sip.open, "a1 lets go of its leg")
        assert not a1.sip.over[late].reasons, "nobody is told goodbye"
        await _withdrawn(a1)
        await until(lambda: a1.state_of(late) == "gone", "a1 has given way")
        await until(lambda: _holder(made) == a2.name, "a2 has the call")
        assert a2.sip.open[taken].state is S.UP
        assert await made.records() == {}
        if agents:
            await a2.rung("ann")
        await _hangs_up(a2, taken)
        await _is_over(made, late, taken)
        record = (await made.records())[CALL]
        assert (record.edge, record.cause) == (a2.name, "caller_hung_up")


@in_virtual_time
@pytest.mark.parametrize("number", [SALES, GREETED], ids=["at once", "after a greeting"])
async def test_a_watch_that_is_late_does_not_take_a_call_away_that_was_another_edges(
    number: str,
) -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        a2.store.watch_latency_s = 0.5
        late = a1.sip.arrive(number, sip_call_id=TWICE)
        await until(lambda: a1.state_of(late) not in {"new", "arriving"}, "a1 has answered")
        await settle()
        taken = a2.sip.arrive(number, sip_call_id=TWICE)
        await until(lambda: a2.state_of(taken) not in {"new", "arriving"}, "a2 has answered")
        a2.sip.acknowledge(taken)
        await until(lambda: a1.state_of(late) == "gone", "a1 has given way")
        await asyncio.sleep(5)
        assert a2.state_of(taken) == "queued"
        assert _holder(made) == a2.name
        # As one batch tells it: that it was closed, and then that it is ours.
        ours = a2.snapshot.tickets[CALL]
        theirs = replace(ours, value=replace(ours.value, holder=a1.name), mod_revision=1)
        a2.switchboard.take_delta(Delta(kind=Kind.TICKET, id=CALL, before=theirs, after=None))
        assert a2.state_of(taken) == "queued"
        await _hangs_up(a2, taken)
        assert (await made.records())[CALL].cause == "caller_hung_up"


@in_virtual_time
async def test_the_media_of_the_edge_that_gives_way_go_and_those_of_the_other_stay() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late, taken = await _both_answer(made)
        a2.sip.acknowledge(taken)
        await until(lambda: a1.state_of(late) == "gone", "a1 has given way")
        assert list(await a1.media.calls()) == []
        assert list(await a2.media.calls()) == [CALL]
        await settle()
        await _hangs_up(a2, taken)
        await _is_over(made, late, taken)


@in_virtual_time
async def test_an_edge_whose_own_answer_is_acknowledged_gives_way_to_no_claim() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting(SALES, sip_call_id=TWICE)
        await made.put(keys.claim(CALL), Claim(call=CALL, edge=EdgeId("a2")))
        await asyncio.sleep(CLAIM_S + 1)
        assert a1.state_of(theirs) == "queued"
        a1.sip.hang_up(theirs)  # of a claim that nobody holds any more they know nothing
        await until(lambda: a1.state_of(theirs) == "gone", "it is over")
        assert (await made.records())[CALL].cause == "caller_hung_up"


@in_virtual_time
@pytest.mark.parametrize("number", [SALES, GREETED], ids=["at once", "after a greeting"])
@pytest.mark.parametrize("agents", [(), ("ann",)], ids=["waits", "is offered"])
async def test_a_caller_who_acknowledges_both_and_hangs_up_on_one_stays_with_the_other(
    agents: tuple[str, ...], number: str
) -> None:
    async with center(*agents, edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late, taken = await _both_answer(made, number)
        a1.sip.acknowledge(late)
        a2.sip.acknowledge(taken)
        await until(lambda: CALL in a1.snapshot.claims, "it is claimed")
        a1.sip.hang_up(late)
        await settle()
        await _withdrawn(a1)
        await until(lambda: _holder(made) == a2.name, "a2 has the call")
        assert a2.sip.open[taken].state is S.UP
        await _hangs_up(a2, taken)
        await _is_over(made, late, taken)
        record = (await made.records())[CALL]
        assert (record.edge, record.cause) == (a2.name, "caller_hung_up")


@in_virtual_time
@pytest.mark.parametrize("keeps_the_first", [True, False])
async def test_who_hangs_up_on_the_claimant_may_be_keeping_the_answer_of_the_other(
    *, keeps_the_first: bool
) -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late, taken = await _both_answer(made)
        a2.sip.acknowledge(taken)
        a2.sip.hang_up(taken)
        await asyncio.sleep(0.5)  # their ACK to the first was lost, and its 200 comes again
        if keeps_the_first:
            a1.sip.acknowledge(late)
            await asyncio.sleep(CLAIM_S + 2)
            assert a1.state_of(late) == "queued"
            a1.sip.hang_up(late)
        await until(lambda: a1.state_of(late) == "gone", "it is over", within_s=3)
        await until(lambda: a2.state_of(taken) == "gone", "it is over", within_s=CLAIM_S + 1)
        await _is_over(made, late, taken)
        (record,) = (await made.records()).values()
        assert record.edge == (a1.name if keeps_the_first else a2.name)
        assert record.cause == "caller_hung_up"


@in_virtual_time
async def test_a_claim_to_which_nobody_gives_way_is_withdrawn_and_its_caller_sent_away() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late, taken = await _both_answer(made)
        a1.sip.acknowledge(late)
        a2.sip.acknowledge(taken)
        await until(lambda: CALL in a2.snapshot.claims, "it is claimed")
        before = a2.store.reads
        await until(lambda: a2.state_of(taken) == "ending", "a2 gives up", within_s=CLAIM_S + 1)
        asked = a2.store.reads - before
        assert a2.sip.open[taken].state is S.ENDING
        await _hangs_up(a2, taken)
        assert CALL not in a1.snapshot.claims
        await _hangs_up(a1, late)
        await _is_over(made, late, taken)
        assert (await made.records())[CALL].edge == a1.name
        before = a2.store.reads
        await asyncio.sleep(CLAIM_S)  # what the edge asks for anyway
        asked -= a2.store.reads - before
        assert 0 < asked < 12 * CLAIM_S, "the store has other things to do"


@in_virtual_time
async def test_who_dies_with_a_claim_has_lost_the_caller_and_the_claim_is_cleared_away() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late, taken = await _both_answer(made)
        a2.sip.acknowledge(taken)
        await until(lambda: CALL in a1.snapshot.claims, "it is claimed")
        await a2.kill()
        await until(lambda: a1.state_of(late) == "gone", "a1 gives way")
        record = (await made.records())[CALL]
        assert (record.outcome, record.cause) == (Outcome.LOST, ACKNOWLEDGED_ELSEWHERE)
        await until(lambda: CALL not in a1.snapshot.claims, "cleared away", within_s=30)


@in_virtual_time
@pytest.mark.parametrize("number", [SALES, GREETED], ids=["at once", "after a greeting"])
async def test_the_next_life_of_who_dies_with_a_claim_has_the_call_that_was_given_up_to_it(
    tmp_path: Path, number: str
) -> None:
    async with center(edges=()) as made:
        a1, a2 = await made.edge("a1"), await made.edge("a2", tmp_path)
        late, taken = await _both_answer(made, number)
        a2.sip.acknowledge(taken)
        await until(lambda: CALL in a1.snapshot.claims, "it is claimed")
        await a2.kill()
        await until(lambda: a1.state_of(late) == "gone", "a1 gives way")
        again = await made.edge("a2", tmp_path)
        await again.takeover().run()
        assert again.state_of(taken) == "queued"
        assert _holder(made) == again.name
        assert await made.records() == {}
        await _hangs_up(again, taken)
        await made.nothing_is_left()
        assert (await made.records())[CALL].cause == "caller_hung_up"
        await until(lambda: CALL not in a1.snapshot.claims, "cleared away", within_s=60)


@in_virtual_time
@pytest.mark.parametrize("agents", [(), ("ann",)], ids=["waits", "is offered"])
@pytest.mark.parametrize(
    ("lives_again", "is_early"),
    [(True, True), (True, False), (False, True)],
    ids=["its next life", "its next life before the ACK", "a survivor"],
)
async def test_the_edge_with_the_acknowledgement_has_the_call_of_one_that_dies_without(
    tmp_path: Path, agents: tuple[str, ...], *, is_early: bool, lives_again: bool
) -> None:
    async with center(*agents, edges=()) as made:
        a1, a2 = await made.edge("a1", tmp_path), await made.edge("a2")
        _, taken = await _both_answer(made)
        await a1.kill()
        if is_early:
            a2.sip.acknowledge(taken)
            await until(lambda: CALL in a2.snapshot.claims, "it is claimed")
        if lives_again:
            await made.edge("a1", tmp_path)
        if not is_early:
            await until(lambda: CALL not in a2.snapshot.tickets, "it is closed")
            a2.sip.acknowledge(taken)
        await until(lambda: _holder(made) == a2.name, "a2 has the call", within_s=CLAIM_S)
        assert a2.sip.open[taken].state is S.UP
        assert await made.records() == {}
        assert CALL not in a2.snapshot.places, "they were not cut off"
        if agents:
            await a2.rung("ann")
        await _hangs_up(a2, taken)
        await made.nothing_is_left()
        (record,) = (await made.records()).values()
        assert (record.edge, record.cause) == (a2.name, "caller_hung_up")
        assert CALL not in a2.snapshot.claims


@in_virtual_time
async def test_the_next_life_of_an_edge_that_was_acknowledged_goes_on_and_makes_no_room(
    tmp_path: Path,
) -> None:
    async with center(edges=()) as made:
        a1, a2 = await made.edge("a1", tmp_path), await made.edge("a2")
        late, taken = await _both_answer(made)
        a1.sip.acknowledge(late)
        a2.sip.acknowledge(taken)
        await until(lambda: CALL in a2.snapshot.claims, "it is claimed")
        again = await made.next_life(a1, tmp_path)
        await again.takeover().run()
        await until(lambda: a2.state_of(taken) == "ending", "a2 gives up", within_s=CLAIM_S + 1)
        a2.sip.vanish(taken)
        assert _holder(made) == again.name
        assert again.switchboard.holds(CALL)
        assert await made.records() == {}


@in_virtual_time
async def test_an_edge_that_nobody_has_acknowledged_claims_nothing() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late, taken = await _both_answer(made)
        a1.sip.acknowledge(late)
        await until(lambda: a2.state_of(taken) == "ending", "a2 gives up")
        assert CALL not in a1.snapshot.claims
        a2.sip.vanish(taken)
        assert a1.state_of(late) == "queued"
        await _hangs_up(a1, late)
        await _is_over(made, late, taken)


@in_virtual_time
async def test_nobody_is_kept_for_a_call_that_waits_for_the_word_of_another_edge() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        await asyncio.sleep(30)  # nobody has come lately: a2 reserves with the very ticket
        a2.store.watch_latency_s = 0.05
        a1.sip.arrive(SALES, sip_call_id=TWICE, waited_s=0.3)
        await settle()
        assert CALL not in a2.snapshot.tickets
        taken = a2.sip.arrive(SALES, sip_call_id=TWICE)
        await until(lambda: a2.state_of(taken) == "queued", "a2 has answered")
        other = await a2.waiting(SALES)
        await until(lambda: a2.state_of(other) == "ringing", "ann is rung", within_s=1.5)
        assert a2.state_of(taken) == "queued"
        a2.sip.hang_up(other)
        await settle()
        await _withdrawn(a2)
        await until(lambda: a2.state_of(taken) == "ending", "it was another's", within_s=ACK_S + 1)


@in_virtual_time
async def test_an_edge_that_reads_an_invite_late_rings_nobody_before_the_acknowledgement() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs = a1.sip.arrive(SALES, sip_call_id=TWICE, waited_s=0.3)
        await asyncio.sleep(5)
        assert a1.state_of(theirs) == "queued"
        assert not a1.sip.rung("ann")
        a1.sip.acknowledge(theirs)
        await a1.rung("ann")
        await _hangs_up(a1, theirs)
        await made.nothing_is_left()


@in_virtual_time
async def test_an_edge_that_was_late_for_a_caller_of_its_sister_rings_nobody_for_them() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        late = a1.sip.arrive(SALES, sip_call_id=TWICE, waited_s=0.3)
        await until(lambda: CALL in a2.snapshot.tickets, "its ticket stands")
        taken = a2.sip.arrive(SALES, sip_call_id=TWICE)
        await until(lambda: a2.state_of(taken) == "queued", "a2 has answered")
        await asyncio.sleep(2)
        a2.sip.acknowledge(taken)
        await a2.rung("ann")
        assert (await made.offers())[0].edge == a2.name
        assert not [each for each in a1.sip.over.values() if each.to == "ann"]
        await _hangs_up(a2, taken)
        await _is_over(made, late, taken)
