"""Edges that compete for the same agents hardly ever reach for the same one."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from unittest import mock

import pytest

from drills.prove.history import Stored
from drills.prove.laws_order import check_order
from drills.prove.laws_silence import check_silence
from drills.prove.laws_store import check_store
from edge.acd.granting import about_to_be_written, as_it_came, with_tickets
from edge.acd.match import match
from state.model import Strategy, Ticket
from tests.edge.competition import Delays, compete
from tests.edge.virtual_time import in_virtual_time


@in_virtual_time
@pytest.mark.parametrize(
    ("strategy", "agents"), [(Strategy.WEIGHTED, 60), (Strategy.LEAST_OCCUPIED, 300)]
)
async def test_of_the_reservations_of_three_edges_hardly_any_is_refused(
    strategy: Strategy, agents: int
) -> None:
    found = await compete(rate=300, agents=agents, strategy=strategy)
    assert found.landed == 900
    assert found.wasted < 0.01, found


@in_virtual_time
async def test_it_is_so_too_when_the_news_come_late_and_many_at_a_time() -> None:
    found = await compete(rate=200, delays=Delays(txn_s=(0.01, 0.06), watch_s=(0.001, 0.1)))
    assert found.landed == 600
    assert found.wasted < 0.02, found


@in_virtual_time
async def test_without_presuming_what_the_others_do_many_are_refused() -> None:
    """What the tests above show is due to that, and not to a load that never competes."""
    with mock.patch("edge.acd.presumed.MOST_S", 0.0):
        found = await compete(rate=300)
    assert found.landed == 900
    assert found.wasted > 0.1, found


@in_virtual_time
@pytest.mark.parametrize("agents", [8, 60])
async def test_whoever_is_served_as_they_come_the_laws_of_the_proof_are_kept(agents: int) -> None:
    """Edges reserve before anybody has seen the ticket, though they have many rivals."""
    with mock.patch("edge.acd.rivals.FEW", inf):
        found = await compete(rate=100, agents=agents)
    assert found.landed == 300
    at_once = _given_at_once(found.history)
    assert at_once > 0
    assert list(check_store(found.history)) == []
    assert list(check_order(found.history)) == []
    assert list(check_silence(found.history)) == []


@in_virtual_time
@pytest.mark.parametrize("agents", [12])
async def test_each_decision_is_the_plain_matchers_on_what_was_noted(agents: int) -> None:
    """Of who was served as they came: with the ticket that they got, as it was before the offer."""
    with mock.patch("edge.acd.rivals.FEW", inf):
        found = await compete(rate=100, agents=agents)
    firsts = _first_tickets(found.history)
    at_once = 0
    for noted in found.noted:
        snapshot = noted.snapshot
        if noted.call not in snapshot.tickets:
            at_once += 1
            entry = about_to_be_written(as_it_came(firsts[noted.call]), noted.now)
            snapshot = with_tickets(snapshot, {noted.call: entry})
        offers = match(snapshot, noted.now, asked=noted.asked)
        assert {each.call: each.agent for each in offers}[noted.call] == noted.agent
    assert at_once > 0


def _given_at_once(history: Sequence[Stored]) -> int:
    """Return how many calls got their place with an agent."""
    return sum(ticket.agent is not None for ticket in _first_tickets(history).values())


def _first_tickets(history: Sequence[Stored]) -> dict[str, Ticket]:
    firsts: dict[str, Ticket] = {}
    for each in history:
        if isinstance(each.value, Ticket):
            firsts.setdefault(each.id, each.value)
    return firsts


@in_virtual_time
async def test_edges_that_have_many_rivals_let_their_tickets_be_seen_first() -> None:
    found = await compete(rate=100, agents=60)
    assert _given_at_once(found.history) < 30
