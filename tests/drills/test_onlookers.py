"""What control planes of living sites see of a drill, second by second, and when by which clock."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

import msgspec

from drills.drill.onlooking import Answer, Onlookers
from drills.onlookers import SeenEdge, SeenSite, SeenSites, changes
from state.model import SiteId
from tests.edge.virtual_time import LoopClock, in_virtual_time

A, B = SiteId("a"), SiteId("b")
APIS = {A: "https://a", B: "https://b"}


def seen(*sites: SeenSite, is_current: bool = True, at_ms: int = 1_700_000_000_123) -> SeenSites:
    as_of = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    return SeenSites(as_of=as_of, is_current=is_current, items=sites)


def site(name: str, *edges: str, **other: object) -> SeenSite:
    lives = tuple(SeenEdge(edge=each) for each in edges)
    return msgspec.structs.replace(SeenSite(id=name, edges=lives), **other)


WELL = seen(site("a", "a1", "a2"), site("b", "b1", "b2"))


def told(now: SeenSites, before: SeenSites = WELL) -> list[str]:
    return list(changes(before, now))


def test_what_a_control_plane_sees_change_is_told_in_words() -> None:
    assert told(WELL) == []
    dead = seen(site("a", out_of_reach_of=("b2", "b1")), site("b", "b1", "b2"))
    assert told(dead) == [
        "a1, a2 of site a no longer in the shared state",
        "site a out of reach of b1, b2",
    ]
    assert told(WELL, dead) == [
        "a1, a2 of site a in the shared state",
        "site a in reach of all",
    ]
    drained = seen(site("a", "a1", "a2", is_draining=True), site("b", "b1", "b2"))
    assert told(drained) == ["site a drains"]
    assert told(WELL, drained) == ["site a drains no longer"]
    alone = seen(site("a", "a1", "a2", alone_because="no_quorum"), is_current=False)
    assert told(alone) == ["no news of the shared state", "site a serves alone: no_quorum"]
    assert told(WELL, alone) == ["news of the shared state again", "site a serves by the quorum"]


def test_a_site_that_is_configured_meanwhile_is_no_change_of_a_drill() -> None:
    assert told(seen(*WELL.items, site("c", "c1"))) == []


class Planes:
    """Control planes that are asked; each takes its time, and has a clock of its own."""

    def __init__(self, off_ms: dict[str, int] | None = None, took_s: float = 0.02) -> None:
        self.off_ms = off_ms or {}
        self.took_s = took_s
        self.silent: set[str] = set()
        self.says: dict[str, SeenSites] = {}
        self.status = 200
        self.asked: list[str] = []

    async def __call__(self, url: str) -> Answer:
        """Answer half-way, by the own clock."""
        self.asked.append(url)
        host = url.split("/")[2]
        before_ms = now_ms()
        await asyncio.sleep(self.took_s / 2)
        if host in self.silent:
            await asyncio.sleep(1.0)
            raise TimeoutError
        at_ms = int(now_ms()) + self.off_ms.get(host, 0)
        said = self.says.get(host, WELL)
        as_of = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
        body = msgspec.json.encode(msgspec.structs.replace(said, as_of=as_of))
        await asyncio.sleep(self.took_s / 2)
        return Answer(status=self.status, body=body, before_ms=before_ms, after_ms=now_ms())


def now_ms() -> float:
    return LoopClock().now().mono_s * 1000 + 1_700_000_000_000.0


async def watched(planes: Planes, *steps: tuple[float, Callable[[], object]]) -> Onlookers:
    """Look on, do each step after so many seconds, and stop."""
    onlookers = Onlookers(APIS, planes, now_ms)
    async with onlookers.looking():
        for seconds, step in steps:
            await asyncio.sleep(seconds)
            step()
    return onlookers


def nothing() -> None: ...


@in_virtual_time
async def test_every_site_is_asked_for_the_time_and_its_clock_is_bounded() -> None:
    planes = Planes({"b": 600_000})
    onlookers = await watched(planes, (5.0, nothing))
    bounds = {each.who: each for each in onlookers.clocks()}
    assert set(bounds) == {"a control plane", "b control plane"}
    a, b = bounds["a control plane"], bounds["b control plane"]
    assert -11.5 <= a.least_ms <= 0 <= a.most_ms <= 11.5
    assert b.most_ms - b.least_ms <= 22.0
    assert b.least_ms <= 600_000 <= b.most_ms
    assert onlookers.findings() == ()


@in_virtual_time
async def test_what_each_control_plane_saw_is_told_by_its_own_clock() -> None:
    planes = Planes({"b": 600_000})
    dead = seen(site("a", "a1"), site("b", "b1", "b2"))

    def dies() -> None:
        planes.says["b"] = dead

    onlookers = await watched(planes, (2.5, dies), (2.5, nothing))
    (note,) = onlookers.notes
    assert (note.who, note.what) == (
        "b control plane",
        "a2 of site a no longer in the shared state",
    )
    began_ms = now_ms() - 5_000
    assert began_ms + 602_000 <= note.at_ms <= began_ms + 604_500


@in_virtual_time
async def test_a_control_plane_that_is_silent_keeps_no_other_waiting_and_is_told_of_once() -> None:
    planes = Planes()
    onlookers = await watched(
        planes,
        (2.5, lambda: planes.silent.add("a")),
        (6.0, lambda: planes.silent.discard("a")),
        (3.0, nothing),
    )
    assert [(each.who, each.what) for each in onlookers.notes] == [
        ("runner", "the control plane of a does not answer"),
        ("runner", "the control plane of a answers again"),
    ]
    assert sum(url.startswith("https://b") for url in planes.asked) >= 10


@in_virtual_time
async def test_what_changed_while_a_control_plane_was_silent_is_told_when_it_answers() -> None:
    planes = Planes()

    def dies() -> None:
        planes.silent.add("a")
        planes.says["a"] = seen(site("a", "a1"), site("b", "b1", "b2"))

    onlookers = await watched(
        planes, (2.5, dies), (3.0, lambda: planes.silent.discard("a")), (3.0, nothing)
    )
    assert [each.what for each in onlookers.notes] == [
        "the control plane of a does not answer",
        "the control plane of a answers again",
        "a2 of site a no longer in the shared state",
    ]


@in_virtual_time
async def test_a_clock_of_which_nobody_tells_is_a_finding() -> None:
    planes = Planes()
    planes.silent.add("a")
    onlookers = await watched(planes, (5.0, nothing))
    assert [each.who for each in onlookers.clocks()] == ["b control plane"]
    assert onlookers.findings() == (
        "the clock of a is not bounded: its control plane does not answer",
    )
    refused = Planes()
    refused.status = 403
    onlookers = await watched(refused, (5.0, nothing))
    assert onlookers.clocks() == ()
    assert onlookers.findings()[0] == (
        "the clock of a is not bounded: its control plane answers 403"
    )
    assert len(refused.asked) == 2, "a refusal is in the audit log, and stays one"


@in_virtual_time
async def test_a_clock_that_is_set_meanwhile_is_a_finding() -> None:
    planes = Planes()

    def moves() -> None:
        planes.off_ms["b"] = -5_000

    onlookers = await watched(planes, (2.5, moves), (2.5, nothing))
    (found,) = onlookers.findings()
    assert found.startswith("the clock of b was set meanwhile, by 4.9")
    assert found.endswith(" s at least")


@in_virtual_time
async def test_an_answer_that_is_none_ends_no_looking_on() -> None:
    class Rubbish(Planes):
        async def __call__(self, url: str) -> Answer:
            found = await super().__call__(url)
            return msgspec.structs.replace(found, body=b"\xff") if "//a" in url else found

    onlookers = await watched(Rubbish(), (5.0, nothing))
    assert [each.who for each in onlookers.clocks()] == ["b control plane"]
    assert onlookers.findings() == (
        "the clock of a is not bounded: its control plane answers what cannot be read",
    )
