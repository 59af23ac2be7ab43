"""The figures of several benchmarks as one object."""

from __future__ import annotations

from loadtests.bench.together import PARTS, figures

GROWTH = {
    "growth": {"100": {"cpu_ms": 2.5}},
    "etcd": {"writes_per_call": 4.0},
    "bytes_per_agent": 2000,
    "machine": {"kernel": "6"},
}
SITE = {
    "site": {"calls_per_s": 250.0},
    "overload": {"kept": 0.97, "recovery_s": 1.0},
    "machine": {"kernel": "6"},
}


def test_figures_stand_under_the_names_that_others_read() -> None:
    found = figures(
        {
            "queue": {"efficiency": 0.98, "machine": {"kernel": "6"}},
            "site": SITE,
            "growth": GROWTH,
            "memory": {"per_waiting_call": 9000, "machine": {"kernel": "6"}},
        }
    )
    assert found == {
        "queue": {"efficiency": 0.98},
        "site": {"calls_per_s": 250.0},
        "overload": {"kept": 0.97, "recovery_s": 1.0},
        "growth": {"100": {"cpu_ms": 2.5}},
        "etcd": {"writes_per_call": 4.0},
        "memory": {"per_waiting_call": 9000, "per_agent": 2000},
        "machine": {"kernel": "6"},
    }


def test_what_was_measured_so_far_can_be_told_before_the_rest() -> None:
    assert figures({"growth": GROWTH})["memory"] == {"per_agent": 2000}


def test_every_part_is_a_benchmark() -> None:
    from loadtests.bench.__main__ import MODULES  # noqa: PLC0415 - a program

    assert set(PARTS) <= set(MODULES)
