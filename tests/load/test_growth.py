"""What grows that should not."""

from __future__ import annotations

import pytest

from loadtests.load.growth import Sample, by_program, figures, growth


def samples(*, memory_mb_per_h: float = 0.0, descriptors: int = 0) -> list[Sample]:
    return [
        Sample(
            at_s=5.0 * number,
            processes=2,
            memory_mb=2 * (80.0 + memory_mb_per_h * 5.0 * number / 3600),
            descriptors=60 + descriptors * number,
            threads=8,
            sockets=30,
        )
        for number in range(100)
    ]


def test_what_stays_has_not_grown() -> None:
    found = growth(samples())
    assert (found.memory_mb, found.memory_mb_per_h, found.descriptors) == (0.0, 0.0, 0.0)


def test_slow_leak_of_memory_is_told_by_its_slope_for_each_process() -> None:
    assert growth(samples(memory_mb_per_h=36.0)).memory_mb_per_h == pytest.approx(36.0)


def test_descriptors_that_are_never_closed_are_counted_for_each_process() -> None:
    assert growth(samples(descriptors=2)).descriptors == pytest.approx(80.0)


def test_busy_middle_is_no_leak() -> None:
    held = samples()
    held[50] = Sample(
        at_s=250.0, processes=2, memory_mb=160.0, descriptors=5000, threads=90, sockets=900
    )
    assert growth(held).descriptors == 0.0


def test_one_sample_says_nothing() -> None:
    with pytest.raises(ValueError, match="two samples"):
        growth(samples()[:1])


def test_figures_are_named_after_the_program() -> None:
    found = figures({"edge": growth(samples(descriptors=2))})
    assert found["growth.edge.descriptors"] == pytest.approx(80.0)


def test_rounds_in_which_a_program_was_dead_are_left_out() -> None:
    alive, dead = (
        samples()[0],
        Sample(at_s=5.0, processes=0, memory_mb=0, descriptors=0, threads=0, sockets=0),
    )
    assert by_program([{"edge": alive}, {"edge": dead}]) == {"edge": [alive]}
