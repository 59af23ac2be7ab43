"""Every bug that is to be planted in an edge can be: what it replaces is there."""

from __future__ import annotations

import pytest

from drills.prove.mutant import Mutant
from drills.prove.mutants import OF_EDGES
from tests.prove.bugs import BUGS
from tests.prove.planting import plant


@pytest.mark.parametrize("mutant", OF_EDGES, ids=lambda mutant: mutant.name)
def test_what_a_bug_replaces_is_there(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, mutant.name)


def test_no_bug_is_left_unplanted() -> None:
    assert set(BUGS) == {mutant.name for mutant in OF_EDGES}
