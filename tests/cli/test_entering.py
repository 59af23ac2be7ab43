"""What a command lets a lab write, and where that would be lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.cli import drill_labs
from drills.cli.drill_labs import SideBySide, run_some
from drills.cli.entering import reachable
from drills.cli.errors import CommandError, Exit
from drills.due import Due
from drills.lab import enter
from drills.lab.enter import SHARED
from drills.lever import Lever
from drills.library import experiment_of
from drills.shelf import Shelf


@pytest.mark.parametrize("folder", ["/run", "/var/run", str(SHARED)])
def test_figures_that_would_vanish_with_the_lab_are_refused(folder: str) -> None:
    if not Path(folder).is_dir():
        pytest.skip(f"there is no {folder} here")
    with pytest.raises(CommandError, match="is out of reach in there; choose a place") as error:
        reachable(Path(folder) / "figures.json")
    assert error.value.code is Exit.USAGE
    assert reachable(Path("/figures.json")) == "/figures.json"


def test_evidence_that_would_vanish_with_the_lab_is_refused_before_one_comes_up() -> None:
    shelf = Shelf(SHARED / "everline-kept")
    due = Due(experiment=experiment_of("edge_killed"), seed=1)
    with pytest.raises(CommandError, match=f"outside {SHARED}"):
        run_some([due], shelf)
    with pytest.raises(CommandError, match=f"outside {SHARED}"), SideBySide(shelf, 2):
        pass
    assert not shelf.home.exists()


def test_no_lab_comes_up_for_drills_of_which_each_would_be_refused_as_another_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []

    def run_inside(*asked: object) -> int:
        begun.append(asked)
        return Exit.OK

    monkeypatch.setattr(enter, "COVERED", ())
    monkeypatch.setattr(drill_labs, "run_inside", run_inside)
    due = [Due(experiment=experiment_of("edge_killed"), seed=1)]
    with (
        Lever(tmp_path).running(),
        pytest.raises(CommandError, match="another drill runs here"),
    ):
        run_some(due, Shelf(tmp_path))
    assert not begun
    assert run_some(due, Shelf(tmp_path)) == (Exit.OK, [])
    assert len(begun) == 1
