"""`./everline calls`, `report` and `explain`."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Annotated

import cyclopts

from drills.cli.asking import Json, LabOption, ask_and_print, asking
from drills.cli.errors import CommandError, Exit
from drills.desk import call_tables, reports
from drills.desk.asks import CallsAsk, ExplainAsk, ExportAsk, ReportAsk
from drills.desk.call_answers import Calls, Explained, Report
from drills.desk.intervals import zone_called
from drills.setup.say import note
from state.clock import SystemClock

MOST = 10_000

Export = Annotated[Path | None, cyclopts.Parameter(help="Write the recorded day to this file.")]
Interval = Annotated[
    float,
    cyclopts.Parameter(
        help="Seconds. Default 1800.", validator=cyclopts.validators.Number(gte=1, lte=86400)
    ),
]
Target = Annotated[
    float,
    cyclopts.Parameter(
        help="Seconds for the service level. Default 20.",
        validator=cyclopts.validators.Number(gt=0, lte=3600),
    ),
]
Short = Annotated[
    float | None,
    cyclopts.Parameter(
        help="Who left within so many seconds is a short abandon. Default: the target.",
        validator=cyclopts.validators.Number(gte=0, lte=3600),
    ),
]
Agents = Annotated[bool, cyclopts.Parameter(help="What each agent did, in place of the queues.")]
Since = Annotated[
    str, cyclopts.Parameter(help="Who came from then on: 14:30 of today, or 2026-11-28T14:30.")
]
Until = Annotated[str, cyclopts.Parameter(help="Who came before then: likewise.")]
Zone = Annotated[
    str,
    cyclopts.Parameter(
        help="The place whose clock counts: Europe/Berlin. Default: that of the numbers' calendars."
    ),
]
Last = Annotated[
    int,
    cyclopts.Parameter(
        help="How many. Default 20.", validator=cyclopts.validators.Number(gte=1, lte=MOST)
    ),
]
Call = Annotated[
    str, cyclopts.Parameter(help="How the call's id begins. Default: the newest decided call.")
]


def calls(
    *, last: Last = 20, export: Export = None, json: Json = False, lab: LabOption = None
) -> int:
    """List the calls: those that run, then those that are over.

    The newest first, each with its id, of which the beginning will do
    for ./everline explain. Of those that wait, also their position and how
    long they probably still will (--json).

    With --export, write what ./everline replay needs to a file: the calls
    that are over, and who was at work; without callers' numbers.

    For example:
      ./everline calls
      ./everline calls --export day.jsonl
      ./everline calls --last 5
      ./everline calls --json
    """
    if export is not None:
        return _export(export, lab)
    ask_and_print(CallsAsk(last=last), Calls, call_tables.calls, lab=lab, json=json)
    return Exit.OK


def _export(path: Path, lab: int | None) -> int:
    with asking(lab) as line:
        told = list(line.follow(ExportAsk()))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(text + b"\n" for text in told)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", Exit.USAGE) from error
    note(f"wrote {len(told)} lines to {path}; run it again by ./everline replay {path}")
    return Exit.OK


def report(  # noqa: PLR0913 - the options of one command
    *,
    interval: Interval = 1800.0,
    target: Target = 20.0,
    short: Short = None,
    agents: Agents = False,
    since: Since = "",
    until: Until = "",
    zone: Zone = "",
    json: Json = False,
    lab: LabOption = None,
) -> int:
    """Report how callers were served, by queue and half hour.

    From the stamps in the calls' records alone, so that it is the same
    whichever machine has died meanwhile. --json has every form of service
    level by its name, and how wrong estimated waits were.

    AHT is talk and wrap-up of a call, as long as they really were; busy is
    the occupancy: that, of that and the time for which agents had been free
    before. With --agents, of each agent over the whole while.

    Intervals count from midnight in --zone; without it, in the zone that
    the calendars of the numbers name, and where they name none, or several,
    in this machine's. The table says which. On the days on which clocks are
    put forward or back, an interval over that is shorter or longer.

    With --since or --until, of those alone who called from then on, and
    before then, on this machine's clock or that of --zone. Records are here
    for a day after a call is over; those of before are with the control
    planes (./everline ctl calls list).

    For example:
      ./everline report
      ./everline report --interval 900 --target 30
      ./everline report --target 20 --short 5
      ./everline report --agents
      ./everline report --since 08:00 --until 12:00
      ./everline report --interval 86400 --zone Europe/Berlin
      ./everline report --json
    """
    there = zone_called(zone) if zone else None
    if zone and there is None:
        raise CommandError(f"--zone {zone}: no time zone such as Europe/Berlin", Exit.USAGE)
    now_s = SystemClock().now().wall_ms / 1000
    today = dt.datetime.fromtimestamp(now_s, dt.UTC).astimezone(there).date()
    ask = ReportAsk(
        interval_s=interval,
        target_s=target,
        short_s=short,
        since_ms=moment_ms("--since", since, today, there),
        until_ms=moment_ms("--until", until, today, there),
        zone=zone,
        here=_zone_here(),
    )
    if ask.since_ms is not None and ask.until_ms is not None and ask.since_ms >= ask.until_ms:
        raise CommandError("--since has to be before --until", Exit.USAGE)
    show = reports.of_agents if agents else reports.shown
    ask_and_print(ask, Report, show, lab=lab, json=json)
    return Exit.OK


def _zone_here() -> str:
    """Return the IANA name of this machine's time zone; `UTC` where it says none."""
    local = Path("/etc/localtime").resolve().as_posix().partition("/zoneinfo/")[2]
    named = os.environ.get("TZ", "").removeprefix(":") or local
    return named if named and zone_called(named) else "UTC"


def moment_ms(option: str, typed: str, today: dt.date, zone: dt.tzinfo | None = None) -> int | None:
    """Return the moment that was typed, in ms since 1970; None: nothing was. Raise `CommandError`.

    On the clock of `zone` (None: this machine's), unless it says its offset; a time alone is of
    `today`.
    """
    if not typed:
        return None
    try:
        # West of Greenwich a time has a hyphen, too: 08:00-05:00.
        if "-" in typed.partition(":")[0]:
            at = dt.datetime.fromisoformat(typed)
        else:
            at = dt.datetime.combine(today, dt.time.fromisoformat(typed))
    except ValueError:
        text = f"{option} {typed}: no moment such as 14:30, 2026-11-28 or 2026-11-28T14:30"
        raise CommandError(text, Exit.USAGE) from None
    if at.tzinfo is None and zone is not None:
        at = at.replace(tzinfo=zone)
    return round(at.timestamp() * 1000)


def explain(call: Call = "", /, *, json: Json = False, lab: LabOption = None) -> int:
    """Say why a call got its agent, or gets none.

    Of a call that is over, the decision is made once more on the shared
    state as it stood then, which the edges keep in their event logs: every
    agent, with the score that outdid theirs or what kept them out. Where no
    log goes back so far, it says what the call's record keeps. For a call
    that runs, it is everybody's account as things are now.

    For example:
      ./everline explain
      ./everline explain 3f2a91
      ./everline explain 3f2a91 --json
    """
    ask_and_print(ExplainAsk(call=call), Explained, call_tables.explained, lab=lab, json=json)
    return Exit.OK
