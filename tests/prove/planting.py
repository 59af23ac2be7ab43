"""Plants a bug for the time of one test."""

from __future__ import annotations

import pytest

from tests.prove import bugs


def plant(monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    """Replace what a planted bug replaces, until the test is over."""
    monkeypatch.setattr(bugs, "put_in", monkeypatch.setattr)
    bugs.BUGS[bug]()
