"""With which runs one is compared, and what is told of it as worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills import earlier
from drills.charts import LAST_RUNS
from drills.cli.app import main
from drills.comparison import (
    AMOUNTS,
    MOST_COMPARED,
    RECOVERIES,
    TIMES,
    compare,
    compared_figures,
    is_markedly_worse,
)
from drills.course import End
from drills.earlier import comparable_before
from drills.evidence import Evidence, judge
from drills.experiment import Bound, Experiment
from drills.library import experiment_of
from drills.page import _SERVICES, page
from drills.shelf import EVIDENCE, Shelf
from drills.wording import FIGURES
from tests.acd.worlds import PATIENT
from tests.drills.pieces import EXPERIMENT, FILES, PERMIT, piece

SECONDS = st.floats(0.0, 100.0)
SOME = st.lists(SECONDS, min_size=1, max_size=MOST_COMPARED)


def of(
    figure: str, value: float | None, run: str = "now", *, bound: Bound | None = None
) -> Evidence:
    """Return a run in which one figure was as given, and was expected to be within a bound."""
    expect = (bound or Bound(figure=figure, at_most=1000.0),)
    experiment = replace(EXPERIMENT, expect=expect)
    return replace(
        piece(run),
        experiment=experiment,
        plan_hash=experiment.plan_hash,
        figures={figure: value},
        judgements=judge(expect, {figure: value}),
    )


def runs(*values: float, figure: str = "rto_s") -> list[Evidence]:
    return [of(figure, value, f"r{number}") for number, value in enumerate(values)]


# ---- the rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "before", "now", "is_worse"),
    [
        ("rto_s", (0.5, 0.6, 0.4, 0.5, 0.5), 4.9, True),
        ("rto_s", (0.5,), 4.9, True),
        ("rto_s", (0.5, 0.6, 0.4, 0.5, 0.5), 0.7, False),
        ("rto_s", (0.05, 0.05, 0.05), 0.15, False),  # three times as long, by 0.1 s
        ("rto_s", (2.1, 0.5, 0.5, 0.5, 0.5), 2.1, False),  # it has been so long before
        ("rto_s", (10.0, 10.0, 10.0), 14.0, False),  # 1.4 times
        ("rto_s", (10.0, 10.0, 10.0), 15.5, True),
        ("rto_s", (4.9, 4.9, 4.9), 0.5, False),
        ("setup_delay_ms", (-3.0, -1.0, 2.0), 40.0, False),
        ("setup_delay_ms", (-3.0, -1.0, 2.0), 60.0, True),
        ("setup_delay_ms", (-300.0, -300.0), -240.0, False),  # still much sooner than before
        ("lost", (2.0, 3.0, 2.0), 6.0, False),
        ("lost", (2.0, 3.0, 2.0), 7.0, True),
        ("setup_p99_ratio", (1.0, 1.1), 1.3, False),
        ("setup_p99_ratio", (1.0, 1.1), 1.6, True),
        ("replica_lag_bytes", (0.0, 4096.0), 500_000.0, False),
        ("replica_lag_bytes", (0.0, 4096.0), 5_000_000.0, True),
        ("rto_s", (0.5, 0.5), float("inf"), True),
    ],
)
def test_a_figure_is_worse_by_the_rule(
    figure: str, before: tuple[float, ...], now: float, *, is_worse: bool
) -> None:
    found = compare(of(figure, now), runs(*before, figure=figure))
    assert [each.figure for each in found.worse] == ([figure] if is_worse else [])


@pytest.mark.parametrize(
    ("figure", "before", "now", "is_worse"),
    [
        ("kept_share", (1.0, 0.99, 1.0), 0.9, True),
        ("kept_share", (1.0, 0.99, 1.0), 0.95, False),
        ("kept_share", (0.9, 0.9), 1.0, False),
        ("ledger_exact", (1.0, 1.0), 0.0, True),
        ("ledger_exact", (0.0, 0.0), 1.0, False),
        ("clock_off_s", (600.0, 600.0), 10.0, False),  # that it was broken, and not how it held
    ],
)
def test_of_shares_less_is_worse_and_of_other_things_that_should_be_at_least_so_much_nothing(
    figure: str, before: tuple[float, ...], now: float, *, is_worse: bool
) -> None:
    bound = Bound(figure=figure, at_least=0.0)
    known = [of(figure, value, f"r{n}", bound=bound) for n, value in enumerate(before)]
    found = compare(of(figure, now, bound=bound), known)
    assert [each.figure for each in found.worse] == ([figure] if is_worse else [])


@given(value=SECONDS, before=SOME)
@PATIENT
def test_noise_what_was_there_before_and_less_than_half_as_much_again_is_never_worse(
    value: float, before: list[float]
) -> None:
    for amount in AMOUNTS.values():
        found = is_markedly_worse(value, before, amount)
        if value <= max(before) + amount or value <= TIMES * median(before):
            assert not found
        if value > max(before) + amount + 1e-6 and value > TIMES * median(before) + 1e-6:
            assert found


@given(value=SECONDS, more=SECONDS, before=SOME, data=st.data())
@PATIENT
def test_what_is_worse_stays_so_when_there_is_more_of_it_and_in_whatever_order_the_runs_came(
    value: float, more: float, before: list[float], data: st.DataObject
) -> None:
    if is_markedly_worse(value, before, 0.5):
        assert is_markedly_worse(value + more, before, 0.5)
    other = data.draw(st.permutations(before))
    assert is_markedly_worse(value, before, 0.5) == is_markedly_worse(value, other, 0.5)


def test_every_unit_has_an_amount_and_what_the_page_tells_of_recovery_is_compared() -> None:
    assert {each.unit for each in FIGURES.values()} <= AMOUNTS.keys()
    assert tuple(figure for _, figure in _SERVICES) == RECOVERIES
    assert set(RECOVERIES) <= set(compared_figures(piece()))


def test_a_recovery_that_nobody_expects_anything_of_is_compared_too() -> None:
    now = replace(piece(), figures={"rto_s": 2.5, "media_rto_s": 9.0})
    before = replace(piece("r0"), figures={"rto_s": 2.5, "media_rto_s": 2.0})
    (worse,) = compare(now, [before]).worse
    assert (
        worse.told()
        == "a new caller hears an agent (media_rto_s): 9 s now, 2 s before (in one run)"
    )


# ---- with which runs -----------------------------------------------------------------------------


def test_the_median_is_of_the_last_five_and_they_are_named_with_their_code() -> None:
    before = [
        replace(each, code=f"c{n}") for n, each in enumerate(runs(9, 9, 0.4, 0.5, 0.6, 0.5, 0.5))
    ]
    found = compare(of("rto_s", 4.9), before)
    assert [each.run for each in found.runs] == ["r2", "r3", "r4", "r5", "r6"]
    assert found.told().startswith("compared with r2 (code c2), r3 (code c3), ")
    (worse,) = found.worse
    assert worse.is_markedly
    assert not worse.no_longer_holds
    assert worse.told() == (
        "calls are set up again (rto_s): 4.9 s now, 0.5 s before"
        " (the median of 5 runs, 0.4 s to 0.6 s)"
    )


def longer(experiment: Experiment) -> Experiment:
    return replace(experiment, recover_within_s=experiment.recover_within_s + 1.0)


def by_another_plan(evidence: Evidence) -> Evidence:
    experiment = longer(evidence.experiment)
    return replace(evidence, experiment=experiment, plan_hash=experiment.plan_hash)


@pytest.mark.parametrize(
    "other",
    [
        by_another_plan,
        lambda each: replace(each, approvals=(PERMIT,)),
        lambda each: replace(each, end=End.NOT_STEADY),
        lambda each: replace(each, end=End.REFUSED),
        lambda each: replace(each, end=End.ABORTED),
        lambda each: replace(each, experiment=experiment_of("site_frozen")),
    ],
    ids=["plan", "live", "not steady", "refused", "aborted", "drill"],
)
def test_what_is_not_comparable_is_not_compared_and_that_is_said(
    other: Callable[[Evidence], Evidence],
) -> None:
    now, before = of("rto_s", 4.9), [other(each) for each in runs(0.5, 0.5)]
    found = compare(now, before)
    assert (found.runs, found.worse) == ((), ())
    why = "none is known that was carried through in a lab, by this plan"
    said = f"compared with no earlier run: {why}"
    assert found.told() == said
    assert said.removeprefix("c") in page(now, before)
    assert "Nothing is markedly worse" not in page(now, before)
    mixed = compare(now, [*runs(0.5), *before])
    assert [each.run for each in mixed.runs] == ["r0"]
    assert len(mixed.worse) == 1


def test_a_slower_machine_makes_no_run_worse_than_those_of_another_one() -> None:
    fast = [replace(each, machine="8 x Fast <1>") for each in runs(0.5, 0.5)]
    now = replace(of("rto_s", 4.9), machine="2 x Slow <2>")
    found = compare(now, fast)
    assert (found.runs, found.worse) == ((), ())
    assert "in a lab on 2 x Slow <2>, by this plan" in found.told()
    assert "UTC, on 2 x Slow &lt;2&gt;</p>" in page(now, fast)
    # Of the same one it is worse; and of runs that have not noted theirs, as before.
    assert len(compare(now, [*fast, *runs(0.6)]).worse) == 1
    assert len(compare(replace(now, machine=fast[0].machine), fast).worse) == 1


def test_live_runs_are_compared_with_live_runs() -> None:
    live = [replace(each, approvals=(PERMIT,)) for each in runs(0.5, 0.5)]
    now = replace(of("rto_s", 4.9), approvals=(PERMIT,))
    assert len(compare(now, [*live, *runs(9.0)]).worse) == 1
    assert "on live sites" in compare(now, runs(0.5)).told()


def test_what_was_to_be_aborted_and_was_is_comparable_and_so_is_what_did_not_come_back() -> None:
    aborted = replace(piece("r0"), experiment=experiment_of("drill_aborted"), end=End.ABORTED)
    aborted = replace(aborted, plan_hash=aborted.experiment.plan_hash)
    assert compare(replace(aborted, run="r1"), [aborted]).runs
    assert compare(piece(), [replace(piece("r0"), end=End.NOT_BACK)]).runs


def test_one_that_was_not_begun_is_compared_with_nothing() -> None:
    not_begun = replace(piece("r2"), end=End.NOT_STEADY, judgements=(), figures={})
    assert compare(not_begun, [piece()]).told() == (
        "compared with no earlier run: this one was not begun"
    )


# ---- what held and no longer does ----------------------------------------------------------------


def test_what_held_before_and_no_longer_does_is_told_however_little_is_missing() -> None:
    bound = Bound(figure="rto_s", at_most=2.6)
    before, now = of("rto_s", 2.5, "r1", bound=bound), of("rto_s", 2.7, bound=bound)
    (worse,) = compare(now, [before]).worse
    assert not worse.is_markedly
    assert worse.told() == (
        "calls are set up again (rto_s): 2.7 s now, 2.5 s before (in one run);"
        " rto_s <= 2.6 no longer holds"
    )
    assert compare(before, [now]).worse == ()
    assert compare(replace(now, run="again"), [before, now]).worse == (), "it did not hold either"
    not_begun = replace(now, run="r2", end=End.NOT_STEADY, judgements=())
    assert compare(now, [before, not_begun]).worse == (worse,), "of the last carried through"


def test_what_was_measured_before_and_could_not_be_now_is_no_longer_held() -> None:
    (worse,) = compare(of("rto_s", None), runs(0.5)).worse
    assert "not measured now, 0.5 s before" in worse.told()
    (worse,) = compare(
        of("rto_s", 9.0, bound=Bound(figure="rto_s", at_most=5.0)),
        [replace(of("rto_s", 1.0, "r0", bound=Bound(figure="rto_s", at_most=5.0)), figures={})],
    ).worse
    assert "9 s now, not measured before" in worse.told()


def test_a_figure_that_each_run_before_has_measured_and_this_one_could_not_is_worse() -> None:
    def with_media(value: float | None, run: str = "now", end: End = End.COMPLETED) -> Evidence:
        return replace(piece(run), figures={"rto_s": 2.5, "media_rto_s": value}, end=end)

    known = [with_media(2.0, "r0"), with_media(3.0, "r1")]
    (worse,) = compare(with_media(None), known).worse
    assert (worse.figure, worse.value, worse.is_markedly) == ("media_rto_s", None, True)
    assert "not measured now, 2.5 s before (the median of 2 runs" in worse.told()
    assert compare(with_media(None), [*known, with_media(None, "r2")]).worse == (), "nor before"
    assert compare(with_media(None, end=End.ABORTED), known).worse == (), "it was broken off"


# ---- on the shelf, on the page, in words and as JSON ---------------------------------------------


def put(shelf: Shelf, evidence: Evidence) -> str:
    """Keep a run that was as given."""
    with shelf.adding("site_killed") as (run, previous):
        kept = replace(evidence, run=run, previous=previous)
        shelf.put(kept, FILES, page(kept, comparable_before(shelf, kept)))
    return run


def test_comparable_runs_are_found_among_many_others_and_one_that_does_not_stand_is_told(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path)
    live = [put(shelf, replace(each, approvals=(PERMIT,))) for each in runs(0.4, 0.5)]
    labs = [put(shelf, each) for each in runs(*[0.5] * (LAST_RUNS + 2))]
    (shelf.folder(labs[-1]) / "callers.pcap").write_bytes(b"other")
    (shelf.folder(live[0]) / EVIDENCE).write_text("{}")
    now = replace(of("rto_s", 4.9, "29991231-000000-site_killed"), approvals=(PERMIT,))
    doubted: list[str] = []
    assert [each.run for each in comparable_before(shelf, now, doubted.append)] == [live[1]]
    assert doubted == [live[0]], "captures of others are not read"
    now = of("rto_s", 4.9, now.run)
    found = comparable_before(shelf, now, doubted.append)
    assert [each.run for each in found] == labs[-LAST_RUNS:-1], "a chart's worth"
    assert doubted[1:] == [labs[-1]]
    earlier_one = replace(now, run=labs[1])
    assert [each.run for each in comparable_before(shelf, earlier_one)] == [labs[0]]


def test_it_looks_back_so_far_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    for each in runs(0.5, 0.5, 0.5):
        put(shelf, each)
    monkeypatch.setattr(earlier, "MOST_LOOKED_AT", 2)
    now = of("rto_s", 4.9, "29991231-000000-site_killed")
    assert len(comparable_before(shelf, now)) == 2


def test_the_page_the_text_and_json_say_what_got_worse_and_since_which_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    before = [put(shelf, replace(each, code="c1")) for each in runs(0.5, 0.4, 0.6)]
    told = (
        "calls are set up again (rto_s): 4.9 s now, 0.5 s before"
        " (the median of 3 runs, 0.4 s to 0.6 s)"
    )
    run = put(shelf, replace(of("rto_s", 4.9), code="c2"))
    text = (shelf.folder(run) / "report.html").read_text()
    assert f"<li>{told}</li>" in text
    assert f"Compared with {before[0]} (code c1), " in text
    assert "over 1.5 times their median" in text
    assert "<code>c2</code>" in text
    main(["drill", "report", "--keep", str(tmp_path)])
    said = " ".join(capsys.readouterr().out.split())
    assert f"worse than before: {told}" in said
    assert f"compared with {before[0]} (code c1), {before[1]} (code c1), {before[2]}" in said
    main(["drill", "report", "--json", "--keep", str(tmp_path)])
    compared = json.loads(capsys.readouterr().out)["compared"]
    assert [each["run"] for each in compared["runs"]] == before
    (worse,) = compared["worse"]
    assert (worse["figure"], worse["value"], worse["median"]) == ("rto_s", 4.9, 0.5)
    assert (worse["least"], worse["most"], worse["runs"]) == (0.4, 0.6, 3)
    main(["drill", "report", before[1], "--keep", str(tmp_path)])
    said = capsys.readouterr().out
    assert "worse than before" not in said
    assert f"compared with {before[0]} (code c1)" in said
    assert "Nothing is markedly worse" in (shelf.folder(before[1]) / "report.html").read_text()
