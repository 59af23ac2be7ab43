"""The file in which `drill all` keeps what its runs came to, and from which it goes on.

It belongs to the folder with the evidence of these runs, and to no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from drills.cli.drill_report import compared_with
from drills.cli.errors import CommandError, Exit
from drills.evidence import Evidence
from drills.experiment import Experiment
from drills.figures_file import write_figures
from drills.lever import Lever
from drills.sealing import TamperedError, fingerprint
from drills.setup.say import note
from drills.shelf import Head, Shelf
from drills.tally import Done, Tally, Total, done, interrupted, read_back, tally
from state.codec import UNREADABLE


def counted(shelf: Shelf, evidence: Evidence) -> Done:
    """Return a run as the file has it, with what of it is worse than comparable ones before."""
    return done(evidence, [each.told() for each in compared_with(shelf, evidence).worse])


def taken_up(file: Path | None, shelf: Shelf, wanted: Sequence[Experiment], code: str) -> Tally:
    """Return what there is to go on from.

    With what has come to the shelf since the file was written, whose command was killed meanwhile;
    without what was never begun, which is tried again, as is what was stopped half-way or
    interrupted, and stays; and, if `code` is said, without what was done with any other.
    """
    last, key = shelf.head().run, fingerprint(shelf.public_key())
    if file is None or not file.exists():
        found = tally((), 0, 0, total=Total(since=last, key=key))
        write(file, found)
        return found
    try:
        before = msgspec.json.decode(file.read_bytes(), type=Tally)
    except (OSError, *UNREADABLE) as error:
        raise CommandError(f"{file} cannot be gone on from: {error}", Exit.USAGE) from error
    if wrong := _of_another_because(before, shelf, key):
        raise CommandError(f"{file} is {wrong}: say its --keep, or another file", Exit.USAGE)
    kept = [each for each in read_back(before.runs) if _counts(each, code) or each.stays]
    have = {each.due for each in kept if each.counts}
    if again := len({each.due for each in before.runs} - have):
        note(f"drill all: {again} runs of {file} are done again")
    plans = {each.plan_hash for each in wanted}
    for each in _missed(before, shelf):
        is_new = _counts(each, code) and each.due not in have
        if each.plan_hash in plans and each.seed and (is_new or each.stays):
            have |= {each.due} if each.counts else set()
            kept.append(each)
    # What runs just now may still come to an end.
    if not Lever(shelf.home).is_running():
        kept += unended(shelf, before.total.since, wanted, kept)
    total = msgspec.structs.replace(before.total, key=key)
    return msgspec.structs.replace(before, runs=tuple(kept), total=total)


def _of_another_because(before: Tally, shelf: Shelf, key: str) -> str:
    """Return why a file is of another folder than this; empty: it is of this, by all it says."""
    if before.total.key:
        if before.total.key == key:
            return ""
        return f"of a folder whose key is {before.total.key}, and that of {shelf.home} is {key}"
    # One of an earlier version has noted no key: its runs show whose it is.
    if before.runs and not {each.run for each in before.runs}.intersection(shelf.runs()):
        return f"of another folder: {shelf.home} has none of its {len(before.runs)} runs"
    return ""


def unended(
    shelf: Shelf, since: str, wanted: Sequence[Experiment], known: Sequence[Done]
) -> list[Done]:
    """Return what was begun on the shelf after a piece, of what is wanted, and has no end there."""
    plans, have = {each.plan_hash for each in wanted}, {each.run for each in known}
    found = (each for each in shelf.unended(since) if each.plan_hash in plans and each.seed)
    return [interrupted(each) for each in found if each.run not in have]


def _counts(run: Done, code: str) -> bool:
    return run.counts and code in {"", run.code}


def _missed(before: Tally, shelf: Shelf) -> Iterator[Done]:
    """Yield the runs on the shelf that are not in the file since nobody lived to write it.

    Of labs side by side one that stands may have brought some before the newest in the file: what
    the others brought is written down when they are down.
    """
    known = {each.run for each in before.runs}
    for run in shelf.runs():
        if run > before.total.since and run not in known:
            try:
                yield counted(shelf, shelf.read(run))
            except (TamperedError, OSError) as error:
                note(f"drill all: the evidence of {run} does not count: {error}")


def with_head(answer: Tally, head: Head) -> Tally:
    """Return the sums with what shows later that no piece was taken away: kept elsewhere."""
    evidence = msgspec.structs.replace(answer.evidence, head_run=head.run, head_hash=head.hash)
    return msgspec.structs.replace(answer, evidence=evidence)


def write(file: Path | None, answer: Tally) -> None:
    """Write the sums, if there is a file for them. CommandError: it cannot be written."""
    if file is not None:
        try:
            write_figures(file, answer)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}", Exit.USAGE) from error
