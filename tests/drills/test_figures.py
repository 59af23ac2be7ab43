"""The figures of a drill, each broken on its own in a run that was good."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from drills.agent_lines import AgentLines
from drills.blast import touches
from drills.books import moved
from drills.course import End
from drills.demo import reports
from drills.demo.hearing import Recorded
from drills.demo.ledger import Row
from drills.demo.reports import OfferChange, OfferEvent
from drills.demo.scenario import Dialler
from drills.evidence import ClockBound
from drills.fault import Fault, FaultKind
from drills.figures import figures
from drills.packets import Wire
from drills.recovery import data_rto_s, offer_wait_s, sign_in_rto_s, writes
from drills.seen import Seen, Written
from drills.talks import talks
from state.model import (
    CallId,
    EdgeId,
    Outcome,
    SiteId,
    Unreplicated,
)
from tests.demo import invented
from tests.demo.invented import ANSWERED, CALLERS, DEAD, KILL_MS, OFFERS, RECORDS, SCENARIO
from tests.drills.good_run import (
    KILL_SITE,
    SURVIVORS,
    course,
    evidence_of_run,
    seen,
    ticket_at,
)


def test_a_good_run_is_exact_and_lost_nothing() -> None:
    found = figures(seen())
    assert found["ledger_exact"] == 1.0
    assert found["offered"] == len(SCENARIO.calls)
    for figure in ("failed", "lost", "lost_elsewhere", "double_offers", "left_behind"):
        assert found[figure] == 0, figure
    assert found["rto_s"] == found["rto_capture_s"]
    assert found["rto_error_ms"] == 0
    assert found["untrue_agent_s"] == 2.5
    assert found["ttl_overrun_s"] == 0.3


@pytest.mark.parametrize("sent_ms", [-3, 0], ids=["by_the_phone_before", "by_the_wire_before"])
def test_a_call_of_the_very_instant_of_the_fault_counts_for_telephone_and_capture_alike(
    sent_ms: int,
) -> None:
    index = next(
        index
        for index, (call, caller) in enumerate(zip(SCENARIO.calls, CALLERS, strict=True))
        if caller.invite_ms >= KILL_MS and call.first_site == DEAD
    )
    at_ms = KILL_MS + sent_ms
    callers = invented.swap(CALLERS, index, invite_ms=at_ms, ok_ms=at_ms + 300)
    whole = seen(callers=callers)
    calls = list(whole.wire.calls)
    wire_ms = KILL_MS + (1 if sent_ms else -1)
    calls[index] = replace(calls[index], invite_ns=wire_ms * 1_000_000)
    ordered = tuple(sorted(calls, key=lambda each: each.invite_ns))
    found = figures(replace(whole, wire=replace(whole.wire, calls=ordered)))
    error_ms = found["rto_error_ms"]
    assert error_ms is not None
    assert error_ms <= 4.0
    assert (found["rto_s"], found["rto_capture_s"]) == ((sent_ms + 300) / 1000,) * 2


def test_of_two_dead_sites_the_callers_of_both_have_to_be_served_again() -> None:
    both = (KILL_SITE, replace(KILL_SITE, target="c"))
    index = next(
        index
        for index, (call, caller) in enumerate(zip(SCENARIO.calls, CALLERS, strict=True))
        if caller.invite_ms >= KILL_MS + 3_000 and call.first_site == "c"
    )
    slow = invented.swap(CALLERS, index, ok_ms=CALLERS[index].invite_ms + 2_500)
    at_ms = CALLERS[index].invite_ms
    one, two = figures(seen(callers=slow)), figures(seen(*both, callers=slow))
    assert (one["rto_s"] or 0.0) < 3.0
    assert (two["rto_s"] or 0.0) > (at_ms - KILL_MS) / 1000
    assert two["rto_capture_s"] == two["rto_s"]


def test_two_stories_of_one_call_and_the_ledger_is_not_exact() -> None:
    index = ANSWERED[0].index
    records = invented.swap(RECORDS, index, outcome=Outcome.LOST)
    assert figures(seen(records=records))["ledger_exact"] == 0.0


def test_only_a_call_that_had_something_where_it_was_broken_may_be_told_in_two_ways() -> None:
    index = ANSWERED[0].index
    spared = invented.swap(RECORDS, index, outcome=Outcome.LOST)
    assert figures(seen(records=spared))["ledger_exact_elsewhere"] == 0.0
    touched = invented.swap(RECORDS, index, outcome=Outcome.LOST, agent_site=DEAD)
    found = figures(seen(records=touched))
    assert (found["ledger_exact"], found["ledger_exact_elsewhere"]) == (0.0, 1.0)
    assert figures(seen())["ledger_exact_elsewhere"] == 1.0


def test_a_ledger_is_exact_elsewhere_only_if_each_call_is_known_to_all_and_recorded_once() -> None:
    whole = seen()
    blind = replace(whole, wire=replace(whole.wire, calls=whole.wire.calls[1:]))
    stranger = replace(RECORDS[0], call=CallId("f" * 24), sip_call_id="stranger")
    runs = (blind, seen(records=RECORDS[1:]), seen(records=(*RECORDS, stranger)))
    assert [figures(each)["ledger_exact_elsewhere"] for each in runs] == [0.0] * 3


def test_a_call_that_the_wire_did_not_see_and_the_ledger_is_not_exact() -> None:
    whole = seen()
    blind = replace(whole, wire=replace(whole.wire, calls=whole.wire.calls[1:]))
    assert figures(blind)["ledger_exact"] == 0.0
    deaf_calls = (replace(whole.wire.calls[0], status=503), *whole.wire.calls[1:])
    deaf = replace(whole, wire=replace(whole.wire, calls=deaf_calls))
    assert figures(deaf)["ledger_exact"] == 0.0


def test_a_capture_that_never_told_its_end_bears_nothing_out_and_is_a_finding() -> None:
    whole = replace(seen(), wire=Wire(calls=(), audio_ns={}), dropped=None)
    found = figures(whole)
    unknown = ("capture_dropped", "rto_capture_s", "rto_error_ms", "final_answer_s")
    assert [found[each] for each in unknown] == [None] * 4
    assert found["ledger_exact"] == 0.0
    told = "the capture never told its end: nothing is measured by it"
    assert told in evidence_of_run(whole).findings
    assert not [each for each in evidence_of_run(seen()).findings if "capture" in each]


def test_a_record_that_is_missing_and_the_ledger_is_not_exact() -> None:
    assert figures(seen(records=RECORDS[1:]))["ledger_exact"] == 0.0


def test_a_call_that_got_no_answer_after_the_dust_settled_has_failed() -> None:
    last = len(CALLERS) - 1
    assert CALLERS[last].invite_ms > KILL_MS + 5000
    callers = invented.swap(
        CALLERS, last, ok_ms=None, joined_ms=None, end=reports.End.REFUSED, status=503
    )
    assert figures(seen(callers=callers))["failed"] == 1


def test_one_call_that_is_refused_while_a_leader_is_elected_is_a_failed_call() -> None:
    index = min(i for i, each in enumerate(CALLERS) if each.invite_ms > KILL_MS)
    sent_ms = CALLERS[index].invite_ms
    refused = replace(
        CALLERS[index], ok_ms=None, joined_ms=None, end=reports.End.REFUSED, status=503
    )
    callers = (*CALLERS[:index], refused, *CALLERS[index + 1 :])
    lost = Fault(kind=FaultKind.HOLD_DOWN, target=f"etcd-{DEAD}", ttl_s=10.0)
    whole = seen(lost, callers=callers)
    whole = replace(whole, course=replace(whole.course, began_ms=sent_ms - 100))
    evidence = evidence_of_run(whole, "etcd_leader_lost")
    assert "expected refused <= 0, found 1" in evidence.findings
    assert evidence.figures["failed"] == 0, "that is of those who come later"


def test_one_answer_that_waits_for_the_election_of_a_leader_is_one_too_many() -> None:
    index = min(i for i, each in enumerate(CALLERS) if each.invite_ms > KILL_MS)
    lost = Fault(kind=FaultKind.HOLD_DOWN, target=f"etcd-{DEAD}", ttl_s=10.0)

    def broken(setup_ms: int) -> list[str]:
        callers = invented.swap(CALLERS, index, ok_ms=CALLERS[index].invite_ms + setup_ms)
        whole = evidence_of_run(seen(lost, callers=callers), "etcd_leader_lost")
        return [each for each in whole.findings if "setup" in each]

    usual_ms = max((each.ok_ms or 0) - each.invite_ms for each in CALLERS if each.ok_ms)
    assert usual_ms < 500
    assert broken(300) == []
    assert broken(1200) == ["expected setup_max_ms <= 500, found 1200"], "the middle is as it was"


def test_where_nobody_calls_once_the_dust_has_settled_nothing_tells_whether_calls_fail() -> None:
    whole = seen()
    # Of the fault that comes when the last callers come, nobody can say that it was over.
    late = replace(whole.course, began_ms=max(each.invite_ms for each in CALLERS) - 3000)
    assert figures(replace(whole, course=late))["failed"] is None


def test_a_call_that_never_got_a_final_answer_waited_for_ever() -> None:
    assert figures(seen())["final_answer_s"] is not None
    last = len(CALLERS) - 1
    for end in (reports.End.SILENCE, reports.End.UNFINISHED):
        callers = invented.swap(CALLERS, last, ok_ms=None, joined_ms=None, end=end)
        assert figures(seen(callers=callers))["final_answer_s"] == float("inf")


def in_the_middle(final_ms: int | None) -> Seen:
    """Return a run in which somebody had dialled just before it broke, answered at `final_ms`."""
    index = max(i for i, each in enumerate(CALLERS) if each.invite_ms < KILL_MS)
    callers = invented.swap(CALLERS, index, ok_ms=final_ms, invite_ms=KILL_MS - 50)
    if final_ms is None:
        callers = invented.swap(callers, index, joined_ms=None, end=reports.End.SILENCE)
    return seen(callers=callers)


def test_who_had_dialled_and_had_no_answer_yet_when_it_broke_has_to_get_one_as_well() -> None:
    others_s = figures(seen())["final_answer_s"]
    assert figures(in_the_middle(KILL_MS - 10))["final_answer_s"] == others_s
    assert figures(in_the_middle(KILL_MS + 9000))["final_answer_s"] == 9.05
    assert figures(in_the_middle(None))["final_answer_s"] == math.inf


def test_an_agent_who_stays_taken_after_the_call_is_untrue_so_long() -> None:
    after = next(
        i for i, e in enumerate(OFFERS) if e.change is OfferChange.DELETED and e.at_ms > KILL_MS
    )
    offers = invented.swap(OFFERS, after, at_ms=OFFERS[after].at_ms + 21_000)
    assert figures(seen(offers=offers))["untrue_agent_s"] == 21.0


def test_an_agent_who_is_given_another_call_was_untrue_of_the_one_before_until_then() -> None:
    row = next(
        each
        for each in seen().ledger.placed
        if each.agent and each.caller and (each.agent.busy_until_ms or 0) > KILL_MS
    )
    assert row.agent is not None
    assert row.caller is not None
    over_ms = row.agent.busy_until_ms or 0
    put = replace(
        OFFERS[0],
        change=OfferChange.PUT,
        agent=row.agent.agent,
        call=CallId(row.caller.call),
        at_ms=KILL_MS,
    )
    other = replace(put, call=CallId("another"), at_ms=over_ms + 21_000)
    gone = replace(other, change=OfferChange.DELETED, call=None)
    assert figures(seen(offers=(put, other, gone)))["untrue_agent_s"] == 21.0


def test_an_agent_who_is_never_let_go_is_untrue_for_ever() -> None:
    last = max(OFFERS, key=lambda each: each.at_ms)
    assert last.change is OfferChange.DELETED
    kept = tuple(each for each in OFFERS if each is not last)
    assert figures(seen(offers=kept))["untrue_agent_s"] == float("inf")


def test_a_fault_that_was_never_undone_outlived_its_time_for_ever() -> None:
    whole = replace(seen(), course=course(KILL_SITE, healed_ms=None))
    assert figures(whole)["ttl_overrun_s"] == float("inf")


def test_a_fault_of_which_nobody_tells_any_more_has_no_end_that_is_known() -> None:
    whole = replace(seen(), course=replace(course(KILL_SITE), made=(), healed_ms=None))
    assert figures(whole)["ttl_overrun_s"] is None
    load_alone = replace(whole.course, method=())
    assert figures(replace(whole, course=load_alone))["ttl_overrun_s"] == 0.0


def given(wait_ms: int) -> tuple[OfferEvent, ...]:
    """Let each caller have an agent half a second after the 200, and the last one later."""
    answered = [
        row.caller
        for row in seen().ledger.placed
        if row.caller and row.caller.ok_ms is not None and row.agent is not None
    ]
    last = max(answered, key=lambda each: each.ok_ms or 0)
    return tuple(
        replace(
            OFFERS[0],
            change=OfferChange.PUT,
            call=CallId(each.call),
            at_ms=(each.ok_ms or 0) + (wait_ms if each is last else 500),
        )
        for each in answered
    )


def test_the_wait_for_an_agent_is_the_longest_of_those_who_waited_or_came_after() -> None:
    whole = seen()
    t0_ms = max(row.caller.ok_ms or 0 for row in whole.ledger.placed if row.caller) - 3000
    assert offer_wait_s(replace(whole, offers=given(500)), t0_ms) == 0.5
    assert offer_wait_s(replace(whole, offers=given(7000)), t0_ms) == 7.0
    deaf = seen(callers=tuple(replace(each, joined_ms=None) for each in CALLERS))
    assert offer_wait_s(replace(deaf, offers=()), t0_ms) == float("inf")


def test_who_was_given_an_agent_by_a_site_alone_waited_until_they_heard_them() -> None:
    whole = seen()
    t0_ms = max(row.caller.ok_ms or 0 for row in whole.ledger.placed if row.caller) - 3000
    alone = tuple(
        replace(each, joined_ms=None if each.ok_ms is None else each.ok_ms + 1500)
        for each in CALLERS
    )
    assert offer_wait_s(replace(seen(callers=alone), offers=()), t0_ms) == 1.5


def test_agents_of_a_site_that_is_dead_for_long_are_back_within_the_time_of_nearly_all() -> None:
    assert figures(seen())["agents_back_s"] is None, "dead for 12 s: nobody need move"
    whole = seen(replace(KILL_SITE, ttl_s=25.0))
    homed = [agent.id for agent in SCENARIO.agents if agent.site == DEAD]
    there = {agent: KILL_MS + 9000 + 100 * number for number, agent in enumerate(homed)}
    found = figures(replace(whole, moved_ms=there))
    assert found["agents_back_s"] == (there[homed[-1]] - KILL_MS) / 1000
    found = figures(replace(whole, moved_ms={homed[0]: KILL_MS + 9000}))
    assert found["agents_back_s"] == float("inf"), "the others never were"


def test_recordings_that_do_not_open_or_end_too_soon_are_lost() -> None:
    assert "recordings_lost" not in figures(seen())
    good = Recorded(call="1", is_complete=True)
    found = (good, Recorded(call="2", fault="there is none"), Recorded(call="3"))
    answers = figures(replace(seen(), recorded=found))
    assert (answers["recordings_due"], answers["recordings_lost"]) == (3, 2)


def test_seconds_without_a_recording_are_gaps_and_the_talks_of_which_there_is_none() -> None:
    assert "recording_lost_s" not in figures(seen())
    row = next(each for each in seen().ledger.placed if each.caller and each.caller.joined_ms)
    caller = row.caller
    assert caller is not None
    assert caller.joined_ms is not None
    assert caller.ended_ms is not None
    talk_s = (caller.ended_ms - caller.joined_ms) / 1000
    found = (
        Recorded(call="1", is_complete=True),
        Recorded(call="2", missing_s=0.5),
        Recorded(call=caller.call, fault="there is none"),
    )
    answers = figures(replace(seen(), recorded=found))
    assert answers["recording_lost_s"] == pytest.approx(0.5 + talk_s)
    none_due = figures(replace(seen(), recorded=()))
    assert none_due["recording_lost_s"] is None, "of no recording nothing can be missing"


def test_talk_that_was_cut_off_counts_until_nobody_was_heard_and_less_what_is_recorded() -> None:
    index = next(i for i, each in enumerate(CALLERS) if each.joined_ms and each.ok_ms)
    joined_ms = CALLERS[index].joined_ms
    assert joined_ms is not None
    callers = invented.swap(
        CALLERS,
        index,
        end=reports.End.UNHEARD,
        last_heard_ms=joined_ms + 3000,
        ended_ms=joined_ms + 36_000,
    )
    whole = seen(callers=callers)
    assert "cut_off_talk_s" not in figures(whole), "nobody listened"
    (lost,) = (row for row in whole.ledger.placed if row.caller == callers[index])
    assert lost.by_people is Outcome.LOST
    others = figures(replace(seen(), recorded=()))["cut_off_talk_s"]
    answers = figures(replace(whole, recorded=()))
    heard = [] if lost.agent is None else [lost.agent.last_heard_ms or 0]
    talk_s = (max(joined_ms + 3000, *heard, 0) - joined_ms) / 1000
    assert answers["cut_off_talk_s"] == pytest.approx((others or 0.0) + talk_s)
    assert answers["cut_off_unrecorded_s"] == answers["cut_off_talk_s"]
    kept = Recorded(call=callers[index].call, seconds=2.0, missing_s=0.5)
    answers = figures(replace(whole, recorded=(), recorded_lost=(kept,)))
    unrecorded_s = (answers["cut_off_talk_s"] or 0.0) - min(talk_s, 1.5)
    assert answers["cut_off_unrecorded_s"] == pytest.approx(unrecorded_s)


def test_evidence_keeps_what_each_site_alone_had_recorded_at_the_first_fault() -> None:
    alone = Unreplicated(
        site=DEAD, recordings=2, recorded_s=31, under_way=3, under_way_s=12, is_late=False
    )
    evidence = evidence_of_run(replace(seen(), alone=(alone,)))
    (kept,) = evidence.alone
    assert (kept.site, kept.recordings, kept.recorded_s) == (DEAD, 2, 31)
    assert (kept.under_way, kept.under_way_s) == (3, 12)


def test_of_a_drill_that_was_not_begun_nothing_is_judged() -> None:
    whole = seen()
    evidence = evidence_of_run(replace(whole, course=replace(whole.course, end=End.NOT_STEADY)))
    assert (evidence.judgements, evidence.was_begun, evidence.held) == ((), False, False)
    assert not [each for each in evidence.findings if each.startswith("expected")]


def test_findings_name_a_call_of_two_stories_and_not_its_callers_number() -> None:
    evidence = evidence_of_run(seen(records=RECORDS[1:]))
    (told,) = (each for each in evidence.findings if each.startswith("two stories of call 0: "))
    assert not any(call.number in told for call in SCENARIO.calls)


def test_a_recording_that_is_lost_is_named_among_the_findings() -> None:
    lost = Recorded(call=CallId("c1"), fault="there is none")
    torn = Recorded(call=CallId("c2"), is_complete=False, seconds=2.5)
    late = replace(torn, call=CallId("c3"), gaps=("0.0 to 0.4 s: recorder_late",))
    evidence = evidence_of_run(replace(seen(), recorded=(lost, torn, late)), "clocks_wrong")
    assert "expected recordings_lost <= 0, found 3" in evidence.findings
    assert "recording of c1: there is none" in evidence.findings
    assert "recording of c2: 2.5 s of it, and its end is not known" in evidence.findings
    told = "recording of c3: 2.5 s of it, without 0.0 to 0.4 s: recorder_late"
    assert told in evidence.findings


def test_recording_is_back_with_the_first_new_talk_that_is_recorded_as_a_whole() -> None:
    new = sorted(
        (row.caller.joined_ms, row.caller.call)
        for row in seen().ledger.placed
        if row.caller and row.caller.joined_ms and row.caller.invite_ms >= KILL_MS
        if row.planned.first_site == DEAD
    )
    assert new
    torn = tuple(Recorded(call=call) for _, call in new[:-1])
    joined_ms, last = new[-1]
    found = (*torn, Recorded(call=last, is_complete=True))
    answers = figures(replace(seen(), recorded=found))
    assert answers["recording_rto_s"] == (joined_ms - KILL_MS) / 1000
    assert figures(seen())["recording_rto_s"] is None


def test_the_steady_state_is_back_so_long_after_somebody_aborted_it() -> None:
    aborted = replace(seen(), aborted_ms=KILL_MS + 4_000)
    stopped = replace(aborted.course, healed_ms=KILL_MS + 6_500, back_s=3.0)
    assert figures(replace(aborted, course=stopped))["abort_back_s"] == 5.5
    never = replace(stopped, back_s=None)
    assert figures(replace(aborted, course=never))["abort_back_s"] is None
    assert figures(seen())["abort_back_s"] is None


def test_a_clock_is_off_by_what_is_certain_of_the_worst() -> None:
    assert "clock_off_s" not in figures(seen())
    right = ClockBound(who="a", least_ms=-2.0, most_ms=3.0)
    ahead = ClockBound(who="b", least_ms=599_990.0, most_ms=600_004.0)
    answers = figures(replace(seen(), clocks_meanwhile=(right, ahead)))
    assert answers["clock_off_s"] == 599.99
    behind = ClockBound(who="b", least_ms=-600_004.0, most_ms=-599_990.0)
    answers = figures(replace(seen(), clocks_meanwhile=(right, behind)))
    assert answers["clock_off_s"] == 599.99
    unsure = ClockBound(who="b", least_ms=-4_000.0, most_ms=5_000.0)
    answers = figures(replace(seen(), clocks_meanwhile=(right, unsure)))
    assert answers["clock_off_s"] == 0.0, "it may be right"


def test_what_sites_say_of_stores_and_members_is_counted() -> None:
    answers = figures(replace(seen(), said={"store_away": 2, "site_down": 7}))
    assert (answers["stores_away"], answers["members_away"]) == (2, 0)


def test_what_sites_did_alone_is_merged_when_the_last_edge_that_was_alone_has_done_so() -> None:
    whole = replace(seen(), merged_ms=(KILL_MS + 13_000, KILL_MS + 14_300))
    assert figures(whole)["reconciled_s"] == 2.0
    waiting = replace(whole, alone_still=(SURVIVORS[0],))
    assert figures(waiting)["reconciled_s"] is None


def test_which_calls_a_fault_touches() -> None:
    a_and_b = seen().ledger.rows[0]
    record = a_and_b.records[0]
    both = replace(record, site=SiteId("a"), via=SiteId("a"), agent_site=SiteId("b"))
    row = replace(a_and_b, records=(both,))

    def is_touched(kind: FaultKind, target: str) -> bool:
        return touches(Fault(kind=kind, target=target, ttl_s=1.0, period_s=1.0), row.touched)

    assert is_touched(FaultKind.KILL_SITE, "b")
    assert not is_touched(FaultKind.KILL_SITE, "c")
    assert is_touched(FaultKind.CUT, "a-b")
    assert not is_touched(FaultKind.CUT, "a-c")
    assert is_touched(FaultKind.CUT_ONE_WAY, "b>a")
    assert is_touched(FaultKind.CUT_OFF, "b")
    assert not is_touched(FaultKind.CUT_OFF, "c")
    assert is_touched(FaultKind.KILL, "rtpengine-a")
    assert not is_touched(FaultKind.KILL, "edge-c1")
    assert not is_touched(FaultKind.HOLD_DOWN, "etcd-a")
    assert is_touched(FaultKind.CUT, "carrier-a")
    assert is_touched(FaultKind.ISOLATE, "agents-b")


def listening(whole: Seen, row: Row, at_ms: int, by: Mapping[str, Sequence[int]]) -> Seen:
    """Return a run in which one talk is listened to, and what came `by` whose ear when.

    What was broken had begun `at_ms` and was mended at once.
    """
    assert row.caller is not None
    assert row.agent is not None
    calls = tuple(
        replace(each, audio_port=4000 if each.sip_call_id == row.caller.sip_call_id else None)
        for each in whole.wire.calls
    )
    came = {who: [each * 10**6 for each in heard_ms] for who, heard_ms in by.items()}
    ear = ("198.18.21.10", 4002)
    return replace(
        whole,
        course=replace(whole.course, began_ms=at_ms, healed_ms=at_ms),
        wire=replace(whole.wire, calls=calls, audio_ns={4000: came["caller"]}),
        lines=AgentLines(ears={row.agent.sip_call_id: ear}, audio_ns={ear: came["agent"]}),
    )


def talk_of(whole: Seen) -> Row:
    """Return a talk of one of our telephones."""
    return next(
        row
        for row in whole.ledger.placed
        if row.caller and row.caller.joined_ms and row.planned.dialler is Dialler.PHONE
    )


def with_row(whole: Seen, row: Row, other: Row) -> Seen:
    """Return the run with another row in the place of one."""
    rows = tuple(other if each is row else each for each in whole.ledger.rows)
    return replace(whole, ledger=replace(whole.ledger, rows=rows))


def test_whoever_is_spared_and_hears_nothing_had_a_gap_as_long_as_was_looked_at() -> None:
    whole = seen(replace(KILL_SITE, target="none"))
    row = talk_of(whole)
    assert row.caller is not None
    assert row.caller.joined_ms is not None
    t0_ms = row.caller.joined_ms + 1_000
    every = range(t0_ms - 1_000, t0_ms + 9_000, 20)
    assert talks(whole, t0_ms)["spared_gap_ms"] is None, "nobody was listened to"
    for deaf in ("caller", "agent"):
        heard = {"caller": every, "agent": every, deaf: ()}
        gap_ms = talks(listening(whole, row, t0_ms, heard), t0_ms)["spared_gap_ms"]
        assert gap_ms is not None
        assert gap_ms > 500, deaf
    blind = replace(listening(whole, row, t0_ms, {"caller": every, "agent": every}), lines=None)
    assert talks(blind, t0_ms)["spared_gap_ms"] is None, "what agents heard nobody knows"


def test_a_gap_is_what_was_sent_and_not_heard_while_two_talked_over_the_fault() -> None:
    whole = seen(replace(KILL_SITE, target="none"))
    row = talk_of(whole)
    assert row.caller is not None
    assert row.caller.joined_ms is not None
    assert row.agent is not None
    t0_ms = row.caller.joined_ms + 1_000
    broken_ms = [*range(t0_ms - 500, t0_ms + 100, 20), *range(t0_ms + 350, t0_ms + 6_000, 20)]
    whole_ms = range(t0_ms - 500, t0_ms + 6_000, 20)

    def gap_ms(*stalls: tuple[int, int], by: str = "caller", **how: object) -> float | None:
        assert row.caller is not None
        assert row.agent is not None
        other = replace(row, caller=replace(row.caller, **how))
        if by == "caller":
            other = replace(other, agent=replace(row.agent, stalls=stalls))
        else:
            other = replace(other, caller=replace(row.caller, stalls=stalls, **how))
        one = with_row(whole, row, other)
        heard = {"caller": whole_ms, "agent": whole_ms, by: broken_ms}
        return talks(listening(one, other, t0_ms, heard), t0_ms)["spared_gap_ms"]

    for by in ("caller", "agent"):
        assert gap_ms(by=by) == 270
        assert gap_ms((t0_ms + 90, t0_ms + 340), by=by) == 20
        assert gap_ms((t0_ms - 9_000, t0_ms - 8_000), by=by) == 270
    # Of somebody who puts their agent on hold it is known what they heard until then, and after.
    held_ms = t0_ms + 900
    assert gap_ms(held=True, first_held_ms=held_ms) == 270
    assert gap_ms(held=True, first_held_ms=t0_ms + 280) == 20
    assert gap_ms(held=True, first_held_ms=t0_ms - 1_200, resumed_ms=t0_ms - 1_100) == 270
    assert gap_ms(held=True, first_held_ms=t0_ms + 100) is None
    assert gap_ms(held=True, first_held_ms=None) is None
    assert gap_ms(ended_ms=t0_ms + 150) is None, "nothing of the time after it"


def test_a_gap_of_the_spared_counts_until_all_is_mended_and_a_little_longer() -> None:
    whole = seen(replace(KILL_SITE, target="none"))
    row = talk_of(whole)
    assert row.caller is not None
    assert row.caller.joined_ms is not None
    t0_ms = row.caller.joined_ms + 1_000
    healed_ms = t0_ms + 12_000
    assert row.agent is not None
    other = replace(
        row,
        caller=replace(row.caller, ended_ms=t0_ms + 20_000),
        agent=replace(row.agent, ended_ms=t0_ms + 20_000),
    )

    def gap_ms(gap_from_ms: int, healed_ms: int = healed_ms) -> float | None:
        every = range(t0_ms - 500, t0_ms + 20_000, 20)
        heard = [each for each in every if not gap_from_ms < each < gap_from_ms + 300]
        by = {"caller": every, "agent": heard}
        one = listening(with_row(whole, row, other), other, t0_ms, by)
        return talks(replace(one, course=replace(one.course, healed_ms=healed_ms)), t0_ms)[
            "spared_gap_ms"
        ]

    assert (gap_ms(t0_ms + 1_000) or 0) >= 300
    assert (gap_ms(healed_ms + 2_000) or 0) >= 300
    assert gap_ms(healed_ms + 5_500) == 20
    assert gap_ms(t0_ms, healed_ms=t0_ms + 30_000) is None, "nobody talked when it was mended"


def test_where_nobody_talked_where_it_was_broken_nobody_knows_how_soon_people_are_free() -> None:
    whole = seen()
    t0_ms = next(
        row.caller.joined_ms + 1000
        for row in whole.ledger.placed
        if row.caller and row.caller.joined_ms is not None
    )
    assert talks(whole, t0_ms)["talking_touched"] == 0
    assert talks(whole, t0_ms)["cleared_s"] is None
    everywhere = course(*(replace(KILL_SITE, target=site) for site in SCENARIO.sites))
    kept = talks(replace(whole, course=everywhere), t0_ms)
    assert kept["talking_touched"]
    assert kept["cleared_s"] == 0.0, "nobody was cut off"


def test_what_becomes_of_talks_of_a_killed_edge_is_not_known_where_it_held_none() -> None:
    talking = next(
        row.caller for row in seen().ledger.placed if row.caller and row.caller.joined_ms
    )
    assert talking.joined_ms is not None
    t0_ms = talking.joined_ms + 1000
    site = next(
        row.record.site for row in seen().ledger.placed if row.caller == talking and row.record
    )
    killed = Fault(kind=FaultKind.KILL, target=f"edge-{site}1")

    def became(holder: str) -> tuple[float | None, float | None]:
        taken_up = ticket_at(t0_ms + 500, talking.call, 1, holder=EdgeId(f"{site}1"))
        held = ticket_at(t0_ms - 2000, talking.call, 1, holder=EdgeId(holder))
        whole = replace(seen(killed), tickets=(held, taken_up))
        found = talks(whole, t0_ms)
        assert found["talking_touched"]
        return found["kept_share"], found["cleared_s"]

    assert became(f"{site}1") == (1.0, 0.0)
    assert became(f"{site}2") == (None, None), "only its sister's went on"


def test_what_people_of_a_killed_edge_heard_who_went_on_is_measured_by_the_captures() -> None:
    row = talk_of(seen())
    caller = row.caller
    assert caller is not None
    assert caller.joined_ms is not None
    assert row.record is not None
    t0_ms, site = caller.joined_ms + 1_000, row.record.site
    broken_ms = [*range(t0_ms - 500, t0_ms + 100, 20), *range(t0_ms + 350, t0_ms + 6_000, 20)]
    whole_ms = range(t0_ms - 500, t0_ms + 6_000, 20)
    killed = seen(Fault(kind=FaultKind.KILL, target=f"edge-{site}1"))
    row = next(each for each in killed.ledger.rows if each.caller == caller)

    def gap_ms(holder: str, deaf: str = "caller", **how: object) -> float | None:
        held = ticket_at(t0_ms - 2000, caller.call, 1, holder=EdgeId(holder))
        other = replace(row, **how)
        heard = {"caller": whole_ms, "agent": whole_ms, deaf: broken_ms}
        one = listening(with_row(killed, row, other), other, t0_ms, heard)
        return talks(replace(one, tickets=(held,)), t0_ms)["kept_gap_ms"]

    assert gap_ms(f"{site}1") == gap_ms(f"{site}1", "agent") == 270
    assert gap_ms(f"{site}2") is None, "its sister's shows nothing"
    assert gap_ms(f"{site}1", by_people=Outcome.LOST) == 0.0, "nobody went on: none heard a gap"
    soon = replace(caller, hung_up_ms=t0_ms + 300)
    assert gap_ms(f"{site}1", caller=soon) == 0.0, "they had hung up before it was one"


def test_who_was_moved_where_is_counted() -> None:
    book = seen().ledger
    wanted = sum(1 for row in book.placed if row.planned.first_site != "a")
    assert sum(moved(book).values()) == wanted
    assert all(way.endswith("-> a") for way in moved(book))


def test_the_longest_time_without_a_write_is_how_long_data_was_away() -> None:
    writes = tuple(KILL_MS + at_ms for at_ms in (-50, 100, 1700, 1900, 3_000))
    assert data_rto_s(writes, KILL_MS) == 1.6
    assert data_rto_s((KILL_MS - 5,), KILL_MS) is None


def test_a_time_without_a_write_that_outlasts_what_is_looked_at_counts_as_a_whole() -> None:
    writes = tuple(KILL_MS + at_ms for at_ms in (100, 1_000, 30_000, 90_000))
    assert data_rto_s(writes, KILL_MS) == 29.0
    assert data_rto_s(writes[:2], KILL_MS) == 0.9, "nobody wrote any more"


def test_sign_in_is_back_when_the_last_telephone_that_lost_its_registrar_has_one() -> None:
    said = [(KILL_MS - 9, "a", True), (KILL_MS + 2000, "a", False), (KILL_MS + 9000, "a", True)]
    assert sign_in_rto_s(said, KILL_MS) == 9.0
    assert sign_in_rto_s([*said, (KILL_MS + 9500, "b", False)], KILL_MS) == math.inf
    assert sign_in_rto_s(said[:1], KILL_MS) is None, "none lost it"


def test_where_nothing_was_there_to_lose_nothing_is_known_to_be_kept() -> None:
    whole = replace(seen(), recorded=())
    assert figures(whole)["recordings_lost"] is None
    assert figures(whole)["double_offers"] == 0
    silent = replace(whole, agents=(), offers=())
    assert figures(silent)["double_offers"] is None
    assert figures(silent)["untrue_agent_s"] is None
    written = Written(acknowledged_ms=(), unanswered=9, missing=(), whole_ms=1, most_lag_bytes=0)
    assert writes(written, KILL_MS, KILL_MS)["writes_lost"] is None


def test_service_that_never_came_back_is_none_that_nobody_has_measured() -> None:
    later = [each.invite_ms >= KILL_MS for each in CALLERS]
    refused = tuple(
        replace(each, ok_ms=None, joined_ms=None, end=reports.End.REFUSED, status=503)
        if came
        else each
        for each, came in zip(CALLERS, later, strict=True)
    )
    found = figures(seen(callers=refused))
    assert found["rto_s"] == found["rto_capture_s"] == math.inf
    assert found["rto_error_ms"] is None, "no time of a recovery bears the other out"
    before = tuple(replace(each, invite_ms=each.invite_ms - 10**7) for each in CALLERS)
    assert figures(seen(callers=before))["rto_s"] is None, "nobody came after it"


def test_media_is_back_with_the_first_later_caller_who_hears_an_agent() -> None:
    found = figures(seen())["media_rto_s"]
    heard = [
        each.joined_ms
        for call, each in zip(SCENARIO.calls, CALLERS, strict=True)
        if call.first_site == DEAD and each.invite_ms >= KILL_MS and each.joined_ms
    ]
    assert found == (min(heard) - KILL_MS) / 1000


# ---- the database --------------------------------------------------------------------------------


def written(*after_s: float, whole_s: float | None = None, missing: int = 0) -> Written:
    return Written(
        acknowledged_ms=tuple(KILL_MS + round(each * 1000) for each in after_s),
        unanswered=2,
        missing=tuple(f"art_{number}" for number in range(missing)),
        whole_ms=None if whole_s is None else KILL_MS + round(whole_s * 1000),
        most_lag_bytes=8,
    )


def test_the_time_without_an_acknowledged_write_spans_the_loss_of_the_primary() -> None:
    found = writes(written(-3.0, -0.2, 22.3, 22.9, 30.0, whole_s=50.0), KILL_MS, KILL_MS + 40_000)
    assert found["write_gap_s"] == pytest.approx(22.5)
    assert (found["writes"], found["writes_after"], found["writes_lost"]) == (5, 3, 0)
    assert found["database_whole_s"] == pytest.approx(10.0)


def test_a_time_without_an_acknowledged_write_that_never_ended_counts_to_the_last_try() -> None:
    whole = replace(written(-0.2, 0.1, 0.4, whole_s=50.0), until_ms=KILL_MS + 31_400)
    assert writes(whole, KILL_MS, KILL_MS + 40_000)["write_gap_s"] == pytest.approx(31.0)
    none = replace(written(-0.2), until_ms=KILL_MS + 31_400)
    assert writes(none, KILL_MS, KILL_MS + 40_000)["write_gap_s"] == pytest.approx(31.6)


def test_an_acknowledged_write_that_is_gone_is_counted() -> None:
    found = figures(replace(seen(), written=written(-1.0, 5.0, missing=1)))
    assert found["writes_lost"] == 1.0


def test_without_a_write_after_it_no_time_is_told_and_members_apart_are_not_one() -> None:
    found = writes(written(-1.0), KILL_MS, KILL_MS + 40_000)
    assert found["write_gap_s"] is None
    assert found["database_whole_s"] is None
