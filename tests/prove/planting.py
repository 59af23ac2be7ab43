"""Plants a bug for the time of one test."""

from __future__ import annotations

import pytest

from tests.prove import replacing
from tests.prove.bugs import BUGS


def plant(monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    """Replace what a planted bug replaces, until the test is over."""
    monkeypatch.setattr(replacing, "put_in", monkeypatch.setattr)
    BUGS[bug]()
