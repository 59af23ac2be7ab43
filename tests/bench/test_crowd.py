"""One call, played by hand: the crowd on one side, the edge's messages written here."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from loadtests.bench.crowd import Crowd
from loadtests.bench.ledger import Ledger, Summary
from loadtests.bench.scene import DEADLINE_S, Scene, Way
from loadtests.bench.wire import Heard, hear

SCENE = Scene(edge="127.0.0.1:5081", callers="127.0.0.2:5060", agents="127.0.0.3:5060", did="155")
CONTACT = b"Contact: <sip:everline@127.0.0.1:5081>\r\n"


class Edge:
    """Speaks for an edge, message by message."""

    def __init__(self, scene: Scene = SCENE) -> None:
        self.crowd = Crowd(scene, "t")
        self.now = 100.0

    def call(self) -> Heard:
        """Let somebody call; return their INVITE."""
        self.crowd.call(self.now)
        return self.heard(Way.CALLERS, b"INVITE")

    def heard(self, way: Way, start: bytes) -> Heard:
        """Return the next message out, which must be this one."""
        came_by, datagram = self.crowd.outgoing.pop(0)
        assert came_by is way
        assert datagram.startswith(start), datagram
        return hear(datagram)

    def answer(self, request: Heard, status: bytes, *, after_s: float = 0.01) -> None:
        """Answer a request of the callers' side."""
        self.now += after_s
        self.crowd.take(Way.CALLERS, request.answer(status, CONTACT, tag=b"e"), self.now, self.now)

    def say(self, way: Way, method: bytes, call_id: bytes, cseq: int, caller: bytes = b"") -> None:
        """Send a request, on the leg of that Call-ID."""
        self.now += 0.01
        request = (
            b"%s sip:agent1@everline SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5081;branch=z9hG4bKx\r\n"
            b"From: <sip:%s@everline>;tag=e\r\nTo: <sip:x@everline>\r\nCall-ID: %s\r\n"
            b"CSeq: %d %s\r\n%sContent-Length: 0\r\n\r\n"
        ) % (method, caller, call_id, cseq, method, CONTACT)
        self.crowd.take(way, request, self.now, self.now)

    def pass_time(self, seconds: float) -> None:
        """Let what falls due meanwhile happen."""
        self.now += seconds
        self.crowd.tick(self.now)

    def summary(self) -> Summary:
        """Sum up so far."""
        return self.crowd.ledger.summary(1.0)


def connect(edge: Edge) -> Heard:
    """Play a call up to the talk."""
    invite = edge.call()
    edge.answer(invite, b"200 OK")
    edge.heard(Way.CALLERS, b"ACK sip:everline@127.0.0.1:5081")
    edge.say(Way.AGENTS, b"INVITE", b"agent-leg", 1, edge_caller(invite))
    edge.heard(Way.AGENTS, b"SIP/2.0 100")
    edge.heard(Way.AGENTS, b"SIP/2.0 180")
    edge.pass_time(SCENE.ring_s)
    edge.heard(Way.AGENTS, b"SIP/2.0 200")
    edge.say(Way.AGENTS, b"ACK", b"agent-leg", 1)
    edge.say(Way.CALLERS, b"INVITE", invite.call_id, 1)
    edge.heard(Way.CALLERS, b"SIP/2.0 100")
    edge.heard(Way.CALLERS, b"SIP/2.0 200")
    edge.say(Way.CALLERS, b"ACK", invite.call_id, 1)
    return invite


def edge_caller(invite: Heard) -> bytes:
    return invite.first(b"from").partition(b"sip:")[2].partition(b"@")[0]


def test_a_call_whose_caller_hangs_up_is_done_and_clean() -> None:
    edge = Edge()
    invite = connect(edge)
    edge.pass_time(SCENE.talk_s)
    bye = edge.heard(Way.CALLERS, b"BYE")
    edge.answer(bye, b"200 OK")
    assert edge.crowd.under_way == 1
    edge.say(Way.AGENTS, b"BYE", b"agent-leg", 2)
    edge.heard(Way.AGENTS, b"SIP/2.0 200")
    assert edge.crowd.under_way == 0
    found = edge.summary()
    assert found.is_clean
    assert (found.offered, found.done) == (1, 1)
    assert found.to_agent_p50_ms == pytest.approx(20.0)
    assert bye.call_id == invite.call_id


def test_every_second_call_is_ended_by_its_agent() -> None:
    edge = Edge()
    edge.call()
    invite = connect(edge)
    edge.pass_time(SCENE.talk_s)
    bye = edge.heard(Way.AGENTS, b"BYE")
    assert bye.first(b"from").endswith(b";tag=a")
    edge.answer(bye, b"200 OK")
    edge.say(Way.CALLERS, b"BYE", invite.call_id, 2)
    edge.heard(Way.CALLERS, b"SIP/2.0 200")
    assert edge.crowd.ledger.done == 1


def test_what_the_edge_sends_twice_is_answered_twice_and_is_not_clean() -> None:
    edge = Edge()
    invite = connect(edge)
    edge.say(Way.CALLERS, b"INVITE", invite.call_id, 1)
    edge.heard(Way.CALLERS, b"SIP/2.0 200")
    assert not edge.summary().is_clean
    assert edge.summary().dirt == "1 repeated by the edge"


def test_an_edge_that_ends_every_call_but_does_not_keep_up_is_not_clean() -> None:
    ledger = Ledger(offered=100, done=100, behind_s=0.1)
    assert ledger.summary(1.0).is_clean
    ledger.behind_s = 1.4
    assert not ledger.summary(1.0).is_clean
    assert ledger.summary(1.0).dirt == "1.4 s behind"


def test_a_second_200_gets_a_second_ack() -> None:
    edge = Edge()
    invite = edge.call()
    for _ in range(2):
        edge.answer(invite, b"200 OK")
        edge.heard(Way.CALLERS, b"ACK")
    assert edge.crowd.ledger.repeated == 1


def test_a_refused_call_is_a_failure_with_its_status() -> None:
    edge = Edge()
    edge.answer(edge.call(), b"503 Service Unavailable")
    assert edge.crowd.under_way == 0
    assert edge.summary().failures == {"INVITE got 503": 1}


def test_an_invite_that_a_proxy_would_have_sent_again_is_not_clean() -> None:
    edge = Edge()
    edge.answer(edge.call(), b"100 Trying", after_s=0.25)
    assert edge.crowd.ledger.late_first_answers == 1


def test_a_call_that_nobody_takes_is_given_up_and_counted_once() -> None:
    edge = Edge()
    invite = edge.call()
    edge.pass_time(SCENE.length_s + DEADLINE_S)
    assert edge.crowd.under_way == 0
    assert edge.summary().failures == {"not answered": 1}
    cancel = [datagram for _, datagram in edge.crowd.outgoing if datagram.startswith(b"CANCEL")]
    assert hear(cancel[0]).first(b"via") == invite.first(b"via")


def test_a_caller_who_has_given_up_hangs_up_when_answered_at_last() -> None:
    edge = Edge()
    invite = edge.call()
    edge.pass_time(SCENE.length_s + DEADLINE_S)
    edge.heard(Way.CALLERS, b"CANCEL")
    edge.answer(invite, b"200 OK")
    edge.heard(Way.CALLERS, b"ACK")
    bye = edge.heard(Way.CALLERS, b"BYE")
    edge.answer(bye, b"200 OK")
    assert edge.summary().failures == {"not answered": 1}


def test_an_agent_who_is_given_to_two_calls_is_a_failure() -> None:
    edge = Edge()
    first, second = edge.call(), edge.call()
    edge.say(Way.AGENTS, b"INVITE", b"leg-1", 1, edge_caller(first))
    edge.say(Way.AGENTS, b"INVITE", b"leg-2", 1, edge_caller(second))
    assert edge.summary().failures == {"agent given to two calls": 1}


def test_a_probe_is_answered_the_way_it_came() -> None:
    edge = Edge()
    edge.say(Way.AGENTS, b"OPTIONS", b"probe", 1)
    edge.heard(Way.AGENTS, b"SIP/2.0 200")


def test_callers_dial_so_many_numbers_in_turn() -> None:
    scene = replace(SCENE, dids=3)
    assert [scene.dialled(turn) for turn in range(4)] == [
        f"sip:{number}@127.0.0.1:5081" for number in (155, 156, 157, 155)
    ]


ALONE = replace(SCENE, is_alone=True)


@pytest.mark.parametrize("place", [1, 2])
def test_a_caller_who_is_alone_hangs_up_a_moment_after_they_were_answered(place: int) -> None:
    edge = Edge(ALONE)
    invites = [edge.call() for _ in range(place)]
    edge.answer(invites[-1], b"200 OK")
    edge.heard(Way.CALLERS, b"ACK")
    edge.pass_time(ALONE.talk_s)
    bye = edge.heard(Way.CALLERS, b"BYE")
    edge.answer(bye, b"200 OK")
    assert edge.crowd.ledger.done == 1
    assert edge.crowd.under_way == place - 1
    assert edge.crowd.length_s == ALONE.talk_s


def test_an_agent_who_is_rung_for_a_caller_who_is_alone_is_a_failure() -> None:
    edge = Edge(ALONE)
    invite = edge.call()
    edge.answer(invite, b"200 OK")
    edge.say(Way.AGENTS, b"INVITE", b"agent-leg", 1, edge_caller(invite))
    assert edge.summary().failures == {"an agent rung": 1}
