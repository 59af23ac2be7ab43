"""Whether a machine has time for a drill that measures seconds."""

from __future__ import annotations

import os
from pathlib import Path

from drills.drill.machine import LOOKS, Machine
from drills.sources import _processor, machine


def test_it_is_the_mean_of_the_last_seconds_for_each_core(tmp_path: Path) -> None:
    load = tmp_path / "loadavg"
    one = Machine(load, cores=2)
    assert one.measure() == {}
    load.write_text("0.50 0.40 0.30 9/512 12345\n")
    one.look()
    assert one.measure() == {"runnable_per_core": 4.0}
    load.write_text("0.50 0.40 0.30 1/512 12345\n")
    one.look()
    assert one.measure() == {"runnable_per_core": 2.0}
    for _ in range(LOOKS):
        one.look()
    assert one.measure() == {"runnable_per_core": 0.0}


def test_this_machine_says_it() -> None:
    one = Machine()
    one.look()
    assert one.measure()["runnable_per_core"] >= 0.0


def test_evidence_names_the_processors_that_it_is_of() -> None:
    told = "processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz: fast\ncache size\t: 1 KB\n"
    assert _processor(told) == "Some CPU @ 3.00GHz: fast"
    assert _processor("processor\t: 0\nBogoMIPS\t: 50.00\n") == os.uname().machine
    assert machine().startswith(f"{os.cpu_count()} x ")
