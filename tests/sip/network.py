"""A network in memory with its own clock: stacks, datagrams under way, and what befalls them.

Each datagram meets the next `Fate` of a list; when the list is used up the network is perfect, so
that every exchange comes to its end.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any, TypeVar

from hypothesis import strategies as st
from msgspec import Struct

from edge.sip.errors import LocalError
from edge.sip.events import Address, Event, IncomingInvite, LegId
from edge.sip.message import Request, Response, parse
from edge.sip.stack import SipStack

E = TypeVar("E")
OFFER = b"v=0\r\ns=offer\r\n"
ANSWER = b"v=0\r\ns=answer\r\n"
LONG_ENOUGH = 100_000.0
"""Seconds after which a network that still has something to do is broken."""
PACE = 0.01
"""Seconds a datagram is under way when nothing befalls it."""
CANCEL = """CANCEL sip:bob@everline SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKnone
Max-Forwards: 70
From: <sip:x@everline>;tag=x
To: <sip:bob@everline>
Call-ID: none
CSeq: 1 CANCEL
Content-Length: 0

"""
"""Of an INVITE that nobody has sent."""


class Fate(Struct, frozen=True):
    """What happens to one datagram: when each copy arrives; no copies: it is lost."""

    arrivals: tuple[float, ...] = (PACE,)


LOST = Fate(())
FINE = Fate()

delays = st.floats(min_value=0.001, max_value=1.2, allow_nan=False)
fates = st.one_of(
    st.just(FINE),
    st.just(LOST),
    st.builds(lambda first: Fate((first,)), delays),
    st.builds(lambda first, second: Fate((first, second)), delays, delays),
)


def counter_tokens(prefix: str) -> Callable[[], str]:
    """Return a `token` that says its name and number."""
    numbers = itertools.count()
    return lambda: f"{prefix}{next(numbers):06d}"


@dataclass
class Party:
    """A stack with what it has said, and what its user does about it."""

    name: str
    address: Address
    stack: SipStack
    network: Network
    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Party, Event], None] | None = None
    deaf: bool = False
    """Neither hears nor runs its timers: a process that has died."""

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def only(self, kind: type[E]) -> E:
        """Return the one event of a kind."""
        found = self.of(kind)
        assert len(found) == 1, f"{self.name}: {self.events}"
        return found[0]

    def heard(self, kind: type[Event]) -> bool:
        """Tell whether there was exactly one event of a kind."""
        return len(self.of(kind)) == 1

    @property
    def leg(self) -> LegId:
        """The leg of the one call that came in."""
        return self.only(IncomingInvite).leg

    def call(
        self,
        callee: Party,
        *,
        sdp: bytes | None = OFFER,
        **more: Any,  # noqa: ANN401 - whatever else `SipStack.invite` takes
    ) -> LegId:
        """Send INVITE to `callee`."""
        leg = self.stack.invite(
            request_uri=f"sip:{callee.name}@everline",
            from_uri=f"sip:{self.name}@everline",
            to_uri=f"sip:{callee.name}@everline",
            next_hop=callee.address,
            sdp=sdp,
            now=self.network.now,
            **more,
        )
        self.network.collect()
        return leg

    def try_to(self, command: Callable[[], None]) -> None:
        """Run a command that may come too early or too late."""
        with contextlib.suppress(LocalError):
            command()
        self.network.collect()


class Network:
    """Parties, datagrams and a clock."""

    def __init__(self, fates: Iterable[Fate] = ()) -> None:
        self.now = 1000.0
        self.fates: Iterator[Fate] = iter(fates)
        self._serial = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.parties: list[Party] = []
        self.trace: list[tuple[float, str, Request | Response]] = []
        """Every message that was sent: when, by whom, what."""
        self.tamper: Callable[[bytes], bytes] | None = None

    def party(
        self,
        name: str,
        on_event: Callable[[Party, Event], None] | None = None,
        **more: Any,  # noqa: ANN401 - whatever else `SipStack` takes
    ) -> Party:
        """Add a stack."""
        address = Address(f"192.0.2.{len(self.parties) + 1}", 5060)
        stack = SipStack(local=address, product="test", token=counter_tokens(name), **more)
        party = Party(name, address, stack, self, on_event=on_event)
        self.parties.append(party)
        return party

    def at(self, after: float, action: Callable[[], None]) -> None:
        """Do something `after` seconds from now."""
        heappush(self._agenda, (self.now + after, next(self._serial), action))

    def collect(self) -> None:
        """Take up what the stacks have to send."""
        for party in self.parties:
            for datagram, to in party.stack.take_outgoing():
                if party.deaf:
                    continue
                self.trace.append((self.now, party.name, parse(datagram)))
                self._carry(party, datagram, to)

    def _carry(self, sender: Party, datagram: bytes, to: Address) -> None:
        receiver = next((party for party in self.parties if party.address == to), None)
        fate = next(self.fates, FINE)
        if receiver is None:
            return
        wire = self.tamper(datagram) if self.tamper is not None else datagram
        for delay in fate.arrivals:
            self.at(delay, lambda: self._deliver(receiver, wire, sender.address))

    def _deliver(self, party: Party, datagram: bytes, source: Address) -> None:
        if not party.deaf:
            self._hand_out(party, party.stack.receive(datagram, source, self.now))

    def lose(self, method: bytes) -> None:
        """Lose every request of a method, until told to `tamper` otherwise."""
        self.tamper = lambda datagram: b"" if datagram.startswith(method) else datagram

    def inject(self, party: Party, text: str | bytes, source: Address) -> None:
        """Deliver bytes that no stack wrote; LF alone stands for CRLF."""
        if isinstance(text, str):
            text = text.replace("\n", "\r\n").encode()
        self._deliver(party, text, source)
        self.collect()

    def _hand_out(self, party: Party, events: list[Event]) -> None:
        for event in events:
            party.events.append(event)
            if party.on_event is not None:
                party.on_event(party, event)
        self.collect()

    def _step(self, until: float) -> bool:
        self.collect()
        times = [self._agenda[0][0]] if self._agenda else []
        times += [due for party in self.parties if (due := self._deadline(party)) is not None]
        if not times or min(times) > until:
            return False
        self.now = max(self.now, min(times))
        while self._agenda and self._agenda[0][0] <= self.now:
            heappop(self._agenda)[2]()
        for party in self.parties:
            if not party.deaf:
                self._hand_out(party, party.stack.handle_timers(self.now))
        return True

    def _deadline(self, party: Party) -> float | None:
        return None if party.deaf else party.stack.next_deadline

    def run(self, seconds: float) -> None:
        """Let `seconds` pass."""
        until = self.now + seconds
        while self._step(until):
            pass
        self.now = until

    def run_out(self) -> None:
        """Let everything come to its end; nothing may be left."""
        limit = self.now + LONG_ENOUGH
        while self._step(limit):
            pass
        for party in self.parties:
            if not party.deaf:
                assert party.stack.legs() == 0, f"{party.name} has legs left"
                assert party.stack.transactions() == 0, f"{party.name} has transactions left"
                assert party.stack.next_deadline is None

    def sent(self, by: str, what: str | int) -> list[Request | Response]:
        """Return the messages that `by` sent: requests by method, responses by status."""
        return [
            message
            for _, name, message in self.trace
            if name == by
            and (message.method if isinstance(message, Request) else message.status) == what
        ]


def arrived(
    network: Network,
    *,
    callers: Mapping[str, Any] = MappingProxyType({}),
    callees: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,  # noqa: ANN401 - whatever else `Party.call` takes
) -> tuple[Party, Party, LegId]:
    """Return a caller, a callee and the caller's leg, in a call that has come and no more.

    `callers`, `callees`: whatever else their `SipStack` takes.
    """
    caller, callee = network.party("alice", **callers), network.party("bob", **callees)
    out = caller.call(callee, **more)
    network.run(0.1)
    return caller, callee, out


def established(
    network: Network,
    **callees: Any,  # noqa: ANN401 - whatever else `SipStack` takes
) -> tuple[Party, Party, LegId, LegId]:
    """Return a caller, a callee and their legs, in a call that has been answered."""
    caller, callee, out = arrived(network, callees=callees)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    incoming = callee.leg
    caller.events.clear()
    callee.events.clear()
    network.trace.clear()
    return caller, callee, out, incoming
