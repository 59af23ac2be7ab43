"""Whether a machine has time for a drill that measures seconds."""

from __future__ import annotations

from pathlib import Path

from drills.drill.machine import LOOKS, Machine


def test_it_is_the_mean_of_the_last_seconds_for_each_core(tmp_path: Path) -> None:
    load = tmp_path / "loadavg"
    machine = Machine(load, cores=2)
    assert machine.measure() == {}
    load.write_text("0.50 0.40 0.30 9/512 12345\n")
    machine.look()
    assert machine.measure() == {"runnable_per_core": 4.0}
    load.write_text("0.50 0.40 0.30 1/512 12345\n")
    machine.look()
    assert machine.measure() == {"runnable_per_core": 2.0}
    for _ in range(LOOKS):
        machine.look()
    assert machine.measure() == {"runnable_per_core": 0.0}


def test_this_machine_says_it() -> None:
    machine = Machine()
    machine.look()
    assert machine.measure()["runnable_per_core"] >= 0.0
