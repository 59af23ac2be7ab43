"""Numbers that JSON and Python can hold, and no float: a record with one stops no match."""

from __future__ import annotations

import re

import pytest

from edge.acd.match import match
from state import keys
from state.model import AgentId, Queue, QueueId, ScoreWeights, SiteId, Strategy
from state.snapshot import Snapshot, replace
from tests.acd.worlds import NOW, World, call_id

ANN = AgentId("ann")
ENDLESS = b"9" * 400


@pytest.mark.parametrize(
    ("key", "field"),
    [
        (keys.presence(ANN), "since_ms"),
        (keys.work(ANN), "ended_ms"),
        (keys.agent(ANN), "sales"),
        (keys.ticket(call_id(1)), "level"),
        (keys.ticket(call_id(1)), "queued_ms"),
        (keys.site(SiteId("a")), "b"),
    ],
    ids=["presence", "work", "skill", "need", "queued", "distance"],
)
@pytest.mark.parametrize("strategy", [Strategy.WEIGHTED, Strategy.MOST_SKILLED])
def test_a_record_with_a_number_that_no_float_holds_stops_nobodys_match(
    key: str, field: str, strategy: Strategy
) -> None:
    world = World()
    world.site("a", sip="198.18.1.10:5060", b=5)
    weights = ScoreWeights(distance=1.0)
    world.set_queue(Queue(id=QueueId("sales"), needs=(), strategy=strategy, weights=weights))
    world.agent("ann", sales=1)
    world.work("ann")
    world.agent("bob", site="b", sales=1)
    world.ticket(1, sales=1)
    world.ticket(2, sales=1, holder="b1")
    value = world.snapshot.raw[key].value
    spoilt, count = re.subn(
        rb'("%s":)(?:[-0-9]+|null)' % field.encode(), rb"\g<1>" + ENDLESS, value
    )
    assert count == 1
    world.put(key, spoilt)
    # And as a mirror that has just listed it, which asks the wall clocks about more.
    listed, _ = replace(Snapshot(), world.snapshot.raw.values(), 99, NOW.mono_s)
    for snapshot in (world.snapshot, listed):
        assert match(snapshot, NOW)
