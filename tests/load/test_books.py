"""What callers and agents say against the ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import Dialler
from loadtests.load.books import compare
from state.model import AgentId, CallId, Outcome


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


def test_books_that_agree_are_exact() -> None:
    unanswered = replace(caller("3", end=End.REFUSED), ok_ms=None)
    found = compare(
        [caller("1"), caller("2", heard=False), unanswered],
        [agent("1")],
        [("1", Outcome.ANSWERED), ("2", Outcome.ABANDONED), ("9", Outcome.ANSWERED)],
    )
    assert found.is_exact
    assert found.calls == 2


def test_answered_call_without_a_record_is_missing() -> None:
    found = compare([caller("1"), caller("2")], [], [("1", Outcome.ABANDONED)])
    assert found.missing == ("2",)
    assert found.figures()["ledger.exact"] == 0.0


def test_call_with_two_records_is_doubled() -> None:
    found = compare([caller("1")], [agent("1")], [("1", Outcome.ANSWERED), ("1", Outcome.ANSWERED)])
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
    found = compare([caller("1", end=end)], [agent("1", end=of_agent)], [("1", record)])
    (contradicted,) = found.contradicted
    assert contradicted.startswith(f"1: {record}, and ")


def test_a_caller_whom_an_edge_hangs_up_on_as_the_media_is_lost_was_cut_off() -> None:
    found = compare([caller("1", end=End.FAR_END)], [agent("1")], [("1", Outcome.LOST)])
    assert found.is_exact
    assert found.figures()["calls.cut_off_share"] == 1.0


def test_who_is_sent_away_to_be_called_back_was_not_cut_off() -> None:
    found = compare([caller("1", end=End.FAR_END)], [], [("1", Outcome.CALLBACK)])
    assert found.is_exact
    assert found.cut_off == 0


class Counted(list[AgentReport]):
    """Agents' reports that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[AgentReport]:
        self.times += 1
        return super().__iter__()


def test_agents_are_gone_through_once_and_not_for_each_call() -> None:
    calls = [str(number) for number in range(50)]
    agents = Counted(agent(call) for call in calls)
    found = compare(map(caller, calls), agents, [(call, Outcome.ANSWERED) for call in calls])
    assert found.is_exact
    assert found.calls == 50
    assert agents.times <= 2


def test_books_that_differ_tell_how_many_calls_and_how() -> None:
    found = compare([caller("1"), caller("2")], [], [("1", Outcome.ANSWERED)])
    assert found.told() == "1 calls in no record, 1 calls told otherwise"
