from __future__ import annotations

import pytest

from state.clock import ManualClock, SystemClock
from state.model import Now


def test_the_system_clock_never_goes_back() -> None:
    clock = SystemClock()
    instants = [clock.now() for _ in range(100)]
    assert instants == sorted(instants, key=lambda now: now.mono_s)
    assert instants[0].wall_ms > 1_600_000_000_000


def test_a_manual_clock_stands_until_it_is_moved() -> None:
    clock = ManualClock(mono_s=10.0, wall_ms=5_000)
    assert clock.now() == clock.now() == Now(mono_s=10.0, wall_ms=5_000)
    assert clock.advance(1.5) == clock.now() == Now(mono_s=11.5, wall_ms=6_500)


def test_no_clock_is_moved_back() -> None:
    with pytest.raises(ValueError, match="cannot be moved back"):
        ManualClock().advance(-1)
