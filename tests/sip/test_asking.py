"""Whether the other side still has the dialog: asked by whoever takes one up."""

from __future__ import annotations

import pytest

from edge.sip.errors import LocalError
from edge.sip.events import Doubted, Ended, EndedBy, LegId, WasAsked
from tests.sip.network import Network, Party, established
from tests.sip.test_hang_up import A, B, call, pass_on, stack


def _taken_up(network: Network) -> tuple[Party, Party, LegId, LegId]:
    """Return an heir of the caller, the callee, the heir's leg and the callee's."""
    caller, callee, out, incoming = established(network)
    written = caller.stack.dialog(out)
    caller.deaf = True
    heir = network.party("heir")
    return heir, callee, heir.stack.adopt(written, network.now), incoming


def test_whoever_is_still_there_says_so_and_goes_on() -> None:
    network = Network()
    heir, callee, leg, incoming = _taken_up(network)
    heir.stack.ask(leg, network.now)
    network.run(60.0)
    assert heir.only(WasAsked) == WasAsked(leg=leg, is_there=True)
    assert len(network.sent("heir", "OPTIONS")) == 1
    assert not heir.heard(Ended)
    heir.stack.bye(leg, network.now)
    network.run(0.1)
    assert callee.only(Ended).leg == incoming
    network.run_out()


def test_whoever_hung_up_while_nobody_listened_is_gone() -> None:
    network = Network()
    heir, callee, leg, incoming = _taken_up(network)
    heir.deaf = True
    callee.stack.bye(incoming, network.now)
    network.run(40.0)
    assert callee.only(Ended).cause == "bye_timeout"
    heir.deaf = False
    heir.stack.ask(leg, network.now)
    network.run(3.0)
    assert (heir.only(Ended).by, heir.only(Ended).cause) == (EndedBy.REMOTE, "gone")
    network.run_out()


@pytest.mark.parametrize("comes_again", [True, False])
def test_whoever_is_just_hanging_up_is_heard_if_they_say_so_again(*, comes_again: bool) -> None:
    """Their BYE has met nobody; a telephone that has sent it has no dialog any more."""
    caller, callee = stack(A), stack(B)
    leg = call(caller, callee)
    dialog = caller.dialog(leg)
    callee.bye(LegId(dialog.remote_tag), 0.0)
    ((bye, _),) = callee.take_outgoing()
    heir = stack(A)
    heir.adopt(dialog, 0.1)
    heir.ask(leg, 0.1)
    pass_on(heir, A, callee)
    assert pass_on(callee, B, heir) == [Doubted(leg=leg)], "it is gone, and may say so yet"
    heard = heir.receive(bye, B, 0.5) if comes_again else heir.handle_timers(3.0)
    (ended,) = (each for each in heard if isinstance(each, Ended))
    assert (ended.by, ended.cause) == (EndedBy.REMOTE, "bye" if comes_again else "gone")


def test_silence_ends_nothing_and_is_asked_again() -> None:
    network = Network()
    heir, callee, leg, incoming = _taken_up(network)
    callee.deaf = True
    heir.stack.ask(leg, network.now)
    network.run(36.0)
    assert not heir.heard(Ended)
    assert heir.only(WasAsked) == WasAsked(leg=leg, is_there=False)
    callee.deaf = False
    callee.stack.bye(incoming, network.now)
    heir.deaf = True
    network.run(33.0)
    heir.deaf = False
    network.run(45.0)
    assert heir.only(Ended).cause == "gone"
    network.run_out()


def test_only_a_leg_that_is_up_can_be_asked() -> None:
    network = Network()
    caller, _ = network.party("caller"), network.party("callee")
    with pytest.raises(LocalError):
        caller.stack.ask(LegId("nobody"), network.now)


@pytest.mark.parametrize(
    ("answer", "is_there"),
    [
        ("200 OK", True),
        ("405 Method Not Allowed", True),
        ("500 Server Internal Error", True),
        ("408 Request Timeout", False),
        ("430 Flow Failed", False),
        ("477 Unfortunately error on sending to next hop occurred", False),
        ("480 not registered", False),
    ],
)
def test_a_proxy_that_cannot_reach_them_answers_in_its_own_name(
    answer: str, *, is_there: bool
) -> None:
    caller, callee = stack(A), stack(B)
    leg = call(caller, callee)
    caller.ask(leg, 1.0)
    ((asked, _),) = caller.take_outgoing()
    callee.receive(asked, A, 1.0)
    ((ok, _),) = callee.take_outgoing()
    said = ok.replace(b"200 OK", answer.encode(), 1)
    assert caller.receive(said, B, 1.1) == [WasAsked(leg=leg, is_there=is_there)]
