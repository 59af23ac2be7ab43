"""Reads the edges' event logs for how things stood when a past call got its agent, or ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from drills.desk.errors import RefusedError
from drills.lab.lab import Lab
from drills.replay.day import recorded
from edge.acd.past import PastAccount, account_of, revision_asked
from state.eventlog import files
from state.model import CallRecord
from state.snapshot import Snapshot


class Found(Struct, frozen=True, kw_only=True):
    """Everybody's account at a past moment, and what stood then."""

    account: PastAccount
    then: Snapshot


def log_directories(lab: Lab, record: CallRecord) -> tuple[Path, ...]:
    """Return where the edges of a lab keep their logs, that of the call's own edge first."""
    own = lab.paths.of(record.site) / f"events-{record.edge}"
    others = (
        lab.paths.of(site) / f"events-{edge}"
        for site in lab.plan.sites
        for edge in lab.plan.edges(site)
    )
    return tuple(dict.fromkeys((own, *others)))


def find(directories: Iterable[Path], record: CallRecord, ended_at: int) -> Found | None:
    """Return the account of a call that is over from the first log that goes back so far.

    `ended_at` is the revision of its record. Blocks; a log that cannot be read is passed over.
    """
    revision = revision_asked(record, ended_at)
    for directory in directories:
        then = files.moment_in(directory, revision, record.call)
        account = None if then is None else account_of(then, record)
        if then is not None and account is not None:
            return Found(account=account, then=then.snapshot)
    return None


def day_lines(lab: Lab, records: Iterable[CallRecord]) -> list[bytes]:
    """Return the recorded day by the log that goes back furthest; RefusedError without one."""
    logs = [
        files.segments(lab.paths.of(site) / f"events-{edge}")
        for site in lab.plan.sites
        for edge in lab.plan.edges(site)
    ]
    begun = [log for log in logs if log]
    if not begun:
        raise RefusedError("no edge keeps an event log that could be read: see ./everline status")
    longest = min(begun, key=lambda log: files.first_revision(log[0]))
    lines = (line for path in longest for line in files.read_segment(path))
    return list(recorded(lines, records))
