"""`./everline recordings list`, `show`, `verify`, `reconcile`, `sample`, `rotate`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import cyclopts

from custody.findings import Rotation
from drills.cli.asking import Json, LabOption, asking, print_json
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console, progress
from drills.cli.rotating import rotating_here
from drills.desk import recording_tables as tables
from drills.desk.asks import RecordingsAsk, RotateAsk, SampleAsk
from drills.desk.recording_answers import RecordingRow, Recordings, Samples
from state.model import SiteId

HELP = """\
Look at the recordings of sites that are up: what there is of every
answered call, also of those that a fault cut off, whether it is as it
was written, and what is missing;
whether copies open with each site's own keys. Rotate those keys.

To hear one, ask the API: GET /v1/recordings/CALL/audio.

For example:
  ./everline recordings list
  ./everline recordings verify
"""

THOROUGH_S: Final = 3600.0
"""Opening every recording of a center takes as long as it takes."""
LOOK_S: Final = 0.3
PATIENCE_S: Final = 60.0
"""Without any progress for so long, somebody should look."""

app = cyclopts.App(name="recordings", help=HELP, help_format="plaintext")
app["--help"].group = "Options"

Call = Annotated[str, cyclopts.Parameter(help="How the call's id begins.")]
Site = Annotated[str, cyclopts.Parameter(help="Which site of the lab.")]
Config = Annotated[
    Path | None, cyclopts.Parameter(help="The settings file of a control plane on this host.")
]
Most = Annotated[
    int,
    cyclopts.Parameter(
        help="How many at each site. Default 20.",
        validator=cyclopts.validators.Number(gte=1, lte=10_000),
    ),
]
Last = Annotated[
    int,
    cyclopts.Parameter(
        help="How many calls. Default 20.", validator=cyclopts.validators.Number(gte=1, lte=10_000)
    ),
]


@app.command(name="list")
def show_all(*, last: Last = 20, json: Json = False, lab: LabOption = None) -> int:
    """List the last answered calls and their recordings.

    For example:
      ./everline recordings list
      ./everline recordings list --last 5 --json
    """
    _print(_ask(RecordingsAsk(last=last), lab), json=json)
    return Exit.OK


@app.command
def show(call: Call, /, *, json: Json = False, lab: LabOption = None) -> int:
    """Show one recording: its segments, keys, hashes, gaps.

    It is hashed and opened for that, with the keys of another site.

    For example:
      ./everline recordings show 3f2a91
    """
    found = _ask(RecordingsAsk(call=call, is_thorough=True), lab)
    if len(found.recordings) != 1:
        raise CommandError(
            f"{len(found.recordings)} answered calls begin with {call!r}: see "
            "./everline recordings list",
            Exit.FAILED,
        )
    (row,) = found.recordings
    if json:
        print_json(row, indent=2)
    else:
        console().print(tables.shown(row))
    return _code((row,))


@app.command
def verify(*, json: Json = False, lab: LabOption = None) -> int:
    """Hash and open every recording, each with the keys of another site.

    Exit code 1 if any is not as it was written.

    For example:
      ./everline recordings verify
    """
    found = _ask(RecordingsAsk(is_thorough=True), lab)
    _print(found, json=json)
    return _code(tuple(row for row in found.recordings if row.is_kept))


@app.command
def reconcile(*, json: Json = False, lab: LabOption = None) -> int:
    """Compare the answered calls with the recordings; list the differences.

    Exit code 1 if an answered call has neither a recording nor a reason.

    For example:
      ./everline recordings reconcile
    """
    found = _ask(RecordingsAsk(), lab)
    different = tuple(row for row in found.recordings if row.faults or not row.is_complete)
    if json:
        print_json(Recordings(lab=found.lab, is_thorough=False, recordings=different), indent=2)
    else:
        shown = Recordings(lab=found.lab, is_thorough=False, recordings=different)
        if different:
            console().print(tables.listed(shown))
        console().print(tables.summed(found))
        console().print(tables.sampled(found.samples))
    is_sound = not any(each.faults for each in found.samples)
    return _code(found.recordings) if is_sound else Exit.FAILED


@app.command
def sample(*, most: Most = 20, json: Json = False, lab: LabOption = None) -> int:
    """Open copies at every site with that site's own keys alone.

    The control planes do so by themselves every day, and say in their
    metrics what came of it (in a lab every half minute); this does it
    now. Exit code 1 if one does not open.

    For example:
      ./everline recordings sample
      ./everline recordings sample --most 5 --json
    """
    with asking(lab) as line, progress("opening copies at every site"):
        found = line.ask(SampleAsk(most=most), Samples, timeout_s=THOROUGH_S)
    if json:
        print_json(found, indent=2)
    else:
        console().print(tables.sampled(found.samples))
    return Exit.FAILED if any(each.faults for each in found.samples) else Exit.OK


@app.command
def rotate(
    *, site: Site = "", config: Config = None, json: Json = False, lab: LabOption = None
) -> int:
    """Give a site's key provider another secret; rewrap all recording keys.

    No audio is touched. The site's control plane does it; whatever dies
    meanwhile, it goes on where it was, and the older secret is let go of
    when no key needs it any more. With --config, the settings file of a
    control plane on this host, instead of a lab's site.

    For example:
      ./everline recordings rotate --site a
      ./everline recordings rotate --site b --json
    """
    if bool(site) == bool(config):
        raise CommandError("name the lab's --site, or a control plane's --config", Exit.USAGE)
    if config is not None:
        found = _wait(lambda begin: rotating_here(config, is_to_begin=begin))
    else:
        with asking(lab) as line:
            asked = partial(RotateAsk, site=SiteId(site))
            found = _wait(lambda begin: line.ask(asked(is_to_begin=begin), Rotation))
    if json:
        print_json(found, indent=2)
    else:
        console().print(tables.rotated(found))
    return Exit.OK


def _wait(look: Callable[[bool], Rotation]) -> Rotation:
    """Begin, and show progress until it is over."""
    begun = look(True)  # noqa: FBT003 - it begins
    with progress("rewrapping keys", total=max(1, begun.keys)) as task:
        done, quiet_until_s = 0, time.monotonic() + PATIENCE_S
        while True:
            found = look(False)  # noqa: FBT003 - it looks
            if found.rewrapped > done:
                task.advance(f"{found.rewrapped} of {found.keys}", by=found.rewrapped - done)
                done, quiet_until_s = found.rewrapped, time.monotonic() + PATIENCE_S
            if found.is_over:
                return found
            if time.monotonic() > quiet_until_s:
                raise CommandError(
                    f"{found.rewrapped} of {found.keys} keys are rewrapped, and nothing moves: is "
                    f"the control plane of site {found.provider} up? It goes on when it is; both "
                    "secrets are kept until then",
                    Exit.FAILED,
                )
            time.sleep(LOOK_S)


def _ask(ask: RecordingsAsk, lab: int | None) -> Recordings:
    with asking(lab) as line:
        if not ask.is_thorough:
            return line.ask(ask, Recordings, timeout_s=PATIENCE_S)
        with progress("hashing and opening"):
            return line.ask(ask, Recordings, timeout_s=THOROUGH_S)


def _print(found: Recordings, *, json: bool) -> None:
    if json:
        print_json(found, indent=2)
    else:
        console().print(tables.listed(found))


def _code(rows: tuple[RecordingRow, ...]) -> Exit:
    return Exit.FAILED if any(row.faults for row in rows) else Exit.OK
