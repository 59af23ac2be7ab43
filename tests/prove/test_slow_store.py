"""Edges whose store is slow and whose news come late forget nobody beside an agent who is free."""

from __future__ import annotations

import pytest

from drills.prove.checker import check
from tests.edge.competition import Delays
from tests.edge.virtual_time import in_virtual_time
from tests.prove.play import play

SLOW = Delays(txn_s=(0.1, 0.6), watch_s=(0.0, 0.7))


@in_virtual_time
@pytest.mark.parametrize(("seed", "wanted"), [(1, 24), (4, 24)])
async def test_nobody_is_forgotten_where_the_store_is_slow_and_the_news_late(
    seed: int, wanted: int
) -> None:
    """With these seeds edges keep an agent for callers whose edges have asked for others."""
    history = await play(seed=seed, wanted=wanted, delays=SLOW)
    assert check(history.events) == ()
