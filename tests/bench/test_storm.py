from __future__ import annotations

import random

import pytest

from loadtests.bench.registrations import storm
from loadtests.bench.registrations.measure import Effort, RegistrationFigures, Storm
from loadtests.bench.registrations.storm import Told
from loadtests.bench.relay.sipp import parse_times
from loadtests.bench.site import PARTS


def told(*back_s: float, missing: int = 0) -> Told:
    return Told(
        began_ms=1000,
        back_s=back_s,
        took_ms=tuple(1000 * each for each in back_s),
        missing=missing,
        sent=2 * len(back_s),
        retransmissions=1,
        refused=3,
        refused_twice=1,
        timeouts=0,
    )


def a_storm(during_ms: tuple[float, ...], ringable_s: float | None = 3.0) -> Storm:
    return Storm(
        told=told(0.5, 1.0, 2.0),
        before_ms=(10.0, 20.0),
        during_ms=during_ms,
        failed=1,
        call_retransmissions=2,
        ringable_s=ringable_s,
        cores=dict.fromkeys(PARTS, 0.5),
    )


def test_telephones_of_ours_notice_in_turn_and_others_all_at_once() -> None:
    dice = random.Random(7)  # noqa: S311 - behaviour, not secrets
    begun = sorted(storm.begins_s(dice, has_jitter=True) for _ in range(1000))
    assert begun[0] < 0.1
    assert 1.0 < begun[500] < 1.5
    assert 2.5 < begun[-1] < 3.0
    assert {storm.begins_s(dice, has_jitter=False) for _ in range(9)} == {0.0}
    assert {storm.sent_away_s(2.0, dice, has_jitter=False) for _ in range(9)} == {2.0}
    drawn = [storm.sent_away_s(2.0, dice, has_jitter=True) for _ in range(100)]
    assert 2.0 <= min(drawn) < 2.2
    assert 3.8 < max(drawn) <= 4.0
    waits = [storm.waits_s(failures, dice, has_jitter=False) for failures in (1, 2, 9)]
    assert waits == [0.5, 1.0, 8.0]


def test_the_busiest_second_is_wherever_it_begins() -> None:
    assert storm.busiest_per_s((0.0, 0.9, 1.1, 1.5, 1.8, 3.0)) == 4
    assert storm.busiest_per_s(()) == 0


def test_rounds_count_together_and_the_last_telephone_of_all_is_told() -> None:
    storms = (a_storm((30.0,)), a_storm((90.0, 40.0)))
    found = RegistrationFigures(effort=Effort(), storms={"as ours": storms}).of("as ours")
    assert found["setup_ms"] == {
        "before": {"calls": 4, "p50": 10.0, "p99": 20.0},
        "during": {"calls": 3, "p50": 40.0, "p99": 90.0},
    }
    assert (found["all_back_s"], found["all_ringable_s"]) == (2.0, 3.0)
    assert (found["refused"], found["calls_failed"]) == (6, 2)
    never = RegistrationFigures(effort=Effort(), storms={"x": (*storms, a_storm((), None))})
    assert never.of("x")["all_ringable_s"] is None


def test_times_of_calls_are_read_as_sipp_writes_them() -> None:
    text = "Date_ms;response_time_ms;rtd_no\n212.001;8;1\n1004;0;1\n"
    assert parse_times(text) == ((212.001, 8.0), (1004.0, 0.0))
    assert parse_times("") == ()


@pytest.mark.parametrize("count", [1, 40])
def test_every_telephone_has_an_address_of_its_own(count: int) -> None:
    assert len({storm.host(number) for number in range(0, 256 * count, 17)}) == len(
        range(0, 256 * count, 17)
    )
    assert storm.host(0) == "127.64.0.0"
    assert storm.host(70_000) == "127.65.17.112"
