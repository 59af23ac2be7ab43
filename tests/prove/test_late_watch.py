"""An edge whose watch is late serves its callers, and keeps nobody from those of others."""

from __future__ import annotations

import pytest

from drills.prove.checker import check
from drills.prove.history import Stored
from state.model import Offer
from tests.edge.virtual_time import in_virtual_time
from tests.prove.lateness import BEGINS_AT_S, FOR_S, LASTS_S, a_watch_is_late
from tests.prove.play import play

SETTLED_S = 5.0


@in_virtual_time
@pytest.mark.parametrize(("seed", "wanted"), [(3, 16)])
async def test_nobody_is_forgotten_beside_an_edge_that_hears_all_too_late(
    seed: int, wanted: int
) -> None:
    history = await play(seed=seed, seconds=LASTS_S, wanted=wanted, story=a_watch_is_late(seed))
    assert check(history.events) == ()
    began_s = history.events[0].at_s + BEGINS_AT_S
    given = [
        event
        for event in history.events
        if isinstance(event, Stored)
        and isinstance(event.value, Offer)
        and event.value.edge == "a1"
        and began_s + SETTLED_S < event.at_s < began_s + FOR_S
    ]
    assert len(given) > FOR_S
