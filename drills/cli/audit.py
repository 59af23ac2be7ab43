"""`./everline audit verify`, `export`, `keys`, `key`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import cyclopts
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane import settings
from control_plane.audit import source
from control_plane.audit.errors import NoteError
from control_plane.audit.note import public_of
from control_plane.audit.source import Source
from control_plane.audit.verify import Result, in_words
from control_plane.errors import DatabaseUnavailableError, SettingsError
from custody import keyfile
from drills.cli.asking import Json, LabOption, asking, print_json
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.desk.asks import AuditAsk
from drills.setup.say import note
from state.keys import is_id

HELP = """\
Check the audit log: whether it is the one that was written, and if not,
where. It is signed by the sites for each other.

For example:
  ./everline audit verify
  ./everline audit export log.jsonl
  ./everline audit keys
"""
LOOK_TIMEOUT_S = 60.0

app = cyclopts.App(name="audit", help=HELP, help_format="plaintext")
app["--help"].group = "Options"

Log = Annotated[Path, cyclopts.Parameter(help="A log, or a part of it, as audit export writes it.")]
Keys = Annotated[
    Path | None,
    cyclopts.Parameter(help="The sites' public keys, as audit keys prints them."),
]
Seen = Annotated[
    tuple[Path, ...],
    cyclopts.Parameter(help="What a site remembers of the log: its file audit.memory."),
]
Config = Annotated[
    Path | None,
    cyclopts.Parameter(help="The settings of a control plane. Default: of the lab that is up."),
]
Witnesses = Annotated[
    int | None,
    cyclopts.Parameter(
        help="How many other sites have to vouch for it. Default 1, where there is another.",
        validator=cyclopts.validators.Number(gte=0, lte=16),
    ),
]


@app.command
def verify(  # noqa: PLR0913 - options of a command
    log: Log | None = None,
    /,
    *,
    keys: Keys = None,
    seen: Seen = (),
    config: Config = None,
    witnesses: Witnesses = None,
    json: Json = False,
    lab: LabOption = None,
) -> int:
    """Check a log: that of a control plane, or one in a file.

    An entry that was changed, moved, put in or taken out is found, by the
    sites' public keys alone. That nothing was cut off at the end can be
    said only by what the sites remember: of a lab that is up it is asked
    for, of a file it is given by --seen.

    Exit code 1 if anything is not as it was written.

    For example:
      ./everline audit verify
      ./everline audit verify log.jsonl --keys keys.txt --json
    """
    found = _file(log, keys) if log is not None else _live(config, lab)
    more = tuple(_text(path) for path in seen)
    try:
        result = Source(lines=found.lines, keys=found.keys, seen=(*found.seen, *more)).check(
            witnesses
        )
    except NoteError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    _print(result, json=json)
    return Exit.OK if result.is_good else Exit.FAILED


@app.command
def export(file: Path, /, *, config: Config = None, lab: LabOption = None) -> int:
    """Write the log into a file that audit verify reads anywhere.

    It holds the entries of all tenants, addresses too: it is made for its
    owner alone.

    For example:
      ./everline audit export log.jsonl
    """
    found = _live(config, lab)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            written.writelines(found.lines)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}", Exit.USAGE) from error
    note(f"wrote {len(found.lines)} lines to {file}")
    return Exit.OK


@app.command(name="keys")
def show_keys(*, config: Config = None, lab: LabOption = None) -> int:
    """Print the public keys by which the log is checked, one a line.

    Keep them where nobody who has the log can change them.

    For example:
      ./everline audit keys
    """
    for each in _live(config, lab).keys:
        print(each)  # noqa: T201 - what is asked for
    return Exit.OK


@app.command
def key(file: Path, /, *, site: str) -> int:
    """Make a site's key of the audit log, and print its public half.

    The file is for audit.key in the settings of that site; the line that is
    printed is for audit.sites in the settings of all.

    For example:
      ./everline audit key audit.key --site a
    """
    if not is_id(site):
        raise CommandError(f"{site!r} is no name of a site", Exit.USAGE)
    try:
        private = Ed25519PrivateKey.from_private_bytes(keyfile.make(file))
    except OSError as error:
        raise CommandError(f"{file} cannot be made: {error.strerror}", Exit.USAGE) from error
    print(public_of(site, private).text)  # noqa: T201 - what is asked for
    return Exit.OK


def _live(config: Path | None, lab: int | None) -> Source:
    if config is None:
        with asking(lab) as line:
            return line.ask(AuditAsk(), Source, timeout_s=LOOK_TIMEOUT_S)
    try:
        return asyncio.run(source.load(settings.load(config)))
    except (SettingsError, OSError) as error:
        raise CommandError(str(error), Exit.USAGE) from error
    except DatabaseUnavailableError as error:
        raise CommandError(f"the database in {config} does not answer", Exit.FAILED) from error


def _file(log: Path, keys: Path | None) -> Source:
    if keys is None:
        raise CommandError("a file is checked by --keys: see ./everline audit keys", Exit.USAGE)
    # As bytes: a text also ends its lines where Unicode does, and JSON leaves that as it is.
    lines = _bytes(log).splitlines(keepends=True)
    return Source(lines=tuple(lines), keys=tuple(_text(keys).split()))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}", Exit.USAGE) from error


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} cannot be read: {error}", Exit.USAGE) from error


def _print(result: Result, *, json: bool) -> None:
    if json:
        print_json(result, indent=2)
        return
    for each in in_words(result):
        console().print(each, markup=False)
