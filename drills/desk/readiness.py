"""What would happen if a site died now, as the command shows it. PURE.

What that is, is `edge.steering.loss`'s: the same that is asked before traffic moves.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from drills.desk.answers import Readiness
from drills.desk.tables import spaced, table
from edge.steering.loss import outlook
from state.model import CallRecord, Now
from state.snapshot import Snapshot


def readiness(lab: int, snapshot: Snapshot, records: Iterable[CallRecord], now: Now) -> Readiness:
    """Return, for each site of a lab, how callers would fare without it."""
    found = outlook(snapshot, records, now)
    return Readiness(lab=lab, **{name: getattr(found, name) for name in found.__struct_fields__})


# ---- as a table ----------------------------------------------------------------------------------


def shown(answer: Readiness) -> RenderableType:
    """Return the answer for a terminal."""
    rows = table(
        "If this site died now",
        "site",
        "agents lost",
        "calls there",
        "lines short",
        "quorum",
        "queue",
        "load",
        "agents left",
        "wait",
        f"in {answer.target_s:g} s",
        "imagined",
        "short",
    )
    for risk in (answer.as_it_is, *answer.sites):
        name = "none" if risk.site is None else risk.site
        head = (
            name if risk.is_serving else f"{name} (gone)",
            str(risk.agents_lost),
            str(risk.calls_there),
            str(risk.lines_short or "-"),
            "kept" if risk.quorum_left else "LOST",
        )
        for number, queue in enumerate(risk.queues):
            wait = "for ever" if queue.mean_wait_s is None else f"{queue.mean_wait_s:.1f} s"
            imagined = "-" if queue.imagined_level is None else f"{queue.imagined_level:.0%}"
            rows.add_row(
                *(head if number == 0 else ("", "", "", "", "")),
                queue.queue,
                f"{queue.erlangs:.2f}",
                f"{queue.agents:.1f} of {queue.suited}",
                wait,
                f"{queue.level:.0%}",
                imagined,
                str(queue.short) if queue.short else "-",
                style="" if queue.fits else "red",
            )
        if not risk.queues:
            rows.add_row(*head, "nobody has called lately", *[""] * 6)
    verdict = (
        Text("Any site may be lost.", style="green")
        if answer.can_lose_any
        else Text("ALARM: a site's loss could not be borne: see what is short.", style="bold red")
    )
    return spaced((rows, verdict))
