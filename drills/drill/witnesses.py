"""Who saw what of a drill, beside the people: edges, the shared state, the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from drills.blast import killed_site
from drills.course import Course
from drills.demo import history
from drills.demo.failover import Kill
from drills.demo.run import Stage, edge_homes
from drills.demo.waiting import OutOfReach
from drills.evidence import ClockBound, Moment
from drills.seen import Note
from state.model import EdgeId, SiteId

_TOLD = frozenset(
    {
        "site_down",
        "site_up",
        "site_standing",
        "media_paths_changed",
        "lease_lost",
        "edge_started",
        "dead_edge_cleared",
        "relay_dead",
        "relay_forgot_calls",
        "alone",
        "alone_again",
        "merged",
        "calls_taken_over",
        "lease_kept_again",
        "edges_silent",
        "etcd_member_benched",
        "etcd_member_back",
        "store_away",
    }
)
"""Lines of the logs of edges and recorders that belong on a timeline."""
_ALONE = frozenset({"alone", "alone_again"})
_TOGETHER = frozenset({"merged", "edge_started"})
"""A life that begins with what one before it did alone says so: `alone_again`."""
_OF_THE_LOG = frozenset({"level", "edge", "site"})


async def clock_bounds(stage: Stage) -> tuple[ClockBound, ...]:
    """Ask an edge of each site for the time: its clock differs by what the asking took at most."""
    found = []
    for site in stage.lab.plan.sites:
        edge = stage.lab.plan.edges(site)[0]
        path = stage.lab.paths.of(site) / f"edge-{edge}.sock"
        before_ms = _precise_ms()
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(b'{"cmd": "status"}\n')
            await writer.drain()
            theirs_ms = float(json.loads(await reader.readline())["wall_ms"])
        finally:
            writer.close()
        after_ms = _precise_ms()
        found.append(
            ClockBound(
                who=f"{site} edge {edge}",
                least_ms=round(theirs_ms - after_ms, 3),
                most_ms=round(theirs_ms + 1 - before_ms, 3),
            )
        )
    return tuple(found)


def _precise_ms() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME) * 1000


def out_of_reach(stage: Stage) -> tuple[OutOfReach, ...]:
    """Return which sites each edge did not reach, by its own log and clock.

    What it has published the shared state has, too; who is cut off from that can publish nothing.
    """
    return tuple(
        each
        for edge in edge_homes(stage.lab)
        for each in _down(edge, _log_lines(stage.lab.paths.run / "log" / f"edge-{edge}.log"))
    )


def _down(edge: EdgeId, lines: Iterable[tuple[int, str]]) -> Iterator[OutOfReach]:
    since_ms: dict[SiteId, int] = {}
    for at_ms, what in lines:
        event, _, rest = what.partition(" ")
        site = SiteId(rest.removeprefix("of="))
        if event == "site_down":
            since_ms.setdefault(site, at_ms)
            continue
        # A life that begins has no opinion yet.
        over = [site] if event == "site_up" else list(since_ms) if event == "edge_started" else []
        for each in over:
            begun_ms = since_ms.pop(each, None)
            if begun_ms is not None:
                yield _not_reached(edge, each, begun_ms, at_ms)
    for each, begun_ms in since_ms.items():
        yield _not_reached(edge, each, begun_ms, math.inf)


def _not_reached(edge: EdgeId, site: SiteId, from_ms: float, to_ms: float) -> OutOfReach:
    return OutOfReach(edge=edge, sites=frozenset({site}), from_ms=from_ms, to_ms=to_ms)


def merged(stage: Stage) -> tuple[int, ...]:
    """Return when edges had merged what they did without a quorum, by their own clocks."""
    return tuple(
        at_ms
        for edge in edge_homes(stage.lab)
        for at_ms, what in _log_lines(stage.lab.paths.run / "log" / f"edge-{edge}.log")
        if what.startswith("merged")
    )


def taken_over(stage: Stage) -> tuple[tuple[EdgeId, int], ...]:
    """Return which edges went on with the calls of a life before, and when, by their own clocks."""
    return tuple(
        (edge, at_ms)
        for edge in edge_homes(stage.lab)
        for at_ms, what in _log_lines(stage.lab.paths.run / "log" / f"edge-{edge}.log")
        if what.startswith("calls_taken_over")
    )


def still_alone(stage: Stage) -> tuple[EdgeId, ...]:
    """Return the edges that went on without a quorum, and have not merged what they did then."""
    return tuple(
        edge
        for edge in edge_homes(stage.lab)
        if _last_word(stage.lab.paths.run / "log" / f"edge-{edge}.log", _ALONE | _TOGETHER)
        in _ALONE
    )


def _last_word(log: Path, events: frozenset[str]) -> str:
    """Return which of these events an edge wrote down last; empty: none."""
    said = (what.partition(" ")[0] for _, what in _log_lines(log))
    return ([""] + [each for each in said if each in events])[-1]


def moments(stage: Stage, course: Course) -> Iterator[Moment]:
    """Yield the timeline: the runner's journal, and what the sites wrote down themselves."""
    t0_ms = course.began_ms or (course.notes[0].at_ms if course.notes else 0)

    def moment(at_ms: int, who: str, what: str) -> Moment:
        return Moment(after_s=round((at_ms - t0_ms) / 1000, 3), at_ms=at_ms, who=who, what=what)

    for note in course.notes:
        yield moment(note.at_ms, note.who, note.what)
    site = killed_site(course.method)
    if site is not None and course.began_ms is not None:
        kill = Kill(site=site, at_ms=course.began_ms)
        for each in history.sightings(stage.observer.seen, kill, edge_homes(stage.lab)):
            yield moment(each.at_ms, f"shared state, {each.who}", each.what)
    for who, log in _logs(stage):
        for at_ms, what in _log_lines(stage.lab.paths.run / "log" / log):
            if at_ms >= t0_ms - 1000:
                yield moment(at_ms, who, what)
    for event in stage.lab.events:
        at_ms = _wall_ms(stage, event.at_s)
        if at_ms >= t0_ms - 1000:
            detail = f" ({event.detail})" if event.detail else ""
            what = f"{event.process} {event.kind}{detail}"
            yield moment(at_ms, f"{event.host or 'router'} supervisor", what)


def of_database(notes: Iterable[Note], course: Course) -> Iterator[Moment]:
    """Yield how the database's members stood, each time that it changed."""
    t0_ms = course.began_ms or (course.notes[0].at_ms if course.notes else 0)
    for note in notes:
        after_s = round((note.at_ms - t0_ms) / 1000, 3)
        yield Moment(after_s=after_s, at_ms=note.at_ms, who="database", what=note.what)


def _logs(stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield who writes things down, and the name of the file."""
    for edge, home in edge_homes(stage.lab).items():
        yield f"{home} edge {edge}", f"edge-{edge}.log"
    for site in stage.lab.plan.sites:
        yield f"{site} recorder", f"recorder-{site}.log"


def said(stage: Stage, course: Course) -> Mapping[str, int]:
    """Return what sites wrote down since the first fault: how often each event."""
    t0_ms = course.began_ms or 0
    return Counter(
        what.partition(" ")[0]
        for _, log in _logs(stage)
        for at_ms, what in _log_lines(stage.lab.paths.run / "log" / log)
        if at_ms >= t0_ms
    )


def _wall_ms(stage: Stage, mono_s: float) -> int:
    now = stage.clock.now()
    return now.wall_ms - round((now.mono_s - mono_s) * 1000)


def _log_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what an edge wrote down itself, by its own clock."""
    with contextlib.suppress(FileNotFoundError):
        for text in path.read_text(errors="replace").splitlines():
            try:
                line = json.loads(text)
                event = line.pop("event")
                at = dt.datetime.fromisoformat(line.pop("timestamp"))
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
            if event in _TOLD:
                words = " ".join(
                    f"{key}={value}"
                    for key, value in sorted(line.items())
                    if key not in _OF_THE_LOG
                )
                yield round(at.timestamp() * 1000), f"{event} {words}".strip()
