"""Drills one after another in one lab, which stays up for as long as each leaves it as it was.

Bringing a lab up costs more than most drills take. Between two of them everything that was broken
has to be as it was at first; where it is not, the lab is given up, and the drills that are left are
done in another one.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Callable, Sequence

from drills.beginning import Beginning
from drills.course import Course
from drills.demo.run import Stage, living_edges, staged
from drills.demo.screen import Screen
from drills.demo.stock import take
from drills.drill.ground import Hands
from drills.drill.keeping import evidence_not_begun, evidence_of
from drills.drill.rehearsal import planned, rehearse
from drills.drill.waiting import in_vain
from drills.due import Due
from drills.earlier import comparable_before
from drills.evidence import Evidence, verdict
from drills.experiment import MOST_CALLS
from drills.lacks import Lacks
from drills.lever import Lever
from drills.page import page
from drills.sealing import hash_of
from drills.shelf import NotKeptError, Shelf
from drills.sources import PRODUCT, digest, machine
from state.model import SiteId

READY_AGAIN_S = 60.0
"""An agent's telephone that lost its registrar asks again within 30 s."""
LOOK_EVERY_S = 0.5
READY_FOR = 3
"""So many looks in a row."""


class Series:
    """The drills of one lab."""

    def __init__(self, shelf: Shelf, tell: Callable[[str], None], lab: str = "") -> None:
        """`lab`: what this one is called, of several that stand side by side."""
        self._shelf = shelf
        self._tell = tell
        self._lab = lab
        self._code = digest(*PRODUCT)

    async def carry_out(self, due: Sequence[Due], begin_within_s: float | None) -> list[Evidence]:
        """Drill; return the evidence of those that were begun, which is on the shelf then.

        None is begun later than `begin_within_s`, nor in a lab that is not as it was.
        """
        lever = Lever(self._shelf.home, self._lab)
        if self._lab:
            # Whoever has several labs stand side by side sees to it that no other drill runs.
            hands = Hands(self._tell, lever, is_alone=True)
            return await self._looking(due, hands, begin_within_s)
        with lever.running() as is_alone:
            if is_alone:
                self._shelf.clear_away()
            hands = Hands(self._tell, lever, is_alone)
            return await self._looking(due, hands, begin_within_s)

    async def _looking(
        self, due: Sequence[Due], hands: Hands, begin_within_s: float | None
    ) -> list[Evidence]:
        """Look at the machine all the while."""
        looking = asyncio.create_task(hands.machine.run())
        try:
            return await self._in_a_lab(due, hands, begin_within_s)
        finally:
            looking.cancel()

    async def _in_a_lab(
        self, due: Sequence[Due], hands: Hands, begin_within_s: float | None
    ) -> list[Evidence]:
        clock = asyncio.get_running_loop().time
        ends_s = math.inf if begin_within_s is None else clock() + begin_within_s
        first = planned(due[0].experiment, due[0].seed)
        found: list[Evidence] = []
        lacks = Lacks()
        screen, kind = Screen(scenario=first), due[0].experiment
        async with staged(
            screen,
            has_movable_clocks=kind.moves_clocks,
            has_slow_syncs=kind.slows_disks,
            outlives_site=kind.needs_database,
            calls_back=kind.calls_back,
        ) as stage:
            for number, each in enumerate(due):
                if lacks.puts_back(each.experiment):
                    continue
                if found:
                    missing = await self._make_ready(stage, each, number)
                    if missing:
                        logs = self._shelf.folder(found[-1].run) / "logs"
                        stage.lab.keep_logs(logs)
                        self._tell(f"this lab is given up: {missing}; its logs are in {logs}")
                        break
                if found and clock() > ends_s:
                    break
                began_s = clock()
                waited = await in_vain(each.experiment, hands, stage.clock)
                if found and not waited and clock() > ends_s:
                    break
                if waited is None:
                    found.append(await self.drill(stage, each, hands))
                else:
                    found.append(self.leave_out(each, waited))
                lacks.take(found[-1])
                took_s = clock() - began_s
                told = f"{verdict(found[-1])}, {took_s:.0f} s"
                self._tell(f"{each.experiment.name}, {each.seed}: {told}")
                if found[-1].figures.get("ttl_overrun_s") == math.inf:
                    self._tell("this lab is given up: not all that was broken could be undone")
                    break
                # Whoever aborts a drill means that one, and whoever pulls the lever all of them.
                hands.lever.over()
                if hands.lever.is_pulled:
                    self._tell("nothing more is begun: the safety lever is pulled")
                    break
            await stage.people.send_home()
        return found

    async def _make_ready(self, stage: Stage, due: Due, number: int) -> str:
        """Seat other callers; wait until all is as it was. Return what is missing."""
        stage.scenario = planned(due.experiment, due.seed, numbers_from=number * MOST_CALLS)
        stage.screen.scenario = stage.scenario
        deadline_s = asyncio.get_running_loop().time() + READY_AGAIN_S
        in_a_row = 0
        while True:
            missing = await _missing(stage)
            in_a_row = 0 if missing else in_a_row + 1
            if in_a_row >= READY_FOR:
                stage.people.begin_anew(stage.scenario)
                stage.observer.begin_anew()
                return ""
            if asyncio.get_running_loop().time() > deadline_s:
                return missing or "it is ready for moments only"
            await asyncio.sleep(LOOK_EVERY_S)

    def leave_out(self, due: Due, course: Course) -> Evidence:
        """Keep that a drill was not begun, and why."""
        experiment, shelf = due.experiment, self._shelf
        with shelf.adding(experiment.name) as (run, previous):
            evidence = evidence_not_begun(
                run=run,
                previous=previous,
                experiment=experiment,
                seed=due.seed,
                code=self._code,
                machine=machine(),
                course=course,
            )
            shelf.put(evidence, {}, page(evidence, comparable_before(shelf, evidence)))
        return evidence

    async def drill(self, stage: Stage, due: Due, hands: Hands) -> Evidence:
        """Carry one drill out, and keep what it brings."""
        experiment, shelf = due.experiment, self._shelf
        logs = shelf.begin_work()
        beginning = Beginning(shelf, experiment, due.seed, stage.clock)
        brought = await rehearse(stage, experiment, logs, hands, beginning.note)
        with shelf.adding(experiment.name) as (run, previous):
            evidence = evidence_of(
                run=run,
                previous=previous,
                experiment=experiment,
                seed=due.seed,
                code=self._code,
                machine=machine(),
                seen=brought.seen,
                moments=brought.moments,
                clocks=brought.clocks,
                files={name: hash_of(pcap) for name, pcap in brought.pcaps.items()},
            )
            evidence = beginning.ends_in(evidence)
            before = comparable_before(shelf, evidence)
            try:
                shelf.put(evidence, brought.pcaps, page(evidence, before))
            except NotKeptError:
                told = f"{verdict(evidence)}, but of that there is no evidence"
                self._tell(f"{experiment.name}, {due.seed}: {told}")
                raise
        # Of hundreds of runs they would fill a disk, and nobody asks for those that held.
        if evidence.held:
            shutil.rmtree(logs, ignore_errors=True)
        elif logs.exists():
            shutil.move(logs, shelf.folder(run) / "logs")
        return evidence


async def _missing(stage: Stage) -> str:
    """Return what is not as it was when the lab had come up; empty: nothing."""
    lab, wall = stage.lab, stage.screen.wall
    down = [name for name in lab.supervisor.names() if not lab.supervisor.is_ready(name)]
    if down:
        return f"{', '.join(down)} not ready"
    edges = {edge for site in lab.plan.sites for edge in lab.plan.edges(site)}
    if gone := sorted(edges - wall.edges.keys()):
        return f"edges without a lease: {', '.join(gone)}"
    homes = {agent.id: agent.site for agent in stage.scenario.agents}
    if away := sorted(agent for agent, home in homes.items() if wall.ready.get(agent) != home):
        return f"{len(away)} agents are not ready at home, among them {away[0]}"
    if await lab.etcd_leader_site() is None:
        return "no member of etcd leads"
    stocks, silent = await take(living_edges(stage, SiteId("")), stage.store)
    left = [stock.place for stock in stocks if stock.left] + list(silent)
    return f"something is left at {', '.join(left)}" if left else ""
