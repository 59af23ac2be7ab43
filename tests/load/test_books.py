"""Callers' accounts against the ledger."""

from __future__ import annotations

from loadtests.load.books import Account, compare
from state.model import Outcome


def account(call: str, *, heard: bool = True, answered: bool = True, cut: bool = False) -> Account:
    return Account(call=call, was_answered=answered, heard_agent=heard, cut_off=cut)


def test_books_that_agree_are_exact() -> None:
    found = compare(
        [account("1"), account("2", heard=False), account("3", answered=False)],
        [("1", Outcome.ANSWERED), ("2", Outcome.ABANDONED), ("9", Outcome.ANSWERED)],
    )
    assert found.is_exact
    assert found.calls == 2


def test_answered_call_without_a_record_is_missing() -> None:
    found = compare([account("1"), account("2")], [("1", Outcome.ANSWERED)])
    assert found.missing == ("2",)
    assert found.figures()["ledger.exact"] == 0.0


def test_call_with_two_records_is_doubled() -> None:
    found = compare([account("1")], [("1", Outcome.ANSWERED), ("1", Outcome.ANSWERED)])
    assert found.doubled == ("1",)


def test_record_without_an_agent_contradicts_a_caller_who_heard_one() -> None:
    found = compare([account("1")], [("1", Outcome.ABANDONED)])
    assert found.contradicted == ("1: abandoned",)


def test_caller_who_was_cut_off_contradicts_nobody_and_is_counted() -> None:
    found = compare([account("1", cut=True)], [("1", Outcome.ABANDONED)])
    assert found.is_exact
    assert found.figures()["calls.cut_off_share"] == 1.0
