"""Whole callbacks: who is sent away or cut off is called back at their place, once, if they may."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.errors import CommandError
from state import keys
from state.keys import Kind
from state.model import (
    AgentId,
    Calendar,
    CalendarId,
    CallBack,
    CallId,
    Clearance,
    Did,
    EdgeState,
    Limit,
    Outcome,
    Place,
    PresenceState,
    QueueId,
    SiteId,
    Trunk,
    TrunkId,
    TurnAway,
)
from state.overlay import ALONE_FROM
from state.snapshot import Delta
from state.store import Delete
from tests.edge.calling_back import (
    NUMBER,
    RULES,
    TRUNK,
    back_records,
    calling,
    dialled,
    joined,
    places,
    rung_back,
    sent_away,
)
from tests.edge.fake_telephony import S
from tests.edge.one_edge import GREETED, SALES, Edge
from tests.edge.stage import Center
from tests.edge.virtual_time import in_virtual_time, settle, until

_ANN = AgentId("ann")
_PAUSED, _READY = PresenceState.PAUSED, PresenceState.READY
LOST = Place(
    call=keys.call_id_for("lost@carrier", "theirs"),
    did=SALES,
    caller=NUMBER,
    place=1,
    waited_s=3.0,
    queue=QueueId("sales"),
    call_back=RULES,
    due_s=0.0,
    was_sent_away=True,
)


@in_virtual_time
async def test_who_was_sent_away_is_dialled_once_an_agent_is_kept_and_then_they_talk() -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        lost = await sent_away(made, a1)
        await asyncio.sleep(20.0)
        assert not dialled(made), "nobody is there to talk to them"
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        assert not edge.sip.rung("ann"), "the agent is rung when the caller is there"
        assert [offer.agent for offer in await made.offers()] == ["ann"]
        headers = edge.sip.open[theirs].headers
        assert headers["X-Everline-Dial"] == "t"
        ours = await joined(edge, theirs, "ann")
        await asyncio.sleep(3.0)
        edge.sip.hang_up(theirs)
        edge.sip.hang_up(ours)
        await made.nothing_is_left()
        (record,) = await back_records(made)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
        assert record.callback_of == (await made.record(a1, lost)).call
        assert not await places(made)


@in_virtual_time
async def test_a_callback_keeps_its_place_before_who_came_later() -> None:
    async with calling(longest_wait_s=5.0) as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        later = await a1.waiting(caller="+4930999")
        await made.agent("ann")
        edge, theirs = await rung_back(made, within_s=4.0)
        assert not edge.sip.rung("ann")
        assert a1.state_of(later) == "queued"
        for leg in (theirs, later):
            edge.sip.hang_up(leg)
            edge.sip.decline(leg)


@in_virtual_time
async def test_nobody_is_dialled_more_often_than_stated_nor_before_the_pause_is_over() -> None:
    async with calling("ann") as made:
        a1 = made.edges["a1"]
        await made.agent("ann")
        await made.presence("ann", _PAUSED)
        await sent_away(made, a1)
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        edge.sip.decline(theirs, 486, "Busy Here")
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=2.0)
        await asyncio.sleep(RULES.pause_s - 2.0)
        assert not dialled(made)
        edge, theirs = await rung_back(made, within_s=5.0)
        await asyncio.sleep(RULES.ring_s + 0.5)  # they let it ring
        assert edge.sip.open[theirs].state is S.CANCELLING
        edge.sip.decline(theirs)
        await asyncio.sleep(3 * RULES.pause_s)
        assert not dialled(made)
        causes = [each.cause for each in await back_records(made)]
        assert causes == ["not_reached", "not_reached"]
        assert a1.snapshot.works[_ANN].value.rest_s == 0.0, "nothing that the agent did"
        await made.nothing_is_left()


@in_virtual_time
async def test_who_calls_by_themselves_is_not_called_back_and_has_the_place() -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        again = await a1.waiting(caller=NUMBER)
        await until(lambda: not a1.snapshot.places, "the place is given back")
        await made.agent("ann")
        await a1.rung("ann")
        assert not dialled(made)
        a1.sip.hang_up(again)
        for leg in a1.sip.rung("ann"):
            a1.sip.decline(leg)
        await asyncio.sleep(40.0)
        assert not dialled(made)


@pytest.mark.parametrize(
    ("rules", "trunk", "caller"),
    [
        (None, TRUNK, NUMBER),
        (RULES, replace(TRUNK, dial_out=()), NUMBER),
        (RULES, replace(TRUNK, dial_out=("1555",)), NUMBER),
        (RULES, replace(TRUNK, tenants=()), NUMBER),
        (RULES, replace(TRUNK, id=TrunkId("other")), NUMBER),
        (RULES, TRUNK, "+49alice"),
        (RULES, TRUNK, "anonymous"),
        (RULES, TRUNK, SALES),
        (RULES, replace(TRUNK, dial_out=("+",)), f"+{GREETED}"),
    ],
    ids=[
        *("no rule", "no prefix", "country", "tenant", "no trunk", "no number", "withheld"),
        *("the number dialled", "another of ours"),
    ],
)
@in_virtual_time
async def test_nobody_is_dialled_whom_the_configuration_does_not_name(
    rules: CallBack | None, trunk: Trunk, caller: str
) -> None:
    async with calling("ann", rules=rules, trunk=trunk) as made:
        a1 = made.edges["a1"]
        await made.agent("ann")
        await made.presence("ann", _PAUSED)
        await sent_away(made, a1, caller=caller)
        await made.agent("ann")
        await asyncio.sleep(60.0)
        legs = (*a1.sip.open.values(), *a1.sip.over.values())
        assert not [each for each in legs if "X-Everline-Dial" in each.headers]


@in_virtual_time
async def test_who_was_cut_off_while_waiting_and_does_not_call_is_called_back_by_a_survivor() -> (
    None
):
    async with calling(edges=("a1", "b1"), longest_wait_s=None) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        await a1.waiting(caller=NUMBER)
        await settle()
        await a1.kill()
        await until(lambda: bool(b1.snapshot.places), "the place is kept")
        died_s = asyncio.get_running_loop().time()
        await made.agent("bea", site="b")
        edge, theirs = await rung_back(made)
        assert edge is b1
        waited_s = asyncio.get_running_loop().time() - died_s
        assert waited_s == pytest.approx(20.0, abs=1.5)
        ours = await joined(edge, theirs, "bea")
        edge.sip.hang_up(theirs)
        edge.sip.hang_up(ours)
        await until(lambda: not b1.switchboard.states(), "over")
        assert (await back_records(made))[-1].outcome is Outcome.ANSWERED


@in_virtual_time
async def test_two_edges_never_dial_the_same_caller_whatever_dies_between() -> None:
    async with calling(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        await sent_away(made, a1)
        await made.agent("ann")
        await made.agent("bea")
        dialler, theirs = await rung_back(made)
        await dialler.kill()  # its INVITE may ring on: nobody else dials before the pause is over
        other = a2 if dialler is a1 else a1
        await until(lambda: not other.snapshot.offers, "the agent is free", within_s=15.0)
        assert theirs in dialler.sip.open
        place = next(iter(other.snapshot.places.values()))
        assert (place.value.tries, place.value.due_s) == (1, RULES.pause_s)
        await asyncio.sleep(RULES.pause_s - 3.0)
        assert not dialled(made)
        edge, theirs = await rung_back(made, within_s=8.0)
        assert edge is other
        edge.sip.decline(theirs)


@in_virtual_time
async def test_nobody_goes_on_ringing_for_an_edge_that_stops_and_another_calls_them() -> None:
    """Whoever picked up heard nobody, and the agent was kept for that."""
    async with calling("ann", edges=("a1", "b1")) as made:
        await made.presence("ann", _PAUSED)
        await sent_away(made, made.edges["a1"])
        await made.presence("ann", _READY)
        edge, theirs = await rung_back(made)
        await _stop(edge)
        assert edge.sip.open[theirs].state is S.CANCELLING
        assert edge.callbacks.is_busy, "a telephone may answer yet, and has to be told goodbye"
        edge.sip.decline(theirs, 487)
        await until(lambda: not edge.callbacks.is_busy, "it has let go")
        assert not await made.offers()
        assert [each.cause for each in await back_records(made)] == ["edge_stopped"]
        other, again = await rung_back(made)
        assert other is not edge
        other.sip.decline(again, 486)
        await until(lambda: not other.callbacks.is_busy, "that one, too")


@in_virtual_time
async def test_who_waits_for_an_agent_to_be_called_back_waits_on_at_another_edge() -> None:
    async with calling(edges=("a1", "b1")) as made:
        await sent_away(made, made.edges["a1"])
        await until(lambda: any(_held(made).values()), "it waits", within_s=5.0)
        (edge,) = (made.edges[name] for name, held in _held(made).items() if held)
        await _stop(edge)
        await until(lambda: not edge.callbacks.is_busy, "it has let go")
        await made.agent("ann")
        other, theirs = await rung_back(made, within_s=10.0)
        assert other is not edge
        other.sip.decline(theirs, 486)
        await until(lambda: not other.callbacks.is_busy, "that one, too")


@in_virtual_time
async def test_a_site_that_drains_calls_nobody_back_while_another_can() -> None:
    async with calling("ann", edges=("a1", "b1"), longest_wait_s=None) as made:
        await made.change_queue(longest_queue=Limit(most=0, turn_away=TurnAway.CALLBACK))
        a1, b1 = made.edges["a1"], made.edges["b1"]
        site = a1.snapshot.sites[SiteId("a")].value
        await made.put(keys.site(site.id), replace(site, draining=True))
        await until(lambda: b1.snapshot.sites[site.id].value.draining, "it drains")
        await made.presence("ann", _PAUSED)
        for number in range(8):
            b1.sip.arrive(SALES, caller=f"{NUMBER}{number}")
        await until(lambda: len(b1.callbacks.held()) == 8, "all are b1's", within_s=30.0)
        assert not a1.callbacks.held()


@in_virtual_time
async def test_where_all_sites_drain_people_are_called_back_all_the_same() -> None:
    async with calling("ann") as made:
        a1 = made.edges["a1"]
        site = a1.snapshot.sites[SiteId("a")].value
        await made.put(keys.site(site.id), replace(site, draining=True))
        await made.presence("ann", _PAUSED)
        await sent_away(made, a1)
        await made.presence("ann", _READY)
        edge, theirs = await rung_back(made)
        ours = await joined(edge, theirs, "ann")
        for leg in (theirs, ours):
            edge.sip.hang_up(leg)
        await made.nothing_is_left()


def _held(made: Center) -> dict[str, int]:
    """Return how many callbacks each edge holds."""
    return {name: len(edge.callbacks.held()) for name, edge in made.edges.items()}


async def _stop(edge: Edge) -> None:
    """Let an edge leave, as its process does."""
    edge.switchboard.is_draining = True
    edge.life.set_state(EdgeState.DRAINING)
    edge.switchboard.stop()
    edge.callbacks.stop()
    await settle()


@in_virtual_time
async def test_an_agent_who_does_not_answer_leaves_the_caller_first_in_the_line() -> None:
    async with calling("ann", "bob") as made:
        a1 = made.edges["a1"]
        for name in ("ann", "bob"):
            await made.presence(name, _PAUSED)
        await sent_away(made, a1)
        for name in ("ann", "bob"):
            await made.presence(name, _READY)
        edge, theirs = await rung_back(made)
        edge.sip.pick_up(theirs)
        first, other = await edge.one_rung("ann", "bob")
        edge.sip.decline(edge.sip.rung(first)[0])
        ours = await edge.joined(theirs, other)
        for leg in (theirs, ours):
            edge.sip.hang_up(leg)
        await made.nothing_is_left()
        assert (await back_records(made))[-1].outcome is Outcome.ANSWERED


@in_virtual_time
async def test_who_has_answered_waits_on_though_the_agent_does_not_take_them() -> None:
    """They have waited in the line for longer than the queue lets anybody wait."""
    async with calling() as made:
        await sent_away(made, made.edges["a1"])
        await asyncio.sleep(20.0)
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        edge.sip.pick_up(theirs)
        edge.sip.decline(await edge.rung("ann"))
        ours = await edge.joined(theirs, "ann")
        for leg in (theirs, ours):
            edge.sip.hang_up(leg)
        await made.nothing_is_left()
        assert [each.outcome for each in await back_records(made)] == [Outcome.ANSWERED]


@in_virtual_time
async def test_who_has_answered_waits_on_though_the_edge_dies_while_their_agent_is_rung(
    tmp_path: Path,
) -> None:
    async with calling(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        await asyncio.sleep(1.0)
        await sent_away(made, a1)
        await made.agent("ann")
        _, theirs = await rung_back(made)
        a1.sip.pick_up(theirs)
        await a1.rung("ann")
        again = await made.next_life(a1, tmp_path)
        await again.takeover().run()
        ours = await again.joined(theirs, "ann")
        for leg in (theirs, ours):
            again.sip.hang_up(leg)
        await made.nothing_is_left()
        assert [each.outcome for each in await back_records(made)] == [Outcome.ANSWERED]


@in_virtual_time
async def test_who_has_answered_and_is_cut_off_as_they_wait_on_has_been_called_back() -> None:
    async with calling(longest_wait_s=None) as made:
        a1 = made.edges["a1"]
        await made.put(keys.place(LOST.call), LOST)
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        edge.sip.pick_up(theirs)
        edge.sip.decline(await edge.rung("ann"))
        await until(lambda: edge.switchboard.states() == {"queued": 1}, "they wait on")
        edge.sip.vanish(theirs)
        await until(lambda: bool(a1.snapshot.places), "their place is kept")
        (place,) = await places(made)
        assert (place.tries, place.due_s) == (1, RULES.pause_s)
        await asyncio.sleep(RULES.pause_s - 1.0)
        assert not dialled(made)


@in_virtual_time
async def test_a_callback_may_be_cancelled_and_only_while_it_waits_for_its_time() -> None:
    async with calling("ann") as made:
        a1 = made.edges["a1"]
        await made.presence("ann", _PAUSED)
        lost = await sent_away(made, a1)
        call = (await made.record(a1, lost)).call
        await until(lambda: bool(a1.callbacks.stages()), "it waits in the line")
        with pytest.raises(CommandError, match="being called"):
            await a1.callbacks.cancel(call)
        with pytest.raises(CommandError, match="nobody is to be called back"):
            await a1.callbacks.cancel(CallId("0" * 24))
        await made.presence("ann", _READY)
        edge, theirs = await rung_back(made)
        edge.sip.decline(theirs)
        await until(lambda: bool(a1.snapshot.places), "there is another try")
        await a1.callbacks.cancel(call)
        await asyncio.sleep(3 * RULES.pause_s)
        assert not dialled(made)


@in_virtual_time
async def test_nobody_is_called_back_after_the_time_is_up() -> None:
    async with calling("ann", rules=replace(RULES, tries=10, expires_s=100.0)) as made:
        a1 = made.edges["a1"]
        await made.presence("ann", _PAUSED)
        await sent_away(made, a1)
        await made.presence("ann", _READY)
        began_s = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began_s + 300.0:
            for edge, leg in dialled(made):
                assert asyncio.get_running_loop().time() < began_s + 105.0
                edge.sip.decline(leg, 486, "Busy Here")
            await asyncio.sleep(1.0)
        assert len(await back_records(made)) == 4


@in_virtual_time
async def test_nobody_is_dialled_while_the_number_is_closed() -> None:
    async with calling("ann") as made:
        a1 = made.edges["a1"]
        await made.presence("ann", _PAUSED)
        await sent_away(made, a1)
        await made.presence("ann", _READY)
        edge, leg = await rung_back(made)
        edge.sip.decline(leg)
        await made.put(
            keys.calendar(CalendarId("never")),
            Calendar(id=CalendarId("never"), zone="UTC", week=((),) * 7),
        )
        did = Did(number=SALES, queue=QueueId("sales"), calendar=CalendarId("never"))
        await made.put(keys.did(SALES), did)
        await asyncio.sleep(3 * RULES.pause_s)
        assert not dialled(made)
        await made.put(keys.did(SALES), replace(did, calendar=None))
        edge, leg = await rung_back(made, within_s=3.0)
        edge.sip.decline(leg)


@in_virtual_time
async def test_a_callee_who_hangs_up_before_the_agent_answers_has_abandoned_and_frees_them() -> (
    None
):
    async with calling("ann") as made:
        a1 = made.edges["a1"]
        await made.presence("ann", _PAUSED)
        await sent_away(made, a1)
        await made.presence("ann", _READY)
        edge, theirs = await rung_back(made)
        edge.sip.pick_up(theirs)
        ours = await edge.rung("ann")
        edge.sip.hang_up(theirs)
        await settle()
        edge.sip.decline(ours)
        await made.nothing_is_left()
        assert (await back_records(made))[-1].outcome is Outcome.ABANDONED


@in_virtual_time
async def test_who_was_sent_away_more_than_once_is_called_back_once() -> None:
    async with calling(longest_wait_s=None) as made:
        a1 = made.edges["a1"]
        await made.change_queue(longest_queue=Limit(most=0, turn_away=TurnAway.CALLBACK))
        for _ in range(2):
            leg = a1.sip.arrive(SALES, caller=NUMBER)
            assert a1.sip.over[leg].status == 486
            await asyncio.sleep(2.0)
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        ours = await joined(edge, theirs, "ann")
        for leg in (theirs, ours):
            edge.sip.hang_up(leg)
        await asyncio.sleep(120.0)
        assert not dialled(made)
        assert len(await back_records(made)) == 1


@in_virtual_time
async def test_whose_ticket_goes_while_they_wait_is_dialled_by_whoever_has_it_next() -> None:
    async with calling(edges=("a1",)) as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        await until(lambda: a1.callbacks.stages() == {"waiting": 1}, "in the line", within_s=30.0)
        (waiting,) = a1.callbacks.waiting()
        a1.callbacks.take_delta(
            Delta(kind=Kind.TICKET, id=waiting, before=a1.snapshot.tickets[waiting], after=None)
        )
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        assert a1.callbacks.waiting() == [], "who is dialled waits no more"
        ours = await joined(edge, theirs, "ann")
        for leg in (theirs, ours):
            edge.sip.hang_up(leg)
        await asyncio.sleep(120.0)
        assert not dialled(made)
        assert [each.outcome for each in await back_records(made)] == ["lost", "answered"]


@in_virtual_time
async def test_nobody_is_dialled_whose_ticket_was_closed_while_the_relay_made_our_offer() -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        a1.media.delay_s = 1.0
        await made.agent("ann")
        await until(lambda: a1.callbacks.stages() == {"dialling": 1}, "dialling", within_s=30.0)
        (ticket,) = await made.tickets()
        await made.store.txn((), (Delete(key=keys.ticket(ticket.call)),))
        await settle()
        assert not a1.callbacks.holds(ticket.call)
        await asyncio.sleep(1.5)
        assert not dialled(made), "a caller who answers would hear nobody, and for ever"
        assert ticket.call in a1.media.released


@in_virtual_time
@pytest.mark.parametrize("has_answered", [False, True])
async def test_a_callback_that_another_edge_has_closed_leaves_nothing_at_the_relay(
    *, has_answered: bool
) -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        await made.agent("ann")
        _, theirs = await rung_back(made)
        (ticket,) = await made.tickets()
        if has_answered:
            a1.media.delay_s = 1.0
            a1.sip.pick_up(theirs)
            await asyncio.sleep(0.1)  # the relay is asked that first, and then to forget it
        await made.store.txn((), (Delete(key=keys.ticket(ticket.call)),))
        await until(lambda: not a1.callbacks.holds(ticket.call), "it is let go")
        if has_answered:
            a1.sip.hang_up(theirs)
        else:
            a1.sip.decline(theirs, 487)
        await asyncio.sleep(3.0)
        assert not await a1.media.has(ticket.call)
        assert a1.switchboard.states() == {}


@in_virtual_time
async def test_who_is_dialled_by_a_site_that_was_alone_is_let_go_if_another_has_closed_it() -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        await made.agent("ann")
        _, theirs = await rung_back(made)
        (ticket,) = await made.tickets()
        back = a1.callbacks.call(ticket.call)
        assert back is not None
        held = back.records.held
        assert held is not None
        # The agent was kept without a quorum: it goes by the revision that its site's copy had.
        alone = replace(held.ticket, mod_revision=ALONE_FROM + 7)
        back.records.held = replace(held, ticket=alone)
        await made.store.txn((), (Delete(key=keys.ticket(ticket.call)),))
        await until(lambda: not a1.callbacks.holds(ticket.call), "it is let go")
        assert a1.sip.open[theirs].state is S.CANCELLING
        a1.sip.decline(theirs, 487)


@in_virtual_time
async def test_who_calls_by_themselves_while_an_agent_is_being_kept_for_them_is_not_dialled() -> (
    None
):
    async with calling(longest_wait_s=None) as made:
        a1 = made.edges["a1"]
        await made.put(keys.place(LOST.call), LOST)
        await until(lambda: bool(a1.callbacks.stages()), "it waits in the line", within_s=30.0)
        await settle()
        a1.store.latency_s = 0.2
        await made.agent("ann")
        await asyncio.sleep(0.1)  # of the agent who is kept for them the edge hears in 0.3 s
        theirs = a1.sip.arrive(SALES, caller=NUMBER)
        await asyncio.sleep(2.0)
        assert not [leg for leg in a1.sip.open.values() if "X-Everline-Dial" in leg.headers]
        a1.store.latency_s = 0.0
        a1.sip.acknowledge(theirs)
        ours = await a1.rung("ann")
        a1.sip.hang_up(theirs)
        a1.sip.decline(ours)
        await made.nothing_is_left()


@in_virtual_time
async def test_who_dials_again_while_another_is_taken_into_the_line_is_not_called_back() -> None:
    """After a site was lost many are due at once, and many dial again in that moment."""
    async with calling(longest_wait_s=None) as made:
        a1 = made.edges["a1"]
        numbers = {NUMBER, "+4930124"}
        for number in sorted(numbers):
            call = keys.call_id_for(number, "theirs")
            await made.put(keys.place(call), replace(LOST, call=call, caller=number, due_s=5.0))
        await asyncio.sleep(1.0)
        a1.store.latency_s = 0.2
        await until(lambda: bool(a1.callbacks.stages()), "one is taken into the line")
        (first,) = a1.callbacks.held()
        (other,) = numbers - {first.ticket.caller}
        theirs = a1.sip.arrive(SALES, caller=other)
        await asyncio.sleep(3.0)
        assert [each.ticket.caller for each in a1.callbacks.held()] == [first.ticket.caller]
        assert not a1.snapshot.places, "they have their place"
        a1.store.latency_s = 0.0
        a1.sip.acknowledge(theirs)
        a1.sip.hang_up(theirs)


@in_virtual_time
async def test_who_offers_anew_or_refers_us_before_their_answer_is_taken_in_is_refused() -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        await made.agent("ann")
        _, theirs = await rung_back(made)
        a1.media.delay_s = 1.0
        a1.sip.pick_up(theirs)
        a1.sip.offer(theirs)
        assert (a1.sip.open[theirs].their_offer, a1.sip.open[theirs].status) == (False, 491)
        a1.sip.refer(theirs, "sip:elsewhere@192.0.2.9")
        assert a1.sip.refusals == [(403, "")]
        a1.media.delay_s = 0.0
        ours = await a1.rung("ann")
        a1.sip.pick_up(ours)
        await a1.reinvited(theirs)
        for leg in (theirs, ours):
            a1.sip.hang_up(leg)


@in_virtual_time
@pytest.mark.parametrize("step", ["offer_caller", "caller_answered"])
async def test_a_fault_frees_the_agent_and_leaves_the_caller_for_another_time(step: str) -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        a1.media.fails_with[step] = RuntimeError("a fault of ours")
        await made.agent("ann")
        if step == "caller_answered":
            _, theirs = await rung_back(made)
            a1.sip.pick_up(theirs)
        for _ in range(300):
            if await back_records(made):
                break
            await asyncio.sleep(0.1)
        (record,) = await back_records(made)
        assert record.outcome is Outcome.CALLBACK
        assert not await made.tickets()
        assert not await made.offers()
        assert a1.snapshot.places


async def _clearances(made: Center) -> list[str]:
    listed = await made.store.range(f"{keys.STATE}clearance/", prefix=True)
    return [each.key for each in listed.records]


@in_virtual_time
async def test_nobody_is_dialled_of_whom_nobody_has_looked_whether_they_may_be() -> None:
    async with calling("ann") as made:
        await made.presence("ann", _PAUSED)
        a1, clearing = made.edges["a1"], made.clearing
        clearing.is_away = True
        await sent_away(made, a1)
        await made.presence("ann", _READY)
        await asyncio.sleep(300.0)
        assert not dialled(made)
        assert not a1.callbacks.stages(), "nor is an agent kept for them"
        clearing.is_away = False
        edge, theirs = await rung_back(made, within_s=3.0)
        assert not await _clearances(made), "it was for this try"
        clearing.is_away = True
        edge.sip.decline(theirs, 486, "Busy Here")
        await asyncio.sleep(3 * RULES.pause_s)
        assert not dialled(made), "each try is looked at anew"
        clearing.is_away = False
        edge, theirs = await rung_back(made, within_s=3.0)
        edge.sip.decline(theirs)


@in_virtual_time
async def test_who_said_no_is_not_dialled_and_has_the_place_when_they_call_themselves() -> None:
    async with calling("ann", edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        made.clearing.refusing = frozenset({NUMBER})
        await made.presence("ann", _PAUSED)
        await sent_away(made, a1)
        await until(
            lambda: [each.value.due_s for each in a1.snapshot.places.values()] == [None],
            "nobody is to be called back",
            within_s=5.0,
        )
        await until(lambda: not a1.snapshot.clearances, "nothing is left of it", within_s=20.0)
        await made.presence("ann", _READY)
        await asyncio.sleep(60.0)
        assert not dialled(made)
        again = await a1.waiting(caller=NUMBER)
        await until(lambda: not a1.snapshot.places, "the place is given back")
        ours = await a1.rung("ann")
        a1.sip.hang_up(again)
        a1.sip.decline(ours)


@in_virtual_time
async def test_what_was_said_of_a_place_that_is_gone_is_cleared_away() -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        told = Clearance(call=LOST.call, place=7, may_call=True)
        await made.put(keys.clearance(LOST.call), told)
        await until(lambda: LOST.call in a1.snapshot.clearances, "it is seen")
        await until(lambda: not a1.snapshot.clearances, "it is gone", within_s=20.0)


@in_virtual_time
async def test_where_nobody_has_to_look_callers_are_called_back_without() -> None:
    async with calling("ann", rules=replace(RULES, needs_clearance=False)) as made:
        made.clearing.is_away = True
        await made.presence("ann", _PAUSED)
        await sent_away(made, made.edges["a1"])
        await made.presence("ann", _READY)
        edge, theirs = await rung_back(made, within_s=5.0)
        edge.sip.decline(theirs)


@in_virtual_time
async def test_who_dials_again_and_is_served_at_once_while_their_callback_waits_is_not_called() -> (
    None
):
    """It waited for the agent with whom they had talked; somebody else was free."""
    async with calling("bob", longest_wait_s=None) as made:
        a1 = made.edges["a1"]
        await made.agent("ann")
        await made.presence("ann", _PAUSED)
        await made.put(keys.place(LOST.call), replace(LOST, prefers=_ANN))
        await until(lambda: bool(a1.callbacks.stages()), "it waits in the line", within_s=30.0)
        theirs = await a1.waiting(caller=NUMBER)
        ours = await a1.joined(theirs, "bob")
        await until(lambda: a1.switchboard.states() == {"connected": 1}, "they talk")
        await asyncio.sleep(1.0)
        assert not a1.snapshot.places
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await asyncio.sleep(40.0)
        assert not dialled(made)
        await made.nothing_is_left()
