"""A fault of the load's own reaches whoever waits for it: its log goes with the lab."""

from __future__ import annotations

import msgspec
import pytest

from loadtests.load import __main__ as program
from loadtests.load.__main__ import Start
from loadtests.load.plan import Request, ShapeName


def test_fault_of_the_loads_own_is_told_with_its_place(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_start: Start) -> int:
        raise KeyError("agent")

    monkeypatch.setattr(program, "carry_out", breaks)
    start = Start(
        request=Request(shape=ShapeName.SOAK, seconds=60.0),
        lab=1,
        sites=(),
        carrier="",
        hosts={},
        first_password="",
        folder="",
        logs="",
    )
    assert program.main([msgspec.json.encode(start).decode()]) == 1
    said = [msgspec.json.decode(line) for line in capfdbinary.readouterr().out.splitlines()]
    (failed,) = [each for each in said if each["event"] == "failed"]
    assert failed["why"].startswith("a fault of the load's own, KeyError in test_own_fault.py:")
