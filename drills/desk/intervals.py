"""In which interval of a place's day a moment is. PURE.

The laws:

- An interval is a stretch in which the clock on that place's wall stays between two multiples of
  the length, counted from its midnight; the last one of a day may be shorter.
- Where the clock is put forward or back, intervals are as much shorter or longer; one that the
  clock goes through twice as a whole is there twice, and one that it leaps over never.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from state.snapshot import Snapshot

UTC_NAME: Final = "UTC"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def zone_called(name: str) -> tzinfo | None:
    """Return the time zone of that IANA name; None: this machine knows none of it."""
    if name == UTC_NAME:
        return UTC  # also on a machine that has no data of zones
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return None


def zone_of(snapshot: Snapshot) -> str:
    """Return the zone that all calendars of numbers name; empty: they name none, or several."""
    named = {did.value.calendar for did in snapshot.dids.values()} - {None}
    entries = (snapshot.calendars.get(each) for each in named if each is not None)
    zones = {entry.value.zone for entry in entries if entry is not None}
    found = [each for each in zones if zone_called(each) is not None]
    return found[0] if len(found) == 1 else ""


def begins(at_ms: int, length_ms: int, zone: tzinfo) -> int:
    """Return when the interval began that `at_ms` is in; both in ms since 1970."""
    name = _name(at_ms, length_ms, zone)
    while True:
        first = at_ms - _since_midnight_ms(_there(at_ms, zone)) % length_ms
        if _offset(first, zone) != _offset(at_ms, zone):
            first = _changed(first, at_ms, zone)
        if _name(first - 1, length_ms, zone) != name or _is_whole(first, length_ms, zone):
            return first
        at_ms = first - 1  # the clock was put back within the interval


def _is_whole(first: int, length_ms: int, zone: tzinfo) -> bool:
    """Return whether the clock was put back from an interval's very end to its very beginning."""
    ended, begun = (_since_midnight_ms(_there(at, zone)) for at in (first - 1, first))
    return begun % length_ms == 0 and (ended + 1) % length_ms == 0


def _changed(before_ms: int, after_ms: int, zone: tzinfo) -> int:
    """Return since when the clock has been as it is at `after_ms`, and was not at `before_ms`."""
    offset = _offset(after_ms, zone)
    while after_ms - before_ms > 1:
        middle = (before_ms + after_ms) // 2
        if _offset(middle, zone) == offset:
            after_ms = middle
        else:
            before_ms = middle
    return after_ms


def _name(at_ms: int, length_ms: int, zone: tzinfo) -> tuple[date, int]:
    there = _there(at_ms, zone)
    return there.date(), _since_midnight_ms(there) // length_ms


def _since_midnight_ms(there: datetime) -> int:
    """Return what the clock shows, in ms after midnight."""
    minutes = there.hour * 60 + there.minute
    return (minutes * 60 + there.second) * 1000 + there.microsecond // 1000


def _offset(at_ms: int, zone: tzinfo) -> timedelta | None:
    return _there(at_ms, zone).utcoffset()


def _there(at_ms: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
