"""What grows that should not."""

from __future__ import annotations

import random

import pytest

from loadtests.load.growth import Held, Round, Sample, Slope, center, figures, slope, worst


def sample(at_s: float, *, memory_mb: float = 80.0, descriptors: int = 60) -> Sample:
    return Sample(at_s=at_s, memory_mb=memory_mb, descriptors=descriptors, threads=8, sockets=30)


def life(
    *, mb_per_h: float = 0.0, noise_mb: float = 0.0, count: int = 100, seed: int = 1
) -> list[Sample]:
    """Return a process that is looked at every five seconds."""
    dice = random.Random(seed)  # noqa: S311 - an example
    return [
        sample(
            5.0 * number,
            memory_mb=80.0 + mb_per_h * 5.0 * number / 3600 + dice.gauss(0.0, noise_mb),
        )
        for number in range(count)
    ]


def of(samples: list[Sample], what: str = "memory_mb") -> Slope:
    found = slope(samples, what)
    assert found is not None
    return found


def test_what_stays_has_not_grown() -> None:
    found = of(life())
    assert (found.per_h, found.low_per_h, found.high_per_h, found.surely) == (0, 0, 0, 0)


def test_slow_leak_is_told_by_its_slope_and_what_it_came_to() -> None:
    found = of(life(mb_per_h=36.0))
    assert found.per_h == pytest.approx(36.0)
    assert found.surely == pytest.approx(36.0 * found.followed_s / 3600)


def test_leak_is_between_its_bounds_and_sure_though_the_samples_jump() -> None:
    within = 0
    for seed in range(50):
        found = of(life(mb_per_h=360.0, noise_mb=2.0, count=300, seed=seed))
        within += found.low_per_h <= 360.0 <= found.high_per_h
        assert found.surely > 50.0
    assert within >= 45


def test_what_only_jumps_is_hardly_ever_called_growth() -> None:
    sure = [of(life(noise_mb=5.0, seed=seed)).surely for seed in range(100)]
    assert sum(each > 0.0 for each in sure) <= 5


def test_caches_that_fill_at_the_start_are_no_leak() -> None:
    samples = [sample(5.0 * n, memory_mb=80.0 + min(n, 30)) for n in range(100)]
    assert of(samples).surely == 0.0


def test_descriptors_that_are_never_closed_are_counted() -> None:
    samples = [sample(5.0 * number, descriptors=60 + 2 * number) for number in range(100)]
    assert of(samples, "descriptors").surely == pytest.approx(2 * 66, abs=1.0)


def test_short_life_says_nothing() -> None:
    assert slope(life(count=11), "memory_mb") is None


def rounds(*processes: tuple[int, list[Sample]]) -> list[Round]:
    count = max(len(samples) for _, samples in processes)
    return [
        {"edge": {pid: samples[n] for pid, samples in processes if n < len(samples)}}
        for n in range(count)
    ]


def test_process_that_was_killed_and_began_anew_is_no_growth() -> None:
    grown = [sample(5.0 * n, memory_mb=150.0) for n in range(40)]
    fresh = [sample(200.0 + 5.0 * n, memory_mb=60.0) for n in range(40)]
    found = worst([*rounds((7, grown)), *rounds((8, fresh))])
    assert found["edge"]["memory_mb"].surely == 0.0


def test_the_life_that_grew_most_is_told() -> None:
    found = worst(rounds((7, life()), (8, life(mb_per_h=72.0))))
    told = figures(found)
    assert told["growth.edge.memory_mb_per_h"] == pytest.approx(72.0)
    assert told["growth.edge.memory_mb"] == pytest.approx(6.6, abs=0.1)
    assert told["growth.edge.descriptors"] == 0.0


def test_program_that_only_had_short_lives_is_left_out() -> None:
    assert worst(rounds((7, life(count=5)))) == {}


def test_what_a_program_takes_as_it_starts_is_no_growth_in_a_short_life() -> None:
    starting = [sample(5.0 * n, memory_mb=100.0 + min(37.0, 1.05 * n)) for n in range(54)]
    assert of(starting).surely > 1.0
    found = worst([*rounds((7, life(count=720))), *rounds((8, starting))])
    assert found["edge"]["memory_mb"].surely == 0.0


def test_load_of_a_minute_is_judged_by_all_but_its_first_third() -> None:
    minute = [
        Sample(at_s=0.5 * n, memory_mb=80.0 + n, descriptors=60, threads=8, sockets=30)
        for n in range(60)
    ]
    found = worst(rounds((7, minute)))
    assert found["edge"]["memory_mb"].surely == pytest.approx(40.0, abs=1.5)


def test_life_that_hardly_outlives_its_start_is_left_out() -> None:
    found = worst([*rounds((7, life(count=720))), *rounds((8, life(mb_per_h=720.0, count=43)))])
    assert found["edge"]["memory_mb"].per_h == 0.0


def test_tickets_that_stay_are_told_as_the_centers_growth() -> None:
    looks = [
        Held(at_s=15.0 * n, tickets=4 + n // 10 + n % 3, calls=4 + n % 3, legs=8, media_calls=4)
        for n in range(240)
    ]
    found = figures(center(looks))
    assert found["growth.center.tickets"] == pytest.approx(15.0, abs=1.5)
    assert found["growth.center.calls"] == 0.0
    assert center(looks[:11]) == {}
