"""Waits that a lack of agents explains, and those that it does not."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills.delays import COMING_S, delayed_ms, offer_delay_s, served
from drills.demo import reports
from drills.demo.routing import lacking
from drills.demo.waiting import Free, OutOfReach, Wait, Waiting
from drills.figures import figures
from state.model import AgentId, CallId, EdgeId, QueueId, SiteId
from tests.demo import invented
from tests.demo.invented import CALLERS, KILL_MS, SCENARIO
from tests.drills.good_run import seen

A, A1 = SiteId("a"), EdgeId("a1")
QUEUE = SCENARIO.queues[0].id
ABLE = [each for each in SCENARIO.agents if not lacking(SCENARIO, each.id, QUEUE)]
UNABLE = next(each for each in SCENARIO.agents if lacking(SCENARIO, each.id, QUEUE))


def wait(call: str, from_ms: float, to_ms: float, *, first: int = 1) -> Wait:
    return Wait(
        call=CallId(call),
        queue=QUEUE,
        holder=A1,
        order=(0, first),
        from_ms=from_ms,
        to_ms=to_ms,
    )


def free(agent: AgentId, from_ms: float, to_ms: float = math.inf) -> Free:
    return Free(agent=agent, site=A, from_ms=from_ms, to_ms=to_ms)


def delays(
    *waits: Wait, agents: tuple[Free, ...], away: tuple[OutOfReach, ...] = ()
) -> dict[str, float]:
    told = delayed_ms(SCENARIO, Waiting(waits=waits, free=agents, out_of_reach=away))
    return {call: told_ms for call, told_ms in told.items() if told_ms}


def test_only_the_time_counts_in_which_somebody_who_suits_is_free() -> None:
    waits = (wait("x", 0, 9000),)
    assert delays(*waits, agents=(free(UNABLE.id, 0),)) == {}
    assert delays(*waits, agents=(free(ABLE[0].id, 6000),)) == {"x": 3000}
    both = (free(ABLE[0].id, 6000, 7000), free(ABLE[1].id, 8500))
    assert delays(*waits, agents=both) == {"x": 1500}
    assert delays(*waits, agents=(free(ABLE[0].id, 9000),)) == {}


def test_who_stands_behind_waits_for_want_of_agents_as_long_as_there_are_too_few() -> None:
    waits = (wait("behind", 0, 9000, first=2), wait("ahead", 0, 4000))
    assert delays(*waits, agents=(free(ABLE[0].id, 1000),)) == {"ahead": 3000, "behind": 5000}
    two = (free(ABLE[0].id, 1000), free(ABLE[1].id, 2000))
    assert delays(*waits, agents=two) == {"ahead": 3000, "behind": 7000}


def test_an_agent_whom_the_callers_edge_cannot_reach_is_not_free_for_them() -> None:
    away = OutOfReach(edge=A1, sites=frozenset({A}), from_ms=0, to_ms=2000)
    waits, agents = (wait("x", 0, 3000),), (free(ABLE[0].id, 0),)
    assert delays(*waits, agents=agents, away=(away,)) == {"x": 1000}
    elsewhere = replace(away, edge=EdgeId("b1"))
    assert delays(*waits, agents=agents, away=(elsewhere,)) == {"x": 3000}


CALLS, AGENTS = "uvwx", ("ann", "ben", "cyd")


@given(
    st.sets(st.tuples(st.sampled_from(AGENTS), st.sampled_from(CALLS))),
    st.permutations(CALLS),
)
def test_as_many_are_taken_as_can_have_another_agent_each_and_the_first_before_the_last(
    pairs: set[tuple[str, str]], order: list[str]
) -> None:
    """Against all ways to give agents away: the first by the order that leave nobody out."""
    waits = [
        replace(wait(call, 0, 1, first=place), queue=QueueId(call))
        for place, call in enumerate(order)
    ]
    suits = {(AgentId(agent), QueueId(call)): True for agent, call in pairs}
    found = served(waits, [free(AgentId(each), 0) for each in AGENTS], suits, {})

    def can_all(calls: list[str]) -> bool:
        return any(
            all(pair in pairs for pair in zip(agents, calls, strict=False))
            for agents in permutations(AGENTS, len(calls))
        )

    due: list[str] = []
    for call in order:
        if len(due) < len(AGENTS) and can_all([*due, call]):
            due.append(call)
    assert found == set(due)


# ---- the figure ----------------------------------------------------------------------------------


def _told(index: int, *waits: tuple[float, float], **what: object) -> float | None:
    """Return the figure of a run in which one caller waited, from the fault on, while Ann was free.

    Times: seconds after the fault.
    """
    call = CallId(CALLERS[index].call)
    whole = seen(callers=invented.swap(CALLERS, index, **what)) if what else seen()
    stretches = tuple(
        wait(call, KILL_MS + from_s * 1000, KILL_MS + to_s * 1000) for from_s, to_s in waits
    )
    return offer_delay_s(
        replace(whole, waiting=Waiting(waits=stretches, free=(free(ABLE[0].id, 0),))), KILL_MS
    )


EARLY = next(i for i, each in enumerate(CALLERS) if each.ok_ms and each.ok_ms < KILL_MS)


def test_the_figure_counts_from_the_fault_on() -> None:
    assert _told(EARLY, (-5.0, 2.0)) == 2.0
    assert _told(EARLY, (-5.0, -0.1)) is None, "nobody waited"
    assert figures(seen())["offer_delay_s"] is None


def test_nothing_is_measured_where_a_site_served_alone_as_its_agents_were_given_unseen() -> None:
    call = CallId(CALLERS[EARLY].call)
    waits = (wait(call, KILL_MS, KILL_MS + 2000),)
    whole = replace(seen(), waiting=Waiting(waits=waits, free=(free(ABLE[0].id, 0),)))
    assert offer_delay_s(replace(whole, merged_ms=(KILL_MS - 1,)), KILL_MS) == 2.0
    assert offer_delay_s(replace(whole, merged_ms=(KILL_MS + 9000,)), KILL_MS) is None
    assert offer_delay_s(replace(whole, alone_still=(EdgeId("a1"),)), KILL_MS) is None


def test_the_figure_counts_all_stretches_and_also_of_who_leaves_until_they_do() -> None:
    assert _told(EARLY, (0.5, 1.0), (2.0, 2.25)) == pytest.approx(0.75)
    left = {"end": reports.End.HUNG_UP, "hung_up_ms": KILL_MS + 1000, "joined_ms": None}
    assert _told(EARLY, (0.0, 4.0), **left) == 1.0, "written down late"


def test_the_figure_is_not_of_who_was_lost_or_came_long_after() -> None:
    assert _told(EARLY, (0.0, 4.0), end=reports.End.UNHEARD) is None
    late_ms = KILL_MS + round(COMING_S * 1000)
    assert _told(EARLY, (0.0, 4.0), ok_ms=late_ms) == 4.0
    assert _told(EARLY, (0.0, 4.0), ok_ms=late_ms + 1) is None
