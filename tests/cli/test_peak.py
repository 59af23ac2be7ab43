"""The busiest ten minutes of a day."""

from __future__ import annotations

import pytest

from drills.desk.peak import DAY_S, peak_erlangs
from tests.acd.worlds import WALL_MS
from tests.steering.test_capacity import center, record

SNAPSHOT = center(1).snapshot


def test_the_busiest_ten_minutes_count_and_not_the_last() -> None:
    now_ms = WALL_MS + 7200 * 1000
    # 100 calls in ten minutes, an hour and more ago; then one every five minutes.
    busy = [record(number, arrived_s=2410.0 + number * 5.9, talk_s=30.0) for number in range(100)]
    quiet = [record(200 + n, arrived_s=3310.0 + n * 300, talk_s=30.0) for n in range(12)]
    found = peak_erlangs(SNAPSHOT, [*busy, *quiet], now_ms)
    assert found == pytest.approx(100 / 600 * 36.0, rel=0.03)
    assert peak_erlangs(SNAPSHOT, quiet, now_ms) == pytest.approx(2 / 600 * 36.0, rel=0.03)


def test_a_first_call_is_no_busy_hour() -> None:
    found = peak_erlangs(SNAPSHOT, [record(1, arrived_s=-2.0, talk_s=30.0)], WALL_MS)
    assert found <= 1 / 600 * 36.0 + 1e-9


def test_what_was_before_the_last_day_and_nobody_are_no_load() -> None:
    old = [record(n, arrived_s=n * 1.0, talk_s=30.0) for n in range(100)]
    assert peak_erlangs(SNAPSHOT, old, WALL_MS + round((DAY_S + 300) * 1000)) == 0.0
    assert peak_erlangs(SNAPSHOT, [], WALL_MS) == 0.0
