"""`./everline drill schedule`: the calendar of drills, and the process that keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import cyclopts
from msgspec import Struct

from drills.cli.asking import print_json
from drills.cli.drill_live import check_is_for_live
from drills.cli.drill_starting import Starting
from drills.cli.drill_words import Json, Keep, every, on_disk, one
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.desk.tables import table
from drills.experiment import Experiment
from drills.schedule.book import Book
from drills.schedule.calendar import ALL, Blackout, Calendar, Entry, Span, upcoming
from drills.schedule.errors import CalendarError
from drills.schedule.keeper import Keeper
from drills.schedule.outcomes import Outcome
from drills.setup.say import note
from drills.shelf import HOME
from state.clock import SystemClock

app = cyclopts.App(
    name="schedule",
    help="""Keep a calendar of drills: when each may begin, and when none may.

A drill begins only in its window, never in a blackout, only if every guard
allows it, and on sites that are up only with two people's approval. A
window that passes without it is told as missed; nothing is caught up.

For example:
  ./everline drill schedule add monthly site_killed --at "0 3 * * TUE#1"
  ./everline drill schedule blackout xmas --from 2026-12-24T00:00 --until 2026-12-27T00:00
  ./everline drill schedule next
  ./everline drill schedule run
""",
    help_format="plaintext",
    default_parameter=cyclopts.Parameter(negative=(), show_default=False),
)

Called = Annotated[str, cyclopts.Parameter(help="What you call it.")]
Zone = Annotated[str, cyclopts.Parameter(help="Whose clock, such as Europe/Berlin. Default UTC.")]
Listed = Annotated[str, cyclopts.Parameter(help="A drill of the list.")]
At = Annotated[
    str,
    cyclopts.Parameter(help="A cron rule: minute hour day month weekday, such as 0 3 * * TUE#1."),
]
WITHIN_MIN = 60


class NextWindow(Struct, frozen=True, kw_only=True):
    """One window to come, as JSON."""

    entry: str
    drill: str
    is_live: bool
    begins: dt.datetime
    ends: dt.datetime
    blackouts: tuple[str, ...]


@app.command(name="list")
def list_(*, json: Json = False, keep: Keep = HOME) -> None:
    """List what is in the calendar, and what became of it last.

    For example:
      ./everline drill schedule list
    """
    book = Book(keep.absolute())
    calendar, now = _read(book), _now()
    if json:
        print_json(calendar, indent=2)
        return
    last = {each.entry: each for each in book.outcomes()}
    rows = table("Drills", "name", "drill", "where", "when", "next window", "last time")
    for each in calendar.entries:
        where = "live" if each.is_live else "lab"
        when = f"{each.rule} ({each.zone}), {each.minutes} min"
        window = each.next_after(now)
        begins = "never" if window is None else _moment(window.begin)
        rows.add_row(each.name, each.drill, where, when, begins, _became(last, each.name))
    console().print(rows)
    shut = table("Blackouts", "name", "for", "when", "now")
    for black in calendar.blackouts:
        holds = any(black.spans(now, now + dt.timedelta(seconds=1)))
        shut.add_row(black.name, black.scope, _when(black), "holds" if holds else "")
    if calendar.blackouts:
        console().print(shut)


@app.command
def add(  # noqa: PLR0913 - the options of one command
    called: Called,
    name: Listed,
    /,
    *,
    at: At,
    zone: Zone = "UTC",
    within: Annotated[
        int, cyclopts.Parameter(help="It may begin so many minutes later. Default 60.")
    ] = WITHIN_MIN,
    live: Annotated[
        bool, cyclopts.Parameter(help="On the sites that are up; it takes an approval each time.")
    ] = False,
    keep: Keep = HOME,
) -> int:
    """Put a drill into the calendar.

    For example:
      ./everline drill schedule add weekly edge_killed --at "30 2 * * SAT"
      ./everline drill schedule add monthly site_killed --at "0 3 * * TUE#1" --live
    """
    entry = Entry(
        name=called,
        drill=_listed(name),
        rule=at,
        zone=zone,
        minutes=within,
        made_ms=SystemClock().now().wall_ms,
        is_live=live,
    )
    if live:
        check_is_for_live(one(name))
    _kindly(keep, entry)
    window = entry.next_after(_now())
    note(f"{called}: {entry.drill}, {_window(window)}")
    return Exit.OK


@app.command
def blackout(  # noqa: PLR0913 - the options of one command
    called: Called,
    /,
    *,
    from_: Annotated[
        str, cyclopts.Parameter(name="--from", help="On the clock of --zone: 2026-12-24T00:00.")
    ] = "",
    until: Annotated[str, cyclopts.Parameter(help="Likewise.")] = "",
    at: Annotated[str, cyclopts.Parameter(help="In place of both: a cron rule.")] = "",
    within: Annotated[int, cyclopts.Parameter(help="With --at: so many minutes long.")] = 0,
    zone: Zone = "UTC",
    scope: Annotated[
        str, cyclopts.Parameter(help="all, site:NAME or tenant:NAME. Default all.")
    ] = ALL,
    keep: Keep = HOME,
) -> int:
    """Say when no drill may be: for all, or on live systems for a site or a tenant.

    Drills on live systems keep to those of .everline/drills, wherever their
    evidence is kept: with --keep it is for those of that folder alone.

    For example:
      ./everline drill schedule blackout christmas --from 2026-12-24T00:00 --until 2026-12-27T00:00
      ./everline drill schedule blackout office --at "0 8 * * MON-FRI" --within 600
    """
    is_once = bool(from_ and until) and not (at or within)
    if is_once == bool(at and within and not (from_ or until)):
        raise CommandError("say --from and --until, or --at and --within", Exit.USAGE)
    black = Blackout(
        name=called, zone=zone, scope=scope, begins=from_, ends=until, rule=at, minutes=within
    )
    _kindly(keep, black)
    note(f"{called}: no drill {_when(black)}")
    return Exit.OK


@app.command
def remove(called: Called, /, *, keep: Keep = HOME) -> int:
    """Take a drill or a blackout out of the calendar.

    For example:
      ./everline drill schedule remove christmas
    """
    try:
        with on_disk(keep):
            Book(keep.absolute()).remove(called)
    except CalendarError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    note(f"{called} is no longer in the calendar")
    return Exit.OK


@app.command(name="next")
def next_(
    *,
    count: Annotated[
        int,
        cyclopts.Parameter(
            help="How many. Default 10.", validator=cyclopts.validators.Number(gte=1, lte=1000)
        ),
    ] = 10,
    json: Json = False,
    keep: Keep = HOME,
) -> None:
    """Show the windows to come, with the blackouts that they fall into.

    These are those that a drill would meet which begins anywhere in the
    window, until it is over. On sites that are up: those of the sites that it
    may touch, and also those of .everline/drills, whatever --keep says.

    For example:
      ./everline drill schedule next
    """
    home = keep.absolute()
    calendar, of_sites = _read(Book(home)), _read(Book(HOME))
    found, known = list[NextWindow](), every()
    for span, each in upcoming(calendar.entries, _now(), count):
        theirs = of_sites if each.is_live and home != HOME else Calendar()
        black = [_in_window(of, known.get(each.drill), each, span) for of in (calendar, theirs)]
        found.append(_next(each, span, tuple(dict.fromkeys(itertools.chain(*black)))))
    if json:
        print_json(found, indent=2)
        return
    rows = table("Windows to come", "begins", "until", "name", "drill", "where", "blackout")
    for window in found:
        rows.add_row(
            _moment(window.begins),
            f"{window.ends:%H:%M}",
            window.entry,
            window.drill,
            "live" if window.is_live else "lab",
            "; ".join(window.blackouts),
            style="dim" if window.blackouts else "",
        )
    console().print(rows)


@app.command
def run(*, keep: Keep = HOME) -> int:
    """Keep the calendar until Ctrl-C: begin what is due, tell what is missed.

    On sites that are up it goes by the approvals of whoever has signed in
    (./everline ctl sign-in). One of these can run at a time.

    For example:
      ./everline drill schedule run
    """
    home = keep.absolute()
    book = Book(home)
    with on_disk(home), book.keeping() as is_alone:
        if not is_alone:
            raise CommandError(f"somebody keeps the calendar of {home} already")
        _read(book)
        note("keeping the calendar: Ctrl-C ends that")
        keeper = Keeper(book, Starting(home), SystemClock(), lambda text: note(f"drills: {text}"))
        asyncio.run(_until_told(keeper))
    note("nobody keeps the calendar any more")
    return Exit.OK


async def _until_told(keeper: Keeper) -> None:
    """Keep the calendar until Ctrl-C or SIGTERM; a drill that runs is mended first."""
    keeping = asyncio.create_task(keeper.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, keeping.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await keeping


def _listed(name: str) -> str:
    """Return the name of a reviewed drill: in its window nobody would find a file any more."""
    drill = one(name).name
    if drill not in every():
        raise CommandError(
            f"{name} is none of the reviewed drills, and only these can be in the calendar:"
            " put it into drills/experiments",
            Exit.USAGE,
        )
    return drill


def _in_window(
    calendar: Calendar, experiment: Experiment | None, entry: Entry, span: Span
) -> tuple[str, ...]:
    """Return into which blackouts the drill of an entry could fall, which may be gone."""
    if experiment is None:
        return calendar.blackouts_of(None, span.begin, span.end, is_live=entry.is_live)
    return calendar.around(experiment, span, is_live=entry.is_live)


def _next(entry: Entry, span: Span, black: tuple[str, ...]) -> NextWindow:
    return NextWindow(
        entry=entry.name,
        drill=entry.drill,
        is_live=entry.is_live,
        begins=span.begin,
        ends=span.end,
        blackouts=black,
    )


def _kindly(keep: Path, thing: Entry | Blackout) -> None:
    try:
        with on_disk(keep):
            Book(keep.absolute()).add(thing)
    except CalendarError as error:
        raise CommandError(str(error), Exit.USAGE) from error


def _read(book: Book) -> Calendar:
    try:
        return book.read()
    except CalendarError as error:
        raise CommandError(str(error)) from error


def _now() -> dt.datetime:
    return dt.datetime.fromtimestamp(SystemClock().now().wall_ms / 1000, dt.UTC)


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%a %d %b %Y %H:%M} {moment.tzname()}"


def _window(window: Span | None) -> str:
    if window is None:
        return "never within five years: look at the rule"
    return f"next from {_moment(window.begin)} to {window.end:%H:%M}"


def _when(black: Blackout) -> str:
    if black.rule:
        return f"{black.rule} ({black.zone}), {black.minutes} min"
    return f"{black.begins} to {black.ends} ({black.zone})"


def _became(last: Mapping[str, Outcome], name: str) -> str:
    if name not in last:
        return "never"
    found = last[name]
    at = dt.datetime.fromtimestamp(found.at_ms / 1000, dt.UTC)
    return f"{found.became}, {at:%d %b %H:%M} UTC ({found.why})"
