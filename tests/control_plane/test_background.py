"""What a feature has running on the side: one part's end is told, and is nobody else's."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from control_plane.background import running


async def test_a_part_that_fails_is_told_with_its_feature_and_the_others_go_on() -> None:
    has_failed, ended = asyncio.Event(), asyncio.Event()

    async def fails() -> None:
        has_failed.set()
        raise KeyError("+4930123")

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with capture_logs() as told:
        async with running("desk", fails(), goes_on()):
            await asyncio.wait_for(has_failed.wait(), 2)
            for _ in range(10):
                await asyncio.sleep(0)
            assert not ended.is_set()
    assert ended.is_set(), "it ends with the application"
    (line,) = told
    assert line["at"].startswith("test_background.py:")
    assert (line["event"], line["feature"], line["fault"]) == ("part_died", "desk", "KeyError")
    assert "+4930123" not in str(line), "an exception's text may quote what somebody sent"
