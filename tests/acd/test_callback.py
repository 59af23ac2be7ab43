"""When a callback is due."""

from __future__ import annotations

import pytest

from edge.acd.callback import ASKED_S, is_due
from state import keys
from state.model import CallBack, DidNumber, Now, Place, TrunkId
from tests.acd.worlds import WALL_MS, World, call_id


@pytest.mark.parametrize(
    ("due_s", "after_s", "is_now"),
    [
        (0.0, ASKED_S - 0.01, False),
        (0.0, ASKED_S, True),
        (30.0, ASKED_S, False),
        (30.0, 30.0, True),
        (None, 3600.0, False),
    ],
)
def test_nobody_is_dialled_before_it_could_be_asked_whether_they_want_it(
    due_s: float | None, after_s: float, *, is_now: bool
) -> None:
    world = World()
    world.queue("sales", sales=1)
    world.did("15550100", "sales")
    place = Place(
        call=call_id(1),
        did=DidNumber("15550100"),
        caller="+4930123",
        place=1,
        call_back=CallBack(trunk=TrunkId("t")),
        due_s=due_s,
    )
    world.put(keys.place(place.call), place, seen_s=100.0)
    held = world.snapshot.places[place.call]
    now = Now(mono_s=100.0 + after_s, wall_ms=WALL_MS)
    assert is_due(world.snapshot, held, now) is is_now
