"""Whether the other side still has the dialog: asked by whoever takes one up."""

from __future__ import annotations

import pytest

from edge.sip.asking import AGAIN_S
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
    assert not heir.heard(WasAsked), "the proxy before them would have said that they do not answer"
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
        ("480 Do Not Disturb", True),
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


@pytest.mark.parametrize("answers_first", ["the former", "the latter"])
def test_a_question_that_failed_says_nothing_once_they_are_asked_anew(answers_first: str) -> None:
    """They were out of reach when the former came, and are not any more."""
    caller, callee = stack(A), stack(B)
    leg = call(caller, callee)
    caller.ask(leg, 1.0)
    ((former, _),) = caller.take_outgoing()
    caller.ask(leg, 5.0)
    ((latter, _),) = caller.take_outgoing()
    callee.receive(former, A, 5.0)
    callee.receive(latter, A, 5.0)
    (no, _), (yes, _) = callee.take_outgoing()
    no = no.replace(b"200 OK", b"408 Request Timeout", 1)
    said = [no, yes] if answers_first == "the former" else [yes, no]
    heard = [event for each in said for event in caller.receive(each, B, 6.0)]
    assert heard == [WasAsked(leg=leg, is_there=True)]


def test_whoever_cannot_be_reached_is_asked_again() -> None:
    caller, callee = stack(A), stack(B)
    leg = call(caller, callee)
    caller.ask(leg, 1.0)
    ((asked, _),) = caller.take_outgoing()
    callee.receive(asked, A, 1.0)
    ((ok, _),) = callee.take_outgoing()
    caller.receive(ok.replace(b"200 OK", b"477 No Connection", 1), B, 1.1)
    caller.handle_timers(1.1 + AGAIN_S)
    ((again, _),) = caller.take_outgoing()
    assert again.startswith(b"OPTIONS")
