"""A drill on sites that are up: through their desk, with one test call a second to see by.

The runner is here, in the command's own process; the faults are made, and end by their timers,
where the sites run. Kill this, and everything mends itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from drills.blast import killed_site
from drills.course import Course
from drills.demo.reports import End as How
from drills.desk.answers import Health, Readiness, Role, Stakes, Status
from drills.desk.asks import (
    CallsAsk,
    PlaceAsk,
    ReadinessAsk,
    RecordingsAsk,
    StakesAsk,
    StatusAsk,
)
from drills.desk.call_answers import Calls
from drills.desk.client import OneLab
from drills.desk.errors import DeskError
from drills.desk.recording_answers import Recordings
from drills.drill.counting import MOST, Counting
from drills.drill.desk_faults import DeskFaults
from drills.drill.ledgers import Ledgers
from drills.drill.onlooking import Onlookers
from drills.drill.recorded import records
from drills.experiment import Experiment
from drills.facts import Facts, etcd_lags
from drills.fault import Fault
from drills.lever import Lever
from drills.live_books import Homes
from drills.live_facts import incidents, peak_of, present, recordings_alone, serving
from drills.live_recovery import Talk, talks_after
from drills.live_rules import limits
from drills.onlookers import Recorded
from drills.permit import Permit
from drills.runner import Runner
from edge.steering.loss import RecordingsRisk
from state.clock import Clock
from state.codec import UNREADABLE
from state.keys import call_id_for
from state.model import CallId, SiteId

PROBE_EVERY_S = 1.0
PROBE_TALK_S = 0.5
LINGER_S = 6.0
RECENT_S = (3.0, 13.0)
"""Test calls placed between so long ago tell how callers fare: old enough to be answered."""
OLD_S = 10.0
"""What was seen longer ago says nothing of now. A desk whose edges and etcd are silent answers
within some three seconds."""
MOST_PROBES = 256
"""Test calls at once: one a second, and none is waited for longer than three minutes."""
MOST_LISTENED = 10
"""Recordings that are opened in search of the first that is whole."""
AGENTS_AT, CALLS_AT = "agents_at_", "calls_at_"
"""Before a site's name, in what is measured: how many are there."""


class Probed(Struct, frozen=True, kw_only=True):
    """One test call."""

    at_ms: int
    first: SiteId
    answered_ms: int | None
    ended_ms: int | None
    joined_ms: int | None = None
    """When it heard an agent."""
    call: CallId | None = None
    """By which name the sites know it; None: its telephone never dialled."""
    how: How = How.UNFINISHED
    """How it ended for its caller's telephone."""


@dataclass
class LiveGround:
    """Sites that are up, looked at through their desk."""

    lab: OneLab
    """Whatever is looked at, placed and broken is there, from the guards' first question on."""
    lever: Lever
    is_alone: bool
    clock: Clock
    faults: DeskFaults
    blackouts: Callable[[], tuple[str, ...]] = tuple
    """What the calendar says of now."""
    permit: Permit | None = None
    alone: Mapping[SiteId, RecordingsRisk] = field(default_factory=dict)
    """What no other site had recorded when the guards decided."""
    onlookers: Onlookers | None = None
    """The sites' control planes, which are asked what they see; None: nobody asks them."""
    counting: Counting | None = None
    """What was heard of calls and agents; None: nobody has looked yet."""
    ledgers: Ledgers | None = None
    """What control planes count of the same, in sums; None: nobody has asked them."""
    recorded: tuple[Recorded, ...] = ()
    """What control planes have recorded of the same calls."""
    whole: frozenset[CallId] = frozenset()
    """Test calls whose recording opens as a whole, as far as anybody has looked."""
    is_synthetic_only: bool = False
    """No real caller is to be touched: it begins while none is on, and stops when one comes."""
    status: Status | None = None
    looked_s: float = -math.inf
    """When that was, on the monotonic clock."""
    probes: list[Probed] = field(default_factory=list)
    _callers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MOST_PROBES, thread_name_prefix="test-call")
    )
    """Test calls wait here for their answers, and keep nobody else waiting."""

    async def look(self) -> Status:
        """Ask how everything is."""

        def talk() -> Status:
            with self.lab.connected() as line:
                return line.ask(StatusAsk(), Status)

        self.status = await asyncio.to_thread(talk)
        self.looked_s = self.clock.now().mono_s
        return self.status

    @property
    def homes(self) -> Homes:
        """Return where agents could be rung, as far as anybody has looked."""
        return Homes() if self.counting is None else self.counting.homes

    async def leader(self) -> str | None:
        """Return the site whose member of etcd leads."""
        status = await self.look()
        return next((row.site for row in status.sites if row.etcd is Role.LEADER), None)

    async def facts(self) -> Facts:
        """Return what the guards go by: nobody's callers here are known to be synthetic."""

        def talk() -> tuple[Readiness, Stakes, Calls]:
            with self.lab.connected() as line:
                ready, stakes = line.ask(ReadinessAsk(), Readiness), line.ask(StakesAsk(), Stakes)
                return ready, stakes, line.ask(CallsAsk(last=MOST, is_live=True), Calls)

        status, (ready, stakes, calls) = await self.look(), await asyncio.to_thread(talk)
        made = await self.faults.all()
        alone = self.alone = recordings_alone(ready)
        return Facts(
            sites=tuple(row.site for row in status.sites),
            good_sites=serving(status),
            members=frozenset(
                row.site for row in status.sites if row.etcd in {Role.LEADER, Role.FOLLOWER}
            ),
            agents=present(status),
            edges=Counter(row.site for row in status.edges if row.answers and row.has_lease),
            erlangs=peak_of(stakes, ready),
            other_drills=() if self.is_alone else ("another drill that runs on this machine",),
            standing_faults=tuple(each.fault.told() for each in made if each.healed_ms is None),
            incidents=incidents(status),
            lags=etcd_lags(stakes.etcd),
            unreplicated={site: risk.recordings for site, risk in alone.items()},
            copies_late=frozenset(site for site, risk in alone.items() if risk.is_late),
            numbers=stakes.numbers,
            calls={row.site: row.calls for row in status.sites},
            blackouts=self.blackouts(),
            permit=self.permit,
            is_lever_pulled=self.lever.is_pulled,
            is_synthetic_only=self.is_synthetic_only,
            # Before anybody has dialled a test call all are real.
            real_calls=len(calls.calls) if self.counting is None else self.real_calls(),
            is_live=True,
        )

    def real_calls(self) -> int | None:
        """Return how many calls were on a moment ago that are no test calls; None: unknown."""
        before = None if self.counting is None else self.counting.before
        if before is None or self.clock.now().wall_ms - before[0] > OLD_S * 1000:
            return None
        return len(before[1] - {each.call for each in self.probes})

    def measure(self) -> Mapping[str, float]:
        """Return the figures of the last look; nothing where that is too long ago to count."""
        now = self.clock.now()
        if self.status is None or now.mono_s - self.looked_s > OLD_S:
            return {}
        now_ms = now.wall_ms
        old_ms, young_ms = now_ms - RECENT_S[1] * 1000, now_ms - RECENT_S[0] * 1000
        recent = [each for each in self.probes if old_ms <= each.at_ms <= young_ms]
        good = [each for each in recent if each.answered_ms is not None]
        here = present(self.status)
        found = {
            "sites_serving": len(serving(self.status)),
            "processes_down": sum(
                health is not Health.UP
                for row in self.status.sites
                for health in row.processes.values()
            ),
            "edges": sum(1 for row in self.status.edges if row.answers and row.has_lease),
            "agents_ready": sum(here.values()),
            "waiting": sum(queue.waiting for queue in self.status.queues),
            "calls_failed": sum(each.answered_ms is None for each in recent),
        }
        found |= {f"{AGENTS_AT}{site}": count for site, count in here.items()}
        found |= {f"{CALLS_AT}{row.site}": row.calls for row in self.status.sites}
        if self.is_synthetic_only and (real := self.real_calls()) is not None:
            found["real_calls"] = real
        # Without a test call nobody knows what callers notice.
        return found | ({"success_share": len(good) / len(recent)} if recent else {})

    async def good_instant(self, method: Sequence[Fault]) -> None:
        """Do not wait: real people hang up whenever they like."""

    def stopped_because(self) -> str | None:
        """Return why somebody wants it to stop."""
        return self.lever.stopped_because()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look, count, and place test calls, until the block ends."""
        await self.look()
        counting = self.counting = Counting(self.lab.connected)
        await counting.begin()
        if self.onlookers is not None:
            self.ledgers = Ledgers(self.onlookers.apis, self.onlookers.patient)
            await self.ledgers.begin()
        looks = (self._keep_looking(), counting.run(), self._keep_probing())
        tasks = [asyncio.create_task(each) for each in looks]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            # What became of the last ones counts, too.
            await asyncio.to_thread(self._callers.shutdown)
            await counting.end()
            if self.ledgers is not None:
                await self.ledgers.end()

    async def read_records(self) -> None:
        """Ask the control planes what they have recorded of the calls that were counted."""
        counted = None if self.counting is None else self.counting.counted
        if self.onlookers is not None and counted is not None:
            asked = self.onlookers
            self.recorded = await records(asked.apis, asked.ask, counted.came_ms())

    async def listen(self, method: Sequence[Fault], t0_ms: int) -> None:
        """Look for the first test call after the first fault that is recorded as a whole."""

        def talk() -> frozenset[CallId]:
            with contextlib.suppress(DeskError, OSError), self.lab.connected() as line:
                for each in talks_after(self.talks, t0_ms, killed_site(method))[:MOST_LISTENED]:
                    ask = RecordingsAsk(call=each.call, is_thorough=True)
                    found = line.ask(ask, Recordings).recordings
                    if any(row.is_kept and row.is_complete and not row.faults for row in found):
                        return frozenset({each.call})
            return frozenset()

        self.whole = await asyncio.to_thread(talk)

    @property
    def talks(self) -> tuple[Talk, ...]:
        """Return the test calls that heard an agent."""
        return tuple(
            Talk(call=each.call, first=each.first, at_ms=each.at_ms, joined_ms=each.joined_ms)
            for each in self.probes
            if each.call is not None and each.joined_ms is not None
        )

    async def _keep_looking(self) -> None:
        while True:
            with contextlib.suppress(DeskError, OSError):
                await self.look()
            await asyncio.sleep(1.0)

    async def _keep_probing(self) -> None:
        status = self.status
        numbers = [did for queue in status.queues for did in queue.dids] if status else []
        sites = [row.site for row in status.sites] if status else []
        if not numbers or not sites:
            return
        async with asyncio.TaskGroup() as calls:
            for turn in itertools.count():
                ask = PlaceAsk(did=numbers[0], first=sites[turn % len(sites)], talk_s=PROBE_TALK_S)
                calls.create_task(self._probe(ask))
                await asyncio.sleep(PROBE_EVERY_S)

    async def _probe(self, ask: PlaceAsk) -> None:
        """Place a test call and note what became of it."""
        place = len(self.probes)
        now_ms = self.clock.now().wall_ms
        first = SiteId(ask.first)
        self.probes.append(Probed(at_ms=now_ms, first=first, answered_ms=None, ended_ms=None))

        def note(**what: object) -> None:
            self.probes[place] = msgspec.structs.replace(self.probes[place], **what)

        def talk() -> None:
            with self.lab.connected() as line:
                for text in line.follow(ask):
                    step = msgspec.json.decode(text, type=_Step)
                    if step.event == "answered":
                        note(answered_ms=step.wall_ms)
                    elif step.event == "joined":
                        note(joined_ms=step.wall_ms)
                    elif step.event == "call":
                        note(ended_ms=step.wall_ms, how=step.how)
                    elif step.event == "invite":
                        note(call=call_id_for(step.sip_call_id, step.local_tag))

        with contextlib.suppress(DeskError, OSError, *UNREADABLE):
            await asyncio.get_running_loop().run_in_executor(self._callers, talk)


class _Step(Struct, kw_only=True):
    event: str = ""
    wall_ms: int = 0
    sip_call_id: str = ""
    local_tag: str = ""
    how: How = How.UNFINISHED


async def carry_out(
    experiment: Experiment,
    ground: LiveGround,
    tell: Callable[[str], None],
    before_first: Callable[[], Awaitable[None]] | None = None,
) -> Course:
    """Carry an experiment out on sites that are up. `before_first`: before its first fault."""
    stops_at = limits(is_synthetic_only=ground.is_synthetic_only)
    runner = Runner(
        experiment,
        ground=ground,
        faults=ground.faults,
        clock=ground.clock,
        tell=tell,
        # What it is ready with is a lab's: how busy the one machine is on which all of it runs.
        needed=stops_at,
        limits=stops_at,
        before_first=before_first,
    )
    await ground.faults.begin_anew()
    onlookers = ground.onlookers
    looking = contextlib.nullcontext() if onlookers is None else onlookers.looking()
    async with looking, ground.watched():
        # The first test calls show that there is a steady state at all.
        await asyncio.sleep(LINGER_S / 2)
        course = await runner.run()
        await asyncio.sleep(LINGER_S)
    await ground.read_records()
    if course.began_ms is not None:
        await ground.listen(course.method, course.began_ms)
    return course
