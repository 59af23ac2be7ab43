"""BYEs that are answered when their user has taken them in."""

from __future__ import annotations

import pytest

from edge.sip.events import Ended, EndedBy
from tests.sip.network import ANSWER, Network, Party, arrived, established

CAFE = "caf\udce9@carrier"
"""As the stack has bytes that are no UTF-8."""


def _call(network: Network) -> tuple[Party, Party]:
    """Return a caller and a callee who talk; the callee keeps books, and the caller hangs up."""
    caller, callee, out, _ = established(network, goodbye_hold_s=0.4)
    caller.stack.bye(out, network.now)
    network.run(0.1)
    assert callee.only(Ended).by is EndedBy.REMOTE
    assert not caller.heard(Ended)
    return caller, callee


def test_a_goodbye_is_answered_when_its_user_says_so() -> None:
    network = Network()
    caller, callee = _call(network)
    goodbye = callee.only(Ended).goodbye
    assert goodbye is not None
    callee.stack.answer_goodbye(goodbye, network.now)
    network.collect()
    network.run(0.1)
    assert (caller.only(Ended).by, caller.only(Ended).cause) == (EndedBy.LOCAL, "bye")
    callee.stack.answer_goodbye(goodbye, network.now)
    network.run_out()
    assert len(network.sent("bob", 200)) == 1


def test_a_goodbye_that_its_user_forgets_is_answered_all_the_same() -> None:
    network = Network()
    caller, _ = _call(network)
    network.run(0.35)
    assert caller.only(Ended).cause == "bye"
    assert len(network.sent("alice", "BYE")) == 1, "before it would have been sent again"
    network.run_out()


def test_a_goodbye_that_comes_again_is_answered_once() -> None:
    network = Network()
    caller, callee, out, _ = established(network, goodbye_hold_s=0.7)
    caller.stack.bye(out, network.now)
    network.run(0.6)
    assert len(network.sent("alice", "BYE")) == 2
    goodbye = callee.only(Ended).goodbye
    assert goodbye is not None
    callee.stack.answer_goodbye(goodbye, network.now)
    network.collect()
    network.run_out()
    assert caller.only(Ended).cause == "bye"


def test_goodbyes_that_cross_are_both_answered() -> None:
    network = Network()
    caller, callee, out, incoming = established(network, goodbye_hold_s=0.4)
    caller.stack.bye(out, network.now)
    callee.stack.bye(incoming, network.now)
    network.run(1.0)
    assert (callee.only(Ended).by, caller.only(Ended).by) == (EndedBy.LOCAL, EndedBy.LOCAL)
    network.run_out()


@pytest.mark.parametrize(
    ("sip_call_id", "told"), [("a@carrier", "a@carrier"), (CAFE, "caf?@carrier")]
)
@pytest.mark.parametrize("knows", [True, False])
def test_the_next_life_answers_goodbyes_to_calls_that_are_known_to_have_ended(
    sip_call_id: str, told: str, *, knows: bool
) -> None:
    network = Network()
    caller, callee, out = arrived(network, sip_call_id=sip_call_id)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    callee.deaf = True
    heir = network.party("heir")
    if knows:
        heir.stack.answer_goodbyes_of([told])
    caller.stack.bye(out, network.now)
    bye = caller.stack.take_outgoing()[0][0]
    heir.stack.receive(bye, caller.address, network.now)
    ((answer, _),) = heir.stack.take_outgoing()
    assert answer.startswith(b"SIP/2.0 200" if knows else b"SIP/2.0 481")
