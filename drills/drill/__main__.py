"""`python -m drills.drill`, inside the lab's namespaces; `./everline drill` brings it there."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from drills.cli.errors import Exit
from drills.demo.run import DemoError
from drills.drill.series import Series
from drills.due import Due
from drills.experiment import ExperimentError
from drills.lab.errors import LabError
from drills.setup.say import note
from drills.shelf import NotKeptError, Shelf
from state.errors import StateError


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be drilled; it comes as JSON, the one argument."""

    due: tuple[Due, ...]
    home: str
    begin_within_s: float | None = None
    lab: str = ""
    """Of several labs side by side, which this is: whoever asks has them alone on this machine."""


async def drill(options: Options) -> Exit:
    """Carry out what can be done in one lab, keep the evidence, and say whether all held."""
    who = f"drill, lab {options.lab}" if options.lab else "drill"
    series = Series(Shelf(Path(options.home)), lambda text: note(f"{who}: {text}"), options.lab)
    found = await series.carry_out(options.due, options.begin_within_s)
    return Exit.OK if all(each.held for each in found) else Exit.FAILED


def main() -> int:
    """Run the drills; errors are one line."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    try:
        return asyncio.run(drill(options))
    except (DemoError, LabError, StateError, ExperimentError, NotKeptError) as error:
        note(str(error))
        return Exit.FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
