"""What an edge's next life makes of its calls, by the journal and by what the store still has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.acd.call import Rules, State
from edge.acd.call_events import Attempt, Side
from edge.acd.token import Token
from edge.acd.unwritten import Told, held_by_copy
from edge.calls.journal import AgentNote, CallNote, Journal, Left
from edge.calls.takeover import Takeover
from edge.media.inert import inert_answer
from edge.sip.dialog import Dialog
from edge.sip.events import Address, LegId, OfferAnswered
from state import keys
from state.mirror import MirrorState
from state.model import (
    AgentId,
    Entry,
    Offer,
    OfferState,
    Outcome,
    QueueId,
    Ticket,
    TicketState,
)
from state.snapshot import Snapshot
from tests.acd.stage import decision
from tests.acd.worlds import ticket
from tests.edge.fake_telephony import CALLER_SDP
from tests.edge.one_edge import GREETED, SALES, Edge
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

LEG = LegId("caller")
PLACE: Ticket = replace(
    ticket(1, holder="a1", talking=3),
    call=keys.call_id_for("before", "theirs"),
    did=SALES,
    queue=QueueId("sales"),
    sip_call_id="before",
)


def _dialog(leg: LegId, sip_call_id: str) -> Dialog:
    return Dialog(
        sip_call_id=sip_call_id,
        local_tag=leg,
        remote_tag="them",
        local=f"<sip:everline>;tag={leg}",
        remote="<sip:them>;tag=them",
        local_seq=1,
        remote_seq=1,
        remote_target="sip:them@192.0.2.1",
        route_set=(),
        caller=False,
        hop=Address("192.0.2.1", 5060),
    )


def _takeover(  # noqa: PLR0913  what a life finds
    edge: Edge,
    state: State,
    place: Ticket = PLACE,
    agent: AgentNote | None = None,
    *,
    snapshot: Snapshot | None = None,
    is_alone: Callable[[], bool] = lambda: False,
    hears_nothing: bool = False,
    heard_until_ms: int | None = None,
) -> Takeover:
    note = CallNote(
        ticket=place,
        rules=Rules(greeting=place.state is TicketState.GREETING),
        state=state,
        caller=_dialog(LEG, "before"),
        said={Side.CALLER: CALLER_SDP},
        told={Side.CALLER: b"of ports that may be no more"},
        is_joined=agent is not None and state is not State.RINGING,
        decision=None if agent is None else decision(),
        agent=agent,
        has_talked=agent is not None and state is not State.RINGING,
        hears_nothing=hears_nothing,
        heard_until_ms=heard_until_ms,
    )
    return Takeover(
        edge=edge.name,
        clock=LoopClock(),
        snapshot=lambda: snapshot or edge.mirror.snapshot,
        is_alone=is_alone,
        is_current=lambda: edge.mirror.state is MirrorState.LIVE,
        switchboard=edge.switchboard,
        relay=edge.media,
        notes={place.call: note},
    )


async def _of_a_waiting_caller(
    made: Center,
    state: State = State.QUEUED,
    *,
    relay_has_it: bool = False,
    hears_nothing: bool = False,
    heard_until_ms: int | None = None,
) -> Takeover:
    """Return the takeover, by edge a1, of a caller whose place is written."""
    a1, waiting = made.edges["a1"], replace(PLACE, state=TicketState(state.value))
    takeover = _takeover(
        a1, state, waiting, hears_nothing=hears_nothing, heard_until_ms=heard_until_ms
    )
    await made.put(keys.ticket(PLACE.call), waiting)
    await settle()
    if relay_has_it:
        await a1.media.hold_caller(PLACE.call, CALLER_SDP)
    return takeover


@in_virtual_time
@pytest.mark.parametrize("state", [State.GREETING, State.QUEUED])
async def test_a_caller_whose_place_the_former_life_could_not_write_waits_on(state: State) -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await _takeover(a1, state, replace(PLACE, state=TicketState.GREETING)).run()
        await until(lambda: bool(a1.snapshot.tickets), "there is a place")
        await settle()
        assert [each.state for each in await made.tickets()] == [TicketState.QUEUED]
        await made.agent("ann")
        assert await a1.rung("ann")


@in_virtual_time
async def test_a_caller_who_had_no_place_and_leaves_has_a_record_all_the_same() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        a1.store.is_away = True
        takeover = _takeover(a1, State.QUEUED)
        await a1.media.hold_caller(PLACE.call, CALLER_SDP)
        a1.sip.hang_up(LEG)
        await settle()
        a1.store.is_away = False
        await takeover.run()
        assert (await made.record(a1, LEG)).outcome is Outcome.ABANDONED


@in_virtual_time
async def test_a_caller_whose_agent_an_old_copy_does_not_know_of_is_served_after_the_cut() -> None:
    """The next life begins alone, on a copy of before that: nobody rings that agent."""
    async with center() as made:
        a1, ann = made.edges["a1"], AgentId("ann")
        await made.put(keys.ticket(PLACE.call), replace(PLACE, state=TicketState.QUEUED))
        await settle()
        before, is_alone = a1.mirror.snapshot, True
        given = replace(PLACE, state=TicketState.OFFERED, agent=ann)
        await made.put(keys.ticket(PLACE.call), given)
        ringing = OfferState.RINGING
        await made.put(
            keys.offer(ann),
            Offer(agent=ann, call=PLACE.call, edge=a1.name, state=ringing, since_ms=1),
        )
        takeover = _takeover(a1, State.QUEUED, snapshot=before, is_alone=lambda: is_alone)
        await takeover.run()
        await made.agent(ann)
        looking = asyncio.create_task(takeover.look_again())
        await settle()
        assert not a1.sip.open.keys() - {LEG}
        is_alone = False
        await looking
        assert await a1.rung("ann")


@in_virtual_time
async def test_a_caller_for_whom_an_agent_was_rung_of_whom_an_old_copy_does_not_know_waits_on() -> (
    None
):
    async with center() as made:
        a1, is_alone = made.edges["a1"], True
        await made.put(keys.ticket(PLACE.call), replace(PLACE, state=TicketState.QUEUED))
        await settle()
        rung = AgentNote(attempt=Attempt(1), token=Token(epoch=1, revision=1))
        place = replace(PLACE, agent=AgentId("ann"), state=TicketState.OFFERED)
        takeover = _takeover(
            a1,
            State.RINGING,
            place,
            rung,
            snapshot=a1.mirror.snapshot,
            is_alone=lambda: is_alone,
        )
        await takeover.run()
        await settle()
        assert "bye" not in a1.sip.open[LEG].said
        is_alone = False
        await takeover.look_again()
        await made.agent("ann")
        assert await a1.rung("ann")


@in_virtual_time
async def test_a_caller_whose_call_was_closed_meanwhile_is_let_go() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await made.put(keys.ended(PLACE.call), b'{"v":1}')
        await _takeover(a1, State.QUEUED).run()
        await settle()
        assert a1.sip.open[LEG].said == ["ask", "bye"]
        assert not await made.tickets()


@in_virtual_time
@pytest.mark.parametrize(
    ("relay_has_it", "ended"),
    [(True, (Outcome.ANSWERED, "agent_hung_up")), (False, (Outcome.LOST, "media_lost"))],
)
async def test_who_hung_up_meanwhile_ended_the_call_if_they_could_be_heard(
    *, relay_has_it: bool, ended: tuple[Outcome, str]
) -> None:
    async with center() as made:
        a1, agent_leg, ann = made.edges["a1"], LegId("agent"), AgentId("ann")
        await made.agent(ann)
        talking = replace(PLACE, agent=ann, state=TicketState.CONNECTED)
        token = Token(epoch=1, revision=1)
        note = AgentNote(attempt=Attempt(1), token=token, dialog=_dialog(agent_leg, "rung"))
        takeover = _takeover(a1, State.CONNECTED, talking, note)
        await made.put(keys.ticket(PLACE.call), talking)
        await made.put(
            keys.offer(ann),
            Offer(agent=ann, call=PLACE.call, edge=a1.name, state=OfferState.TALKING, since_ms=1),
        )
        await settle()
        if relay_has_it:
            await a1.media.hold_caller(PLACE.call, CALLER_SDP)
        a1.sip.hang_up(agent_leg)
        await takeover.run()
        a1.sip.hang_up(LEG)
        record = await made.record(a1, LEG)
        assert (record.outcome, record.cause) == ended


@in_virtual_time
async def test_nobody_is_rung_for_a_caller_whose_telephone_has_hung_up_meanwhile() -> None:
    """Their BYE stood before a dead proxy; it is sent again, or they are taken for gone."""
    async with center() as made:
        a1 = made.edges["a1"]
        takeover = await _of_a_waiting_caller(made, relay_has_it=True)
        await takeover.run()
        a1.sip.doubt(LEG)
        await made.agent("ann")
        await asyncio.sleep(2.0)
        assert (a1.state_of(LEG), a1.sip.rung("ann"), await made.offers()) == ("queued", [], [])
        a1.sip.be_gone(LEG)
        record = await made.record(a1, LEG)
        assert record.agent is None
        await a1.waiting()
        assert await a1.rung("ann")


@in_virtual_time
@pytest.mark.parametrize("state", [State.GREETING, State.QUEUED])
@pytest.mark.parametrize("relay_has_it", [True, False])
@pytest.mark.parametrize("is_heard_late", [False, True], ids=["meanwhile", "just after"])
async def test_a_caller_who_waited_and_left_is_lost_if_they_heard_nothing_any_more(
    *, relay_has_it: bool, state: State, is_heard_late: bool
) -> None:
    """A goodbye that was said to a dead edge may be heard only when it is said again."""
    async with center() as made:
        a1 = made.edges["a1"]
        takeover = await _of_a_waiting_caller(made, state, relay_has_it=relay_has_it)
        if is_heard_late:
            await takeover.run()
            assert a1.state_of(LEG) == "queued"
            a1.sip.hang_up(LEG)
        else:
            a1.sip.hang_up(LEG)
            await takeover.run()
        record = await made.record(a1, LEG)
        assert record.outcome is (Outcome.ABANDONED if relay_has_it else Outcome.LOST)


@in_virtual_time
@pytest.mark.parametrize(
    ("over_for_s", "outcome"),
    [
        pytest.param(5.6, (Outcome.LOST, "media_lost"), id="long over"),
        pytest.param(0.5, (Outcome.ABANDONED, "caller_hung_up"), id="just over"),
        pytest.param(-1.0, (Outcome.ABANDONED, "caller_hung_up"), id="not over"),
    ],
)
@pytest.mark.parametrize("is_heard_late", [False, True], ids=["meanwhile", "just after"])
async def test_who_leaves_is_lost_if_their_greeting_had_ended_and_no_edge_lived_to_go_on(
    *, over_for_s: float, outcome: tuple[Outcome, str], is_heard_late: bool
) -> None:
    """The relay has them, and played nothing more to them after the greeting."""
    async with center() as made:
        a1 = made.edges["a1"]
        over_ms = LoopClock().now().wall_ms - round(over_for_s * 1000)
        takeover = await _of_a_waiting_caller(
            made, State.GREETING, relay_has_it=True, heard_until_ms=over_ms
        )
        if is_heard_late:
            await takeover.run()
            a1.sip.hang_up(LEG)
        else:
            a1.sip.hang_up(LEG)
            await takeover.run()
        record = await made.record(a1, LEG)
        assert (record.outcome, record.cause) == outcome


@in_virtual_time
async def test_who_hears_the_music_after_that_silence_and_leaves_was_tired_of_waiting() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        over_ms = LoopClock().now().wall_ms - 5_600
        takeover = await _of_a_waiting_caller(
            made, State.GREETING, relay_has_it=True, heard_until_ms=over_ms
        )
        await takeover.run()
        await settle()
        assert a1.sip.open[LEG].our_offer == b"of ports that may be no more", "what they know"
        a1.sip.answer_ours(LEG)
        await settle()
        a1.sip.hang_up(LEG)
        record = await made.record(a1, LEG)
        assert (record.outcome, record.cause) == (Outcome.ABANDONED, "caller_hung_up")


@in_virtual_time
async def test_whose_telephone_refuses_to_be_told_what_it_knows_hears_the_music_as_well() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        over_ms = LoopClock().now().wall_ms - 5_600
        takeover = await _of_a_waiting_caller(
            made, State.GREETING, relay_has_it=True, heard_until_ms=over_ms
        )
        await takeover.run()
        await settle()
        a1.sip.refuse_ours(LEG)
        await settle()
        assert a1.state_of(LEG) == "queued"
        a1.sip.hang_up(LEG)
        assert await made.outcome(a1, LEG) == (Outcome.ABANDONED, "caller_hung_up")


@in_virtual_time
async def test_a_next_life_knows_when_the_greeting_ends(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal-a1")
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        leg = a1.sip.arrive(GREETED)
        await settle()
        a1.sip.acknowledge(leg)
        await settle()
        (note,) = journal.load().calls.values()
        assert note.state is State.GREETING
        began_ms = LoopClock().now().wall_ms
        assert note.heard_until_ms is not None
        assert note.heard_until_ms - began_ms == pytest.approx(1000, abs=200)
        await asyncio.sleep(1.5)
        (note,) = journal.load().calls.values()
        assert (note.state, note.heard_until_ms) == (State.QUEUED, None)


@in_virtual_time
async def test_a_next_life_knows_whom_nobody_has_told_of_new_media(tmp_path: Path) -> None:
    """The relay has made them anew by then, and could not tell."""
    journal = Journal(tmp_path / "journal-a1")
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        takeover = await _of_a_waiting_caller(made)
        await takeover.run()
        (note,) = journal.load().calls.values()
        assert note.hears_nothing
        a1.sip.offer(LEG, None)
        await settle()
        (note,) = journal.load().calls.values()
        assert note.hears_nothing
        a1.switchboard.take(OfferAnswered(leg=LEG, sdp=CALLER_SDP))
        await settle()
        (note,) = journal.load().calls.values()
        assert not note.hears_nothing


@in_virtual_time
@pytest.mark.parametrize("hears_nothing", [True, False])
async def test_who_leaves_after_two_lives_in_which_nobody_told_them_of_new_media_is_lost(
    *, hears_nothing: bool
) -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        takeover = await _of_a_waiting_caller(made, relay_has_it=True, hears_nothing=hears_nothing)
        await takeover.run()
        a1.sip.hang_up(LEG)
        record = await made.record(a1, LEG)
        assert record.outcome is (Outcome.LOST if hears_nothing else Outcome.ABANDONED)


@in_virtual_time
async def test_who_asks_for_our_offer_after_the_relay_forgot_them_is_told_of_new_media() -> None:
    """What they were told before is of ports that are no more."""
    async with center() as made:
        a1 = made.edges["a1"]
        takeover = await _of_a_waiting_caller(made)
        await takeover.run()
        a1.sip.offer(LEG, None)
        await settle()
        assert await a1.media.has(PLACE.call)
        assert a1.sip.open[LEG].told == [inert_answer(CALLER_SDP)]


@in_virtual_time
async def test_a_relay_that_starts_after_the_edge_is_asked_again_before_anybody_is_heard() -> None:
    """The whole site was dead: the relay answers a moment later, and has lost the call."""
    async with center() as made:
        a1, ann = made.edges["a1"], AgentId("ann")
        await made.agent(ann)
        talking = replace(PLACE, agent=ann, state=TicketState.CONNECTED)
        token = Token(epoch=1, revision=1)
        note = AgentNote(attempt=Attempt(1), token=token, dialog=_dialog(LegId("agent"), "rung"))
        takeover = _takeover(a1, State.CONNECTED, talking, note)
        await made.put(keys.ticket(PLACE.call), talking)
        await settle()
        a1.media.is_dead = True
        running = asyncio.create_task(takeover.run())
        await asyncio.sleep(0.7)
        a1.sip.hang_up(LEG)
        await asyncio.sleep(0.1)
        a1.media.is_dead = False
        await running
        assert await made.outcome(a1, LEG) == (Outcome.LOST, "media_lost")


@in_virtual_time
async def test_a_caller_who_waits_on_through_silence_keeps_the_place() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        takeover = _takeover(a1, State.QUEUED)
        await made.put(keys.ticket(PLACE.call), PLACE)
        await settle()
        await takeover.run()
        await made.agent("ann")
        assert await a1.rung("ann"), "the relay has lost the music, and the caller is there"


def test_a_talk_of_which_an_old_copy_does_not_know_has_its_agent_in_the_record() -> None:
    offered = replace(PLACE, state=TicketState.OFFERED, agent=AgentId("ann"))
    talking = replace(offered, state=TicketState.CONNECTED, connected_ms=7)
    seen = Entry(value=offered, create_revision=1, mod_revision=2, seen_s=0.0)
    assert held_by_copy(seen, {}, Told(ticket=talking)).ticket.value == talking
    to_another = replace(talking, agent=AgentId("bob"))
    assert held_by_copy(seen, {}, Told(ticket=to_another)).ticket.value == offered


@in_virtual_time
async def test_who_has_the_caller_and_is_only_consulted_by_an_old_copy_is_freed_with_the_call() -> (
    None
):
    """Killed just after the hand-over, on a copy of before it, without a quorum to ask."""
    async with center() as made:
        a1, agent_leg = made.edges["a1"], LegId("agent")
        ann, bob = AgentId("ann"), AgentId("bob")
        await made.agent(ann)
        await made.agent(bob)
        connected = replace(PLACE, agent=ann, state=TicketState.CONNECTED)
        await made.put(keys.ticket(PLACE.call), connected)
        for agent, state in ((ann, OfferState.TALKING), (bob, OfferState.RINGING)):
            offer = Offer(agent=agent, call=PLACE.call, edge=a1.name, state=state, since_ms=1)
            await made.put(keys.offer(agent), offer)
        await settle()
        await a1.media.hold_caller(PLACE.call, CALLER_SDP)
        token = Token(epoch=1, revision=1)
        note = AgentNote(attempt=Attempt(2), token=token, dialog=_dialog(agent_leg, "rung"))
        handed_over = replace(connected, agent=bob)
        takeover = _takeover(a1, State.CONNECTED, handed_over, note, is_alone=lambda: True)
        await takeover.run()
        assert set(a1.snapshot.offers) == {ann, bob}, "one of the two has the caller"
        a1.sip.hang_up(LEG)
        a1.sip.hang_up(agent_leg)
        await settle()
        assert (await made.record(a1, LEG)).outcome is Outcome.ANSWERED
        assert not a1.snapshot.offers


@in_virtual_time
async def test_a_caller_whose_display_name_is_no_unicode_is_written_down_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        plain = a1.sip.dialog
        latin_1 = '"M\udcfcller" <sip:them@192.0.2.1>;tag=them'
        monkeypatch.setattr(a1.sip, "dialog", lambda leg: replace(plain(leg), remote=latin_1))
        await a1.waiting()
        await settle()
        (note,) = Journal(tmp_path / "journal-a1").load().calls.values()
        assert note.caller.remote == latin_1


@in_virtual_time
async def test_a_caller_who_was_taken_over_may_refuse_what_they_need_not_know(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        first = await made.edge("a1", tmp_path)
        first.media.is_pinned = True
        theirs = await first.waiting()
        await first.rung("ann")
        a1 = await made.next_life(first, tmp_path)
        await a1.takeover().run()
        a1.sip.pick_up(await a1.rung("ann"))
        await a1.reinvited(theirs)
        a1.sip.refuse_ours(theirs)
        assert a1.state_of(theirs) == "connected"
        a1.sip.hang_up(theirs)
        await everybody_leaves(made)
        assert (await made.record(a1, theirs)).outcome is Outcome.ANSWERED


@in_virtual_time
async def test_both_are_told_anew_what_they_know_when_a_next_life_refreshes_their_sessions(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        first = await made.edge("a1", tmp_path)
        theirs, anns = await first.talking()
        knew = first.sip.open[theirs].told[-1], first.sip.open[anns].told[-1]
        a1 = await made.next_life(first, tmp_path)
        await a1.takeover().run()
        assert (a1.sip.open[theirs].was_told, a1.sip.open[anns].was_told) == knew


def test_a_journal_that_is_spoilt_costs_the_calls_of_its_spoilt_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal-a1"
    good = b'{"v":1,"call":"%s"}' % (b"0" * 24)
    path.write_bytes(b"\n".join((b'{"v":1,"call":"\xff"}', b"{" + 9 * b"\0", 5000 * b"[", good)))
    assert Journal(path).load() == Left()
