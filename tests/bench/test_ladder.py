from __future__ import annotations

import pytest

from loadtests.bench.ladder import Climb, Climbs, Rungs, climb, one_more


class Server:
    """Clean up to a rate; disturbed on the tries that are named."""

    def __init__(self, limit: float, disturbed: frozenset[int] = frozenset()) -> None:
        self.limit = limit
        self.disturbed = disturbed
        self.tried: list[float] = []

    async def at(self, rate: float) -> str:
        """Try a rate."""
        self.tried.append(rate)
        if len(self.tried) in self.disturbed:
            return "a stall"
        return "" if rate <= self.limit else "3 lost"


async def up(server: Server) -> Climb:
    return await climb(server.at, Rungs(first_rate=100.0, growth=2.0, tries=2, most=5000.0))


async def test_the_last_clean_rate_is_the_highest() -> None:
    server = Server(450.0)
    found = await up(server)
    assert found.highest == 400.0
    assert found.ended_by == "800/s: 3 lost"


async def test_half_way_between_the_last_two_is_tried_too() -> None:
    found = await up(Server(600.0))
    assert 560.0 < found.highest < 570.0


async def test_a_rung_that_was_disturbed_once_is_tried_again() -> None:
    server = Server(450.0, disturbed=frozenset({1, 3}))
    assert (await up(server)).highest == 400.0
    assert server.tried[:3] == [100.0, 100.0, 200.0]


async def test_when_the_first_rung_does_not_hold_a_lower_one_is_found() -> None:
    found = await up(Server(60.0))
    assert found.highest == 50.0
    assert found.ended_by == "100/s: 3 lost"


async def test_a_server_that_can_do_nothing_has_no_clean_rate() -> None:
    found = await up(Server(0.0))
    assert found.highest == 0.0
    assert found.ended_by == "3 lost"


async def test_it_does_not_climb_beyond_what_it_is_told() -> None:
    found = await climb(Server(9e9).at, Rungs(first_rate=100.0, growth=2.0, tries=1, most=300.0))
    assert found.highest == 200.0
    assert "was tried" in found.ended_by


RUNGS = Rungs(first_rate=100.0, growth=2.0, tries=1, most=5000.0)


async def looks(*limits: float) -> tuple[list[Server], Climbs]:
    """Look once for each of these limits, one after the other."""
    servers, found = [Server(each) for each in limits], list[Climb]()
    for server in servers:
        found.append(await one_more(found, server.at, RUNGS))
    return servers, Climbs(each=tuple(found))


async def test_a_further_look_begins_where_the_first_ended() -> None:
    (_, again), found = await looks(450.0, 450.0)
    assert again.tried == pytest.approx([400.0, 400.0 * 2**0.5])
    assert found.each[1].highest == 400.0
    assert found.each[1].ended_by == "566/s: 3 lost"


async def test_a_further_look_goes_on_up_by_half_steps() -> None:
    _, found = await looks(450.0, 900.0)
    assert found.each[1].highest == pytest.approx(800.0)


async def test_a_further_look_goes_down_by_wider_and_wider_steps() -> None:
    (_, again), found = await looks(450.0, 250.0)
    assert again.tried == pytest.approx([400.0, 400.0 / 2**0.5, 200.0 / 2**0.5])
    assert found.each[1].highest == pytest.approx(200.0 / 2**0.5)
    assert found.each[1].ended_by == "283/s: 3 lost"


async def test_a_further_look_that_finds_nothing_ends() -> None:
    (_, again), found = await looks(450.0, 0.0)
    assert found.each[1].highest == 0.0
    assert len(again.tried) < 6


async def test_where_the_first_found_nothing_the_next_is_as_if_it_were_the_first() -> None:
    _, found = await looks(0.0, 450.0)
    assert found.each[1].highest == 400.0


async def test_a_further_look_goes_no_higher_than_it_is_told() -> None:
    _, found = await looks(1e9, 1e9)
    assert [each.highest for each in found.each] == pytest.approx([3200.0, 3200.0 * 2**0.5])
    assert "no rate above 4525" in found.each[1].ended_by


async def test_the_median_of_looks_is_told_with_what_ended_that_one() -> None:
    _, found = await looks(450.0, 900.0, 250.0)
    assert found.highest.median == 400.0
    assert found.highest.most == pytest.approx(800.0)
    assert found.highest.slices == 3
    assert found.ended_by == found.each[0].ended_by
