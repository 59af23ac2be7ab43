"""What a command lets a lab write, and where that would be lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.cli.drill_labs import SideBySide, run_some
from drills.cli.entering import reachable
from drills.cli.errors import CommandError, Exit
from drills.due import Due
from drills.lab.enter import SHARED
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
