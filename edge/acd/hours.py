"""Whether a number is open at a moment: its calendar's hours, in its calendar's time zone.

The laws:

- A date of its own in the calendar (a holiday) takes the place of its weekday's hours.
- A span begins with its first minute and is over when its last one is.
- Hours are those that a clock on the wall shows: on the night when it is put back, an hour that
  comes twice is open twice; when it is put forward, one that never comes is never open.
- A calendar that this machine cannot make sense of (a zone it has no data of, a week of other than
  seven days) is open: nobody is turned away for our ignorance.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from state.model import Calendar, Did, Now
from state.snapshot import Snapshot


def is_closed(snapshot: Snapshot, did: Did, now: Now) -> bool:
    """Tell whether the number's calendar says closed; no calendar, or none that is there: open."""
    entry = None if did.calendar is None else snapshot.calendars.get(did.calendar)
    return entry is not None and not is_open(entry.value, now)


def is_open(calendar: Calendar, now: Now) -> bool:
    """Tell whether `now` is within the calendar's hours."""
    try:
        zone = ZoneInfo(calendar.zone)
    except (LookupError, OSError, ValueError):
        return True
    if len(calendar.week) != _DAYS:
        return True
    # From 1970 on in whole milliseconds: a float would lose some.
    local = (_EPOCH + timedelta(milliseconds=now.wall_ms)).astimezone(zone)
    special = {each.date: each.openings for each in calendar.special}
    openings = special.get(local.date().isoformat(), calendar.week[local.weekday()])
    minute = local.hour * 60 + local.minute
    return any(each.begin <= minute < each.end for each in openings)


_DAYS = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
