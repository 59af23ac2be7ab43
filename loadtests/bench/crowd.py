"""Callers and agents, and the Kamailios before them, as one edge sees them. PURE.

A call: INVITE, 200, ACK; the edge rings an agent, who rings for a moment and answers; the edge
re-INVITEs the caller; a short talk; one of the two hangs up, and the edge hangs up the other.
Where callers are alone: INVITE, 200, ACK, and BYE after a moment, in the greeting or in the queue.
Nothing is sent twice: a datagram that is lost is a call that failed. What the edge sends twice is
answered as before, and counted.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from msgspec.structs import replace

from loadtests.bench.ledger import Ledger
from loadtests.bench.scene import Call, Scene, Watch, Way
from loadtests.bench.wire import Heard, hear, sdp, uri_in, user_of


class Crowd:
    """All calls under way. `outgoing` holds what is to be sent."""

    def __init__(self, scene: Scene, run: str, watch: Watch | None = None) -> None:
        """`run` makes this crowd's Call-IDs its own; `watch` is told what agents do."""
        self._scene = scene
        self._watch = watch
        self._run = run.encode()
        self.ledger = Ledger()
        self.outgoing: list[tuple[Way, bytes]] = []
        self._numbers = itertools.count(1)
        self._calls: dict[bytes, Call] = {}
        """By the caller's number, which is also in the edge's INVITE to the agent."""
        self._by_call_id: dict[bytes, Call] = {}
        self._busy: dict[bytes, Call] = {}
        """Who each agent talks with."""
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._turns = itertools.count()
        callers, _, _ = scene.callers.partition(":")
        agents, _, _ = scene.agents.partition(":")
        self._caller_sdp = sdp(callers.encode(), scene.rtp_port)
        self._agent_sdp = sdp(agents.encode(), scene.rtp_port)
        self._caller_via = scene.callers.encode()
        self._agent_via = scene.agents.encode()
        self._agent_route = b"Record-Route: <sip:%s;lr=on>\r\n" % self._agent_via
        self._caller_route = b"Record-Route: <sip:%s;lr=on>\r\n" % self._caller_via

    @property
    def length_s(self) -> float:
        """How long a call takes if the edge takes no time."""
        return self._scene.length_s

    @property
    def under_way(self) -> int:
        """How many calls are not over."""
        return len(self._calls)

    @property
    def next_due_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._timers[0][0] if self._timers else None

    def tick(self, now: float) -> None:
        """Do what is due."""
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2](now)

    def call(self, now: float) -> None:
        """Let one more caller call."""
        place = next(self._numbers)
        number = b"4930%08d" % place
        dialled = self._scene.dialled(place).encode()
        call = Call(number, now, agent_hangs_up=place % 2 == 0, dialled=dialled)
        self._calls[number] = call
        self._by_call_id[self._call_id(call)] = call
        self.ledger.offered += 1
        ends_s = now + self._scene.length_s + self._scene.patience_s
        self._later(ends_s, lambda _: self._give_up(call))
        self._request(
            call,
            b"INVITE",
            call.dialled,
            1,
            self._caller_route
            + b"Contact: <sip:%s@198.18.11.10:5060>\r\nX-Everline-Trunk: bench\r\n"
            b"X-Everline-Via: a\r\n" % number,
            self._caller_sdp,
        )

    def take(self, way: Way, datagram: bytes, now: float, seen_s: float) -> None:
        """Take a datagram of the edge, which came to the machine at `seen_s`."""
        heard = hear(datagram)
        if heard.status:
            self._take_response(heard, now)
        elif heard.start.startswith(b"OPTIONS"):
            self.outgoing.append((way, heard.answer(b"200 OK", tag=b"up")))
        elif way is Way.AGENTS:
            self._take_for_agent(heard, now, seen_s)
        else:
            self._take_for_caller(heard, now)

    # -- what the edge answers

    def _take_response(self, heard: Heard, now: float) -> None:
        call = self._by_call_id.get(heard.call_id)
        if call is None:
            return
        method, status = heard.method, heard.status
        if method == b"INVITE":
            self._invite_answered(call, heard, now)
        elif method == b"BYE":
            is_agent = heard.call_id == call.agent_call_id
            if status != 200:  # noqa: PLR2004 - a status
                self._fail(call, f"BYE got {status}")
            elif is_agent:
                self._agent_gone(call)
            else:
                call.caller_over = True
            self._settle(call)

    def _invite_answered(self, call: Call, heard: Heard, now: float) -> None:
        if not call.is_first_answered:
            call.is_first_answered = True
            self.ledger.first_answer(now - call.began_s)
        if heard.status < 200:  # noqa: PLR2004 - provisional
            return
        if heard.status >= 300:  # noqa: PLR2004 - a failure
            call.to = heard.first(b"to")
            self._request(call, b"ACK", call.dialled, 1)
            if not call.is_closed:
                self._fail(call, f"INVITE got {heard.status}")
                call.caller_over = call.agent_over = True
                self._settle(call)
            return
        if call.to:
            self.ledger.repeated += 1
        else:
            self.ledger.answered_s.append(now - call.began_s)
            if self._scene.is_alone:
                call.agent_over = True
                self._later(now + self._scene.talk_s, lambda at_s: self._hang_up(call, at_s))
        call.to = heard.first(b"to")
        call.remote = uri_in(heard.first(b"contact"))
        self._request(call, b"ACK", call.remote, 1)
        if call.is_given_up:
            self._request(call, b"BYE", call.remote, 2)

    # -- what the edge asks of the caller

    def _take_for_caller(self, heard: Heard, now: float) -> None:
        call = self._by_call_id.get(heard.call_id)
        if call is None:
            if not heard.start.startswith(b"ACK"):
                self.outgoing.append((Way.CALLERS, heard.answer(b"481 Gone")))
            return
        if heard.start.startswith(b"ACK"):
            if not call.is_talking:
                call.is_talking = True
                if self._watch is not None:
                    self._watch.joined(call.agent, now)
                self._later(now + self._scene.talk_s, lambda at_s: self._hang_up(call, at_s))
            return
        key = b"c" + heard.first(b"cseq")
        if self._is_repeated(call, key, Way.CALLERS):
            return
        if heard.start.startswith(b"INVITE"):
            self.outgoing.append((Way.CALLERS, heard.answer(b"100 Trying")))
            contact = b"Contact: <sip:%s@198.18.11.10:5060>\r\n" % call.number
            answer = heard.answer(b"200 OK", contact, self._caller_sdp)
        else:
            answer = heard.answer(b"200 OK")
            call.caller_over = True
        self._answer(call, key, Way.CALLERS, answer)
        self._settle(call)

    # -- what the edge asks of the agent

    def _take_for_agent(self, heard: Heard, now: float, seen_s: float) -> None:
        if heard.start.startswith(b"ACK"):
            return
        key = b"a" + heard.first(b"cseq")
        call = self._by_call_id.get(heard.call_id)
        if call is None:
            if heard.start.startswith(b"INVITE"):
                self._ring(heard, key, now, seen_s)
            else:
                self.outgoing.append((Way.AGENTS, heard.answer(b"481 Gone")))
            return
        if self._is_repeated(call, key, Way.AGENTS):
            return
        self._answer(call, key, Way.AGENTS, heard.answer(b"200 OK"))
        if heard.start.startswith(b"BYE"):
            if self._watch is not None:
                self._watch.left(call.agent, now)
            self._agent_gone(call)
            self._settle(call)
        elif heard.start.startswith(b"CANCEL"):
            self._fail(call, "agent's INVITE cancelled")

    def _ring(self, heard: Heard, key: bytes, now: float, seen_s: float) -> None:
        call = self._calls.get(user_of(heard.first(b"from")))
        agent = heard.request_user
        if call is None:
            self.outgoing.append((Way.AGENTS, heard.answer(b"486 Busy Here", tag=b"late")))
            return
        if agent in self._busy:
            self._fail(call, "agent given to two calls")
        if call.agent_invite is not None or self._scene.is_alone:
            self._fail(call, "second agent rung" if call.agent_invite else "an agent rung")
        self._busy[agent] = call
        if self._watch is not None:
            self._watch.rung(agent, seen_s)
        call.agent, call.agent_invite, call.agent_call_id = agent, heard, heard.call_id
        self._by_call_id[heard.call_id] = call
        self.ledger.to_agent_s.append(seen_s - call.began_s)
        self.outgoing.append((Way.AGENTS, heard.answer(b"100 Trying")))
        ringing = heard.answer(b"180 Ringing", self._agent_contact(agent), tag=b"a")
        self._answer(call, key, Way.AGENTS, ringing)
        self._later(now + self._scene.ring_s, lambda _: self._pick_up(call, key))

    def _pick_up(self, call: Call, key: bytes) -> None:
        if call.agent_invite is not None and not call.is_closed:
            contact = self._agent_contact(call.agent)
            answer = call.agent_invite.answer(b"200 OK", contact, self._agent_sdp, tag=b"a")
            self._answer(call, key, Way.AGENTS, answer)

    def _agent_contact(self, agent: bytes) -> bytes:
        return self._agent_route + b"Contact: <sip:%s@198.18.21.10:5060>\r\n" % agent

    def _agent_gone(self, call: Call) -> None:
        call.agent_over = True
        if self._busy.get(call.agent) is call:
            del self._busy[call.agent]

    # -- what people do

    def let_talk(self, seconds: float) -> None:
        """Let those who are joined from now on talk for so long."""
        self._scene = replace(self._scene, talk_s=seconds)

    def agents_hang_up(self, now: float) -> int:
        """Let every agent who talks hang up at this moment; return how many did."""
        talking = [call for call in self._busy.values() if call.is_talking]
        for call in talking:
            call.agent_hangs_up = True
            self._hang_up(call, now)
        return len(talking)

    def callers_give_up(self) -> None:
        """Let every caller hang up, whether they wait or talk."""
        for call in list(self._calls.values()):
            self._give_up(call)

    def _hang_up(self, call: Call, now: float) -> None:
        if call.is_closed or call.has_hung_up:
            return
        call.has_hung_up = True
        if call.agent_hangs_up and call.agent_invite is not None:
            if self._watch is not None:
                self._watch.left(call.agent, now)
            self._agent_bye(call, call.agent_invite)
        else:
            self._request(call, b"BYE", call.remote, 2)

    def _agent_bye(self, call: Call, invite: Heard) -> None:
        self.outgoing.append(
            (
                Way.AGENTS,
                b"BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa%s.%s\r\n"
                b"Via: SIP/2.0/UDP 198.18.21.10:5060;branch=z9hG4bKp%s\r\nMax-Forwards: 69\r\n"
                b"From: %s;tag=a\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 BYE\r\n"
                b"Content-Length: 0\r\n\r\n"
                % (
                    uri_in(invite.first(b"contact")),
                    self._agent_via,
                    self._run,
                    call.number,
                    call.number,
                    invite.first(b"to"),
                    invite.first(b"from"),
                    invite.call_id,
                ),
            )
        )

    def _request(  # noqa: PLR0913, PLR0917 - the parts of a request
        self,
        call: Call,
        method: bytes,
        uri: bytes,
        cseq: int,
        extra: bytes = b"",
        body: bytes = b"",
    ) -> None:
        number = call.number
        # CANCEL, and ACK to a failure, have their INVITE's branch (RFC 3261 §9.1, §17.1.1.3).
        is_hop = method == b"CANCEL" or (method == b"ACK" and uri == call.dialled)
        branch = b"INVITE" if is_hop else method
        self.outgoing.append(
            (
                Way.CALLERS,
                b"%s %s SIP/2.0\r\n"
                b"Via: SIP/2.0/UDP %s;branch=z9hG4bKc%s.%s.%s%d\r\n"
                b"Via: SIP/2.0/UDP 198.18.11.10:5060;branch=z9hG4bKq%s%d\r\nMax-Forwards: 69\r\n"
                b"From: <sip:%s@198.18.11.10>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\n"
                b"CSeq: %d %s\r\n%s%sContent-Length: %d\r\n\r\n%s"
                % (
                    method, uri, self._caller_via, self._run, number, branch, cseq, number, cseq,
                    number, number, call.to or b"<sip:%s@everline>" % self._scene.did.encode(),
                    self._call_id(call), cseq, method, extra,
                    b"Content-Type: application/sdp\r\n" if body else b"", len(body), body,
                ),
            )
        )  # fmt: skip

    # -- parts

    def _call_id(self, call: Call) -> bytes:
        return b"%s-%s@198.18.11.10" % (self._run, call.number)

    def _answer(self, call: Call, key: bytes, way: Way, answer: bytes) -> None:
        call.spoken[key] = answer
        self.outgoing.append((way, answer))

    def _is_repeated(self, call: Call, key: bytes, way: Way) -> bool:
        before = call.spoken.get(key)
        if before is None:
            return False
        self.ledger.repeated += 1
        self.outgoing.append((way, before))
        return True

    def _later(self, due_s: float, do: Callable[[float], None]) -> None:
        heapq.heappush(self._timers, (due_s, next(self._turns), do))

    def _settle(self, call: Call) -> None:
        if call.caller_over and call.agent_over:
            self._close(call, "")

    def _give_up(self, call: Call) -> None:
        if call.number not in self._calls:
            return
        # Its legs stay known, so that what the edge still says of them is answered.
        self._close(call, call.stage, forget=False)
        call.is_given_up = True
        if call.to:
            self._request(call, b"BYE", call.remote, 3)
        else:
            self._request(call, b"CANCEL", call.dialled, 1)

    def _fail(self, call: Call, why: str) -> None:
        if not call.is_given_up:
            self.ledger.fail(why)
        call.is_closed = True

    def _close(self, call: Call, why: str, *, forget: bool = True) -> None:
        if not call.is_closed:
            if why:
                self.ledger.fail(why)
            else:
                self.ledger.done += 1
        call.is_closed = True
        self._agent_gone(call)
        self._calls.pop(call.number, None)
        if not forget:
            return
        self._by_call_id.pop(self._call_id(call), None)
        self._by_call_id.pop(call.agent_call_id, None)
