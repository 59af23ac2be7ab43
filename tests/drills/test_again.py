"""Who came again or was called back: their calls have a ledger of their own, that sums."""

from __future__ import annotations

from msgspec.structs import replace

from drills.again import again, books, called_as_caller
from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import Dialler
from drills.figures import figures
from drills.packets import Dialled, Wire
from drills.page import page
from drills.seen import Again, Seen
from state.model import CallId, CallRecord, Outcome
from tests.demo import invented
from tests.demo.invented import AGENTS, ANSWERED, KILL_MS, RECORDS, SCENARIO
from tests.drills.good_run import evidence_of_run, seen, wire

CAME, BACK = ANSWERED[2], ANSWERED[3]
AGAIN, CALLED = CallId("again"), CallId("back")
AT_MS = KILL_MS + 6000


def caller(call: CallId, **what: object) -> CallerReport:
    planned = CAME if call == AGAIN else BACK
    report = CallerReport(
        number=planned.number,
        sip_call_id=f"{call}@everline",
        call=call,
        dialler=Dialler.PHONE,
        invite_ms=AT_MS,
        ok_ms=AT_MS + 20,
        joined_ms=AT_MS + 5000,
        hung_up_ms=AT_MS + 9000,
        ended_ms=AT_MS + 9010,
        end=End.HUNG_UP,
        sent=f"caller {call}",
        heard=frozenset({f"agent {call}"}),
    )
    return replace(report, **what)


def agent(call: CallId, **what: object) -> AgentReport:
    report = AgentReport(
        agent=invented.agent_for(CAME).id,
        sip_call_id=f"leg-{call}",
        call=call,
        invite_ms=AT_MS + 4000,
        answered_ms=AT_MS + 4500,
        ended_ms=AT_MS + 9000,
        end=End.FAR_END,
        sent=f"agent {call}",
        heard=frozenset({f"caller {call}"}),
    )
    return replace(report, **what)


def record(call: CallId, **what: object) -> CallRecord:
    report = replace(
        RECORDS[CAME.index],
        call=call,
        sip_call_id=f"{call}@everline",
        callback_of=None if call == AGAIN else invented.call_id(BACK.index),
    )
    return replace(report, **what)


def on_wire(call: CallId, ok_ms: int | None = AT_MS + 20, status: int = 200) -> Dialled:
    return Dialled(
        sip_call_id=f"{call}@everline",
        number="1",
        first_site="a",
        invite_ns=AT_MS * 1_000_000,
        status=None if ok_ms is None else status,
        final_ns=None if ok_ms is None else ok_ms * 1_000_000,
    )


def kept(  # noqa: PLR0913 - everybody has a word
    *,
    dialled: tuple[CallerReport, ...] = (caller(AGAIN),),
    called: tuple[CallerReport, ...] = (caller(CALLED),),
    agents: tuple[AgentReport, ...] = (agent(AGAIN), agent(CALLED)),
    records: tuple[CallRecord, ...] = (record(AGAIN), record(CALLED)),
    calls: tuple[Dialled, ...] = (on_wire(AGAIN),),
    came: tuple[Dialled, ...] = (on_wire(CALLED),),
) -> Again:
    whole = wire()
    return books(
        SCENARIO,
        dialled=dialled,
        called=called,
        agents=(*AGENTS, *agents),
        records=(*RECORDS, *records),
        wire=replace(whole, calls=(*whole.calls, *calls), came=came),
    )


def found(whole: Again) -> dict[str, float | None]:
    return again(replace(seen(), again=whole))


def test_a_drill_without_them_has_no_such_ledger() -> None:
    assert again(seen()) == {}


def test_whose_two_stories_are_told_is_a_finding_without_a_number() -> None:
    told = evidence_of_run(replace(seen(), again=kept(records=(record(AGAIN),)))).findings
    (finding,) = [each for each in told if each.startswith("two stories")]
    assert finding.startswith(f"two stories of who was called back, call {BACK.index}: people")
    assert BACK.number not in finding


def test_a_page_tells_of_it_where_there_is_one() -> None:
    told = page(evidence_of_run(replace(seen(), again=kept())))
    assert "2 = 2 answered + 0 abandoned + 0 refused + 0 lost + 0 not reached" in told
    assert "Their ledger is exact" in told
    assert "Their ledger" not in page(evidence_of_run(seen()))


def test_it_sums_and_is_exact_where_people_edges_and_wire_say_the_same() -> None:
    told = found(kept())
    assert told["again_exact"] == 1.0
    assert (told["again_offered"], told["again_answered"]) == (2, 2)
    assert told["again_mismatches"] == told["again_wire_differs"] == 0


def test_a_record_that_is_missing_or_tells_otherwise_or_is_nobodys_makes_it_inexact() -> None:
    for records in (
        (record(AGAIN),),
        (record(AGAIN), record(CALLED, outcome=Outcome.LOST)),
        (record(AGAIN), record(CALLED), record(CallId("x"), callback_of=CallId("y"))),
    ):
        told = found(kept(records=records))
        assert (told["again_exact"], told["again_mismatches"]) == (0.0, 1)


def test_an_agent_who_talked_with_nobody_makes_it_inexact() -> None:
    unheard = caller(AGAIN, end=End.FAR_END, heard=frozenset(), joined_ms=None)
    told = found(kept(dialled=(unheard,)))
    assert (told["again_exact"], told["again_lost"]) == (0.0, 1)


def test_the_wire_has_to_have_the_same_calls_with_the_same_answers() -> None:
    for calls, came in (
        ((), (on_wire(CALLED),)),
        ((on_wire(AGAIN, status=503),), (on_wire(CALLED),)),
        ((on_wire(AGAIN),), ()),
        ((on_wire(AGAIN),), (on_wire(CALLED, ok_ms=None),)),
        ((on_wire(AGAIN),), (on_wire(CALLED), on_wire(CallId("another")))),
    ):
        told = found(kept(calls=calls, came=came))
        assert (told["again_exact"], told["again_wire_differs"]) == (0.0, 1)


def test_who_is_called_back_and_does_not_lift_was_not_reached_whoever_gave_up() -> None:
    unlifted = caller(CALLED, ok_ms=None, joined_ms=None, hung_up_ms=None, heard=frozenset())
    in_vain = record(CALLED, outcome=Outcome.CALLBACK, agent=None, connected_ms=None)
    for end in (End.CANCELLED, End.REFUSED):
        told = found(
            kept(
                called=(replace(unlifted, end=end),),
                agents=(agent(AGAIN),),
                records=(record(AGAIN), in_vain),
                came=(on_wire(CALLED, status=487),),
            )
        )
        assert (told["again_exact"], told["again_unreached"]) == (1.0, 1)


def test_a_try_for_which_nobody_was_dialled_is_no_call() -> None:
    undialled = record(CallId("z"), outcome=Outcome.CALLBACK, cause="called_again")
    told = found(kept(records=(record(AGAIN), record(CALLED), undialled)))
    assert (told["again_exact"], told["again_offered"]) == (1.0, 2)


def test_one_number_may_be_called_twice() -> None:
    second = CallId("second")
    told = found(
        kept(
            called=(caller(CALLED), caller(second)),
            agents=(agent(AGAIN), agent(CALLED), agent(second)),
            records=(record(AGAIN), record(CALLED), record(second)),
            came=(on_wire(CALLED), on_wire(second)),
        )
    )
    assert (told["again_exact"], told["again_offered"]) == (1.0, 3)


def test_of_a_call_that_comes_to_a_telephone_the_name_is_in_its_call_id() -> None:
    assert called_as_caller(replace(caller(CALLED), call=CallId("not ours"))).call == CALLED


# ---- they are callers like any -------------------------------------------------------------------


def with_them(whole: Again) -> Seen:
    return replace(seen(), again=whole, agents=(*AGENTS, agent(AGAIN), agent(CALLED)))


def test_who_comes_again_is_to_be_answered_like_any_caller() -> None:
    good = figures(with_them(kept()))
    assert (good["failed"], good["final_answer_s"]) == (0, 0.02)
    late = kept(calls=(on_wire(AGAIN, ok_ms=AT_MS + 9000),))
    assert figures(with_them(late))["final_answer_s"] == 9.0
    busy = caller(AGAIN, ok_ms=None, joined_ms=None, heard=frozenset(), end=End.REFUSED)
    refused = kept(dialled=(busy,), calls=(on_wire(AGAIN, status=503),))
    assert figures(with_them(refused))["failed"] == 1
    silent = kept(dialled=(replace(busy, end=End.SILENCE),), calls=(on_wire(AGAIN, ok_ms=None),))
    assert figures(with_them(silent))["final_answer_s"] == float("inf")


def test_an_agent_who_is_rung_for_one_of_them_while_they_talk_has_two_calls() -> None:
    mine = AGENTS[0]
    rung = agent(AGAIN, agent=mine.agent, invite_ms=mine.invite_ms + 1)
    whole = replace(seen(), again=kept(), agents=(*AGENTS, rung))
    assert figures(whole)["double_offers"] == 1


def test_they_are_no_calls_of_the_plan() -> None:
    assert figures(with_them(kept()))["ledger_exact"] == 1.0
    assert figures(with_them(kept()))["offered"] == len(SCENARIO.calls)


def test_no_such_calls_are_an_empty_ledger() -> None:
    nothing = books(
        SCENARIO, dialled=(), called=(), agents=(), records=(), wire=Wire(calls=(), audio_ns={})
    )
    assert found(nothing)["again_offered"] == 0
