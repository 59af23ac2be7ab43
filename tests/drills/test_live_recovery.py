"""When services were back on sites that are up, as whoever looks on once a second can tell."""

from __future__ import annotations

import math

import pytest

from drills.live_recovery import Pulse, Talk, recording_rto_s
from drills.recovery import data_rto_s
from edge.acd.agent_state import AgentState
from state.model import CallId, SiteId
from tests.cli.asked import agent_row

A, B = SiteId("a"), SiteId("b")
T0_MS = 1_000_000
READY, OUT, OFF = AgentState.READY, AgentState.UNREACHABLE, AgentState.SIGNED_OUT


def pulse(*looks: tuple[float, int, dict[str, AgentState]]) -> Pulse:
    found = Pulse()
    for at_s, revision, states in looks:
        rows = [agent_row(name, state=state) for name, state in states.items()]
        found.look(T0_MS + round(at_s * 1000), revision, rows)
    return found


def test_agents_are_back_when_the_last_whom_the_fault_took_can_be_rung_again() -> None:
    found = pulse(
        (-1.0, 1, {"ann": READY, "bob": READY, "cyd": READY, "dan": OFF}),
        (1.0, 1, {"ann": OUT, "bob": OFF, "cyd": READY, "dan": OFF}),
        (4.0, 1, {"ann": READY, "bob": OFF, "cyd": READY, "dan": READY}),
        (9.0, 1, {"ann": READY, "bob": AgentState.PAUSED, "cyd": READY, "dan": OUT}),
    )
    assert found.sign_in_rto_s(T0_MS) == 9.0


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([OUT, OUT], math.inf),
        ([OUT, OFF], None),
        ([READY, AgentState.TALKING], None),
        ([OFF, OFF], None),
        ([OFF, OUT], math.inf),
    ],
    ids=["stays out of reach", "signs off then", "was never lost", "signs off", "is lost then"],
)
def test_whom_nobody_ever_reaches_again_is_without_end_and_who_signs_off_is_not_waited_for(
    after: list[AgentState], told: float | None
) -> None:
    looks = [(float(number + 1), 1, {"ann": state}) for number, state in enumerate(after)]
    assert pulse((-1.0, 1, {"ann": READY}), *looks).sign_in_rto_s(T0_MS) == told


def test_nobody_tells_of_agents_whom_nobody_saw_before_the_first_fault() -> None:
    assert pulse((1.0, 1, {"ann": OUT})).sign_in_rto_s(T0_MS) is None


def test_the_shared_state_takes_writes_while_its_revision_grows() -> None:
    found = pulse((-1.0, 7, {}), (0.5, 9, {}), (1.5, 9, {}), (2.5, 9, {}), (3.5, 10, {}))
    assert [at_ms - T0_MS for at_ms in found.writes_ms] == [500, 3500]
    assert data_rto_s(found.writes_ms, T0_MS) == 3.0
    assert data_rto_s(pulse((-1.0, 7, {}), (0.5, 7, {})).writes_ms, T0_MS) is None


def talk(call: str, at_s: float, first: SiteId = A) -> Talk:
    at_ms = T0_MS + round(at_s * 1000)
    return Talk(call=CallId(call), first=first, at_ms=at_ms, joined_ms=at_ms + 500)


def test_recording_is_back_with_the_first_talk_of_which_all_is_recorded() -> None:
    talks = (talk("x", -1.0), talk("y", 1.0, B), talk("z", 2.0), talk("u", 4.0))
    whole = {CallId("x"), CallId("y"), CallId("u")}
    assert recording_rto_s(talks, whole, T0_MS, A) == 4.5
    assert recording_rto_s(talks, whole, T0_MS, None) == 1.5
    assert recording_rto_s(talks, (), T0_MS, None) is None
