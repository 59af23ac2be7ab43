"""The wall clock jumps inside a call: nothing of a recording but the date on it hangs on that."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custody.frame import SAMPLES
from tests.recorder.made import Archive

CALL = "c" * 24
JUMP_S = st.integers(min_value=-(10**6), max_value=10**6)


@given(jumps=st.lists(JUMP_S, min_size=3, max_size=3))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_call_is_recorded_whole_whatever_the_wall_clock_says(
    tmp_path_factory: pytest.TempPathFactory, jumps: list[int]
) -> None:
    off_s, right_ns = 0, time.time_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: right_ns() + off_s * 10**9)
        patch.setattr(time, "time", lambda: (right_ns() + off_s * 10**9) / 1e9)
        archive = Archive(Path(tmp_path_factory.mktemp("clock")))
        await archive.make_key()
        off_s = jumps[0]
        archive.record(CALL, 3.5)
        off_s = jumps[1]
        archive.end()
        off_s = jumps[2]
        await archive.ship()
        library = archive.library()
        account = await library.manifest("main", CALL)
        assert account.is_complete
        assert account.samples == 3.5 * SAMPLES
        assert [frame async for frame in library.frames(account)]
        assert await library.verify("main", CALL) == []
