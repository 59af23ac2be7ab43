"""What never came to an end is told as that, and not as something that nobody has measured."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from drills.charts import runs_chart
from drills.cli.drill_report import report
from drills.evidence import Evidence, judge
from drills.experiment import Bound
from drills.figures_file import write_figures
from drills.page import lines, page
from drills.sealing import open_sealed, seal
from drills.shelf import Shelf
from drills.tally import Tally, done, read_back, tally
from drills.wording import told
from tests.drills.pieces import EXPERIMENT, FILES, KEY, piece

FOR_EVER = Bound(figure="final_answer_s", at_most=8.0)
UNEXPECTED = "agents_back_s"


def endless(run: str = "r1", value: float = math.inf) -> Evidence:
    """Return a drill in which a caller waited for ever, and the agents of a site never came back.

    Nothing is expected of the agents.
    """
    figures = {"final_answer_s": value, UNEXPECTED: value, "offered": 3.0, "rto_s": None}
    experiment = replace(EXPERIMENT, expect=(FOR_EVER,))
    return replace(
        piece(run),
        experiment=experiment,
        plan_hash=experiment.plan_hash,
        figures=figures,
        judgements=judge((FOR_EVER,), figures),
    )


def opened(evidence: Evidence) -> Evidence:
    return open_sealed(seal(evidence, KEY), FILES, None)


def test_what_never_ended_is_sealed_as_that_and_what_was_not_measured_as_that() -> None:
    found = opened(endless())
    assert found.figures["final_answer_s"] == found.figures[UNEXPECTED] == math.inf
    assert found.judgements[0].value == math.inf
    assert found.figures["rto_s"] is None
    assert not found.held
    assert opened(found) == found


def test_the_page_says_the_same_when_it_is_made_anew_from_what_was_sealed() -> None:
    before = [endless("r0", 2.0)]
    text = page(endless(), before)
    assert page(opened(endless()), before) == text
    assert "without end" in text
    assert "not measured" not in "".join(lines(opened(endless())))
    for name in ("inf", "nan"):
        assert f'"{name}' not in text
        assert f">{name}" not in text


def test_beside_an_endless_figure_the_bars_of_other_runs_are_as_high_as_ever() -> None:
    alone, beside = (
        runs_chart(endless("r1", to_s), [endless("r0", 4.0)]) for to_s in (8.0, math.inf)
    )
    first_bar = alone[alone.index("<rect") : alone.index("</rect>")]
    assert first_bar in beside
    assert "no end" in beside
    assert "nan" not in beside
    assert "inf" not in beside


def test_what_got_endless_is_worse_than_before_by_what_is_on_the_shelf(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    for value in (2.0, 2.0, math.inf):
        with shelf.adding("site_killed") as (run, previous):
            kept = replace(endless(run, value), previous=previous)
            shelf.put(kept, FILES, "")
    assert report(keep=tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "worse than before: 95 of 100 agents" in said
    assert "without end now, 2 s before" in said


def test_sums_of_runs_have_what_was_endless_as_their_worst() -> None:
    figures = {"untrue_agent_s": math.inf}
    runs = [done(replace(opened(replace(endless(), figures=figures)), run="r1"))]
    assert tally(runs, 0, 0).scenarios["site_killed"].untrue_agent_s.max == math.inf
    assert told("untrue_agent_s", math.inf) == "without end"


def test_the_page_says_that_service_did_not_come_back() -> None:
    never = replace(piece(), figures={"rto_s": math.inf})
    text = page(never)
    assert "New calls were not set up again." in text
    assert "again after" not in text


def test_what_was_endless_is_so_still_in_a_series_that_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "drills.json"
    before = done(endless())
    write_figures(file, tally([before], 0, 0))
    kept = msgspec.json.decode(file.read_bytes(), type=Tally)
    assert read_back(kept.runs) == (before,)
