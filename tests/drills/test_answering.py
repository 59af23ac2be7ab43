"""How soon calls are answered, by the capture."""

from __future__ import annotations

import math

import pytest

from drills.answering import FEWEST, WARM_UP_S, leaderless, short_answering
from drills.drill.short_calls import is_short
from drills.packets import Dialled

T0_MS = 100_000
HEALED_MS = T0_MS + 26_000


def call(at_ms: float, setup_ms: float | None) -> Dialled:
    invite_ns = round(at_ms * 1e6)
    return Dialled(
        sip_call_id=f"short-{at_ms}",
        number="15550280001",
        first_site="a",
        invite_ns=invite_ns,
        status=None if setup_ms is None else 200,
        final_ns=None if setup_ms is None else invite_ns + round(setup_ms * 1e6),
    )


def calls(from_ms: float, count: int, *, slow_ms: float, slow: int = 10) -> list[Dialled]:
    """Return calls that take 10 ms, and some that are slow."""
    return [
        call(from_ms + 10 * number, slow_ms if number >= count - slow else 10.0)
        for number in range(count)
    ]


def test_the_99th_percentile_meanwhile_is_told_over_that_before() -> None:
    early = T0_MS - 20_000
    came = [
        call(early - 5_000, 900.0),  # while programs started
        *calls(early, 300, slow_ms=50.0),
        *calls(T0_MS, 300, slow_ms=60.0),
        *calls(HEALED_MS, 50, slow_ms=900.0, slow=50),
    ]
    found = short_answering(came, T0_MS, HEALED_MS)
    assert found["short_calls_before"] == found["short_calls_during"] == 300
    assert found["setup_p99_before_ms"] == pytest.approx(50.0)
    assert found["setup_p99_ratio"] == pytest.approx(1.2)
    assert found["short_calls_failed"] == 0


def test_a_call_that_was_not_answered_is_counted_and_makes_nothing_faster() -> None:
    came = [*calls(T0_MS - 20_000, 300, slow_ms=50.0), *calls(T0_MS, 300, slow_ms=50.0)]
    came.append(call(T0_MS + 3000, None))
    found = short_answering([call(T0_MS - 30_000, 1.0), *came], T0_MS, HEALED_MS)
    assert found["short_calls_failed"] == 1
    assert found["setup_p99_ratio"] == pytest.approx(1.0)


def test_of_too_few_calls_there_is_no_percentile_and_no_ratio() -> None:
    came = [
        call(T0_MS - 20_000 - 2000 * WARM_UP_S, 1.0),
        *calls(T0_MS - 20_000, FEWEST - 1, slow_ms=50.0),
        *calls(T0_MS, FEWEST, slow_ms=50.0),
    ]
    found = short_answering(came, T0_MS, HEALED_MS)
    assert found["setup_p99_before_ms"] is None
    assert found["setup_p99_during_ms"] is not None
    assert found["setup_p99_ratio"] is None


def test_short_calls_are_told_from_the_plans_by_their_call_ids() -> None:
    assert is_short("short-17-4242@198.18.9.9")
    assert not is_short("17-4242@198.18.9.9")


def test_a_call_that_waits_for_the_election_of_a_leader_is_told_by_how_much() -> None:
    early = [call(T0_MS - 30_000, 1.0), *calls(T0_MS - 20_000, 300, slow_ms=50.0)]
    elected_ms = T0_MS + 1_500

    def told(*came: Dialled) -> dict[str, float | None]:
        meanwhile = calls(T0_MS, 10, slow_ms=10.0)
        return leaderless([*early, *meanwhile, *came], T0_MS, (T0_MS + 10, elected_ms))

    assert told() == {"leaderless_calls": 10, "leaderless_delay_ms": pytest.approx(-40.0)}
    assert told(call(T0_MS + 700, 900.0))["leaderless_delay_ms"] == pytest.approx(850.0)
    assert told(call(T0_MS - 30, 900.0))["leaderless_delay_ms"] == pytest.approx(850.0)
    assert told(call(T0_MS + 700, None))["leaderless_delay_ms"] == math.inf
    assert told(call(elected_ms + 500, 900.0)) == told(), "a leader was there by then"
    few = leaderless(early[:FEWEST], T0_MS, (T0_MS, elected_ms))
    assert few["leaderless_delay_ms"] is None
    assert leaderless(early, T0_MS, None) == {}, "nobody knows when there was one again"
