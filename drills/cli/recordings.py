"""`./everline recordings list`, `show`, `verify`, `reconcile`."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.cli.asking import Json, LabOption, asking, print_json
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.desk import recording_tables as tables
from drills.desk.answers import RecordingRow, Recordings
from drills.desk.asks import RecordingsAsk

HELP = """\
Look at the recordings of sites that are up: what there is of every
answered call, whether it is as it was written, and what is missing.

To hear one, ask the API: GET /v1/recordings/CALL/audio.

For example:
  ./everline recordings list
  ./everline recordings verify
"""

app = cyclopts.App(name="recordings", help=HELP, help_format="plaintext")
app["--help"].group = "Options"

Call = Annotated[str, cyclopts.Parameter(help="How the call's id begins.")]
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
    return _code(found.recordings)


def _ask(ask: RecordingsAsk, lab: int | None) -> Recordings:
    with asking(lab) as line:
        return line.ask(ask, Recordings)


def _print(found: Recordings, *, json: bool) -> None:
    if json:
        print_json(found, indent=2)
    else:
        console().print(tables.listed(found))


def _code(rows: tuple[RecordingRow, ...]) -> Exit:
    return Exit.FAILED if any(row.faults for row in rows) else Exit.OK
