from __future__ import annotations

from loadtests.bench.ladder import Climb, Rungs, climb


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
