from __future__ import annotations

from io import StringIO

from rich.console import Console

from drills.demo.claims import claims
from drills.demo.explain import explain, worth_explaining
from drills.demo.figures import Run, measure
from drills.demo.report import report
from tests.demo import invented


def printed(run: Run) -> str:
    figures = measure(run)
    out = StringIO()
    Console(file=out, width=140, no_color=True).print(report(run, figures, claims(run, figures)))
    return out.getvalue()


def test_the_report_of_a_good_run_shows_every_table_and_no_fault() -> None:
    text = printed(invented.run())
    for title in (
        "How the calls ended",
        "Who answered where",
        "Queues",
        "The failover",
        "One decision explained",
        "What was claimed",
    ):
        assert title in text
    assert "BROKEN" not in text
    assert "Two stories" not in text
    assert "b (killed)" in text


def test_the_report_of_a_broken_run_says_which_call_and_both_stories() -> None:
    text = printed(invented.run(records=invented.RECORDS[1:]))
    assert "BROKEN" in text
    assert "Two stories of one call" in text
    assert invented.SCENARIO.calls[0].number in text


def test_a_decision_is_explained_by_winner_runners_up_and_exclusions() -> None:
    record = worth_explaining(invented.RECORDS)
    assert record is not None
    told = explain(invented.SCENARIO, record)
    assert told.candidates[0].won
    assert [each.agent for each in told.candidates[1:]] == ["chen", "arto"]
    assert told.excluded == (("lacks_skill", 6), ("busy", 4))
    assert told.reasons[1] == "score: idle 0.20 + load 0.40 + skill_fit 0.90 = 1.50"


def test_nothing_is_explained_when_nothing_was_decided() -> None:
    assert worth_explaining(each for each in invented.RECORDS if each.decision is None) is None
