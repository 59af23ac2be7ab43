"""What callers and agents say against the ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import Dialler
from drills.fault import Fault, FaultKind
from loadtests.load.books import Entry, Ours, compare
from loadtests.load.faults import Done
from state.model import AgentId, CallId, Outcome

AT_MS = 1_795_953_600_000
"""12:00:00 on 29 November 2026."""


def caller(call: str, *, end: End = End.HUNG_UP, heard: bool = True) -> CallerReport:
    return CallerReport(
        number=call,
        sip_call_id=f"{call}@callers",
        call=CallId(call),
        dialler=Dialler.PHONE,
        invite_ms=0,
        ok_ms=20,
        hung_up_ms=5000 if end is End.HUNG_UP else None,
        ended_ms=5010,
        end=end,
        sent="1+2",
        heard=frozenset({"3+4"} if heard else ()),
    )


def agent(call: str, *, end: End = End.FAR_END) -> AgentReport:
    return AgentReport(
        agent=AgentId("ann"),
        sip_call_id=f"{call}@agents",
        call=CallId(call),
        invite_ms=1000,
        answered_ms=1500,
        ended_ms=5010,
        end=end,
        sent="3+4",
        heard=frozenset({"1+2"}),
    )


def over(*records: tuple[str, Outcome]) -> list[Entry]:
    return [Entry(call=call, outcome=outcome) for call, outcome in records]


def test_books_that_agree_are_exact() -> None:
    unanswered = replace(caller("3", end=End.REFUSED), ok_ms=None)
    found = compare(
        [caller("1"), caller("2", heard=False), unanswered],
        [agent("1")],
        over(("1", Outcome.ANSWERED), ("2", Outcome.ABANDONED), ("9", Outcome.ANSWERED)),
    )
    assert found.is_exact
    assert found.calls == 2


def test_answered_call_without_a_record_is_missing() -> None:
    found = compare([caller("1"), caller("2")], [], over(("1", Outcome.ABANDONED)))
    assert found.missing == ("2",)
    assert found.figures()["ledger.exact"] == 0.0


def test_call_with_two_records_is_doubled() -> None:
    found = compare(
        [caller("1")], [agent("1")], over(("1", Outcome.ANSWERED), ("1", Outcome.ANSWERED))
    )
    assert found.doubled == ("1",)


@pytest.mark.parametrize(
    ("end", "of_agent", "record"),
    [
        pytest.param(End.HUNG_UP, End.FAR_END, Outcome.ABANDONED, id="the-caller-ended-it"),
        pytest.param(End.FAR_END, End.HUNG_UP, Outcome.LOST, id="the-agent-ended-it"),
        pytest.param(End.FAR_END, End.FAR_END, Outcome.ANSWERED, id="neither-did"),
        pytest.param(End.UNHEARD, End.FAR_END, Outcome.ANSWERED, id="nobody-heard-the-caller"),
    ],
)
def test_one_side_says_that_a_person_ended_it_and_the_other_not(
    end: End, of_agent: End, record: Outcome
) -> None:
    found = compare([caller("1", end=end)], [agent("1", end=of_agent)], over(("1", record)))
    (contradicted,) = found.contradicted
    assert contradicted.startswith(f"1: {record}, and ")


def test_a_caller_whom_an_edge_hangs_up_on_as_the_media_is_lost_was_cut_off() -> None:
    found = compare([caller("1", end=End.FAR_END)], [agent("1")], over(("1", Outcome.LOST)))
    assert found.is_exact
    assert found.figures()["calls.cut_off_share"] == 1.0


def test_who_is_sent_away_to_be_called_back_was_not_cut_off() -> None:
    found = compare([caller("1", end=End.FAR_END)], [], over(("1", Outcome.CALLBACK)))
    assert found.is_exact
    assert found.cut_off == 0


@pytest.mark.parametrize(("cause", "is_exact"), [("agent_unheard", True), ("edge_died", False)])
def test_whether_a_line_was_dead_the_edge_says_where_the_people_cannot_tell(
    cause: str, *, is_exact: bool
) -> None:
    """The agent was heard until three seconds before the caller hung up, and never answered."""
    told = replace(caller("1"), last_heard_ms=1_900)
    by_agent = replace(agent("1", end=End.FAULT), last_heard_ms=1_800)
    found = compare([told], [by_agent], [Entry(call="1", outcome=Outcome.LOST, cause=cause)])
    assert found.is_exact is is_exact


class Counted(list[AgentReport]):
    """Agents' reports that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[AgentReport]:
        self.times += 1
        return super().__iter__()


def test_agents_are_gone_through_once_and_not_for_each_call() -> None:
    calls = [str(number) for number in range(50)]
    agents = Counted(agent(call) for call in calls)
    found = compare(map(caller, calls), agents, over(*((call, Outcome.ANSWERED) for call in calls)))
    assert found.is_exact
    assert found.calls == 50
    assert agents.times <= 2


def test_books_that_differ_tell_how_many_calls_and_how() -> None:
    found = compare([caller("1"), caller("2")], [], over(("1", Outcome.ANSWERED)))
    assert found.told() == "1 calls in no record, 1 calls told otherwise"


@pytest.mark.parametrize("record", [Outcome.ANSWERED, Outcome.LOST])
def test_call_of_an_agent_whose_telephone_died_is_told_apart_and_not_compared(
    record: Outcome,
) -> None:
    dead = replace(agent("1", end=End.UNFINISHED), ended_ms=None, sent="", heard=frozenset())
    found = compare([caller("1")], [dead], over(("1", record)))
    assert found.is_exact
    assert (found.untold, found.cut_off) == (1, 0)
    assert compare([caller("1")], [dead], ()).missing == ("1",)


@pytest.mark.parametrize(
    ("by_caller", "by_agent", "told"),
    [
        (frozenset({"3+4"}), frozenset({"1+2"}), ()),
        (frozenset({"3+4", "5+6"}), frozenset({"1+2"}), ("5+6",)),
        (frozenset({"3+4"}), frozenset({"1+2", "7+8"}), ("7+8",)),
    ],
)
def test_call_in_which_somebody_of_another_is_heard_is_told(
    by_caller: frozenset[str], by_agent: frozenset[str], told: tuple[str, ...]
) -> None:
    found = compare(
        [replace(caller("1"), heard=by_caller)],
        [replace(agent("1"), heard=by_agent)],
        over(("1", Outcome.ANSWERED)),
    )
    assert [each.split()[1].rstrip(";") for each in found.mixed_up] == list(told)
    assert found.figures()["audio.strangers"] == len(told)


def test_who_was_passed_on_has_heard_both_agents_and_no_stranger() -> None:
    heard_both = replace(caller("1"), heard=frozenset({"3+4", "5+6"}))
    agents = [agent("1"), replace(agent("1"), agent=AgentId("bob"), invite_ms=3_000, sent="5+6")]
    assert compare([heard_both], agents, over(("1", Outcome.ANSWERED))).mixed_up == ()


OURS = Ours(did="15550180", volume_did="15550181", since_ms=1_000, placed=3, succeeded=2)


def record(call: str, *, did: str = OURS.did, **changes: object) -> Entry:
    fields: dict[str, object] = {"call": call, "outcome": Outcome.ABANDONED, "arrived_ms": 2_000}
    return Entry(**fields | {"did": did} | changes)  # type: ignore[arg-type]


def by_sipp(*calls: str) -> list[Entry]:
    return [record(call, did=OURS.volume_did) for call in calls]


def test_record_of_a_call_that_nobody_placed_is_unclaimed() -> None:
    left = replace(caller("1", end=End.CANCELLED), ok_ms=None)
    ledger = [record("1"), record("2"), *by_sipp("x", "y")]
    found = compare([left], [], ledger, OURS)
    assert found.unclaimed == ("2: abandoned",)
    assert not found.is_exact
    assert found.figures()["ledger.unclaimed"] == 1


@pytest.mark.parametrize(
    "others",
    [
        pytest.param(record("9", did="15550101"), id="a-call-to-another-number"),
        pytest.param(record("9", arrived_ms=999), id="one-that-came-before"),
        pytest.param(record("9", is_callback=True), id="one-that-an-edge-placed"),
    ],
)
def test_records_of_others_calls_are_claimed_by_nobody(others: Entry) -> None:
    found = compare([], [], [others, *by_sipp("x", "y", "z")], OURS)
    assert found.is_exact
    assert found.told() == ""


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        (("x",), "1 calls of SIPp in no record"),
        (("w", "x", "y", "z"), "1 calls that SIPp has not placed"),
        (("x", "x", "y"), "1 calls that SIPp has not placed"),
    ],
)
def test_calls_of_sipp_and_their_records_are_as_many(calls: tuple[str, ...], told: str) -> None:
    found = compare([], [], by_sipp(*calls), OURS)
    assert found.told() == told
    assert not found.is_exact


KILLED = Done(
    at_s=9.0,
    drill="edge_killed",
    fault=Fault(kind=FaultKind.KILL, target="edge-a1"),
    from_ms=AT_MS - 60_000,
    until_ms=AT_MS - 60_000,
)
CUT = Done(
    at_s=60.0,
    drill="trunk_lost",
    fault=Fault(kind=FaultKind.CUT, target="carrier-b", ttl_s=10.0),
    from_ms=AT_MS,
    until_ms=AT_MS + 10_000,
)


@pytest.mark.parametrize(
    ("faults", "nearest"),
    [
        ((), "nothing was broken"),
        ((replace(CUT, problem="refused"),), "nothing was broken"),
        ((KILLED, CUT), "over 5.0 s into trunk_lost: cut carrier-b (for 10 s)"),
        ((KILLED,), "over 65.0 s after edge_killed: kill edge-a1"),
        (
            (replace(CUT, from_ms=AT_MS + 7_000),),
            "over 2.0 s before trunk_lost: cut carrier-b (for 10 s)",
        ),
    ],
)
def test_contradiction_tells_all_that_is_gone_with_the_logs(
    faults: tuple[Done, ...], nearest: str
) -> None:
    shift = {"invite_ms": AT_MS, "ok_ms": AT_MS + 20, "hung_up_ms": AT_MS + 5_000}
    late = replace(caller("1"), ended_ms=AT_MS + 12_620, last_heard_ms=AT_MS + 4_900, **shift)
    met = {"invite_ms": AT_MS + 1_000, "answered_ms": AT_MS + 1_500, "ended_ms": AT_MS + 5_010}
    entry = Entry(call="1", outcome=Outcome.LOST, cause="goodbye_unheard", edge="b2")
    (told,) = compare(
        [late], [replace(agent("1"), crossed=True, **met)], [entry], Ours(faults=faults)
    ).contradicted
    assert told == (
        "1: lost (goodbye_unheard at b2), and answered by the people; "
        "caller hung_up (hung up at 4.98 s, over at 12.60 s, last heard at 4.88 s), "
        "agent ann far_end (over at 4.99 s, crossed); "
        f"came at 2026-11-29T12:00:00.000+00:00, {nearest}"
    )
