"""What would happen if a site died now: from the snapshot and what came lately. PURE.

Two answers side by side for each queue: Erlang's formula (`edge.steering.capacity`), and the real
matcher let loose on imagined callers who come at the same rate and talk as long (`replay`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping

from rich.console import RenderableType
from rich.text import Text

from drills.desk.answers import QueueRisk, Readiness, SiteRisk
from drills.desk.tables import spaced, table
from drills.replay.day import KINDS, Caller, Day, kind_of
from drills.replay.simulate import replay
from edge.acd.service_level import wait_s
from edge.steering.capacity import LEVEL, TARGET_S, Demand, QueueForecast, demands, without
from state.eventlog.lines import begin
from state.keys import Kind, parse
from state.model import (
    CallId,
    CallRecord,
    DidNumber,
    EdgeId,
    Now,
    Outcome,
    Presence,
    QueueId,
    SiteId,
)
from state.snapshot import Snapshot

WINDOW_S = 600.0
"""What came in so long is what is reckoned with."""
IMAGINED_S = 300.0
MOST_IMAGINED = 400
RING_S = 1.0


def readiness(
    lab: int,
    snapshot: Snapshot,
    records: Iterable[CallRecord],
    now: Now,
    window_s: float = WINDOW_S,
) -> Readiness:
    """Return, for each site, how callers would fare without it."""
    known = tuple(records)
    since_ms = now.wall_ms - round(window_s * 1000)
    # A center that has just opened has had less time than that.
    first_ms = min((record.arrived_ms for record in known), default=now.wall_ms)
    since_ms = max(since_ms, min(first_ms, now.wall_ms - 10_000))
    demand = demands(snapshot, known, since_ms, now.wall_ms)
    serving = _serving(snapshot)
    rows = (_risk(snapshot, demand, now, lost, serving) for lost in (None, *sorted(snapshot.sites)))
    whole, *sites = rows
    return Readiness(
        lab=lab,
        now_ms=now.wall_ms,
        since_ms=since_ms,
        target_s=TARGET_S,
        level=LEVEL,
        as_it_is=whole,
        sites=tuple(sites),
        can_lose_any=all(site.can_be_lost for site in sites if site.is_serving),
    )


def _serving(snapshot: Snapshot) -> frozenset[SiteId]:
    return frozenset(life.value.site for life in snapshot.edges.values())


def _risk(
    snapshot: Snapshot,
    demand: Mapping[QueueId, Demand],
    now: Now,
    site: SiteId | None,
    serving: frozenset[SiteId],
) -> SiteRisk:
    lost = frozenset() if site is None else frozenset({site})
    forecasts = without(snapshot, demand, lost)
    imagined = imagine(snapshot, demand, now, lost)
    queues = tuple(_queue(each, imagined.get(each.queue, ())) for each in forecasts)
    left = serving - lost
    quorum = len(snapshot.sites) // 2 + 1
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
        quorum_left=len(left) >= quorum,
        queues=queues,
        can_be_lost=bool(left) and len(left) >= quorum and all(each.fits for each in queues),
    )


def _queue(forecast: QueueForecast, waits: Iterable[float]) -> QueueRisk:
    known = tuple(waits)
    wait = forecast.mean_wait_s
    return QueueRisk(
        queue=forecast.queue,
        erlangs=round(forecast.erlangs, 2),
        agents=round(forecast.agents, 2),
        suited=forecast.suited,
        mean_wait_s=None if math.isinf(wait) else round(wait, 1),
        level=round(forecast.level, 3),
        short=forecast.short,
        fits=forecast.fits,
        imagined_calls=len(known),
        imagined_wait_s=round(sum(known) / len(known), 1) if known else None,
        imagined_level=(
            round(sum(each <= TARGET_S for each in known) / len(known), 3) if known else None
        ),
    )


# ---- the same core, on imagined callers ----------------------------------------------------------


def imagine(
    snapshot: Snapshot, demand: Mapping[QueueId, Demand], now: Now, lost: frozenset[SiteId]
) -> dict[QueueId, list[float]]:
    """Return how long imagined callers wait, by queue; who is never served waits to the end."""
    callers = tuple(_callers(snapshot, demand, now, lost))
    start = begin("readiness", snapshot, now)
    rows = tuple(row for row in start.rows if _stays(row.key, snapshot, lost))
    day = Day(
        begin=type(start)(start.v, start.reader, start.revision, start.mono_s, start.wall_ms, rows),
        changes=(),
        callers=callers,
    )
    waits: dict[QueueId, list[float]] = {}
    done: set[CallId] = set()
    for record in replay(day).records:
        waits.setdefault(record.queue, []).append(wait_s(record))
        done.add(record.call)
    ends_ms = now.wall_ms + round(IMAGINED_S * 1000)
    for caller in callers:
        if caller.record.call not in done:
            waited = (ends_ms - caller.record.arrived_ms) / 1000
            waits.setdefault(caller.record.queue, []).append(max(waited, TARGET_S + 1.0))
    return waits


def _callers(
    snapshot: Snapshot, demand: Mapping[QueueId, Demand], now: Now, lost: frozenset[SiteId]
) -> Iterator[Caller]:
    """Yield callers who come at random at the given rates; the same ones every time."""
    left = sorted(_serving(snapshot) - lost)
    numbers: dict[QueueId, DidNumber] = {}
    for number, entry in snapshot.dids.items():
        numbers.setdefault(entry.value.queue, number)
    rate = sum(each.calls_per_s for each in demand.values())
    seconds = min(IMAGINED_S, MOST_IMAGINED / rate) if rate else 0.0
    found: list[Caller] = []
    for queue, each in demand.items():
        if queue not in numbers or not left:
            continue
        chance = random.Random(f"{queue}")  # noqa: S311 - to be repeated
        wrap_up_s = snapshot.queues[queue].value.wrap_up_s
        at_s = chance.expovariate(each.calls_per_s)
        while at_s < seconds:
            talk_s = chance.expovariate(1.0 / max(0.1, each.handling_s - wrap_up_s))
            site = left[len(found) % len(left)]
            found.append(_caller(len(found), queue, numbers[queue], now, at_s, talk_s, site))
            at_s += chance.expovariate(each.calls_per_s)
    yield from sorted(found, key=lambda caller: caller.record.arrived_ms)


def _caller(  # noqa: PLR0913, PLR0917 - what a caller is made of
    number: int,
    queue: QueueId,
    did: DidNumber,
    now: Now,
    at_s: float,
    talk_s: float,
    site: SiteId,
) -> Caller:
    arrived_ms = now.wall_ms + round(at_s * 1000)
    record = CallRecord(
        call=CallId(f"{number:024x}"),
        did=did,
        queue=queue,
        outcome=Outcome.ANSWERED,
        cause="imagined",
        edge=EdgeId(f"{site}1"),
        site=site,
        via=site,
        sip_call_id=f"imagined-{number}",
        arrived_ms=arrived_ms,
        queued_ms=arrived_ms,
        connected_ms=None,
        ended_ms=arrived_ms,
    )
    return Caller(
        record=record,
        greeting_ms=0,
        patience_ms=None,
        is_cut_off=False,
        ring_ms=round(RING_S * 1000),
        talk_ms=round(talk_s * 1000),
        lets_ring=frozenset(),
    )


def _stays(key: str, snapshot: Snapshot, lost: frozenset[SiteId]) -> bool:
    """Tell whether a record is there when these sites are not, and belongs to a beginning."""
    kind = kind_of(key)
    if kind not in KINDS:
        return False
    identifier = parse(key).id
    match kind:
        case Kind.EDGE | Kind.PROBE:
            life = snapshot.edges.get(EdgeId(identifier))
            return kind is Kind.EDGE and life is not None and life.value.site not in lost
        case Kind.PRESENCE:
            entry = next((e for a, e in snapshot.presences.items() if a == identifier), None)
            return entry is not None and _home(entry.value) not in lost
        case _:
            return True


def _home(presence: Presence) -> SiteId:
    return presence.site


# ---- as a table ----------------------------------------------------------------------------------


def shown(answer: Readiness) -> RenderableType:
    """Return the answer for a terminal."""
    rows = table(
        "If this site died now",
        "site",
        "agents lost",
        "calls there",
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
            "kept" if risk.quorum_left else "LOST",
        )
        for number, queue in enumerate(risk.queues):
            wait = "for ever" if queue.mean_wait_s is None else f"{queue.mean_wait_s:.1f} s"
            imagined = "-" if queue.imagined_level is None else f"{queue.imagined_level:.0%}"
            rows.add_row(
                *(head if number == 0 else ("", "", "", "")),
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
