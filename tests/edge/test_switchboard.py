"""Who is let in, whose leg is whose, and that nothing is kept of calls that are over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.acd import call_effects as fx
from edge.acd.ending import UNKNOWN_CALLER
from edge.calls.media import CallMedia
from edge.calls.played import Sounds
from edge.calls.reception import LONGEST_CALL_ID
from edge.media.errors import MediaError, MediaRefused, MediaUnavailable, SdpError
from edge.media.plan import AGENT, CALLER
from edge.sip import events as sip
from edge.sip.errors import LocalError
from edge.sip.events import EndedBy, LegId, TransactionId
from state import keys
from state.model import CallId, DidNumber, Outcome, QueueId
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP, S
from tests.edge.one_edge import NOWHERE, SALES
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.troubled import TroubledMedia
from tests.edge.virtual_time import in_virtual_time, settle, until


@in_virtual_time
async def test_a_caller_and_an_agent_are_brought_together_and_leave_a_record() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.hang_up(theirs)
        await settle()
        assert a1.sip.open[ours].said == ["invite", "bye"]
        a1.sip.hang_up(ours)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.agent, record.agent_site) == (Outcome.ANSWERED, "ann", "a")
        await made.nothing_is_left()


@in_virtual_time
async def test_the_caller_is_answered_before_anything_else_is_said_and_let_go_of_last() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.hang_up(ours)
        await settle()
        assert a1.sip.open[theirs].said == ["answer", "reinvite", "bye"]
        assert a1.sip.open[theirs].reasons == ['Q.850;cause=16;text="agent_hung_up"']
        assert a1.sip.open[theirs].told[-1] == AGENT_SDP
        a1.sip.hang_up(theirs)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_number_that_nobody_has_is_unknown() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        leg = a1.sip.arrive("15559999")
        assert a1.sip.over[leg].status == 404


@in_virtual_time
async def test_what_would_fill_the_store_is_not_written_there() -> None:
    """A datagram of 60 KB, for each write of the call."""
    async with center() as made:
        a1 = made.edges["a1"]
        leg = a1.sip.arrive(SALES, sip_call_id="c" * (LONGEST_CALL_ID + 1))
        assert a1.sip.over[leg].status == 400
        await a1.waiting(caller="4" * 9000)
        await until(lambda: bool(a1.snapshot.tickets), "there is a place")
        (place,) = await made.tickets()
        assert place.caller == UNKNOWN_CALLER


@in_virtual_time
async def test_what_a_carrier_says_of_the_numbers_besides_changes_nothing() -> None:
    """The proxy has found the number, and the edge knew none that is called `NUMBER;npdi`."""
    async with center() as made:
        a1 = made.edges["a1"]
        await a1.waiting(f"{SALES};npdi;rn=+4940", caller="+4930123;cpc=ordinary")
        await until(lambda: bool(a1.snapshot.tickets), "there is a place")
        (place,) = await made.tickets()
        assert (place.did, place.caller) == (SALES, "+4930123")


@in_virtual_time
async def test_of_who_withholds_their_number_none_takes_the_place_of_another() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        for who in ("Anonymous", "restricted"):
            await a1.waiting(caller=who)
        await until(lambda: len(a1.snapshot.tickets) == 2, "there are two places")
        assert {each.caller for each in await made.tickets()} == {UNKNOWN_CALLER}


@in_virtual_time
async def test_a_number_whose_queue_or_record_cannot_be_read_is_sent_on_and_not_denied() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await made.put(keys.did(SALES), b"not a record")
        await made.put(keys.queue(QueueId("greeted")), b"not a record")
        await until(lambda: len(a1.snapshot.bad) == 2, "seen")
        for number in (SALES, "15550002", NOWHERE):
            leg = a1.sip.arrive(number)
            assert a1.sip.over[leg].status == 503, number
            assert "Retry-After" in a1.sip.over[leg].headers


@in_virtual_time
async def test_an_edge_without_a_configuration_denies_nobody() -> None:
    made = Center()
    a1 = await made.edge("a1")
    with capture_logs() as told:
        leg = a1.sip.arrive(SALES)
    assert a1.sip.over[leg].status == 503
    assert "Retry-After" in a1.sip.over[leg].headers
    assert [each["log_level"] for each in told] == ["warning"], "nothing is wrong with the number"
    await a1.kill()


@in_virtual_time
async def test_a_draining_edge_sends_new_calls_on_and_keeps_those_it_has() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting(sip_call_id="kept@carrier")
        a1.switchboard.is_draining = True
        assert a1.sip.over[a1.sip.arrive(SALES)].status == 503
        # The call that is here by another way is here, and not to be served elsewhere.
        assert a1.sip.over[a1.sip.arrive(SALES, sip_call_id="kept@carrier")].status == 482
        await a1.joined(theirs, "ann")
        assert a1.state_of(theirs) == "connected"
        for leg in list(a1.sip.open):
            a1.sip.hang_up(leg)
        await settle()
        for leg in list(a1.sip.open):
            a1.sip.hang_up(leg)
        await made.nothing_is_left()


@in_virtual_time
async def test_an_invite_that_comes_again_behind_its_cancel_is_sent_on_and_not_given_up() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        first = a1.sip.arrive(SALES, sip_call_id="twice@carrier")
        a1.sip.hang_up(first)
        second = a1.sip.arrive(SALES, sip_call_id="twice@carrier")
        assert a1.sip.over[second].status == 503
        await made.nothing_is_left()


@in_virtual_time
async def test_the_same_invite_by_two_ways_is_served_once() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        first = a1.sip.arrive(SALES, sip_call_id="twice@carrier")
        second = a1.sip.arrive(SALES, sip_call_id="twice@carrier")
        assert a1.sip.over[second].status == 482
        assert a1.sip.open[first].state is S.ARRIVED
        a1.sip.hang_up(first)
        await made.nothing_is_left()


@in_virtual_time
async def test_callers_nobody_can_name_are_served_like_others() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        for caller in ("", "a b", "<>", "\udce9", "x" * 3000):
            leg = await a1.waiting(SALES, caller=caller)
            assert a1.state_of(leg) == "queued"
            a1.sip.hang_up(leg)
        leg = await a1.waiting(SALES, sip_call_id="caf\udce9@carrier")
        assert a1.state_of(leg) == "queued"
        a1.sip.hang_up(leg)
        await made.nothing_is_left()
        assert {each.outcome for each in (await made.records()).values()} == {Outcome.ABANDONED}


@in_virtual_time
async def test_events_of_legs_that_nobody_knows_do_nothing() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking()
        ghost = LegId("ghost")
        for event in (
            sip.Confirmed(leg=ghost, sdp=None),
            sip.Answered(leg=ghost, sdp=b""),
            sip.Ended(leg=ghost, by=EndedBy.REMOTE, cause="bye"),
            sip.OfferReceived(leg=ghost, method="INVITE", sdp=b""),
            sip.OfferWithdrawn(leg=ghost),
            sip.InfoReceived(leg=theirs, content_type="application/dtmf", body=b"1"),
            sip.Notified(leg=theirs, status=200, final=True),
            sip.OfferWithdrawn(leg=theirs),
        ):
            a1.switchboard.take(event)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_a_key_that_is_said_in_info_goes_to_the_recorder_and_to_nobody_else() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        (call,) = a1.snapshot.tickets
        for leg, body in ((ours, b"Signal=*"), (ours, b"Signal=1"), (theirs, b"Signal=4")):
            told = sip.InfoReceived(leg=leg, content_type="application/dtmf-relay", body=body)
            a1.switchboard.take(told)
        assert [each for each in a1.recorder.said if each[0] == "key"] == [
            ("key", call, AGENT, "*"),
            ("key", call, AGENT, "1"),
            ("key", call, CALLER, "4"),
        ]


@in_virtual_time
async def test_a_transfer_is_refused_at_once_even_if_the_leg_is_just_gone() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        refer = sip.ReferReceived(leg=ours, transaction=TransactionId("t"), refer_to="sip:x@y")
        a1.switchboard.take(refer)
        assert a1.sip.refusals == [(404, "No such agent or queue")]
        a1.sip.faults["refuse_refer"] = LocalError("gone")
        a1.switchboard.take(refer)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
@pytest.mark.parametrize("error", [SdpError("no audio"), MediaRefused("Failed to parse SDP")])
async def test_a_caller_waits_on_whose_agents_answer_is_no_use_to_the_relay(
    error: MediaError,
) -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        first, other = await a1.one_rung("ann", "bob")
        a1.media.fails_with["join"] = error
        a1.sip.pick_up(a1.sip.rung(first)[0])
        await a1.answer_ours(theirs, "told where the music is")
        await a1.joined(theirs, other)
        assert a1.state_of(theirs) == "connected"
        await everybody_leaves(made)


@in_virtual_time
async def test_an_offer_of_an_agent_whom_we_gave_up_is_refused() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        first = await a1.rung((await a1.one_rung("ann", "bob"))[0])
        a1.media.fails_with["join"] = SdpError("no audio")
        a1.sip.pick_up(first)
        await until(lambda: a1.sip.open[first].state is S.ENDING, "given up")
        a1.sip.open[first].state = S.UP  # their re-INVITE crosses our BYE
        a1.sip.offer(first)
        assert a1.sip.open[first].status == 488
        for leg in (first, theirs):
            a1.sip.hang_up(leg)
        await settle()
        for leg in list(a1.sip.open):
            a1.sip.decline(leg)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_fault_in_admission_refuses_that_caller_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with center() as made:
        a1 = made.edges["a1"]

        def broken(*_: object, **__: object) -> None:
            raise KeyError("a bug")

        monkeypatch.setattr("edge.calls.reception.Ticket", broken)
        leg = a1.sip.arrive(SALES)
        monkeypatch.undo()
        assert a1.sip.over[leg].status == 500
        await a1.waiting()


@in_virtual_time
async def test_stopping_lets_everybody_go_and_says_why() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        waiting = await a1.waiting()
        fresh = a1.sip.arrive(SALES)
        a1.switchboard.stop()
        assert a1.sip.over[fresh].status == 503
        assert a1.sip.over[fresh].headers["Retry-After"]
        for leg in (theirs, ours, waiting):
            assert "edge_stopped" in a1.sip.open[leg].reasons[-1]
            a1.sip.hang_up(leg)
        await made.nothing_is_left()
        outcomes = sorted(each.outcome for each in (await made.records()).values())
        assert outcomes == [Outcome.LOST, Outcome.LOST, Outcome.REFUSED]


EVENTS_SDP = CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 0 101") + (
    b"a=rtpmap:101 telephone-event/8000\r\n"
)


@in_virtual_time
@pytest.mark.parametrize(("sdp", "hears"), [(CALLER_SDP, True), (EVENTS_SDP, False)])
async def test_an_agent_hears_the_keys_of_a_caller_whose_telephone_has_no_events_for_them(
    sdp: bytes, *, hears: bool
) -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        leg = a1.sip.arrive(SALES, sdp=sdp)
        a1.sip.acknowledge(leg)
        await settle()
        (call,) = a1.snapshot.tickets
        assert a1.hearing.hears_keys(call) is hears
        a1.sip.hang_up(leg)
        await made.nothing_is_left()


@in_virtual_time
async def test_thousands_of_calls_leave_nothing_in_the_books() -> None:
    async with center("ann", "bob", "cyd", "dan") as made:
        a1 = made.edges["a1"]
        for number in range(1500):
            leg = a1.sip.arrive(SALES if number % 3 else DidNumber("15550002"))
            await asyncio.sleep(0.01)
            a1.sip.acknowledge(leg)
            for ours in list(a1.sip.open.values()):
                if ours.to and number % 2:
                    a1.sip.pick_up(ours.id)
                elif ours.to:
                    a1.sip.decline(ours.id)
                a1.sip.answer_ours(ours.id)
            if number % 4 == 0:
                for each in list(a1.sip.open)[:6]:
                    a1.sip.hang_up(each)
        for _ in range(200):
            for each in list(a1.sip.open):
                a1.sip.hang_up(each)
                a1.sip.decline(each)
            await asyncio.sleep(0.05)
        await made.nothing_is_left()
        assert len(await made.records()) == 1500


@in_virtual_time
@pytest.mark.parametrize(
    ("sdp", "can"),
    [
        (CALLER_SDP, True),
        (EVENTS_SDP, False),
        (
            CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 0 96") + b"a=rtpmap:96 opus/48000/2\r\n",
            False,
        ),
    ],
    ids=["tones", "events", "opus"],
)
async def test_a_caller_who_keys_tones_is_silenced_as_long_as_the_agent_asks_for_it(
    sdp: bytes, *, can: bool
) -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        leg = a1.sip.arrive(SALES, sdp=sdp)
        a1.sip.acknowledge(leg)
        await settle()
        (call,) = a1.snapshot.tickets
        hearing = a1.hearing
        assert await hearing.silence_caller(call, on=True) is can
        assert hearing.hears_caller(call) is not can
        a1.media.fails_with["silence_caller"] = MediaRefused("not now")
        assert await hearing.silence_caller(call, on=False) is not can
        assert hearing.hears_caller(call) is not can, "what the relay did not take is not so"
        a1.media.fails_with["silence_caller"] = MediaUnavailable("the relay gave no answer")
        assert await hearing.silence_caller(call, on=False) is not can
        assert hearing.hears_caller(call), "they may: no form is to be open"
        assert await hearing.silence_caller(call, on=False)
        assert a1.media.silences == ([True, False] if can else [])
        a1.sip.hang_up(leg)
        await made.nothing_is_left()
        assert await hearing.silence_caller(call, on=True), "of no call nobody hears anything"


@in_virtual_time
async def test_a_caller_who_goes_back_to_the_queue_is_heard_by_the_next_agent(
    tmp_path: Path,
) -> None:
    relay = TroubledMedia()
    media = CallMedia(relay, CallId("c1"), Sounds(music=tmp_path))
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    assert await media.silence_caller(on=True)
    await media.carry_out(fx.RequeueMedia())
    assert relay.silences == [True, False]
    assert not media.ears.silenced.is_so
