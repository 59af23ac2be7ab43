"""How often processes are looked at in a long load."""

from __future__ import annotations

from itertools import pairwise

import pytest

from loadtests.load import processes
from loadtests.load.growth import Round, Sample
from loadtests.load.processes import thinned


def at(seconds: int) -> Round:
    sample = Sample(at_s=float(seconds), memory_mb=1.0, descriptors=1, threads=1, sockets=0)
    return {"edge": {7: sample}}


def test_looks_of_a_long_load_are_thinned_and_evenly_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_ROUNDS", 6)
    seen: list[Round] = []
    at_s, every_s = 0, 5
    for _ in range(14):
        seen.append(at(at_s))
        every_s *= thinned(seen)
        at_s += every_s
    times = [each["edge"][7].at_s for each in seen]
    assert len(times) <= 6
    assert times[0] == 0
    assert len({two - one for one, two in pairwise(times)}) == 1
