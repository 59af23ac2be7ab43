"""`./everline drill report`, and what other commands tell of a run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec

from drills.cli.asking import print_json
from drills.cli.drill_keys import (
    LastHash,
    PublicKey,
    hash_in,
    shelf_to_check,
    tell_head,
    tell_key,
)
from drills.cli.drill_words import Json, Keep
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.comparison import Comparison, compare
from drills.earlier import comparable_before
from drills.evidence import Evidence, verdict
from drills.page import lines, page
from drills.sealing import TamperedError, fingerprint
from drills.setup.say import note
from drills.shelf import HOME, PAGE, PRINT, Head, Shelf
from drills.signing import Whose


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """By what a report's evidence was checked, and what to keep elsewhere, as JSON."""

    public_key: str
    fingerprint: str
    key_source: str
    """A file, or `--public-key`."""
    hash: str
    """Of this piece."""
    head: Head
    """The newest piece of the chain."""
    pieces: int | None
    """How many were checked, with the chain, by --verify; None: only this one was."""


def report(  # noqa: PLR0913 - the options of one command
    run: Annotated[str, cyclopts.Parameter(help="Which run. Default: the last.")] = "",
    /,
    *,
    json: Json = False,
    verify: Annotated[
        bool, cyclopts.Parameter(help="Check signatures, chain and files of all runs.")
    ] = False,
    pdf: Annotated[
        Path | None, cyclopts.Parameter(help="Write the page to this file, by Chromium.")
    ] = None,
    public_key: PublicKey = "",
    last_hash: LastHash = "",
    keep: Keep = HOME,
) -> int:
    """Report on a drill: what was expected, what was found, what got worse.

    Worse is what no longer holds, and figures that are over 1.5 times the
    median of the last comparable runs (five at most: same drill, same plan,
    also in a lab or also live) and well beyond the worst of them, or that all
    of them measured and this one could not.

    The page with charts, for managers and auditors, is report.html in the
    run's folder, and report.pdf where it was run by itself. Evidence that was
    changed is not shown: exit code 1.

    A copy of the folder can be checked anywhere, by the public key alone:
    key.pub in it, or the one you have from elsewhere. That the newest pieces
    were taken away can be found only by who has kept the last hash, which is
    printed here and after each drill. Nothing is written to check.

    For example:
      ./everline drill report
      ./everline drill report --verify
      ./everline drill report --verify --keep copy --public-key key.pub
      ./everline drill report --last-hash HASH
      ./everline drill report --json
      ./everline drill report --pdf drill.pdf
    """
    kept_hash = hash_in(last_hash)
    if not Shelf(keep).runs():
        if kept_hash:
            raise CommandError(f"evidence does not stand: no piece is left in {keep}")
        if begun := Shelf(keep).pieces():
            raise CommandError(f"no drill has come to an end here; begun were: {', '.join(begun)}")
        raise CommandError(f"no drill has been run here ({keep}): ./everline drill run NAME")
    shelf, whose = shelf_to_check(keep, public_key)
    pieces = _verified(shelf, whose, kept_hash) if verify or kept_hash else None
    runs = shelf.runs()
    chosen = run or runs[-1]
    if chosen not in runs:
        raise CommandError(f"there is no run {chosen!r}; the last are: {', '.join(runs[-5:])}")
    try:
        if json:
            print_json(_as_json(shelf, whose, chosen, pieces), indent=2)
        else:
            tell(shelf, chosen)
            tell_key(whose)
        if pdf is not None:
            _print(shelf, chosen, pdf.absolute())
    except TamperedError as error:
        raise CommandError(f"the evidence of {chosen} does not stand: {error}") from error
    return Exit.OK


def _verified(shelf: Shelf, whose: Whose, last_hash: str) -> int:
    """Check all there is and say so; return how many pieces. CommandError: it does not stand."""
    try:
        count = shelf.verify(last_hash)
    except TamperedError as error:
        raise CommandError(
            f"evidence does not stand: {error}; checked by {whose.told()}"
        ) from error
    note(f"{count} pieces of evidence are as they were written")
    for each in shelf.unended():
        note(f"begun, and of its end there is nothing here, unless it runs now: {each.told()}")
    if last_hash:
        note("the piece with the hash that you have kept is among them, and all before it")
    return count


def _as_json(shelf: Shelf, whose: Whose, run: str, pieces: int | None) -> dict[str, object]:
    """Return a run's evidence, with what the report says beyond it."""
    evidence = shelf.read(run)
    checked = Checked(
        public_key=whose.public_key,
        fingerprint=fingerprint(whose.public_key),
        key_source=whose.source,
        hash=shelf.hash_of(run),
        head=shelf.head(),
        pieces=pieces,
    )
    compared = compared_with(shelf, evidence)
    said = {"verdict": verdict(evidence), "compared": compared, "checked": checked}
    return {**msgspec.to_builtins(evidence), **said}


def print_beside(shelf: Shelf, run: str) -> None:
    """Print a run's page to a PDF beside it; where that cannot be, say so and go on."""
    try:
        _print(shelf, run, (shelf.folder(run) / PRINT).absolute())
    except CommandError as error:
        note(f"no PDF: {error}")


def _print(shelf: Shelf, chosen: str, file: Path) -> None:
    """Print the page of evidence that stands, made anew, to a PDF."""
    evidence = shelf.read(chosen)
    before = comparable(shelf, evidence)
    with tempfile.TemporaryDirectory(prefix="everline-page-") as folder:
        source = Path(folder) / PAGE
        source.write_text(page(evidence, before))
        command = (
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-pdf-header-footer",
        )
        target = (f"--user-data-dir={folder}/profile", f"--print-to-pdf={file}", source.as_uri())
        try:
            subprocess.run((*command, *target), check=True, capture_output=True, timeout=60)
        except FileNotFoundError:
            raise CommandError("chromium is missing: ./everline setup", Exit.SETUP) from None
        except (subprocess.SubprocessError, OSError) as error:
            raise CommandError(f"chromium could not print the page: {error}") from error
    note(f"the page is in {file}")


def tell(shelf: Shelf, chosen: str) -> None:
    """Print what a run found."""
    evidence = shelf.read(chosen)
    say = console().print
    say(f"{evidence.experiment.title}: {evidence.run}", style="bold")
    say(f"{evidence.end}: {evidence.why}", highlight=False)
    if evidence.unjudged:
        say(verdict(evidence), highlight=False)
    for line in lines(evidence):
        say(line, style="red" if line.startswith("BROKEN") else "", highlight=False)
    for line in evidence.findings:
        say(f"finding: {line}", highlight=False)
    compared = compared_with(shelf, evidence)
    for each in compared.worse:
        say(f"worse than before: {each.told()}", style="red", highlight=False)
    say(compared.told(), style="dim", highlight=False)
    say(f"{shelf.folder(chosen) / PAGE}", style="dim", highlight=False, soft_wrap=True)
    tell_head(shelf)


def compared_with(shelf: Shelf, evidence: Evidence) -> Comparison:
    """Return what got worse since the last comparable runs on the shelf."""
    return compare(evidence, comparable(shelf, evidence))


def comparable(shelf: Shelf, evidence: Evidence) -> list[Evidence]:
    """Return the last comparable runs before one, the oldest first; say which do not stand."""
    return comparable_before(shelf, evidence, _doubt)


def last(shelf: Shelf, name: str) -> Evidence | None:
    """Return a drill's last run that can be believed."""
    found = (_believed(shelf, name, each) for each in reversed(shelf.runs(name)))
    return next(filter(None, found), None)


def _believed(shelf: Shelf, name: str, run: str) -> Evidence | None:
    """Return a run of a drill; None, and say so, where it does not stand."""
    try:
        evidence = shelf.read(run)
    except (TamperedError, OSError):
        _doubt(run)
        return None
    return evidence if evidence.experiment.name == name else None


def _doubt(run: str) -> None:
    sys.stderr.write(f"everline: the evidence of {run} does not stand\n")
