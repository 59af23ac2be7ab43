"""The page of complaints names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_test_that_the_page_of_complaints_names_exists() -> None:
    page = (ROOT / "docs" / "complaints.md").read_text()
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page))
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_[a-z0-9_]+)", file.read_text())
    }
    assert len(named) > 30
    assert named <= there, sorted(named - there)
