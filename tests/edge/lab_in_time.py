"""The lab's network in virtual time: SIP from host to host, by Kamailios that give it up in time.

Telephones and edges are the real ones (`edge.phone`, `edge.sip`), without their sockets. What lies
between is as far as these can tell it from the real thing:

- A datagram goes from host to host. A dead host, or a line that is cut, lets none through. What is
  said again is said by who said it first, at the moments at which a Kamailio would (RFC 3261, T1).
- A Kamailio that has let a request through and sees no response for 5 s answers 408 in the other's
  place (`fr_timer`). The carrier never does: it waits for as long as its caller.
- It rings an agent's telephone by the name that is asked for, and answers whoever asks if it is
  there.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import Final

from edge.phone.line import Line
from edge.sip import events as sip
from edge.sip.events import Address
from edge.sip.stack import SipStack
from edge.wire import BYE_TIMEOUT_S, CANCEL_TIMEOUT_S, GOODBYE_HOLD_S, SESSION_EXPIRES_S
from tests.sip.network import counter_tokens

PACE_S: Final = 0.003
"""How long a datagram is under way, by however many hosts."""
GIVEN_UP_S: Final = 5.0
"""A Kamailio's `fr_timer`."""
SIP_PORT: Final = 5060
_BRANCH = re.compile(rb"branch=([^;\s,]+)")
_USER = re.compile(rb"^(?:INVITE|CANCEL|ACK) sip:([^@\s]+)@")


class Net:
    """Which hosts there are, which way leads from one to the other, and what is broken of it."""

    def __init__(self) -> None:
        self.ends: dict[Address, Callable[[bytes, Address], None]] = {}
        self.homes: dict[str, str] = {}
        """Host of a telephone -> by which site's host all its SIP goes."""
        self.proxies: set[str] = set()
        """Hosts with a Kamailio: the sites'."""
        self.agents: dict[str, Address] = {}
        self.dead: set[str] = set()
        self.cut: set[frozenset[str]] = set()
        """Lines that let no SIP through."""
        self.mute: set[frozenset[str]] = set()
        """Lines that let no sound through."""
        self.moments: list[float] = []
        """When a datagram was sent, for whoever looks for moments at which something happens."""
        self._asked: dict[tuple[str, bytes], bool] = {}
        """Requests that a Kamailio has let through, and whether they are answered."""

    def carry(self, source: Address, datagram: bytes, to: Address) -> None:
        """Bring a datagram as far as it comes."""
        loop = asyncio.get_running_loop()
        self.moments.append(loop.time())
        if to.port == SIP_PORT and datagram.startswith(b"OPTIONS "):
            if to.host in self._seen(source.host, to.host):
                loop.call_later(2 * PACE_S, self._answer, 200, to.host, datagram, source)
            return
        ringing = _USER.match(datagram)
        if to.port == SIP_PORT and ringing is not None:
            rung = self.agents.get(ringing[1].decode())
            if rung is None or self.homes[rung.host] != to.host:
                return
            to = rung
        seen = self._seen(source.host, to.host)
        self._note(source, datagram, to.host, seen)
        if seen[-1:] == [to.host]:
            loop.call_later(PACE_S, self._deliver, source, datagram, to)

    def hears(self, host: str, other: str) -> bool:
        """Tell whether sound comes from one host to the other: by no Kamailio."""
        return not {host, other} & self.dead and frozenset({host, other}) not in self.mute

    def _deliver(self, source: Address, datagram: bytes, to: Address) -> None:
        end = self.ends.get(to)
        if end is not None and to.host not in self.dead:
            end(datagram, source)

    def _site(self, host: str, other: str) -> str | None:
        return next((each for each in (host, other) if each in self.proxies), None)

    def _way(self, start: str, end: str) -> list[str]:
        way = [start]
        for host in (self.homes.get(start), self.homes.get(end), end):
            if host is not None and host != way[-1]:
                way.append(host)
        return way

    def _seen(self, start: str, end: str) -> list[str]:
        """Return the hosts that a datagram comes to."""
        way = self._way(start, end)
        seen = way[:1] if start not in self.dead else []
        for before, host in itertools.pairwise(way):
            if not seen or host in self.dead or frozenset({before, host}) in self.cut:
                break
            seen.append(host)
        return seen

    def _note(self, source: Address, datagram: bytes, to: str, seen: list[str]) -> None:
        """Let the first Kamailio on the way see to a request, or hear that one is answered."""
        branch = _BRANCH.search(datagram)
        if branch is None:
            return
        if datagram.startswith(b"SIP/2.0 "):
            for name in self._asked:
                if name[1] == branch[1] and name[0] in seen:
                    self._asked[name] = True
            return
        # An agent's own site has theirs; the caller's edge has its own.
        proxy = self.homes.get(source.host) or self.homes.get(to) or self._site(source.host, to)
        if proxy not in seen:
            proxy = None
        if datagram.startswith(b"ACK ") or proxy is None or (proxy, branch[1]) in self._asked:
            return
        self._asked[proxy, branch[1]] = False
        asyncio.get_running_loop().call_later(
            GIVEN_UP_S, self._give_up, proxy, branch[1], datagram, source
        )

    def _give_up(self, proxy: str, branch: bytes, request: bytes, asking: Address) -> None:
        if not self._asked[proxy, branch]:
            self._answer(408, proxy, request, asking)

    def _answer(self, status: int, proxy: str, request: bytes, asking: Address) -> None:
        """Let a Kamailio answer by itself."""
        if self._seen(proxy, asking.host)[-1:] != [asking.host]:
            return
        kept = [
            line
            for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            if line.partition(b":")[0].lower() in {b"via", b"from", b"to", b"call-id", b"cseq"}
        ]
        answer = [b"SIP/2.0 %d -" % status, *kept, b"Content-Length: 0", b"", b""]
        self._deliver(Address(proxy, SIP_PORT), b"\r\n".join(answer), asking)


class End:
    """A stack with a place in the net: what `SipEndpoint` is, without a socket."""

    def __init__(  # noqa: PLR0913 - what a stack has to be told
        self,
        net: Net,
        local: Address,
        on_event: Callable[[sip.Event], None],
        *,
        tokens: str,
        user: str = "everline",
        is_edge: bool = False,
    ) -> None:
        self._net = net
        self._on_event = on_event
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.local = local
        net.ends[local] = self._hear
        self.stack = SipStack(
            local=local,
            product="test",
            token=counter_tokens(tokens),
            contact_user=user,
            session_expires_s=SESSION_EXPIRES_S if is_edge else None,
            bye_timeout_s=BYE_TIMEOUT_S if is_edge else None,
            cancel_timeout_s=CANCEL_TIMEOUT_S if is_edge else None,
            goodbye_hold_s=GOODBYE_HOLD_S if is_edge else None,
        )

    def now(self) -> float:
        """Return the instant."""
        return asyncio.get_running_loop().time()

    def close(self) -> None:
        """Say no more, and hear nothing."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._net.ends.get(self.local) == self._hear:
            del self._net.ends[self.local]

    def flush(self) -> None:
        """Send what there is, and set the timer anew."""
        for datagram, to in self.stack.take_outgoing():
            if not self._is_closed:
                self._net.carry(self.local, datagram, to)
        if self._timer is not None:
            self._timer.cancel()
        due = self.stack.next_deadline
        if due is None or self._is_closed:
            self._timer = None
        else:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(due, loop.time()), self._tick)

    def _hear(self, datagram: bytes, source: Address) -> None:
        if not self._is_closed:
            self._hand_out(self.stack.receive(datagram, source, self.now()))

    def _tick(self) -> None:
        self._timer = None
        self._hand_out(self.stack.handle_timers(self.now()))

    def _hand_out(self, events: list[sip.Event]) -> None:
        for event in events:
            self._on_event(event)
        self.flush()


class NetLine(Line):
    """A telephone's line in the net."""

    def __init__(self, net: Net, local: Address, *, user: str) -> None:  # no socket
        self.on_invite = None
        self._handlers = {}
        self._questions = {}
        end = End(net, local, self._dispatch, tokens=f"{user}-", user=user)
        self._endpoint = end  # type: ignore[assignment]  # as far as a line uses it
        self.user = user
