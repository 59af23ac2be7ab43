"""How `./everline prove` ends when it was to end early."""

from __future__ import annotations

import pytest

from drills.cli.errors import Exit
from drills.prove import __main__ as command
from drills.prove.figures import Figures


@pytest.mark.parametrize(
    ("is_all", "found", "code"),
    [
        (True, [], Exit.OK),
        (False, [], Exit.UNFINISHED),
        (False, ["two agents"], Exit.FAILED),
        (True, ["two agents"], Exit.FAILED),
    ],
)
async def test_time_that_was_up_is_no_interruption_and_hides_no_violation(
    is_all: bool,  # noqa: FBT001 - a case
    found: list[str],
    code: Exit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def came_so_far(_options: command.Options, figures: Figures) -> bool:
        figures.found += found
        return is_all

    monkeypatch.setattr(command, "_campaign", came_so_far)
    assert await command.prove(command.Options(operations=10, seed=1, mutants=())) is code
