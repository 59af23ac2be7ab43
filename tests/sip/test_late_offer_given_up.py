"""Callers without an offer who give up as they are answered: their CANCEL crosses our 200.

RFC 3261 §9.1: whoever cancels and is answered all the same says ACK and BYE. There is no answer in
that ACK, as a rule: they want no session.
"""

from __future__ import annotations

import pytest

from edge.sip.events import Cancelled, Confirmed, Ended, EndedBy
from tests.sip.network import ANSWER, LOST, OFFER, Fate, Network, Party, arrived

LONG_S = 3.0


def _given_up(network: Network) -> tuple[Party, Party]:
    """Return a caller whose CANCEL crosses the 200 of the callee, and that one."""
    caller, callee, leg = arrived(network, sdp=None)
    callee.stack.answer(callee.leg, OFFER, network.now)
    caller.stack.cancel(leg, network.now)
    return caller, callee


@pytest.mark.parametrize(
    "fates",
    [
        (),
        # CANCEL and 200 come to each other; then ACK, BYE and the answer to CANCEL.
        (Fate(), Fate(), LOST),
        (Fate(), Fate(), Fate(), LOST),
        (Fate(), Fate(), Fate((0.05,)), Fate()),
        (LOST,),
    ],
    ids=["all is well", "third lost", "fourth lost", "turned round", "first lost"],
)
def test_who_gives_up_as_they_are_answered_has_hung_up(fates: tuple[Fate, ...]) -> None:
    network = Network()
    caller, callee = _given_up(network)
    network.fates = iter(fates)
    network.run(LONG_S)
    assert not callee.of(Confirmed), "there is no session to go on with"
    assert not callee.of(Cancelled)
    assert callee.only(Ended).by is EndedBy.REMOTE
    assert caller.only(Ended).cause == "cancelled"
    network.run_out()


def test_an_ack_without_the_answer_it_owes_is_told_when_nobody_hangs_up() -> None:
    network = Network()
    _, callee = _given_up(network)
    network.lose(b"BYE")
    network.run(2.0)
    assert not callee.of(Confirmed)
    network.run(1.0)
    assert callee.only(Confirmed).sdp is None
    callee.stack.bye(callee.leg, network.now)
    network.tamper = None
    network.run(1.0)
    assert callee.heard(Ended)
    network.run_out()


def test_our_goodbye_does_not_wait_for_an_answer_that_is_owed() -> None:
    network = Network()
    _, callee = _given_up(network)
    network.lose(b"BYE")
    network.run(0.5)
    network.tamper = None
    callee.stack.bye(callee.leg, network.now)
    network.run(0.1)
    assert callee.heard(Ended)
    assert not callee.of(Confirmed)
    network.run_out()


def test_who_answers_in_ack_and_hangs_up_then_has_been_confirmed_before() -> None:
    network = Network()
    caller, callee, leg = arrived(network, sdp=None)
    callee.stack.answer(callee.leg, OFFER, network.now)
    network.run(0.1)
    caller.stack.acknowledge(leg, ANSWER, network.now)
    caller.stack.bye(leg, network.now)
    network.run(0.1)
    assert callee.only(Confirmed).sdp == ANSWER
    assert callee.only(Ended).by is EndedBy.REMOTE
    network.run_out()
