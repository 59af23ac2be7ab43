"""`python -m drills.prove`, inside the lab's namespaces; `./everline prove` brings it there."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import structlog
from rich.table import Table

from drills.cli.errors import Exit
from drills.cli.progress import Task, console, progress
from drills.lab.errors import LabError
from drills.lab.lab import PROJECT
from drills.prove.campaign import Wanted, campaign
from drills.prove.figures import Figures, Outcome
from drills.prove.history import FaultKind
from drills.prove.mutants import MUTANTS
from drills.prove.run import ground
from drills.setup.say import note
from drills.sources import digest
from state.errors import StateError

LOGS = PROJECT / ".everline" / "prove"
MOST_SHOWN = 20


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `./everline prove` was asked for; it comes as JSON, the one argument."""

    operations: int
    seed: int
    json: str = ""
    """Absolute path of the file for the figures."""
    mutants: tuple[str, ...] = tuple(mutant.name for mutant in MUTANTS)
    """Names of those to plant."""
    minutes: float | None = None
    """What would end later is left; None: all is done."""
    resume: bool = False
    """Go on with what `json` holds."""
    faults: tuple[FaultKind, ...] = ()
    """Only these; empty: all."""


async def prove(options: Options) -> Exit:
    """Run the campaign, print what it came to, and say whether all held."""
    own = asyncio.current_task()
    if own is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own.cancel)
    figures = _figures(options)
    if (code := digest("edge", "state")) not in figures.codes:
        figures.codes.append(code)
    note(f"prove: seed {figures.seed}")
    is_all = False
    try:
        is_all = await _campaign(options, figures)
    finally:
        # Also of a campaign that was interrupted: hours of it must not be for nothing.
        if options.json:
            _write(Path(options.json), figures)
        _report(figures)
    if not is_all:
        note("prove: not all is done yet; go on with --resume")
        return Exit.UNFINISHED if figures.held else Exit.FAILED
    return Exit.OK if figures.held else Exit.FAILED


async def _campaign(options: Options, figures: Figures) -> bool:
    """Do what is wanted in a lab of its own; tell whether that is all."""
    wanted = Wanted(
        operations=options.operations,
        mutants=[mutant for mutant in MUTANTS if mutant.name in options.mutants],
        kinds=options.faults,
        for_s=None if options.minutes is None else options.minutes * 60,
    )
    async with ground() as stage:
        with progress("operations", total=float(options.operations)) as task:
            listener = _Listener(task, figures, options.json)
            is_all = await campaign(stage, figures, wanted, listener)
        if not figures.held:
            note(f"prove: the logs are in {stage.keep_logs(LOGS)}")
    return is_all


def _figures(options: Options) -> Figures:
    """Return the figures to go on with: those of the file, or new ones."""
    file = Path(options.json)
    asked = Figures(seed=options.seed, faults_only=list(options.faults))
    if not options.resume or not file.exists():
        return asked
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Figures)
    except (OSError, msgspec.DecodeError) as error:
        raise LabError(f"{file} cannot be gone on with: {error}; leave out --resume") from error
    if (found.seed, found.faults_only) != (asked.seed, asked.faults_only):
        raise LabError(
            f"{file} holds a run with --seed {found.seed} and {found.faults_only or 'all'} faults: "
            "ask for the same, or leave out --resume"
        )
    return found


class _Listener:
    """Tells how it goes, and keeps what there is after every step."""

    def __init__(self, task: Task, figures: Figures, file: str) -> None:
        self._task = task
        self._figures = figures
        self._file = file
        self._told = 0

    def at(self, what: str, operations: int) -> None:
        """Show it."""
        self._task.advance(what, by=float(operations - self._told))
        self._told = operations

    def breach(self, seed: int, outcome: Outcome) -> None:
        """Say at once what was violated, and keep all that happened in that round."""
        _keep_history(seed, outcome)

    def step(self) -> None:
        """Write the file, if one was named."""
        if self._file:
            _write(Path(self._file), self._figures)


def _keep_history(seed: int, outcome: Outcome) -> None:
    """Write a line an event."""
    for each in outcome.violations[:MOST_SHOWN]:
        note(f"prove: seed {seed}: {each.law}: {each.text}")
    file = LOGS / f"history-{seed}.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w") as out:
            out.writelines(f"{each}\n" for each in (*outcome.violations, *outcome.events))
    except OSError as error:
        note(f"prove: the history was not kept in {file}: {error.strerror}")
    else:
        note(f"prove: all that happened is in {file}")


def _report(figures: Figures) -> None:
    out = console()
    out.print(
        f"{figures.operations} operations, {figures.operations_per_s:.0f} a second, seeds "
        f"{figures.seed} to {max(figures.seeds, default=figures.seed)}; "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(figures.faults.items()))
    )
    if figures.mutants.each:
        table = Table("planted bug", "caught by", "after")
        lines = {mutant.name: mutant.line for mutant in MUTANTS}
        for name, catch in figures.mutants.each.items():
            table.add_row(lines[name], catch.law or "NOT CAUGHT", f"{catch.took_s:.0f} s")
        out.print(table)
    for text in figures.found[:MOST_SHOWN]:
        out.print(text)
    if len(figures.codes) > 1:
        out.print(f"made with {len(figures.codes)} versions of the edges, one after the other")
    out.print(
        f"{figures.violations} violations; {figures.mutants.caught} of {figures.mutants.planted} "
        "planted bugs caught"
    )


def _write(file: Path, figures: Figures) -> None:
    """Write the figures, whole or not at all."""
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2)
    part = file.with_name(f"{file.name}.part")
    try:
        part.write_bytes(text + b"\n")
        part.replace(file)
    except OSError as error:
        raise LabError(f"the figures cannot be written to {file}: {error.strerror}") from error


def main() -> int:
    """Run it; errors are one line."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    # What our own etcd client says of members that we break ourselves is no news.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        return asyncio.run(prove(options))
    except (LabError, StateError) as error:
        note(str(error))
        return Exit.FAILED
    except TimeoutError:
        note("prove: the sites did not come up, or did not settle, in time")
        return Exit.FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
