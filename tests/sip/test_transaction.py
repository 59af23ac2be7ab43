"""The transaction tables against RFC 3261 §17 and RFC 6026, and the queue of timers."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip.events import Address
from edge.sip.timers import LINGER, T1, T2, T4, TimerQueue
from edge.sip.transaction import (
    RULES,
    START,
    TIMINGS,
    Input,
    Machine,
    State,
    Transaction,
    kind_of,
)

PEER = Address("192.0.2.1", 5060)


@pytest.mark.parametrize("machine", list(Machine))
def test_every_state_of_a_machine_is_reached_and_left(machine: Machine) -> None:
    reached = {START[machine]} | {rule.state for rule in RULES[machine].values()}
    left = {state for state, _ in RULES[machine]}
    assert reached == left | {State.TERMINATED}
    assert set(TIMINGS[machine]) == left


@pytest.mark.parametrize("machine", list(Machine))
def test_every_timer_that_is_set_has_its_rule(machine: Machine) -> None:
    for state, timing in TIMINGS[machine].items():
        if timing.retransmit is not None:
            assert (state, Input.RETRANSMIT) in RULES[machine]
        if timing.expire is not None:
            assert (state, Input.EXPIRE) in RULES[machine]


@pytest.mark.parametrize(
    ("machine", "state", "retransmits", "lasts"),
    [
        (Machine.INVITE_CLIENT, State.CALLING, [0.5, 1.5, 3.5, 7.5, 15.5, 31.5], LINGER),
        (
            Machine.CLIENT,
            State.TRYING,
            [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5],
            LINGER,
        ),
        (
            Machine.INVITE_SERVER,
            State.COMPLETED,
            [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5],
            LINGER,
        ),
        (Machine.INVITE_CLIENT, State.COMPLETED, [], LINGER),
        (Machine.INVITE_CLIENT, State.ACCEPTED, [], LINGER),
        (Machine.INVITE_SERVER, State.ACCEPTED, [], LINGER),
        (Machine.INVITE_SERVER, State.CONFIRMED, [], T4),
        (Machine.CLIENT, State.COMPLETED, [], T4),
        (Machine.SERVER, State.COMPLETED, [], LINGER),
    ],
    ids=lambda value: str(value) if isinstance(value, Machine | State) else "",
)
def test_a_state_retransmits_and_ends_when_the_rfc_says(
    machine: Machine, state: State, retransmits: list[float], lasts: float
) -> None:
    transaction = Transaction(machine, "key", PEER)
    transaction.enter(state, 0.0)
    seen = []
    while transaction.retransmit_at < transaction.expire_at:
        seen.append(transaction.retransmit_at)
        transaction.back_off(transaction.retransmit_at)
    assert seen == retransmits
    assert transaction.expire_at == lasts
    assert transaction.due == lasts


def test_timer_f_goes_on_when_a_client_proceeds() -> None:
    transaction = Transaction(Machine.CLIENT, "key", PEER)
    transaction.enter(State.TRYING, 0.0)
    transaction.enter(State.PROCEEDING, 1.0)
    assert transaction.expire_at == LINGER
    assert transaction.retransmit_at == 1.0 + T2
    assert T1 < T2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (100, Input.PROVISIONAL),
        (199, Input.PROVISIONAL),
        (200, Input.SUCCESS),
        (300, Input.FAILURE),
    ],
)
def test_a_status_is_of_its_kind(status: int, kind: Input) -> None:
    assert kind_of(status) is kind


class Owner:
    """Something with a deadline."""

    def __init__(self) -> None:
        self.due = inf
        self.queued = inf


times = st.one_of(st.just(inf), st.floats(0, 100, allow_nan=False))


@given(st.lists(st.tuples(st.integers(0, 5), times), max_size=60))
def test_the_queue_fires_each_owner_once_at_its_last_deadline(
    moves: list[tuple[int, float]],
) -> None:
    queue = TimerQueue()
    owners = [Owner() for _ in range(6)]
    for index, due in moves:
        owners[index].due = due
        queue.schedule(owners[index])
    fired: list[int] = []
    while (now := queue.next_deadline()) is not None:
        assert queue.pop_due(now - 1e-9) is None
        owner = queue.pop_due(now)
        assert isinstance(owner, Owner)
        assert owner.due == now
        owner.due = inf
        fired.append(owners.index(owner))
    last = dict(moves)
    assert sorted(fired) == sorted(index for index, due in last.items() if due < inf)
