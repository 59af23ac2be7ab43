"""What a load breaks: reviewed drills, by its seed, and what became of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from msgspec.structs import replace

from drills.fault import Fault, FaultKind
from drills.library import experiments
from loadtests.load.faults import DRILLS, PUT_OFF_S, Done, Planned, figures, plan_faults
from loadtests.load.plan import Request, ShapeName

SITES = ("a", "b", "c")
REVIEWED = experiments()
METHODS = {name: REVIEWED[name].method for name in DRILLS}


def soak(seconds: float = 7200.0, seed: int = 1) -> tuple[Planned, ...]:
    request = Request(shape=ShapeName.SOAK, seconds=seconds, seed=seed)
    return plan_faults(request, SITES, METHODS)


def test_site_is_lost_once_at_the_peak_and_comes_back_before_the_end() -> None:
    request = Request(shape=ShapeName.SITE_LOST, seconds=200.0)
    (planned,) = plan_faults(request, SITES, {})
    assert planned.at_s == pytest.approx(90.0)
    assert planned.fault.kind is FaultKind.KILL_SITE
    assert planned.aimed(None).target in SITES
    assert planned.at_s + planned.fault.ttl_s < 200 * 0.85


def test_drills_of_a_soak_are_reviewed_ones_that_leave_the_quorum() -> None:
    for name in DRILLS:
        drill = REVIEWED[name]
        assert drill.method
        assert not drill.loses_quorum, name
        assert not drill.moves_clocks, name
        assert not drill.slows_disks, name
        assert not drill.needs_database, name


def test_soak_plays_all_its_drills_again_and_again_over_its_whole_time() -> None:
    made = soak()
    plays = Counter(each.drill for each in made)
    assert set(plays) == set(DRILLS)
    assert max(plays.values()) - min(plays.values()) <= 2
    assert 90 <= len(made) <= 140
    times = [each.at_s for each in made]
    assert times == sorted(times)
    assert max(two - one for one, two in pairwise(times)) < 100
    assert {each.sites[0] for each in made} == set(SITES)


@pytest.mark.parametrize("seconds", [21.0, 60.0, 900.0, 7200.0])
def test_end_of_a_soak_is_quiet(seconds: float) -> None:
    for seed in range(20):
        made = soak(seconds, seed)
        assert made
        over_s = max(each.at_s + each.fault.ttl_s for each in made)
        assert over_s <= seconds - min(600.0, seconds / 4)
        assert over_s > seconds - min(600.0, seconds / 4) - 0.65 * min(seconds, 150.0)


def test_same_seed_draws_the_same_and_another_others() -> None:
    assert soak(900.0) == soak(900.0)
    assert len({tuple(each.drill for each in soak(900.0, seed)) for seed in range(10)}) == 10


def test_drill_is_aimed_when_it_is_made_at_whoever_leads_then() -> None:
    fault = Fault(kind=FaultKind.CUT_ONE_WAY, target="{leader}>{follower}", ttl_s=1.0)
    planned = Planned(at_s=1.0, drill="x", fault=fault, sites=("c", "a", "b"))
    assert planned.aimed("a").target == "a>c"
    assert planned.aimed("c").target == "c>a"
    assert planned.aimed(None).target == "c>a"


def test_every_fault_can_be_made_and_names_no_part_any_more() -> None:
    for made in soak():
        fault = made.aimed("b")
        assert "{" not in fault.target
        assert fault.wrong_because() is None


@pytest.mark.parametrize("shape", set(ShapeName) - {ShapeName.SOAK, ShapeName.SITE_LOST})
def test_other_shapes_break_nothing(shape: ShapeName) -> None:
    assert plan_faults(Request(shape=shape, seconds=200.0), SITES, METHODS) == ()


def test_fault_that_was_refused_is_not_made_and_says_why() -> None:
    kill = Fault(kind=FaultKind.KILL, target="edge-a1")
    made = Done(at_s=20.0, drill="edge_killed", fault=kill)
    refused = replace(made, at_s=80.0, problem="the safety lever is pulled")
    planned = soak(900.0)[:2]
    nobody = {"faults.put_off": 0.0, "faults.not_begun": 0.0}
    half = {"faults.made": 1.0, "faults.made_share": 0.5}
    assert figures(planned, [made, refused]) == half | nobody
    assert figures((), ()) == {"faults.made": 0.0, "faults.made_share": 1.0} | nobody
    assert made.told() == "at 20 s: edge_killed: kill edge-a1"
    assert refused.told() == "at 80 s: edge_killed: kill edge-a1: the safety lever is pulled"


def test_faults_of_drills_that_need_a_machine_with_time_wait_for_it() -> None:
    request = Request(shape=ShapeName.SOAK, seconds=7200.0)
    needs = {name: REVIEWED[name].ready for name in DRILLS}
    made = plan_faults(request, SITES, METHODS, needs)
    assert [replace(each, needs=()) for each in made] == list(soak())
    waiting = {each.drill for each in made if each.needs}
    assert waiting == {"edge_killed", "etcd_leader_lost", "waiting_redial", "witness_lost"}
    # Each is put off by itself.
    assert all(len(METHODS[name]) == 1 for name in waiting)
    (one, *_) = (each for each in made if each.needs)
    assert one.lacks({"runnable_per_core": 6.0}) == ""
    assert one.lacks({"runnable_per_core": 7.5}) == "runnable_per_core <= 6, not 7.5"
    assert one.lacks({}) == "runnable_per_core <= 6, not unknown"


def test_fault_that_waited_tells_so_and_one_that_waited_in_vain_is_in_no_share() -> None:
    kill = Fault(kind=FaultKind.KILL, target="edge-a1")
    late = Done(at_s=20.0, drill="edge_killed", fault=kill, put_off_s=3.25)
    never = replace(late, problem="not begun: x", lacked="x", put_off_s=PUT_OFF_S)
    assert late.told() == "at 20 s, put off by 3.2 s: edge_killed: kill edge-a1"
    found = figures(soak(900.0)[:2], [late, never])
    assert found == {
        "faults.made": 1.0,
        "faults.made_share": 1.0,
        "faults.put_off": 1.0,
        "faults.not_begun": 1.0,
    }
