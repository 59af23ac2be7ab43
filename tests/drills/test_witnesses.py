"""What sites wrote down themselves of a drill, as their logs have it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from drills.drill import witnesses
from state.model import EdgeId, SiteId

if TYPE_CHECKING:
    from drills.demo.run import Stage

EDGE = EdgeId("b1")


def stage_of(folder: Path, *events: str) -> Stage:
    """Return where an edge wrote down an event a second, perhaps of a site: `site_down a`."""
    (folder / "log").mkdir()
    lines = (
        json.dumps(
            {
                "event": event.partition(" ")[0],
                "timestamp": f"2026-11-30T08:00:{second:02}Z",
                "site": "b",
                **({"of": event.partition(" ")[2]} if " " in event else {}),
            }
        )
        for second, event in enumerate(events)
    )
    (folder / "log" / f"edge-{EDGE}.log").write_text("\n".join(lines) + "\n")
    return cast("Stage", SimpleNamespace(lab=SimpleNamespace(paths=SimpleNamespace(run=folder))))


@pytest.mark.parametrize(
    ("events", "is_alone"),
    [
        ((), False),
        (("edge_started", "alone", "merged"), False),
        (("alone",), True),
        (("alone", "merged", "alone"), True),
        (("alone", "edge_started"), False),
        (("alone", "edge_started", "alone_again"), True),
        (("alone", "edge_started", "alone_again", "merged"), False),
    ],
    ids=[
        "never_alone",
        "merged",
        "alone",
        "alone_once_more",
        "anew_without_anything_to_merge",
        "anew_with_something_to_merge",
        "anew_and_merged",
    ],
)
def test_an_edge_is_still_alone_that_has_not_merged_what_it_did_so(
    events: tuple[str, ...], *, is_alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "edge_homes", lambda _: {EDGE: SiteId("b")})
    found = witnesses.still_alone(stage_of(tmp_path, *events))
    assert found == ((EDGE,) if is_alone else ())


def test_when_an_edge_went_on_with_the_calls_of_its_life_before_stands_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "edge_homes", lambda _: {EDGE: SiteId("b")})
    stage = stage_of(tmp_path, "edge_started", "calls_taken_over", "edge_started")
    ((edge, at_ms),) = witnesses.taken_over(stage)
    assert (edge, at_ms % 60_000) == (EDGE, 1_000)


def test_an_edges_log_tells_which_sites_it_did_not_reach_and_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "edge_homes", lambda _: {EDGE: SiteId("b")})
    events = ("edge_started", "site_down a", "site_up c", "site_up a", "site_down a", "site_down c")
    stage = stage_of(tmp_path, *events, "edge_started", "site_down c")
    found = witnesses.out_of_reach(stage)
    begun_ms = min(each.from_ms for each in found)
    told = sorted(
        ("".join(each.sites), (each.from_ms - begun_ms) / 1000, (each.to_ms - begun_ms) / 1000)
        for each in found
    )
    assert told == [("a", 0, 2), ("a", 3, 5), ("c", 4, 5), ("c", 6, math.inf)]
    assert {each.edge for each in found} == {EDGE}
