"""How far a change of the configuration has come, in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from drills.ctl import published

EDGES = [{"edge": edge, "site": edge[0], "applied": 7} for edge in ("a1", "a2", "b1")]


def publication(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    told = {"version": 7, "stands": 7, "is_everywhere": True, "edges": EDGES, "missing": []}
    return {**told, "problem": "", **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Version 7 is applied at all 3 edges."),
        ({"edges": []}, "Version 7 is applied at no edge, as there is none."),
        (
            {"is_everywhere": False, "missing": ["a2", "b1"]},
            "Version 7 is NOT applied at a2, b1 yet.",
        ),
        (
            {"is_everywhere": False, "stands": 6, "problem": "the shared state is away"},
            "Version 7 is NOT published yet: the shared state is away.",
        ),
    ],
    ids=["everywhere", "no edges", "two lag", "not published"],
)
def test_it_says_where_it_is_applied_or_where_not(changes: dict[str, Any], said: str) -> None:
    assert published.words(publication(**changes)) == said
