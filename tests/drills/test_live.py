"""Drills on sites that are up: what test calls tell, and what stays unmeasured."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from drills.cli.drill_report import report
from drills.cli.errors import Exit
from drills.course import Course, End, FaultError, Look, Made, Note
from drills.demo.reports import End as How
from drills.desk import client
from drills.desk.answers import AgentRow, Agents, Faults, Health, Stakes, Status
from drills.desk.asks import AgentsAsk, CallsAsk, FaultAsk, FaultDo, PlaceAsk, RecordingsAsk
from drills.desk.call_answers import CallRow, Calls
from drills.desk.client import LabRef, OneLab
from drills.desk.errors import DeskError, NoLabError, SeveralLabsError
from drills.desk.recording_answers import RecordingRow, Recordings
from drills.drill import live
from drills.drill.counting import Counting
from drills.drill.desk_faults import DeskFaults
from drills.drill.live import (
    LiveGround,
    Probed,
)
from drills.drill.live_evidence import at_sites, evidence_of, figures
from drills.evidence import Evidence, verdict
from drills.fault import Fault, FaultKind
from drills.lever import Lever
from drills.library import experiment_of
from drills.live_facts import incidents, peak_of, recordings_alone
from drills.page import lines, page
from drills.sealing import FIRST, open_sealed, seal
from drills.shelf import Shelf
from edge.acd.agent_state import AgentState
from state.clock import SystemClock
from state.model import CallId, QueueId, SiteId
from tests.cli.asked import call_row, status
from tests.cli.test_readiness import alone, ask, center
from tests.drills.pieces import KEY
from tests.drills.test_onlookers import Planes, nothing, seen, site, watched
from tests.edge.virtual_time import in_virtual_time

A, B = SiteId("a"), SiteId("b")
T0_MS = 1_700_000_000_000
END_MS = T0_MS + 30_000
KILL = Fault(kind=FaultKind.KILL_SITE, target="a", ttl_s=12.0)
COURSE = Course(
    end=End.COMPLETED,
    why="the method was carried out",
    method=(KILL,),
    verdicts=(),
    notes=(Note(at_ms=T0_MS, who="fault", what="kill_site a"),),
    looks=(),
    made=(
        Made(
            id=1,
            fault=KILL,
            at_ms=T0_MS,
            until_ms=T0_MS + 12_000,
            healed_ms=T0_MS + 13_500,
            by="timer",
        ),
    ),
    began_ms=T0_MS,
    healed_ms=T0_MS + 13_500,
    back_s=2.0,
)


class Desk:
    """Sites that are up: their answers, and test calls that end when they may."""

    def __init__(self, made: tuple[Made, ...] = (), number: int = 1) -> None:
        self.lab = LabRef(launcher=number, path=Path(f"{number}.sock"))
        self.others: tuple[int, ...] = ()
        self.made = made
        self.is_silent = False
        self.running: tuple[CallRow, ...] = ()
        self.ended: tuple[CallRow, ...] = ()
        self.agents: tuple[AgentRow, ...] = ()
        self.steps: tuple[dict[str, object], ...] = ({"event": "answered", "wall_ms": T0_MS},)
        self.calls_end = threading.Event()
        self.recorded: tuple[str, ...] = ()
        self.now_ms = T0_MS
        self.dialled = 0
        self.asked = 0

    def ask(self, ask: object, kind: type[object]) -> object:
        """Answer what a runner asks."""
        self.asked += 1
        if self.is_silent:
            raise DeskError("lab 1 has not answered within 15 s")
        if isinstance(ask, CallsAsk):
            calls = self.running if ask.is_live else (*self.running, *self.ended)
            return Calls(
                lab=1, now_ms=self.now_ms, calls=calls, total=len(self.ended), bad_records={}
            )
        if isinstance(ask, RecordingsAsk):
            rows = (_recording(ask.call),) if ask.call in self.recorded else ()
            return Recordings(lab=1, is_thorough=ask.is_thorough, recordings=rows)
        if isinstance(ask, AgentsAsk):
            return Agents(lab=1, now_ms=T0_MS, agents=self.agents)
        if isinstance(ask, FaultAsk):
            if ask.do is FaultDo.HEAL:
                self.made = tuple(replace(each, healed_ms=T0_MS, by=ask.by) for each in self.made)
            elif ask.fault is not None:
                number = len(self.made) + 1
                new = Made(id=number, fault=ask.fault, at_ms=T0_MS, until_ms=T0_MS + 1)
                self.made = (*self.made, new)
            return Faults(made=self.made)
        assert kind is Status
        return status()

    def follow(self, _ask: PlaceAsk) -> Iterator[bytes]:
        """Tell of one test call, when it may end."""
        self.dialled += 1
        self.calls_end.wait(20.0)
        yield from map(msgspec.json.encode, self.steps)


def _recording(call: str) -> RecordingRow:
    return RecordingRow(
        call=CallId(call),
        queue=QueueId("sales"),
        agent=None,
        site=A,
        ended_ms=T0_MS,
        is_kept=True,
        is_complete=call != "torn",
    )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = Desk()
    monkeypatch.setattr(client, "connected", lambda _lab: contextlib.nullcontext(found))
    return found


def ground_at(folder: Path) -> LiveGround:
    lab, lever = OneLab(), Lever(folder)
    return LiveGround(lab, lever, is_alone=True, clock=SystemClock(), faults=DeskFaults(lab))


async def test_test_calls_that_nobody_answers_keep_nobody_from_looking_and_mending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    monkeypatch.setattr(live, "PROBE_EVERY_S", 0.001)
    ground = ground_at(tmp_path)
    try:
        async with asyncio.timeout(15.0), ground.watched():
            # More than asyncio has threads of its own for whoever asks.
            while desk.dialled < 40:  # noqa: ASYNC110 - threads have no event of this loop
                await asyncio.sleep(0.01)
            await ground.look()
            await ground.faults.heal_all("runner")
            desk.calls_end.set()
    finally:
        desk.calls_end.set()
    assert all(each.answered_ms is not None for each in ground.probes[:40])


class Labs:
    """Labs that are up, the newest last: who names none is connected to that."""

    def __init__(self, *up: Desk) -> None:
        self.up = list(up)

    @contextlib.contextmanager
    def connected(self, launcher: int | None = None) -> Iterator[Desk]:
        """Connect as `client.connected` does."""
        named = [each for each in self.up if launcher in {None, each.lab.launcher}]
        if not named:
            raise NoLabError(f"no lab {launcher} is up")
        line = named[-1]
        line.others = tuple(each.lab.launcher for each in self.up if each is not line)
        yield line


async def test_whoever_comes_up_in_mid_drill_is_not_looked_at_nor_mended_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drilled, newer = Desk(number=1), Desk(number=2)
    labs = Labs(drilled)
    monkeypatch.setattr(client, "connected", labs.connected)
    for each in (drilled, newer):
        each.calls_end.set()
    ground = ground_at(tmp_path)
    await ground.look()
    await ground.faults.begin_anew()
    await ground.faults.make(KILL)
    labs.up.append(newer)
    async with asyncio.timeout(15.0), ground.watched():
        while not drilled.dialled:  # noqa: ASYNC110 - threads have no event of this loop
            await asyncio.sleep(0.01)
    assert [each.by for each in await ground.faults.heal_all("runner")] == ["runner"]
    assert (newer.asked, newer.dialled) == (0, 0)
    labs.up.remove(drilled)
    with pytest.raises(FaultError, match="no lab 1 is up"):
        await ground.faults.heal_all("runner")
    assert newer.asked == 0


async def test_where_several_labs_are_up_one_has_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = Desk(number=1), Desk(number=2)
    monkeypatch.setattr(client, "connected", Labs(older, newer).connected)
    with pytest.raises(SeveralLabsError, match=r"several labs are up \(1, 2\): say which by --lab"):
        await ground_at(tmp_path).look()
    named = OneLab(1)
    ground = ground_at(tmp_path)
    ground.lab = named
    await ground.look()
    assert (older.asked, newer.asked) == (1, 0)


async def test_faults_of_earlier_drills_are_none_of_this_one(desk: Desk) -> None:
    earlier = Made(id=1, fault=KILL, at_ms=T0_MS - 90_000, until_ms=T0_MS - 78_000, by="timer")
    desk.made = (replace(earlier, healed_ms=T0_MS - 70_000),)
    faults = DeskFaults(OneLab())
    await faults.begin_anew()
    assert await faults.standing() == ()
    made = await faults.make(KILL)
    assert made.id == 2
    assert [each.id for each in await faults.heal_all("runner")] == [2]
    assert [each.id for each in await faults.all()] == [1, 2]


async def test_a_fault_that_a_load_had_made_in_the_same_moment_is_not_taken_for_the_drills(
    monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    answer = desk.ask

    def both(ask: object, kind: type[object]) -> object:
        told = answer(ask, kind)
        assert isinstance(told, Faults)
        theirs = Made(id=9, fault=replace(KILL, target="c"), at_ms=T0_MS + 5, until_ms=T0_MS + 9)
        return replace(told, made=(*told.made, theirs))

    monkeypatch.setattr(desk, "ask", both)
    made = await DeskFaults(OneLab()).make(KILL)
    assert (made.id, made.fault.target) == (1, KILL.target)


async def test_what_was_seen_long_ago_is_not_what_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    ground = ground_at(tmp_path)
    assert ground.measure() == {}
    await ground.look()
    assert "sites_serving" in ground.measure()
    desk.is_silent = True
    with pytest.raises(DeskError):
        await ground.look()
    assert "sites_serving" in ground.measure()
    monkeypatch.setattr(live, "OLD_S", 0.0)
    assert ground.measure() == {}


async def test_a_call_that_no_test_call_is_known_as_is_a_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    ground = ground_at(tmp_path)
    assert ground.real_calls() is None, "nobody has looked yet"
    counting = ground.counting = Counting(ground.lab.connected)
    now_ms = ground.clock.now().wall_ms
    monkeypatch.setattr(desk, "now_ms", now_ms)
    desk.running = (call_row("ours"), call_row("theirs"))
    ground.probes.append(replace(probe(0.0, A), call=CallId("ours")))
    await counting.begin()
    assert ground.real_calls() is None, "who dials may not yet have heard under which name"
    desk.running = ()
    await counting.begin()
    assert ground.real_calls() == 1
    await counting.begin()
    assert ground.real_calls() == 0
    counting.before = (now_ms - 11_000, frozenset())
    assert ground.real_calls() is None, "that was too long ago"


async def test_without_a_test_call_nobody_knows_how_callers_are_served(
    tmp_path: Path, desk: Desk
) -> None:
    assert not desk.is_silent
    ground = ground_at(tmp_path)
    await ground.look()
    assert "success_share" not in ground.measure()
    now_ms = ground.clock.now().wall_ms
    ground.probes.append(replace(probe(0.0, A), at_ms=now_ms - 5_000, answered_ms=now_ms))
    assert ground.measure()["success_share"] == 1.0


def probe(at_s: float, first: SiteId, took_s: float | None = 0.3) -> Probed:
    at_ms = T0_MS + round(at_s * 1000)
    return Probed(
        at_ms=at_ms,
        first=first,
        answered_ms=None if took_s is None else at_ms + round(took_s * 1000),
        ended_ms=None,
        joined_ms=None if took_s is None else at_ms + round(took_s * 1000) + 500,
    )


def refused(at_s: float, first: SiteId, took_s: float) -> Probed:
    ended_ms = T0_MS + round((at_s + took_s) * 1000)
    return replace(probe(at_s, first, None), ended_ms=ended_ms, how=How.REFUSED)


def test_service_is_back_with_the_first_test_call_after_which_all_are_answered() -> None:
    probes = [
        probe(-1.0, A),
        refused(0.5, A, 0.9),
        refused(1.0, B, 0.9),
        probe(2.0, A, 3.5),
        probe(3.0, A, 1.2),
        probe(6.0, A),
    ]
    found = figures(COURSE, probes, A, END_MS)
    assert found["rto_s"] == 4.2, "the one of 3.0 s was answered 1.2 s later"
    assert found["failed"] == 0
    assert found["final_answer_s"] == 3.5
    assert found["media_rto_s"] == 4.7, "the first at a that heard an agent came at 3.0 s"
    assert found["ttl_overrun_s"] == 1.5
    assert figures(COURSE, [*probes, probe(8.0, B, None)], A, END_MS)["failed"] == 1
    assert figures(COURSE, [*probes, probe(8.0, A, None)], A, END_MS)["rto_s"] == math.inf
    elsewhere = [probe(2.0, B)]
    assert figures(COURSE, elsewhere, A, END_MS)["rto_s"] is None, "nobody came to a any more"


def test_a_test_call_without_a_final_answer_waited_for_ever_and_a_refusal_is_one() -> None:
    probes = [probe(-1.0, A, None), probe(1.0, A), refused(2.0, B, 4.2)]
    assert figures(COURSE, probes, A, END_MS)["final_answer_s"] == 4.2
    waits = figures(COURSE, [*probes, probe(3.0, A, None)], A, END_MS)
    assert waits["final_answer_s"] == float("inf")


def test_where_no_test_call_came_once_the_dust_had_settled_nothing_tells_whether_calls_fail() -> (
    None
):
    assert figures(COURSE, [probe(4.9, A)], A, END_MS)["failed"] is None
    assert figures(COURSE, [probe(5.1, A)], A, END_MS)["failed"] == 0


def test_faults_of_which_nobody_tells_any_more_have_no_end_that_is_known() -> None:
    silent = replace(COURSE, made=(), healed_ms=None)
    assert figures(silent, [], A, END_MS)["ttl_overrun_s"] is None


def test_a_fault_that_was_never_undone_outlives_its_time_until_now() -> None:
    stands = replace(COURSE, made=(replace(COURSE.made[0], healed_ms=None, by=""),))
    assert figures(stands, [], A, END_MS)["ttl_overrun_s"] == 18.0
    assert figures(stands, [], A, T0_MS + 5000)["ttl_overrun_s"] == 0.0


def test_the_evidence_of_a_fault_that_still_stands_tells_by_how_much(tmp_path: Path) -> None:
    ground = ground_at(tmp_path)
    stands = replace(COURSE, made=(replace(COURSE.made[0], healed_ms=None, by=""),))
    experiment = experiment_of("controller_dies")
    evidence = evidence_of("r1", FIRST, experiment, ground, stands)
    (judged,) = [each for each in evidence.judgements if each.figure == "ttl_overrun_s"]
    assert not judged.held


def evidence_at(folder: Path) -> Evidence:
    ground = ground_at(folder)
    ground.probes += [probe(0.5, A), probe(6.0, A)]
    return evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)


def test_the_evidence_judges_what_test_calls_show_and_names_what_they_do_not(
    tmp_path: Path,
) -> None:
    evidence = evidence_at(tmp_path)
    assert {each.figure for each in evidence.judgements} == {"rto_s", "failed", "final_answer_s"}
    assert evidence.held
    assert "1 <= ledger_exact" in evidence.unjudged
    assert len(evidence.unjudged) + 3 == len(evidence.experiment.expect) == 14
    assert "ledger_exact" in evidence.findings[0]
    assert len(evidence.calls) == 2
    assert open_sealed(seal(evidence, KEY), {}, None) == evidence


async def test_the_first_talk_of_a_test_call_that_is_recorded_as_a_whole_is_looked_for(
    tmp_path: Path, desk: Desk
) -> None:
    ground = ground_at(tmp_path)
    ground.counting = Counting(ground.lab.connected)
    calls = {"early": -1.0, "unkept": 0.5, "torn": 1.5, "whole": 2.5, "later": 4.5}
    ground.probes += [replace(probe(at_s, A), call=CallId(call)) for call, at_s in calls.items()]
    desk.recorded = ("early", "torn", "whole", "later")
    await ground.listen(COURSE.method, T0_MS)
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert evidence.figures["recording_rto_s"] == pytest.approx(2.5 + 0.8)
    assert (evidence.figures["data_rto_s"], evidence.figures["sign_in_rto_s"]) == (None, None)
    assert "data_rto_s <= 5" in evidence.unjudged, "a look is a second late"
    desk.is_silent = True
    await ground.listen(COURSE.method, T0_MS)
    assert ground.whole == set()


def test_what_held_as_far_as_it_could_be_judged_is_said_to_hold_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = evidence_at(tmp_path)
    assert verdict(evidence) == "held in part: 3 of 14 judged"
    text = page(evidence, [evidence])
    assert '<span class="held">held in part: 3 of 14 judged</span>' in text
    assert "3 of 3 expectations held. Only these could be judged: 3 of 14 judged." in text
    assert text.count("<td>not judged</td>") == 11
    assert "The ledger is not measured." in text
    assert "not judged  1 <= ledger_exact" in list(lines(evidence))
    shelf = Shelf(tmp_path / "shelf")
    shelf.put(evidence, {}, text)
    assert report(keep=shelf.home) == Exit.OK
    assert "held in part: 3 of 14 judged" in capsys.readouterr().out
    assert report(json=True, keep=shelf.home) == Exit.OK
    said = msgspec.json.decode(capsys.readouterr().out)
    assert said["verdict"] == "held in part: 3 of 14 judged"
    assert said["unjudged"] == list(evidence.unjudged)


def test_what_broke_is_broken_however_little_was_judged(tmp_path: Path) -> None:
    ground = ground_at(tmp_path)
    ground.probes += [probe(0.5, A), probe(6.0, A, None)]
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert verdict(evidence) == "BROKEN"


def test_whatever_is_wrong_at_sites_that_are_up_is_an_incident() -> None:
    told = incidents(status())
    assert "site b is cut off" in told
    assert "site c drains" in told
    assert "kamailio-b is down" in told
    assert "edge b1 does not answer" in told
    assert not [each for each in told if "edge a1" in each]


def test_a_system_that_is_well_has_no_incident() -> None:
    site, edge = status().sites[0], status().edges[0]
    up = dict.fromkeys(site.processes, Health.UP)
    well = replace(status(), sites=(replace(site, processes=up),), edges=(edge,), bad_records={})
    assert incidents(well) == ()
    assert incidents(replace(well, snapshot="stale")) == ("nobody reads the shared state",)
    assert incidents(replace(well, alone={site.site: 5})) == ("site a serves alone",)
    bad = {"/everline/state/unreplicated/b": "no JSON"}
    assert incidents(replace(well, bad_records=bad)) == (
        "records of the shared state that cannot be read: 1 (./everline status names them)",
    )


def test_recordings_of_one_site_alone_are_those_that_readiness_tells_of() -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    world.put(*alone("b", 2, is_late=True))
    found = recordings_alone(ask(world, []))
    assert {site: (risk.recordings, risk.is_late) for site, risk in found.items()} == {B: (2, True)}


def test_a_load_that_could_not_be_read_is_not_taken_for_none() -> None:
    ready = ask(center({"a": 6, "b": 6, "c": 6}), [])
    stakes = Stakes(etcd={}, numbers={}, peak_erlangs=4.5)
    assert peak_of(stakes, ready) == 4.5
    assert peak_of(replace(stakes, peak_erlangs=None), ready) is None


def looked(at_s: float, **values: float) -> Look:
    return Look(at_ms=T0_MS + round(at_s * 1000), values=values)


MOVING = replace(
    COURSE,
    looks=(
        looked(-2.0, agents_at_a=9, agents_at_b=10, calls_at_a=4),
        looked(-1.0, agents_at_a=10, agents_at_b=10, calls_at_a=5),
        looked(1.0, agents_at_a=10, agents_at_b=10, calls_at_a=5),
        Look(at_ms=T0_MS + 2_000, values={}),
        looked(8.0, agents_at_b=20, calls_at_a=0),
        looked(15.0, agents_at_a=4, agents_at_b=16, calls_at_a=1),
    ),
)


def test_where_agents_and_calls_were_is_told_before_meanwhile_and_after() -> None:
    told = [each.told() for each in at_sites(MOVING, END_MS)]
    assert told == [
        "agents at a: 10 before, 0 to 10 while it was broken, 4 at the end",
        "agents at b: 10 before, 10 to 20 while it was broken, 16 at the end",
        "calls at a: 5 before, 0 to 5 while it was broken, 1 at the end",
    ]
    assert at_sites(replace(MOVING, began_ms=None), END_MS) == ()
    assert at_sites(replace(MOVING, looks=MOVING.looks[2:]), END_MS) == (), "nobody looked before"
    stands = replace(MOVING, healed_ms=None)
    assert at_sites(stands, END_MS)[1].most == 20


def test_the_evidence_tells_where_people_were_and_that_no_clock_was_measured(
    tmp_path: Path,
) -> None:
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground_at(tmp_path), MOVING)
    moved = [line for line in lines(evidence) if line.startswith(("agents", "calls"))]
    assert moved == [each.told() for each in evidence.at_sites if each.what == "agents"]
    text = page(evidence)
    assert "<td>agents at a</td><td>10</td><td>0 to 10</td><td>4</td>" in text
    assert "<h2>Clocks</h2><p>Not measured.</p>" in text


async def test_each_look_tells_how_many_are_at_each_site(tmp_path: Path, desk: Desk) -> None:
    assert not desk.is_silent
    ground = ground_at(tmp_path)
    await ground.look()
    found = ground.measure()
    assert (found["agents_at_b"], found["calls_at_c"]) == (12 * (len(AgentState) - 2), 120)


@in_virtual_time
async def test_the_timeline_has_what_control_planes_saw_and_between_what_their_clocks_differ(
    tmp_path: Path,
) -> None:
    planes = Planes({"b": 600_000})

    def dies() -> None:
        planes.says["b"] = seen(site("a"), site("b", "b1", "b2"))
        planes.silent.add("a")

    ground = ground_at(tmp_path)
    ground.onlookers = await watched(planes, (2.5, dies), (5.0, nothing))
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    told = [(each.who, each.what) for each in evidence.timeline]
    assert told == [
        ("fault", "kill_site a"),
        ("runner", "the control plane of a does not answer"),
        ("b control plane", "a1, a2 of site a no longer in the shared state"),
    ]
    assert {each.who for each in evidence.clocks} == {"a control plane", "b control plane"}
    assert open_sealed(seal(evidence, KEY), {}, None) == evidence
    text = page(evidence)
    assert "<td>b control plane</td><td>599" in text
    assert "Not measured.</p>" not in text


@in_virtual_time
async def test_a_clock_that_no_control_plane_told_is_a_finding(tmp_path: Path) -> None:
    planes = Planes()
    planes.silent.add("a")
    ground = ground_at(tmp_path)
    ground.onlookers = await watched(planes, (2.5, nothing))
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert "the clock of a is not bounded" in evidence.findings[-1]
