"""PURE. Traffic that is to move: short words for it, and what it would come to as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drills.ctl.commands import Command
from drills.ctl.line import Line, LineError

FORCE, TRIAL = "force", "dry-run"
MOST_DIDS: Final = 5
"""So many are named of those whose calls go outside."""
SHORT: Final = """\
  ./everline ctl drain SITE             its calls go to other sites; --no-draining ends that
  ./everline ctl share SITE a=70 b=30   percent of its calls by site; none: all its own
  ./everline ctl plan ID --why W        activate a contingency plan
"""


def expanded(words: Sequence[str]) -> list[str]:
    """Return a command line with the short words for moving traffic written out."""
    first, rest = (words[0], list(words[1:])) if words else ("", [])
    match first:
        case "drain":
            is_said = any(each.endswith("-draining") for each in rest)
            return ["sites", "drain", *rest, *([] if is_said else ["--draining"])]
        case "share":
            return ["sites", "traffic", *_shared(rest)]
        case "plan":
            return ["plans", "activate", *rest]
        case _:
            return list(words)


def _shared(words: Sequence[str]) -> Iterator[str]:
    shares: dict[str, int] = {}
    for word in words:
        site, equals, percent = word.partition("=")
        if word.startswith("-") or not equals:
            yield word
        elif percent.isdecimal():
            shares[site] = int(percent)
        else:
            raise LineError(f"{word!r}: a share is SITE=PERCENT, such as a=70")
    yield from ("--from", json.dumps({"shares": shares}))


def is_move(command: Command) -> bool:
    """Tell whether a command moves traffic: what does not fit can be forced."""
    return {FORCE, TRIAL} <= {option.name for option in command.options}


def is_to_be_asked(typed: Line) -> bool:
    """Tell whether somebody wants to see first what it comes to."""
    is_known = TRIAL in typed.words or FORCE in typed.words
    return is_move(typed.command) and not (is_known or typed.has("yes") or typed.has("json"))


def tried(path: str) -> str:
    """Return where to ask what it would come to."""
    return f"{path}{'&' if '?' in path else '?'}dry_run=true"


# ---- as tables -----------------------------------------------------------------------------------


def shown(move: Mapping[str, Any]) -> RenderableType:
    """Return what it comes to: queues, sites, and whether it fits."""
    if not move.get("is_checked"):
        why = f"{move.get('why_unchecked', '')}: {move.get('emergency', '')}".rstrip(": ")
        return Text(f"Not looked at: {why}.", style="yellow")
    parts: list[RenderableType] = []
    if queues := move.get("queues", ()):
        parts += [_queues(queues, move), ""]
    parts += [_sites(move.get("sites", ())), "", _verdict(move)]
    return Group(*parts)


def outside(findings: Sequence[Mapping[str, Any]]) -> Text | None:
    """Return whose calls go to a number outside, and what nobody will see of them; None: nobody's.

    `findings`: what a version says of itself.
    """
    found = [each for each in findings if (each["section"], each["field"]) == ("dids", "forward")]
    if not found:
        return None
    dids = ", ".join(each["id"] for each in found[:MOST_DIDS])
    more = f" and {len(found) - MOST_DIDS} more" if len(found) > MOST_DIDS else ""
    return Text(f"{dids}{more}: {found[0]['fault']}.", style="yellow")


def _queues(rows: Sequence[Mapping[str, Any]], move: Mapping[str, Any]) -> Table:
    within = f"in {move['target_s']:g} s"
    made = _table(
        "queue", "erlangs", "agents", "wait", within, "was", "imagined wait", within, "was", "short"
    )
    for row in rows:
        wait = "for ever" if row["wait_s"] is None else f"{row['wait_s']:.1f} s"
        imagined = row["imagined_wait_s"]
        made.add_row(
            row["queue"],
            f"{row['erlangs']:.2f}",
            f"{row['agents']:.1f} of {row['suited']}",
            wait,
            _percent(row["level"]),
            _percent(row["was_level"]),
            "-" if imagined is None else f"{imagined:.1f} s",
            _percent(row["imagined_level"]),
            _percent(row["imagined_was_level"]),
            str(row["short"] or "-"),
            style="" if row["fits"] else "red",
        )
    return made


def _sites(rows: Sequence[Mapping[str, Any]]) -> Table:
    made = _table("site", "agents", "calls/s", "was", "calls at once", "lines", "room", "short")
    for row in rows:
        made.add_row(
            row["site"] + (" (drains)" if row["is_draining"] else ""),
            _figure(row["agents"]),
            _figure(row["calls_per_s"], 2),
            _figure(row["was_calls_per_s"], 2),
            _figure(row["erlangs"], 1),
            _figure(row["lines"]),
            _figure(row["room"]),
            str(row["lines_short"] or "-"),
            style="" if row["fits"] else "red",
        )
    return made


def _figure(value: float | None, digits: int = 0) -> str:
    """Return a figure; of one that nobody has said, or that is not for this tenant, a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def _verdict(move: Mapping[str, Any]) -> Text:
    if move["fits"]:
        return Text("It fits.", style="green")
    if move.get("others_short"):
        others = f" {move['others_short']} queues of other tenants, too."
    else:
        others = ""
    if move.get("emergency"):
        return Text(f"It does not fit, and is done: {move['emergency']}.{others}", style="yellow")
    return Text(f"It does NOT fit: what is red would fall short.{others}", style="bold red")


def _table(*names: str) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(names):
        made.add_column(name, justify="left" if place == 0 else "right")
    return made


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
