"""What would happen if a site died now: from the snapshot and what came lately. PURE.

It is `edge.steering.prediction`'s, the same that is asked before traffic moves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from drills.desk.answers import QueueRisk, Readiness, SiteRisk
from drills.desk.tables import spaced, table
from edge.steering.capacity import LEVEL, TARGET_S
from edge.steering.coming import Coming, coming
from edge.steering.prediction import QueuePrediction, predict
from state.model import CallRecord, Now, SiteId
from state.snapshot import Snapshot

WINDOW_S = 600.0
"""What came in so long is what is reckoned with."""


def readiness(
    lab: int,
    snapshot: Snapshot,
    records: Iterable[CallRecord],
    now: Now,
    window_s: float = WINDOW_S,
) -> Readiness:
    """Return, for each site, how callers would fare without it."""
    what = coming(records, now.wall_ms, window_s)
    whole = _risk(snapshot, what, now, None)
    sites = tuple(_risk(snapshot, what, now, lost) for lost in sorted(snapshot.sites))
    return Readiness(
        lab=lab,
        now_ms=now.wall_ms,
        since_ms=what.from_ms,
        target_s=TARGET_S,
        level=LEVEL,
        as_it_is=whole,
        sites=sites,
        can_lose_any=all(site.can_be_lost for site in sites if site.is_serving),
    )


def _risk(snapshot: Snapshot, what: Coming, now: Now, site: SiteId | None) -> SiteRisk:
    lost = frozenset() if site is None else frozenset({site})
    serving = frozenset(life.value.site for life in snapshot.edges.values())
    found = predict(snapshot, what, now, lost=lost)
    left = serving - lost
    has_quorum = len(left) >= len(snapshot.sites) // 2 + 1
    return SiteRisk(
        site=site,
        is_serving=site is None or site in serving,
        calls_there=sum(1 for entry in snapshot.tickets.values() if entry.value.site in lost),
        agents_lost=sum(
            1
            for agent, entry in snapshot.agents.items()
            if entry.value.site in lost and agent in snapshot.presences
        ),
        sites_left=len(left),
        quorum_left=has_quorum,
        lines_short=sum(each.lines_short for each in found.sites if each.site in left),
        queues=tuple(map(_queue, found.queues)),
        can_be_lost=bool(left) and has_quorum and found.fits,
    )


def _queue(found: QueuePrediction) -> QueueRisk:
    forecast = found.forecast
    wait = forecast.mean_wait_s
    return QueueRisk(
        queue=found.queue,
        erlangs=round(forecast.erlangs, 2),
        agents=round(forecast.agents, 2),
        suited=forecast.suited,
        mean_wait_s=None if math.isinf(wait) else round(wait, 1),
        level=round(forecast.level, 3),
        short=forecast.short,
        fits=found.fits,
        imagined_calls=found.calls,
        imagined_wait_s=None if found.wait_s is None else round(found.wait_s, 1),
        imagined_level=None if found.level is None else round(found.level, 3),
    )


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
