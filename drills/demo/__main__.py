"""`python -m drills.demo`, inside the lab's namespaces; `./everline demo` brings it there."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from rich.text import Text

from drills.cli.errors import Exit
from drills.cli.progress import console
from drills.demo.as_json import as_json
from drills.demo.claims import Claim, claims
from drills.demo.figures import measure
from drills.demo.placing import no_test_calls
from drills.demo.report import report
from drills.demo.run import DemoError, Stage, play, staged
from drills.demo.scenario import plan
from drills.demo.screen import Screen
from drills.desk import doors
from drills.desk.desk import Desk, Place
from drills.desk.reception import open_desk
from drills.figures_file import write_figures
from drills.lab.errors import LabError
from drills.lab.lab import PROJECT
from drills.setup.say import note
from state.errors import StateError

LOGS = PROJECT / ".everline" / "demo"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `./everline demo` was asked for; it comes as JSON, the one argument."""

    calls: int
    seed: int
    json: str = ""
    """Absolute path of the file for the figures."""
    keep: bool = False
    doors: dict[str, int] = {}
    """Descriptors of the doors to the sites' APIs."""
    launcher: int
    """PID of `./everline demo`, which others may ask from outside."""


async def demo(options: Options) -> Exit:
    """Play, print, and say whether all held."""
    own = asyncio.current_task()
    if own is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own.cancel)
    screen = Screen(scenario=plan(seed=options.seed, calls=options.calls))
    async with screen.shown() as shown, staged(screen) as stage, _desk(options, stage):
        try:
            run = await play(stage)
        except BaseException:
            note(f"demo: the logs are in {_keep_logs(stage)}")
            raise
        await shown.aclose()
        figures = measure(run)
        found = claims(run, figures)
        held = all(claim.held for claim in found)
        files = [Path(options.json)] if options.json else []
        if options.keep or not held:
            files.append(_keep_logs(stage) / "figures.json")
        for file in files:
            _write(file, as_json(run, figures, found))
        console().print(report(run, figures, found), _verdict(found))
        if options.keep or not held:
            note(f"demo: logs and figures are in {LOGS}")
        if options.keep:
            note("demo: the sites stay up until Ctrl-C; ./everline status or calls shows them")
            await _interrupt()
    return Exit.OK if held else Exit.FAILED


@contextlib.asynccontextmanager
async def _desk(options: Options, stage: Stage) -> AsyncIterator[Desk]:
    """Let the demo be looked at from outside; its callers are counted, so nobody else calls."""
    async with doors.inside(stage.lab, options.doors, options.launcher) as apis:
        place = Place(launcher=options.launcher, kind="demo", apis=apis)
        async with open_desk(place, stage.lab, stage.store, no_test_calls) as desk:
            yield desk


def _keep_logs(stage: Stage) -> Path:
    """Keep this run's logs in place of the last one's; return where."""
    shutil.rmtree(LOGS, ignore_errors=True)
    return stage.lab.keep_logs(LOGS)


def _verdict(found: Sequence[Claim]) -> Text:
    broken = sum(1 for claim in found if not claim.held)
    if broken:
        return Text(f"{broken} of {len(found)} claims are broken.", style="bold red")
    return Text(f"All {len(found)} claims held.", style="bold green")


async def _interrupt() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _write(file: Path, figures: dict[str, object]) -> None:
    try:
        write_figures(file, figures)
    except OSError as error:
        raise DemoError(f"the figures cannot be written to {file}: {error.strerror}") from error


def main() -> int:
    """Run the demo; errors are one line."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    try:
        return asyncio.run(demo(options))
    except (DemoError, LabError, StateError) as error:
        note(str(error))
        return Exit.FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
