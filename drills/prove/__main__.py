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
from drills.cli.progress import console, progress
from drills.lab.errors import LabError
from drills.lab.lab import PROJECT
from drills.prove.campaign import Figures, campaign
from drills.prove.history import FaultKind
from drills.prove.mutants import MUTANTS
from drills.prove.run import Ground, Outcome, ground
from drills.setup.say import note
from state.errors import StateError

LOGS = PROJECT / ".everline" / "prove"
MOST_SHOWN = 20


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `./everline prove` was asked for; it comes as JSON, the one argument."""

    operations: int
    seed: int
    json: str = ""
    """Absolute path of the file for the figures."""
    mutants: bool = True
    faults: tuple[FaultKind, ...] = ()
    """Only these; empty: all."""


async def prove(options: Options) -> Exit:
    """Run the campaign, print what it came to, and say whether all held."""
    own = asyncio.current_task()
    if own is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own.cancel)
    note(f"prove: seed {options.seed}")
    figures = Figures(seed=options.seed)
    try:
        async with ground() as stage:
            await _campaign(stage, figures, options)
            if not figures.held:
                note(f"prove: the logs are in {stage.keep_logs(LOGS)}")
    finally:
        # Also of a campaign that was interrupted: hours of it must not be for nothing.
        if options.json:
            _write(Path(options.json), figures)
        _report(figures)
    return Exit.OK if figures.held else Exit.FAILED


async def _campaign(stage: Ground, figures: Figures, options: Options) -> None:
    with progress("operations", total=float(options.operations)) as task:
        done = 0

        def tell(what: str, operations: int) -> None:
            nonlocal done
            task.advance(what, by=float(operations - done))
            done = operations

        await campaign(
            stage,
            figures,
            operations=options.operations,
            mutants=MUTANTS if options.mutants else (),
            tell=tell,
            kinds=options.faults,
            breach=_keep_history,
        )


def _keep_history(seed: int, outcome: Outcome) -> None:
    """Say at once what was violated, and keep all that happened in that round: a line an event."""
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
    rate = figures.operations / figures.seconds if figures.seconds else 0.0
    out.print(
        f"{figures.operations} operations, {rate:.0f} a second, seeds {figures.seed} to "
        f"{max(figures.seeds, default=figures.seed)}; "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(figures.faults.items()))
    )
    if figures.caught:
        table = Table("planted bug", "caught by")
        lines = {mutant.name: mutant.line for mutant in MUTANTS}
        for name, law in figures.caught.items():
            table.add_row(lines[name], law or "NOT CAUGHT")
        out.print(table)
    for seed, text in figures.found[:MOST_SHOWN]:
        out.print(f"seed {seed}: {text}")
    caught = sum(map(bool, figures.caught.values()))
    out.print(
        f"{len(figures.found)} violations; {caught} of {len(figures.caught)} planted bugs caught"
    )


def _write(file: Path, figures: Figures) -> None:
    text = msgspec.json.format(msgspec.json.encode(figures.as_json()), indent=2)
    try:
        file.write_bytes(text + b"\n")
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
