"""An answer on the terminal: what has changed is told field by field."""

from __future__ import annotations

from typing import Any

import pytest

from drills.ctl import telling


def change(number: int, before: Any, after: Any) -> dict[str, Any]:  # noqa: ANN401 - a table
    return {"section": "queues", "id": f"q{number}", "before": before, "after": after}


def told(capsys: pytest.CaptureFixture[str], *changes: dict[str, Any]) -> list[list[str]]:
    telling.tell({"version": 2, "is_written": True, "changes": [*changes]}, as_json=False)
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_of_a_table_that_changed_only_the_fields_that_did_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    was = {"needs": {"orders": 1}, "greeting": "greeting", "wrap_up_s": 1.0}
    lines = told(capsys, change(1, was, {**was, "priority": 5, "needs": {"orders": 2}}))
    assert ["queues", "q1"] in lines
    assert ["needs.orders", "1", "2"] in lines
    assert any(line[0] == "priority" and line[-1] == "5" for line in lines if line)
    assert not any("greeting" in line for line in lines)


def test_what_came_and_went_is_said_and_very_many_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = told(capsys, change(1, None, {"priority": 1}), change(2, {"priority": 1}, None))
    assert ["queues", "q1", "(added)"] in lines
    assert ["queues", "q2", "(deleted)"] in lines
    crowd = (change(n, {"priority": 1}, {"priority": 2}) for n in range(telling.MOST + 4))
    assert ["And", "4", "more:", "--json", "tells", "all."] in told(capsys, *crowd)
