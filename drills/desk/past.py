"""Reads the edges' event logs for how things stood when a past call got its agent, or ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from drills.desk.errors import RefusedError
from drills.lab.lab import Lab
from drills.replay.day import recorded
from edge.acd.past import PastAccount, account_of_decision, account_of_end
from state.eventlog import files
from state.eventlog.past import Moment, moment
from state.model import CallId, CallRecord
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
    revision = ended_at - 1 if record.decision is None else record.decision.revision
    for directory in directories:
        then = _moment(directory, revision, record.call)
        if then is None:
            continue
        if record.decision is None:
            account = account_of_end(then, record.call)
        else:
            account = account_of_decision(then, record.call, record.decision)
        if account is not None:
            return Found(account=account, then=then.snapshot)
    return None


def _moment(directory: Path, revision: int, call: CallId) -> Moment | None:
    found = None
    for path in files.holding(directory, revision):
        try:
            found = moment(files.read_segment(path), revision, call)
        except OSError:
            continue
        if found is not None:
            break
    return found


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
