"""The load's own agents and queues, where the API is gone."""

from __future__ import annotations

from loadtests.load.center import Center


async def test_center_whose_api_is_gone_says_what_is_left_and_raises_nothing() -> None:
    (left,) = await Center((), "secret").take_away()
    assert "no site answers POST /v1/sessions" in left
