from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from drills.demo.routing import lacking
from drills.demo.scenario import Behaviour, Burst, Coming, Dialler, Scenario, plan


@pytest.fixture(params=[(1, 60), (2, 72), (3, 200)], ids=lambda pair: f"seed{pair[0]}-{pair[1]}")
def scenario(request: pytest.FixtureRequest) -> Scenario:
    seed, calls = request.param
    return plan(seed=seed, calls=calls)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan(seed=7, calls=72) == plan(seed=7, calls=72)
    assert plan(seed=7, calls=72) != plan(seed=8, calls=72)


def test_a_dozen_agents_or_more_are_spread_evenly_over_three_sites(scenario: Scenario) -> None:
    homes = Counter(agent.site for agent in scenario.agents)
    assert len(scenario.agents) >= 12
    assert len(homes) == 3
    assert len(set(homes.values())) == 1
    assert len({agent.id for agent in scenario.agents}) == len(scenario.agents)


def test_every_queue_has_able_and_unable_agents_at_every_site(scenario: Scenario) -> None:
    for queue in scenario.queues:
        for site in scenario.sites:
            able = [
                not lacking(scenario, agent.id, queue.id)
                for agent in scenario.agents
                if agent.site == site
            ]
            assert any(able)
            assert not all(able)


def test_there_are_more_calls_than_agents_to_three_numbers(scenario: Scenario) -> None:
    assert len(scenario.calls) > len(scenario.agents)
    assert len({call.did for call in scenario.calls}) == 3
    assert len({call.number for call in scenario.calls}) == len(scenario.calls)


def test_calls_come_in_order_several_a_second(scenario: Scenario) -> None:
    starts = [call.at_s for call in scenario.calls]
    assert starts == sorted(starts)
    assert starts[0] >= 0
    assert 3 <= len(starts) / starts[-1] <= 5


@pytest.mark.parametrize("calls_per_s", [0.5, 2.5, 4.0, 25.0])
def test_nobody_calls_before_the_traffic_begins_however_fast_calls_come(calls_per_s: float) -> None:
    coming = Coming(calls_per_s=calls_per_s)
    for seed in range(1, 60):
        starts = [call.at_s for call in plan(seed=seed, calls=24, coming=coming).calls]
        assert starts == sorted(starts)
        assert starts[0] >= 0, f"seed {seed}"


def test_the_kill_comes_when_half_of_the_calls_have_been_placed(scenario: Scenario) -> None:
    placed = sum(1 for call in scenario.calls if call.at_s < scenario.kill_at_s)
    assert placed == len(scenario.calls) // 2


def test_every_site_is_the_first_choice_of_a_call_in_each_second_and_a_half_after_the_kill(
    scenario: Scenario,
) -> None:
    later = [call for call in scenario.calls if call.at_s >= scenario.kill_at_s]
    for site in scenario.sites:
        starts = [scenario.kill_at_s, *(call.at_s for call in later if call.first_site == site)]
        gaps = [after - before for before, after in pairwise(starts)]
        assert max(gaps) < 1.6


def test_sipp_places_a_quarter_and_holds_no_call(scenario: Scenario) -> None:
    by_sipp = [call for call in scenario.calls if call.dialler is Dialler.SIPP]
    assert len(by_sipp) == len(scenario.calls) // 4
    assert {call.behaviour for call in by_sipp} <= {
        Behaviour.CALLER_ENDS,
        Behaviour.AGENT_ENDS,
        Behaviour.IMPATIENT,
    }


def test_every_behaviour_occurs(scenario: Scenario) -> None:
    assert {call.behaviour for call in scenario.calls} == set(Behaviour)


def test_too_few_calls_are_refused_with_the_number_that_is_enough() -> None:
    with pytest.raises(ValueError, match="at least 24 calls, not 23"):
        plan(seed=1, calls=23)
    assert len(plan(seed=1, calls=24).calls) == 24


def test_in_a_burst_calls_come_faster_from_its_moment_on_and_nothing_else_changes() -> None:
    usual = plan(seed=3, calls=60, coming=Coming(calls_per_s=2.0))
    burst = Burst(from_s=10.0, calls_per_s=20.0)
    fast = plan(seed=3, calls=60, coming=Coming(calls_per_s=2.0, burst=burst))
    for one, other in zip(usual.calls, fast.calls, strict=True):
        assert one.number == other.number
        assert one.behaviour is other.behaviour
        if one.at_s <= 10.0:
            assert other.at_s == one.at_s
        else:
            assert other.at_s == pytest.approx(10.1 + (one.at_s - 10.1) / 10, abs=0.01)


def test_after_a_burst_calls_come_as_before_it() -> None:
    burst = Burst(from_s=10.0, calls_per_s=20.0, for_s=1.5)
    calls = plan(seed=3, calls=80, coming=Coming(calls_per_s=2.0, burst=burst)).calls
    # 20 before, 30 in the burst, and 30 in 15 s.
    assert sum(call.at_s < burst.from_s for call in calls) in {19, 20, 21}
    assert sum(burst.from_s <= call.at_s < burst.ends_s for call in calls) in range(28, 33)
    assert calls[-1].at_s == pytest.approx(26.5, abs=0.5)
    assert [call.at_s for call in calls] == sorted(call.at_s for call in calls)


def test_callers_who_come_later_have_other_numbers_and_are_the_same_otherwise() -> None:
    first = plan(seed=3, calls=60)
    later = plan(seed=3, calls=60, coming=Coming(numbers_from=400))
    assert not {call.number for call in first.calls} & {call.number for call in later.calls}
    assert [call.behaviour for call in first.calls] == [call.behaviour for call in later.calls]
