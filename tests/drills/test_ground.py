"""When a drill in a lab may begin: callers come by their plan, and talk where it matters."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from drills.books import SETTLED_AFTER_S
from drills.demo.people import LATE_S, People
from drills.demo.phones import Line
from drills.demo.reports import CallerReport
from drills.demo.scenario import Dialler
from drills.drill import ground
from drills.drill.ground import (
    CALLS_AFTER_S,
    SPARED_WITHIN_S,
    Hands,
    LabGround,
    calls_after_s,
)
from drills.experiment import CALLERS_COME, Bound, Experiment
from drills.fault import Fault, FaultKind
from drills.guards import Verdict, decide
from drills.lab import replicas
from drills.lever import Lever
from drills.library import experiment_of, experiments
from drills.runner import LOOK_EVERY_S, STEADY_FOR
from drills.schedule.book import Book
from drills.schedule.calendar import Blackout
from state.clock import SystemClock
from state.model import CallId, EdgeId, SiteId, Ticket
from tests.demo.invented import SCENARIO
from tests.drills.good_run import ticket_at
from tests.edge.virtual_time import LoopClock, in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drills.course import Made
    from drills.demo.run import Stage
    from drills.faults import FaultClient
    from drills.lab.lab import Lab

KILL_EDGE = Fault(kind=FaultKind.KILL, target="edge-a1")


def people(folder: Path) -> People:
    lab = SimpleNamespace(paths=SimpleNamespace(run=folder))
    return People(lab=cast("Lab", lab), scenario=SCENARIO)


@in_virtual_time
async def test_a_call_is_late_that_is_not_placed_long_after_its_time(tmp_path: Path) -> None:
    everybody = people(tmp_path)
    assert everybody.late(()) == 0, "nobody is to call yet"
    everybody.call_from_s = asyncio.get_running_loop().time()
    first, second, *_ = sorted(SCENARIO.calls, key=lambda each: each.at_s)
    await asyncio.sleep(second.at_s + LATE_S - 0.001)
    assert everybody.late(()) == 1
    everybody.lines.append(Line(event="invite", role="caller", phone=first.number, sip_call_id="1"))
    assert everybody.late(everybody.caller_reports()) == 0
    await asyncio.sleep(0.002)
    assert everybody.late(everybody.caller_reports()) == 1
    everybody.begin_anew(SCENARIO)
    assert everybody.late(()) == 0


def test_no_drill_in_a_lab_begins_while_callers_are_late() -> None:
    assert CALLERS_COME in experiment_of("site_killed").needed
    assert CALLERS_COME.holds(0.0)
    assert not CALLERS_COME.holds(1.0)


def called(number: int, at_ms: int, *, is_answered: bool) -> CallerReport:
    return CallerReport(
        number=str(number),
        sip_call_id=str(number),
        call=CallId(f"{number:024x}"),
        dialler=Dialler.PHONE,
        invite_ms=at_ms,
        ok_ms=at_ms + 100 if is_answered else None,
    )


@in_virtual_time
async def test_how_callers_are_served_is_said_of_some_who_called_and_of_nobody_else(
    tmp_path: Path,
) -> None:
    """At a limit on it a drill stops: of nobody, it would be reached by nothing."""
    everybody, lab = ground_of(tmp_path, {}, "rto_s")
    found: list[CallerReport] = []
    loop, clock = asyncio.get_running_loop(), LoopClock()
    everybody.call_from_s = loop.time()
    last_s = SCENARIO.calls[-1].at_s

    def share() -> float | None:
        return lab._success_share(found).get("success_share")  # noqa: SLF001 - of all it measures

    assert share() is None, "nobody has called yet"
    found += [called(1, clock.now().wall_ms, is_answered=True)]
    await asyncio.sleep(4.0)
    assert share() == 1.0
    await asyncio.sleep(last_s + 5.0 - 4.0)
    assert share() is None, "callers who should have come have not"
    came_ms = round(clock.now().wall_ms - 5.0 * 1000)
    found += [called(2, came_ms, is_answered=True), called(3, came_ms, is_answered=False)]
    assert share() == 0.5
    await asyncio.sleep(60.0)
    assert share() == 0.5, "those who called last, since nobody is to come any more"


class Center:
    """A center that is well, as the screen and etcd tell it."""

    async def leader(self) -> str:
        """Return a."""
        return "a"

    async def standing(self) -> tuple[Made, ...]:
        """Return nothing: nothing was ever made."""
        return ()

    def stage(self) -> Stage:
        """Return the lab in which it is."""
        wall = SimpleNamespace(edges_at=lambda _: 2, agents_at=lambda _: (5, 5), unreplicated={})
        sites = tuple(map(SiteId, "abc"))
        lab = SimpleNamespace(
            plan=SimpleNamespace(sites=sites), etcd_leader_site=self.leader, database=None
        )
        found = SimpleNamespace(clock=SystemClock(), lab=lab, screen=SimpleNamespace(wall=wall))
        return cast("Stage", found)


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[SiteId, int | None]]:
    """Return what the members of etcd say at each question, the last of it again and again."""
    told: list[Mapping[SiteId, int | None]] = [dict.fromkeys(map(SiteId, "abc"), 0)]

    async def lags(_: Lab) -> Mapping[SiteId, int | None]:
        return told.pop(0) if len(told) > 1 else told[0]

    monkeypatch.setattr(replicas, "raft_lags", lags)
    return told


async def test_a_member_of_etcd_that_is_behind_is_known_in_a_lab_too(
    tmp_path: Path, behind: list[Mapping[SiteId, int | None]]
) -> None:
    experiment = experiment_of("edge_killed")
    late = dict.fromkeys(map(SiteId, "abc"), 3) | {SiteId("b"): 501}
    silent = dict.fromkeys(map(SiteId, "abc"), 3) | {SiteId("b"): None}
    behind[:] = [late]
    assert "etcd at b 501 log entries behind" in (await guard_of(tmp_path, experiment, LAG)).why
    behind[:] = [silent]
    found = await guard_of(tmp_path, experiment, LAG)
    assert (found.allows, found.why) == (False, "etcd at b does not tell (at most 500)")
    behind[:] = [silent, silent, dict.fromkeys(map(SiteId, "abc"), 3)]
    assert (await guard_of(tmp_path, experiment, LAG)).allows, "it had no time at first"


LAG = "replica lag"


async def calendar_of(folder: Path, experiment: Experiment) -> Verdict:
    return await guard_of(folder, experiment, "calendar")


async def guard_of(folder: Path, experiment: Experiment, guard: str) -> Verdict:
    center = Center()
    lab = LabGround(
        center.stage(),
        cast("FaultClient", center),
        experiment=experiment,
        hands=Hands(lambda _: None, Lever(folder), is_alone=True),
    )
    verdicts = decide(experiment, experiment.method, await lab.facts())
    (found,) = [each for each in verdicts if each.guard == guard]
    return found


@pytest.mark.usefixtures("behind")
async def test_a_drill_in_a_lab_may_not_begin_in_a_blackout_that_is_for_all(
    tmp_path: Path,
) -> None:
    experiment = experiment_of("edge_killed")
    assert (await calendar_of(tmp_path, experiment)).allows
    always = Blackout(name="audit", zone="UTC", begins="2000-01-01T00:00", ends="2999-01-01T00:00")
    Book(tmp_path).add(replace(always, name="tenants", scope="tenant:main"))
    assert (await calendar_of(tmp_path, experiment)).allows, "it is about live systems alone"
    Book(tmp_path).add(always)
    forbids = await calendar_of(tmp_path, experiment)
    assert not forbids.allows
    assert "audit (until 2999" in forbids.why


@pytest.mark.usefixtures("behind")
async def test_where_nobody_can_read_the_calendar_it_may_hold_a_blackout(tmp_path: Path) -> None:
    (tmp_path / "calendar.json").write_text("{")
    forbids = await calendar_of(tmp_path, experiment_of("edge_killed"))
    assert not forbids.allows
    assert "is damaged" in forbids.why


def talk_at(site: str) -> Ticket:
    agent = next(each.id for each in SCENARIO.agents if each.site == site)
    found = ticket_at(0, "talk", 1, site=SiteId(site), via=SiteId(site), agent=agent).ticket
    assert found is not None
    return found


async def quiet(_: Stage) -> None:
    """Be quiet at once."""


def ground_of(folder: Path, tickets: dict[str, Ticket], expects: str) -> tuple[People, LabGround]:
    everybody = people(folder)
    stage = SimpleNamespace(
        clock=LoopClock(),
        people=everybody,
        scenario=SCENARIO,
        screen=SimpleNamespace(wall=SimpleNamespace(tickets=tickets)),
    )
    expect = (Bound(figure=expects, at_least=0.0),)
    lab = LabGround(
        cast("Stage", stage),
        cast("FaultClient", None),
        experiment=replace(experiment_of("edge_killed"), expect=expect),
        hands=cast("Hands", None),
    )
    return everybody, lab


@in_virtual_time
async def test_a_good_instant_is_not_waited_for_until_nobody_calls_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "quiet_instant", quiet)
    everybody, lab = ground_of(tmp_path, {}, "kept_share")
    loop = asyncio.get_running_loop()
    everybody.call_from_s = loop.time() - SCENARIO.calls[-1].at_s + CALLS_AFTER_S + 2.0
    began_s = loop.time()
    await lab.good_instant([KILL_EDGE])
    assert loop.time() - began_s == pytest.approx(2.0, abs=0.1)
    everybody.call_from_s -= 2 * CALLS_AFTER_S
    began_s = loop.time()
    await lab.good_instant([KILL_EDGE])
    assert loop.time() - began_s <= 0.1


@in_virtual_time
async def test_a_drill_about_calls_once_the_dust_has_settled_begins_while_some_are_still_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "quiet_instant", quiet)
    everybody, lab = ground_of(tmp_path, {}, "failed")
    loop = asyncio.get_running_loop()
    last_s = loop.time() + 20.0
    everybody.call_from_s = last_s - SCENARIO.calls[-1].at_s
    lab._touched = 1  # noqa: SLF001 - it waits for somebody who never talks
    await lab.good_instant([KILL_EDGE])
    # And a moment in which nobody hangs up is waited for then.
    assert last_s - loop.time() > SETTLED_AFTER_S + 1.0
    shown = experiment_of("carrier_floods")
    assert calls_after_s(shown) == CALLS_AFTER_S, "it expects nothing of them apart"


@pytest.mark.parametrize("name", sorted(experiments()))
def test_a_fault_that_is_late_by_seconds_leaves_the_calls_that_its_drill_is_judged_by(
    name: str,
) -> None:
    experiment = experiment_of(name)
    load = experiment.load
    steady_s = load.before_s + STEADY_FOR * LOOK_EVERY_S
    spare_s = load.calls / load.calls_per_s - steady_s - calls_after_s(experiment)
    assert spare_s >= 4.0 or load.burst_per_s, f"{spare_s:g} s"


@pytest.mark.parametrize(
    ("expects", "at", "is_enough"),
    [
        ("kept_share", "a1", True),
        ("kept_share", "a2", False),
        ("kept_share", "b1", False),
        ("cleared_s", "b1", False),
        ("rto_s", "b1", True),
        ("spared_gap_ms", "a1", False),
    ],
)
@in_virtual_time
async def test_what_breaks_talks_waits_for_somebody_who_talks_there(
    expects: str, at: str, *, is_enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "quiet_instant", quiet)
    clock, talk = LoopClock(), replace(talk_at(at[0]), holder=EdgeId(at))
    everybody, lab = ground_of(tmp_path, {"talk": talk}, expects)

    async def talks_on() -> None:
        while True:
            joined = Line(
                event="joined",
                role="caller",
                sip_call_id=talk.sip_call_id,
                wall_ms=clock.now().wall_ms - 1000,
            )
            everybody.lines.append(joined)
            await asyncio.sleep(0.5)

    talking = asyncio.create_task(talks_on())
    await asyncio.sleep(0)
    began_s = clock.now().mono_s
    everybody.call_from_s = (
        began_s + SPARED_WITHIN_S + 1.0 - SCENARIO.calls[-1].at_s + CALLS_AFTER_S
    )
    await lab.good_instant([KILL_EDGE])
    talking.cancel()
    took_s = clock.now().mono_s - began_s
    assert took_s == 0.0 if is_enough else took_s >= SPARED_WITHIN_S + 0.9, "as long as it can"


@pytest.mark.parametrize(("at", "waits_s"), [("b", SPARED_WITHIN_S), ("a", SPARED_WITHIN_S + 4.0)])
@in_virtual_time
async def test_one_caller_who_is_spared_will_do_after_a_while_and_none_will_not(
    at: str, waits_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would be heard of the spared, and the drill not hold for that alone."""
    monkeypatch.setattr(ground, "quiet_instant", quiet)
    clock, talk = LoopClock(), talk_at(at)
    everybody, lab = ground_of(tmp_path, {"talk": talk}, "spared_gap_ms")
    joined = Line(event="joined", role="caller", sip_call_id=talk.sip_call_id)

    async def talks_on() -> None:
        while True:
            everybody.lines.append(replace(joined, wall_ms=clock.now().wall_ms - 1000))
            await asyncio.sleep(0.5)

    talking = asyncio.create_task(talks_on())
    await asyncio.sleep(0)
    began_s = clock.now().mono_s
    last_s = SPARED_WITHIN_S + 4.0
    everybody.call_from_s = began_s + last_s - SCENARIO.calls[-1].at_s + CALLS_AFTER_S
    await lab.good_instant([KILL_EDGE])
    talking.cancel()
    assert clock.now().mono_s - began_s == pytest.approx(waits_s, abs=0.2)
