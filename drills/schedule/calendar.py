"""PURE. A calendar of drills: windows in which each may begin, and blackouts in which none may.

A window begins when a cron rule says so on the clock of a place, summer time included, and lasts
for so many minutes. A blackout is made the same way, or has a beginning and an end. It holds for
all drills, or for those on live systems that touch a site; a tenant's holds for all on live
systems, since any site may serve that tenant's callers.

On the night in which clocks go back a window is so long as it says, by any watch; a blackout ends
by the clock on the wall, where that is later, the second time that it shows it: somebody who says
so means what the wall shows.

Which rules there are: Debian's cron (`cronsim`): in the hour that summer time leaves out, a fixed
time comes right after it; in the hour that comes twice, it comes once.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from cronsim import CronSim, CronSimError
from msgspec import Struct

from drills.blast import named_sites
from drills.experiment import Experiment
from drills.schedule.errors import CalendarError

MOST_MINUTES: Final = 24 * 60
AROUND_S: Final = 60.0
"""What a drill takes beyond its faults and the time to come back."""
MOST_WINDOWS: Final = 400
"""Of one entry in one look: more mean that nobody has looked for long, and are not told one by
one."""
MOST_SET_BACK: Final = dt.timedelta(days=1)
"""By how much clocks go back at most: by an hour nearly everywhere, by less than a day anywhere."""
ALL: Final = "all"
SITE: Final = "site:"
TENANT: Final = "tenant:"


class Span(Struct, frozen=True, kw_only=True):
    """From when until when, the end not included."""

    begin: dt.datetime
    end: dt.datetime

    def touches(self, begin: dt.datetime, end: dt.datetime) -> bool:
        """Tell whether the two have a moment in common."""
        return self.begin < end and begin < self.end


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A drill that is to be done again and again."""

    name: str
    drill: str
    rule: str
    """Cron: minute, hour, day of the month, month, day of the week."""
    zone: str
    minutes: int
    """So long after the rule's moment it may still begin."""
    made_ms: int
    """No window before it counts."""
    is_live: bool = False
    """On the sites that are up, with approval; else in a lab of its own."""

    def windows(self, begin: dt.datetime, end: dt.datetime) -> Iterator[Span]:
        """Yield those that touch a span, the newest `MOST_WINDOWS` at most."""
        spans = _spans(self.rule, self.zone, self.minutes, begin, end)
        return iter(deque(spans, maxlen=MOST_WINDOWS))

    @property
    def made(self) -> dt.datetime:
        """Return when it was made."""
        return dt.datetime.fromtimestamp(self.made_ms / 1000, dt.UTC)

    def next_after(self, moment: dt.datetime) -> Span | None:
        """Return the window that is open, or else the next one; None: it never comes."""
        horizon = moment + dt.timedelta(days=5 * 366)
        return next(_spans(self.rule, self.zone, self.minutes, moment, horizon), None)


class Blackout(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When no drill may be."""

    name: str
    zone: str
    scope: str = ALL
    """`all`, `site:b`, `tenant:acme`."""
    begins: str = ""
    """On the zone's clock: 2026-12-24T00:00."""
    ends: str = ""
    rule: str = ""
    """In the place of these two: cron, with `minutes`."""
    minutes: int = 0

    def holds_for(self, sites: frozenset[str] | None, *, is_live: bool) -> bool:
        """Tell whether it is about a drill that touches these sites; None: whichever."""
        if self.scope == ALL:
            return True
        if not is_live:
            return False
        is_there = sites is None or self.scope.removeprefix(SITE) in sites
        return self.scope.startswith(TENANT) or is_there

    def spans(self, begin: dt.datetime, end: dt.datetime) -> Iterator[Span]:
        """Yield when it holds, as far as that touches a span."""
        if self.rule:
            yield from _shut(self.rule, self.zone, self.minutes, begin, end)
            return
        zone = _zone(self.zone)
        # Of two moments that the words can mean when clocks are set, the first, and the last.
        first, last = _meant(self.begins, zone)[0], _meant(self.ends, zone)[1]
        whole = Span(begin=first, end=last)
        if whole.touches(begin, end):
            yield whole


class Calendar(Struct, frozen=True, kw_only=True):
    """All of it."""

    v: int = 1
    entries: tuple[Entry, ...] = ()
    blackouts: tuple[Blackout, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return what its entries and blackouts are called; no two are called the same."""
        entries = tuple(each.name for each in self.entries)
        return entries + tuple(each.name for each in self.blackouts)

    def forbidding(
        self, experiment: Experiment, now: dt.datetime, *, is_live: bool
    ) -> tuple[str, ...]:
        """Return into which blackouts a drill would fall that began now, with when they end."""
        ends = now + _lasts(experiment)
        return self.blackouts_of(named_sites(experiment.method), now, ends, is_live=is_live)

    def around(self, experiment: Experiment, window: Span, *, is_live: bool) -> tuple[str, ...]:
        """Return into which blackouts a drill could fall that begins somewhere in a window."""
        ends = window.end.astimezone(dt.UTC) + _lasts(experiment)
        sites = named_sites(experiment.method)
        return self.blackouts_of(sites, window.begin, ends, is_live=is_live)

    def blackouts_of(
        self, sites: frozenset[str] | None, begin: dt.datetime, end: dt.datetime, *, is_live: bool
    ) -> tuple[str, ...]:
        """Return the names of those into which a drill would fall, with when they end."""
        ends = {
            each.name: max((span.end for span in each.spans(begin, end)), key=_utc, default=None)
            for each in self.blackouts
            if each.holds_for(sites, is_live=is_live)
        }
        return tuple(
            f"{name} (until {until.isoformat(timespec='minutes')})"
            for name, until in ends.items()
            if until is not None
        )


def _lasts(experiment: Experiment) -> dt.timedelta:
    """Return how long a drill takes at most, as far as it says."""
    return dt.timedelta(seconds=experiment.lasts_s + experiment.recover_within_s + AROUND_S)


def wrong_because(thing: Entry | Blackout) -> str | None:
    """Return what is wrong with an entry or a blackout, or None."""
    if not thing.name.strip():
        return "it needs a name"
    try:
        zone = _zone(thing.zone)
        if thing.rule or isinstance(thing, Entry):
            _cron(thing.rule, dt.datetime(2026, 1, 1, tzinfo=zone))
        elif isinstance(thing, Blackout) and _local(thing.begins, zone) >= _local(thing.ends, zone):
            return "its end should be after its beginning"
    except CalendarError as error:
        return str(error)
    if (thing.rule or isinstance(thing, Entry)) and not 0 < thing.minutes <= MOST_MINUTES:
        return f"it should last 1 to {MOST_MINUTES} minutes, not {thing.minutes}"
    if isinstance(thing, Blackout) and thing.scope != ALL:
        kind, colon, whose = thing.scope.partition(":")
        if kind not in {"site", "tenant"} or not colon or not whose:
            return f"scope should be all, site:NAME or tenant:NAME, not {thing.scope!r}"
    return None


def outcome_key(entry: str, window: Span) -> str:
    """Return the name of one window of one entry, under which its outcome is kept."""
    begin = window.begin.astimezone(dt.UTC).isoformat(timespec="minutes")
    return f"{entry}@{begin}"


def upcoming(entries: Iterable[Entry], now: dt.datetime, count: int) -> list[tuple[Span, Entry]]:
    """Return the windows that are open or come next, of all entries, the soonest first."""
    horizon = now + dt.timedelta(days=5 * 366)
    found = [
        (window, entry)
        for entry in entries
        for window in islice(_spans(entry.rule, entry.zone, entry.minutes, now, horizon), count)
    ]
    return sorted(found, key=lambda pair: (_utc(pair[0].begin), pair[1].name))[:count]


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)


def _spans(
    rule: str, zone: str, minutes: int, begin: dt.datetime, end: dt.datetime
) -> Iterator[Span]:
    length = dt.timedelta(minutes=minutes)
    # Reckoned in UTC: an hour is an hour on the night in which clocks are set. Two moments of one
    # zone Python compares by what its clocks show, which then comes twice.
    begin, end = begin.astimezone(dt.UTC), end.astimezone(dt.UTC)
    start = (begin - length).astimezone(_zone(zone))
    for moment in _cron(rule, start):
        span = Span(begin=moment, end=(moment.astimezone(dt.UTC) + length).astimezone(_zone(zone)))
        if span.begin >= end:
            return
        if span.touches(begin, end):
            yield span


def _shut(
    rule: str, zone: str, minutes: int, begin: dt.datetime, end: dt.datetime
) -> Iterator[Span]:
    """Yield when a blackout by a rule holds: no shorter than its minutes, and until the clock ends.

    Of two moments that the clock's end can mean, the last. Where the rule's moment comes twice it
    begins at the first (`_cron`), so what is between the two is in it.
    """
    length, place = dt.timedelta(minutes=minutes), _zone(zone)
    # What began so much sooner may hold longer than its minutes.
    for span in _spans(rule, zone, minutes, begin - MOST_SET_BACK, end):
        by_clock = (span.begin.replace(tzinfo=None) + length).isoformat()
        until = max(_utc(span.end), _meant(by_clock, place)[1]).astimezone(place)
        whole = Span(begin=span.begin, end=until)
        if whole.touches(begin.astimezone(dt.UTC), end.astimezone(dt.UTC)):
            yield whole


def _cron(rule: str, start: dt.datetime) -> Iterator[dt.datetime]:
    try:
        return CronSim(rule, start)
    except CronSimError as error:
        raise CalendarError(
            f"{rule!r} is no cron rule ({error}): minute hour day month weekday, such as"
            " '0 3 * * TUE#1' for three o'clock on the first Tuesday of the month"
        ) from error


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CalendarError(f"there is no time zone {name!r}: say such as Europe/Berlin") from error


def _meant(text: str, zone: zoneinfo.ZoneInfo) -> list[dt.datetime]:
    """Return the two moments that a clock's words can mean, in order; mostly they are one."""
    moment = _local(text, zone)
    both = (moment, moment.replace(fold=1))
    return sorted(each.astimezone(dt.UTC) for each in both)


def _local(text: str, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CalendarError(f"{text!r} is no moment: say such as 2026-12-24T00:00") from error
    if moment.tzinfo is not None:
        raise CalendarError(f"{text}: leave the offset out; it is read on the zone's clock")
    return moment.replace(tzinfo=zone)
