"""The people of a run: how many call, and what an agent says who passes a caller on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest

from drills.prove.habits import IN_A_HURRY, USUAL, Habits
from drills.prove.history import (
    ConsultationOver,
    ConsultationUp,
    Consults,
    Event,
    LegUp,
    Overlap,
    PassedOn,
    Placed,
)
from drills.prove.ksr import Message
from drills.prove.people import Crowd, World
from drills.prove.sip import BODY
from loadtests.bench.wire import Heard, hear
from state.model import AgentId

EDGE = "198.18.1.10:5081"
CONTACT = b"Contact: <sip:everline@198.18.1.10:5081>\r\n"
AGENTS = {"a01": "a", "b01": "b"}


class Way:
    """A site's proxy that lets everything through, and keeps what is said to the edges."""

    address = "198.18.1.10:5060"

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.away: dict[str, bool] = {}
        """Whose telephones have gone, and whether that is told."""

    def send(self, datagram: bytes, to: str) -> None:  # noqa: ARG002 - as the proxy's
        """Keep it."""
        self.said.append(datagram)

    def targets(self, number: str, sip_call_id: str) -> list[str]:  # noqa: ARG002 - as above
        """Return the one edge."""
        return [EDGE]

    def was_silent(self, target: str) -> None:
        """Take it in."""

    def offer(self, agent: str, offer: str, call_id: str, source: str) -> Message:
        """Let the offer through."""
        return Message(user=agent, offer=offer, call_id=call_id, source=source, is_relayed=True)

    def answered(self, message: Message) -> None:
        """Take it in."""

    def failed(self, message: Message) -> None:
        """Take it in."""

    def goodbye(self, agent: str, token: tuple[int, int]) -> None:
        """Take it in."""

    def goodbye_answered(self, agent: str, token: tuple[int, int], status: int) -> None:
        """Take it in."""

    def signs_off(self, agent: str, *, is_told: bool) -> None:
        """Keep who has gone."""
        self.away[agent] = is_told

    def signs_on(self, agent: str) -> None:
        """Forget it."""
        del self.away[agent]

    def serving(self, agent: str) -> str | None:  # noqa: ARG002 - as the proxy's
        """Know the one edge."""
        return EDGE


class Stage:
    """People whose time passes when the test says so."""

    def __init__(self, seed: int = 1, habits: Habits = USUAL) -> None:
        self.noted: list[Event] = []
        self.due: list[tuple[float, Callable[[], object]]] = []
        self.now_s = 0.0
        self.ways = {site: Way() for site in "abc"}
        world = World(
            ways=self.ways,
            note=self.noted.append,
            later=lambda in_s, do: self.due.append((self.now_s + in_s, do)),
            now=lambda: self.now_s,
            chance=random.Random(seed),  # noqa: S311 - no secret
            run="r",
            habits=habits,
        )
        self.crowd = Crowd(world, AGENTS, ("15550100",), ("q",))

    def pass_time(self, to_s: float) -> None:
        """Do what is due until then."""
        while self.due and min(self.due, key=_when)[0] <= to_s:
            self.due.sort(key=_when)
            self.now_s, do = self.due.pop(0)
            do()
        self.now_s = to_s

    def ring(self, agent: str, call_id: str = "c@e") -> None:
        """Let an edge ring an agent, and acknowledge the answer, if there is one."""
        head = (
            "{method} sip:" + agent + "@everline SIP/2.0\r\nVia: SIP/2.0/UDP 1.1.1.1;branch=z9x\r\n"
            "From: <sip:everline>;tag=e\r\nTo: <sip:"
            + agent
            + "@everline>\r\nCall-ID: "
            + call_id
            + "\r\n"
            "CSeq: 1 {method}\r\nContact: <sip:e@1.1.1.1>\r\nX-Everline-Offer: call 1 7\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        self.crowd.take(AGENTS[agent], head.format(method="INVITE").encode(), EDGE)
        self.pass_time(self.now_s + 0.2)
        self.crowd.take(AGENTS[agent], head.format(method="ACK").encode(), EDGE)

    def requests(self, method: str) -> list[Heard]:
        """Return the requests of a method that the people of site a have sent."""
        heard = (hear(each) for each in self.ways["a"].said)
        return [each for each in heard if each.start.startswith(method.encode())]

    def consults(self) -> Heard | None:
        """Let a01 be rung; return their INVITE to a colleague, if they send one."""
        self.ring("a01")
        self.pass_time(self.now_s + 0.2)
        return next(iter(self.requests("INVITE")), None)


def _consulting() -> Iterator[tuple[Stage, Heard]]:
    """Yield stages on which an agent calls a colleague, and the INVITE."""
    for seed in range(150):
        stage = Stage(seed)
        if (invite := stage.consults()) is not None and not stage.requests("CANCEL"):
            yield stage, invite


def _when(due: tuple[float, Callable[[], object]]) -> float:
    return due[0]


def test_each_site_has_its_own_callers_so_that_one_that_serves_nobody_does_not_have_them_all() -> (
    None
):
    stage = Stage()
    for wanted in (4, 7):
        stage.crowd.wanted = wanted
        stage.crowd.fill()
        placed = Counter(event.site for event in stage.noted if isinstance(event, Placed))
        assert placed == {"a": wanted, "b": wanted, "c": wanted}
        assert stage.crowd.callers == 3 * wanted


def test_an_agent_who_passes_a_caller_on_says_refer_and_hangs_up_with_the_next_number() -> None:
    referred = []
    for seed in range(60):
        stage = Stage(seed)
        stage.ring("a01")
        if not any(isinstance(event, LegUp) for event in stage.noted):
            continue  # they declined, or let it ring
        stage.pass_time(20.0)
        if any(isinstance(event, Consults) for event in stage.noted):
            continue
        said = [hear(each) for each in stage.ways["a"].said]
        requests = {
            each.start.split()[0]: each.first(b"cseq").split()[0]
            for each in said
            if not each.status
        }
        passed = [event for event in stage.noted if isinstance(event, PassedOn)]
        if b"REFER" not in requests:
            assert (requests, passed) == ({b"BYE": b"1"}, [])
            continue
        assert requests == {b"REFER": b"1", b"BYE": b"2"}
        refer = next(each for each in said if each.start.startswith(b"REFER"))
        assert refer.first(b"refer-to") == f"<sip:{passed[0].to}@everline>".encode()
        referred.append(passed[0].to)
    assert referred, "one in eight does"


def test_somebody_who_talks_is_passed_on_at_a_desk() -> None:
    stage = Stage(seed=3)
    assert stage.crowd.pass_somebody_on() is None
    stage.ring("a01")
    passed = stage.crowd.pass_somebody_on()
    assert passed is not None
    assert passed[:2] == ("a01", "call")
    assert [event.to for event in stage.noted if isinstance(event, PassedOn)] == [passed[2]]


def test_an_agent_who_has_hung_up_may_be_rung_before_anybody_has_answered_that() -> None:
    for has_hung_up in (True, False):
        stage = _ring_until_up(hangs_up=has_hung_up)
        byes = len(stage.requests("BYE"))
        assert bool(byes) is has_hung_up
        stage.ring("a01", call_id="next@e")
        assert any(isinstance(event, Overlap) for event in stage.noted) is not has_hung_up
        stage.pass_time(stage.now_s + 2.0)
        assert len(stage.requests("BYE")) > byes or not has_hung_up, "it goes on saying so"


def _ring_until_up(*, hangs_up: bool) -> Stage:
    """Return a stage on which a01 talks, and has hung up within half a second or not."""
    for seed in range(60):
        stage = Stage(seed)
        stage.ring("a01")
        stage.pass_time(stage.now_s + 0.5)
        is_up = any(isinstance(event, LegUp) for event in stage.noted)
        if is_up and bool(stage.requests("BYE")) is hangs_up:
            return stage
    raise AssertionError("some do, and some do not")


def test_an_agent_who_consults_hands_the_caller_over_by_the_dialog_that_was_made() -> None:
    ends = set()
    for stage, invite in _consulting():
        assert invite.first(b"x-everline-agent") == b"a01"
        stage.crowd.take("a", invite.answer(b"200 OK", CONTACT, BODY, tag=b"edge"), EDGE)
        stage.pass_time(stage.now_s + 1.0)
        assert any(isinstance(event, ConsultationUp) for event in stage.noted)
        assert stage.requests("ACK")[-1].first(b"to").endswith(b";tag=edge")
        for refer in stage.requests("REFER"):
            (passed,) = (event for event in stage.noted if isinstance(event, PassedOn))
            to, _, replaces = refer.first(b"refer-to").decode().partition("?Replaces=")
            assert to == f"<sip:{passed.to}@everline"
            tag = invite.first(b"from").decode().partition(";tag=")[2]
            call_id = invite.call_id.decode()
            assert unquote(replaces) == f"{call_id};to-tag=edge;from-tag={tag}>"
            ends.add("handed over")
        ends.update("hung up" for bye in stage.requests("BYE") if bye.call_id == invite.call_id)
    assert ends == {"handed over", "hung up"}


def test_a_consultation_that_is_refused_is_over_and_one_that_is_left_standing_overlaps() -> None:
    for is_refused in (True, False):
        stage, invite = next(_consulting())
        status = b"486 Busy Here" if is_refused else b"200 OK"
        stage.crowd.take("a", invite.answer(status, CONTACT, b"", tag=b"edge"), EDGE)
        over = [event for event in stage.noted if isinstance(event, ConsultationOver)]
        assert bool(over) is is_refused
        assert len(stage.requests("ACK")) == 1
        stage.crowd.phones[AgentId("a01")].leg = None  # the caller is gone
        assert stage.crowd.on_phones() == ({} if is_refused else {"a01": "call"})
        stage.ring("a01", call_id="next@e")
        assert any(isinstance(event, Overlap) for event in stage.noted) is not is_refused


def test_a_consultation_that_is_answered_too_late_is_acknowledged_and_hung_up() -> None:
    stage, invite = next(_consulting())
    stage.crowd.take("a", invite.answer(b"180 Ringing", CONTACT, tag=b"edge"), EDGE)
    stage.pass_time(stage.now_s + 12.0)
    assert stage.requests("CANCEL")
    stage.crowd.take("a", invite.answer(b"200 OK", CONTACT, BODY, tag=b"edge"), EDGE)
    (bye,) = (bye for bye in stage.requests("BYE") if bye.call_id == invite.call_id)
    assert not any(isinstance(event, ConsultationUp) for event in stage.noted)
    stage.crowd.take("a", bye.answer(b"200 OK"), EDGE)
    assert any(isinstance(event, ConsultationOver) for event in stage.noted)


def _answer_all(stage: Stage, known: dict[bytes, Heard]) -> None:
    """Let the edge answer all callers of site a that are not known yet."""
    for invite in stage.requests("INVITE"):
        if invite.call_id not in known:
            known[invite.call_id] = invite
            stage.crowd.take("a", invite.answer(b"200 OK", CONTACT, BODY, tag=b"edge"), EDGE)


def test_some_whose_edge_is_lost_dial_again_from_the_same_number_and_some_twice() -> None:
    stage, known = Stage(), dict[bytes, Heard]()
    stage.crowd.wanted = 30
    stage.crowd.fill()
    _answer_all(stage, known)
    talks = next(iter(known))
    ack = b"ACK sip:c@1.1.1.1 SIP/2.0\r\nCall-ID: " + talks + b"\r\nContent-Length: 0\r\n\r\n"
    stage.crowd.take("a", ack, EDGE)
    stage.crowd.wanted = 0
    stage.crowd.edge_is_lost("a", 5.0)
    for _ in range(90):
        stage.pass_time(stage.now_s + 0.1)
        _answer_all(stage, known)
    placed = {event.call: event for event in stage.noted if isinstance(event, Placed)}
    before = {event.call: placed[event.again] for event in placed.values() if event.again}
    assert all(placed[call].did == old.did for call, old in before.items())
    times = Counter(_number(invite) for invite in known.values())
    assert set(times.values()) == {1, 2, 3}
    assert sum(times.values()) == 30 + len(before)
    assert times[_number(known[talks])] == 1


@pytest.mark.parametrize(("habits", "times"), [(USUAL, 2), (IN_A_HURRY, 3)])
def test_who_has_come_again_and_talked_calls_back_if_that_is_their_habit(
    habits: Habits, times: int
) -> None:
    stage, known = Stage(habits=habits), dict[bytes, Heard]()
    stage.crowd.wanted = 10
    stage.crowd.fill()
    _answer_all(stage, known)
    stage.crowd.wanted = 0
    stage.crowd.edge_is_lost("a", 5.0)
    while not (again := [invite for invite in known.values() if b".2@" in invite.call_id]):
        stage.pass_time(stage.now_s + 0.1)
        _answer_all(stage, known)
    for method in (b"ACK", b"BYE"):
        head = method + b" sip:c@1.1.1.1 SIP/2.0\r\nVia: SIP/2.0/UDP 1.1.1.1;branch=z9\r\n"
        head += b"From: <sip:e>;tag=edge\r\nTo: <sip:c>;tag=c\r\nCSeq: 1 " + method
        head += b"\r\nCall-ID: " + again[0].call_id + b"\r\nContent-Length: 0\r\n\r\n"
        stage.crowd.take("a", head, EDGE)
    stage.pass_time(stage.now_s + 0.9)
    _answer_all(stage, known)
    numbers = Counter(_number(invite) for invite in known.values())
    assert numbers[_number(again[0])] == times


def _number(invite: Heard) -> bytes:
    """Return who calls."""
    return invite.first(b"from").partition(b";")[0]


def test_nobody_dials_again_who_hears_their_edge_by_way_of_its_own_site() -> None:
    stage, known = Stage(), dict[bytes, Heard]()
    stage.crowd.wanted = 30
    stage.crowd.fill()
    _answer_all(stage, known)
    stage.crowd.wanted = 0
    stage.crowd.edge_is_lost("a", 5.0, to_others=True)
    stage.pass_time(9.0)
    assert not any(isinstance(event, Placed) and event.again for event in stage.noted)
