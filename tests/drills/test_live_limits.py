"""What stops a drill on sites that are up, whatever limits its file has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from drills.course import Course, End, Made
from drills.desk.answers import Health
from drills.desk.asks import FaultAsk, FaultDo
from drills.desk.client import OneLab
from drills.drill import live
from drills.drill.desk_faults import DeskFaults
from drills.drill.live import LiveGround
from drills.experiment import Bound, Experiment
from drills.facts import Facts
from drills.fault import Fault
from drills.lever import Lever
from drills.library import experiment_of
from tests.cli.asked import status
from tests.drills.pieces import PERMIT
from tests.drills.test_guards import LIVE, SITES
from tests.drills.test_live import A, probe
from tests.edge.virtual_time import LoopClock, in_virtual_time


class Center(LiveGround):
    """Sites that are well; test calls are answered, and looks, while `is_up` says so.

    Real people call there, two people have agreed, and whatever is broken ends by its time.
    """

    def __init__(
        self, folder: Path, experiment: Experiment, is_up: Callable[[float], bool]
    ) -> None:
        lever, clock = Lever(folder), LoopClock()
        super().__init__(OneLab(), lever, is_alone=True, clock=clock, faults=Timed())
        self._permit = replace(PERMIT, drill=experiment.name, plan_hash=experiment.plan_hash)
        self._is_up = is_up
        self.is_deaf = False
        self._began_s = self.clock.now().mono_s
        site, edge = status().sites[0], status().edges[0]
        up = dict.fromkeys(site.processes, Health.UP)
        self._well = replace(
            status(),
            sites=tuple(replace(site, site=each, processes=up) for each in SITES),
            edges=tuple(replace(edge, site=each, answers=True) for each in SITES),
        )

    async def facts(self) -> Facts:
        """Return that nothing speaks against it."""
        return replace(LIVE, permit=self._permit)

    async def leader(self) -> str | None:
        """Return a."""
        return "a"

    async def listen(self, method: Sequence[Fault], t0_ms: int) -> None:
        """Open no recording."""

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look, and place a test call, once a second."""
        going = asyncio.create_task(self._go_on())
        yield
        going.cancel()

    async def _go_on(self) -> None:
        while True:
            now = self.clock.now()
            is_up = self._is_up(now.mono_s - self._began_s)
            if not self.is_deaf or is_up:
                self.status, self.looked_s = self._well, now.mono_s
                said_ms = now.wall_ms if is_up else None
                call = replace(probe(0.0, A), at_ms=now.wall_ms, answered_ms=said_ms)
                self.probes.append(call)
            await asyncio.sleep(1.0)


class Timed(DeskFaults):
    """Faults that end by themselves, and stand until then unless they are undone."""

    def __init__(self) -> None:
        super().__init__(OneLab())
        self.made: tuple[Made, ...] = ()

    async def _ask(self, ask: FaultAsk) -> tuple[Made, ...]:
        now_ms = LoopClock().now().wall_ms
        if ask.fault is not None:
            until_ms = now_ms + round(ask.fault.ttl_s * 1000)
            new = Made(id=len(self.made) + 1, fault=ask.fault, at_ms=now_ms, until_ms=until_ms)
            self.made = (*self.made, new)
        by = ask.by if ask.do is FaultDo.HEAL else "timer"
        self.made = tuple(
            replace(each, healed_ms=now_ms, by=by)
            if each.healed_ms is None and (ask.do is FaultDo.HEAL or each.until_ms <= now_ms)
            else each
            for each in self.made
        )
        return self.made


DRAIN = replace(experiment_of("site_drained"), abort=())
"""Eight seconds, and without the limits of its file. In virtual time it begins some five seconds
in."""
LONG = replace(DRAIN, method=(replace(DRAIN.method[0], ttl_s=60.0),))


async def drilled(experiment: Experiment, center: Center) -> Course:
    return await live.carry_out(experiment, center, lambda _: None)


@in_virtual_time
async def test_a_drill_of_sites_that_stay_well_goes_to_its_end(tmp_path: Path) -> None:
    course = await drilled(DRAIN, Center(tmp_path, DRAIN, lambda _: True))
    assert (course.end, [each.by for each in course.made]) == (End.COMPLETED, ["timer"])


@in_virtual_time
async def test_most_test_calls_without_an_answer_stop_any_drill(tmp_path: Path) -> None:
    assert LONG.abort == ()
    center = Center(tmp_path, LONG, lambda at_s: at_s < 8.0)
    course = await drilled(LONG, center)
    assert course.end is End.ABORTED
    assert course.why.startswith("limit reached: 0.5 <= success_share, but it is 0.")
    (made,) = course.made
    assert made.by == "runner"
    assert made.healed_ms is not None
    assert made.healed_ms - made.at_ms < 15_000


@in_virtual_time
async def test_some_test_calls_without_an_answer_stop_none(tmp_path: Path) -> None:
    """As while one site of three is being found dead."""
    center = Center(tmp_path, LONG, lambda at_s: not 8.0 < at_s < 12.0)
    course = await drilled(LONG, center)
    assert course.end is End.COMPLETED


@in_virtual_time
async def test_ten_seconds_in_which_nobody_hears_anything_stop_any_drill(tmp_path: Path) -> None:
    center = Center(tmp_path, LONG, lambda at_s: at_s < 8.0)
    center.is_deaf = True
    course = await drilled(LONG, center)
    assert (course.end, course.why) == (
        End.ABORTED,
        "limit reached: 0.5 <= success_share, but it is unknown",
    )
    (made,) = course.made
    assert made.healed_ms is not None
    assert made.healed_ms - made.at_ms < 16_000


class Busy(Center):
    """Somebody real calls there at some time: the looks find that call on."""

    def __init__(self, folder: Path, experiment: Experiment, from_s: float) -> None:
        super().__init__(folder, experiment, lambda _: True)
        self.is_synthetic_only = True
        self._from_s = from_s

    def real_calls(self) -> int | None:
        """Return one from then on."""
        return int(self.clock.now().mono_s - self._began_s >= self._from_s)


@in_virtual_time
async def test_a_drill_that_is_to_touch_no_real_caller_stops_when_one_comes(
    tmp_path: Path,
) -> None:
    course = await drilled(LONG, Busy(tmp_path, LONG, 8.0))
    assert (course.end, course.why) == (
        End.ABORTED,
        "limit reached: real_calls <= 0, but it is 1",
    )
    assert [made.by for made in course.made] == ["runner"]
    assert (await drilled(LONG, Busy(tmp_path, LONG, 0.0))).end is End.NOT_STEADY
    assert (await drilled(DRAIN, Busy(tmp_path, DRAIN, 500.0))).end is End.COMPLETED


class Mute(Center):
    """Nobody knows what becomes of test calls there."""

    def measure(self) -> Mapping[str, float]:
        """Return what the sites say."""
        found = super().measure()
        return {name: value for name, value in found.items() if name != "success_share"}


@in_virtual_time
async def test_no_drill_begins_where_nobody_can_say_how_test_calls_fare(tmp_path: Path) -> None:
    sites = replace(DRAIN, steady=(Bound(figure="sites_serving", at_least=3),))
    course = await drilled(sites, Mute(tmp_path, sites, lambda _: True))
    assert (course.end, course.made) == (End.NOT_STEADY, ())
    assert "success_share" in course.why


@in_virtual_time
async def test_how_busy_this_machine_is_keeps_no_drill_from_sites_that_are_up(
    tmp_path: Path,
) -> None:
    busy = replace(DRAIN, ready=(Bound(figure="runnable_per_core", at_most=4),))
    course = await drilled(busy, Center(tmp_path, busy, lambda _: True))
    assert course.end is End.COMPLETED
