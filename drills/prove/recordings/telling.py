"""What there is to say of a recording that is not as it should be: where to look, and what for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from drills.demo.hearing import Recorded

MOST: Final = 40
"""Lines of logs for one recording, the latest."""


def told(run: Path, recorded: Recorded) -> tuple[str, ...]:
    """Say what was heard and was due, and what the logs of a lab say of the call."""
    return (_heard(recorded), *_lines(run / "log", recorded.call))


def _heard(recorded: Recorded) -> str:
    if recorded.fault:
        return recorded.fault
    return (
        f"left {_named(recorded.caller)}, due {recorded.due_left or 'nothing'}; "
        f"right {_named(recorded.agent)}, due {recorded.due_right or 'nothing'}; "
        f"{recorded.seconds:.2f} s"
    )


def _named(chords: frozenset[str]) -> str:
    return " ".join(sorted(chords)) or "nothing"


def _lines(logs: Path, call: str) -> tuple[str, ...]:
    found: list[str] = []
    for path in sorted(logs.rglob("*.log")):
        lines = path.read_text(errors="replace").splitlines()
        found += (f"{path.stem}: {line}" for line in lines if call in line)
    return tuple(found[-MOST:])
