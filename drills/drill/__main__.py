"""`python -m drills.drill`, inside the lab's namespaces; `./everline drill run` brings it there."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import msgspec

from drills.cli.errors import Exit
from drills.demo.run import DemoError
from drills.drill.keeping import evidence_of
from drills.drill.rehearsal import rehearse
from drills.evidence import Evidence, TamperedError, hash_of
from drills.experiment import Experiment, ExperimentError
from drills.lab.errors import LabError
from drills.lever import Lever
from drills.page import page
from drills.setup.say import note
from drills.shelf import CAPTURE, Shelf
from state.errors import StateError


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be drilled; it comes as JSON, the one argument."""

    experiment: Experiment
    run: str
    seed: int
    home: str


async def drill(options: Options) -> Exit:
    """Carry it out, keep the evidence, and say whether all held."""
    shelf = Shelf(Path(options.home))
    folder = shelf.folder(options.run)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    brought = await rehearse(
        options.experiment,
        options.seed,
        folder / "logs",
        tell=lambda text: note(f"drill: {text}"),
        lever=Lever(shelf.home),
    )
    evidence = evidence_of(
        run=options.run,
        previous=shelf.last_hash(),
        experiment=options.experiment,
        seed=options.seed,
        seen=brought.seen,
        moments=brought.moments,
        clocks=brought.clocks,
        files={CAPTURE: hash_of(brought.pcap)},
    )
    before = _before(shelf, options.experiment.name)
    shelf.put(evidence, {CAPTURE: brought.pcap}, page(evidence, before))
    if evidence.held:
        # Hundreds of runs would fill a disk with logs that nobody asks for.
        shutil.rmtree(folder / "logs", ignore_errors=True)
    return Exit.OK if evidence.held else Exit.FAILED


def _before(shelf: Shelf, name: str) -> list[Evidence]:
    """Return the earlier runs of a drill that can still be believed."""
    found = []
    for run in shelf.runs():
        try:
            evidence = shelf.read(run)
        except (TamperedError, OSError):
            continue
        if evidence.experiment.name == name:
            found.append(evidence)
    return found


def main() -> int:
    """Run the drill; errors are one line."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    try:
        return asyncio.run(drill(options))
    except (DemoError, LabError, StateError, ExperimentError) as error:
        note(str(error))
        return Exit.FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
