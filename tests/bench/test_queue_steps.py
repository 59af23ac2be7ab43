"""Where dead time goes: three witnesses, and steps that add up."""

from __future__ import annotations

import msgspec
import pytest

from edge.acd.eligibility import RESERVED_AHEAD_S
from loadtests.bench.queue.shifts import Idle
from loadtests.bench.queue.steps import STEPS, Move, Seen, table
from state import keys
from state.eventlog.lines import Changed, ChangeRow, Decided, Line
from state.model import AgentId, CallId

IDLE = Idle(agent="ada", left_s=10.0, free_s=11.0, rung_s=11.1)


def moves() -> list[Move]:
    return [
        Move(at_s=5.0, call="one", was="queued", state="ringing", agent="ada"),
        # By now the call has no agent any more: whose it was is known from before.
        Move(at_s=10.01, call="one", was="connected", state="ending"),
        Move(at_s=11.09, call="two", was="queued", state="ringing", agent="ada"),
    ]


def work_seen(agent: str, at_s: float) -> Changed:
    row = ChangeRow(keys.work(AgentId(agent)), msgspec.Raw(b"{}"), 1, 7)
    return Changed(7, at_s, 0, (row,))


def granted(agent: str, at_s: float) -> Changed:
    made = ChangeRow(keys.offer(AgentId(agent)), msgspec.Raw(b"{}"), 9, 9)
    talking = ChangeRow(keys.offer(AgentId("eve")), msgspec.Raw(b"{}"), 3, 9)
    return Changed(9, at_s, 0, (made, talking))


def given(agent: str, at_s: float) -> Decided:
    return Decided(8, at_s, 0, CallId("two"), AgentId(agent), (), {})


DUE_S = 10.04 + 1.0 - RESERVED_AHEAD_S
LINES: list[Line] = [
    work_seen("ada", 10.04),
    given("ada", DUE_S + 0.02),
    granted("ada", DUE_S + 0.07),
]


def test_steps_are_told_from_what_three_witnesses_saw() -> None:
    steps = Seen(moves(), LINES).steps_ms(IDLE)
    assert steps == pytest.approx((10.0, 30.0, 20.0, 50.0, 1e3 * IDLE.dead_s), abs=1e-6)


def test_an_offer_that_changes_is_none_that_is_granted() -> None:
    eve = Idle(agent="eve", left_s=10.0, free_s=11.0, rung_s=11.1)
    assert Seen(moves(), LINES).steps_ms(eve) is None


def test_what_is_of_another_agent_is_no_witness() -> None:
    seen = Seen(moves(), [work_seen("bob", 10.04), *LINES[1:]])
    assert seen.steps_ms(IDLE) is None


def test_idle_time_without_all_witnesses_is_left_out_of_the_table() -> None:
    seen = Seen(moves(), LINES)
    nobodys = Idle(agent="bob", left_s=1.0, free_s=2.0, rung_s=3.0)
    assert {step: len(ms) for step, ms in table([IDLE, nobodys], seen).items()} == dict.fromkeys(
        STEPS, 1
    )
