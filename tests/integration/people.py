"""People with telephones, moved by hand: each test says what a caller or an agent does and when.

On the project's own SIP stack, in the test's process. What they hear is for the demo; here it is
about how calls begin and end. `sdp` of a person is where nobody listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from unittest.mock import patch

from edge.sip import events as sip
from edge.sip.endpoint import SipEndpoint
from edge.sip.errors import LocalError
from edge.sip.events import Address, LegId

E = TypeVar("E")
PATIENCE_S = 8.0
_ENDINGS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("bye", ()),
    ("cancel", ()),
    ("reject", (480,)),
)


def sdp(host: str, port: int = 40_000, *, codec: int = 0, direction: str = "sendrecv") -> bytes:
    """Return a session description with one codec, by its static payload type."""
    names = {0: "PCMU/8000", 8: "PCMA/8000", 18: "G729/8000"}
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {codec}",
        f"a=rtpmap:{codec} {names[codec]}",
        f"a={direction}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


async def until(condition: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S) -> None:
    """Wait for a condition of other processes; fail with `what` when it does not come."""
    ends_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends_s:
            raise AssertionError(f"not within {within_s} s: {what}")
        await asyncio.sleep(0.01)


@dataclass
class Leg:
    """One leg of a person, with everything that has happened on it."""

    owner: Telephone
    id: LegId
    sip_call_id: str
    invite: sip.IncomingInvite | None = None
    events: list[sip.Event] = field(default_factory=list)

    def has(self, kind: type[sip.Event]) -> bool:
        """Tell whether such an event has come."""
        return any(isinstance(event, kind) for event in self.events)

    async def wait(self, kind: type[E], *, within_s: float = PATIENCE_S) -> E:
        """Return the first event of a kind, now or when it comes."""
        await until(
            lambda: any(isinstance(event, kind) for event in self.events),
            f"{kind.__name__} on {self.id}; so far {self.events}",
            within_s=within_s,
        )
        return next(event for event in self.events if isinstance(event, kind))

    async def outcome(self) -> sip.Answered | sip.Rejected:
        """Return how our INVITE was answered."""
        await until(
            lambda: any(isinstance(event, sip.Answered | sip.Rejected) for event in self.events),
            f"an answer to {self.id}",
        )
        return next(
            event for event in self.events if isinstance(event, sip.Answered | sip.Rejected)
        )

    def notified(self) -> list[tuple[int, bool]]:
        """Return what a transfer's NOTIFYs have said: the status, and whether it is the last."""
        found = [event for event in self.events if isinstance(event, sip.Notified)]
        return [(event.status, event.final) for event in found]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of it."""
        return any(
            isinstance(event, sip.Ended | sip.Rejected | sip.Cancelled) for event in self.events
        )


class Telephone:
    """One SIP user at one address."""

    def __init__(self, host: str, *, user: str) -> None:
        self.user = user
        self.legs: dict[LegId, Leg] = {}
        self.incoming: list[Leg] = []
        self.responses: dict[sip.TransactionId, sip.ResponseReceived] = {}
        self.answers_offers = True
        self.home = ""
        """The site at which an agent is registered; empty: none, or nobody's agent."""
        self._early: defaultdict[LegId, list[sip.Event]] = defaultdict(list)
        self.endpoint = SipEndpoint.open(
            local=Address(host, 0), product="test", on_event=self._take, contact_user=user
        )
        self.sdp = sdp(host)

    def give_up(self) -> None:
        """End whatever is left of any call, as a test that failed may leave it."""
        for leg in self.legs.values():
            for command, arguments in _ENDINGS:
                with contextlib.suppress(LocalError):
                    self.do(command, leg, *arguments)

    def close(self) -> None:
        """Vanish."""
        self.endpoint.close()

    @contextlib.contextmanager
    def line_dead(self) -> Iterator[None]:
        """Hear nothing and say nothing meanwhile; what has come is read when the line is back."""
        loop, fd = asyncio.get_running_loop(), self.endpoint._socket.fileno()  # noqa: SLF001
        loop.remove_reader(fd)
        try:
            with patch.object(self.endpoint, "_send"):
                yield
        finally:
            loop.add_reader(fd, self.endpoint._readable)  # noqa: SLF001

    # -- doing

    def do(self, command: str, leg: Leg, *arguments: object, **named: object) -> None:
        """Carry out a command of the stack on a leg."""
        getattr(self.endpoint.stack, command)(leg.id, *arguments, self.endpoint.now(), **named)
        self.endpoint.flush()

    def dial(
        self,
        number: str,
        to: Address,
        *,
        offer: bytes | None = b"",
        headers: dict[str, str] | None = None,
        password: str = "",
    ) -> Leg:
        """Send an INVITE; `offer` None: a late offer. With a `password`: as who is asked for it."""
        sip_call_id = f"test-{secrets.token_hex(8)}"
        leg_id = self.endpoint.stack.invite(
            request_uri=f"sip:{number}@{to}",
            from_uri=f"sip:{self.user}@{self.endpoint.local.host}",
            to_uri=f"sip:{number}@everline",
            next_hop=to,
            sdp=self.sdp if offer == b"" else offer,
            now=self.endpoint.now(),
            headers=headers,
            sip_call_id=sip_call_id,
            credentials=(self.user, password) if password else None,
        )
        leg = self.legs[leg_id] = Leg(self, leg_id, sip_call_id)
        leg.events += self._early.pop(leg_id, [])
        self.endpoint.flush()
        return leg

    async def register(self, to: Address, password: str, *, expires_s: int = 60) -> int:
        """REGISTER with digest; return the final status."""
        aor = f"sip:{self.user}@everline"
        transaction = self.endpoint.stack.request(
            method="REGISTER",
            request_uri="sip:everline",
            from_uri=aor,
            to_uri=aor,
            next_hop=to,
            now=self.endpoint.now(),
            headers={
                "Contact": f"<sip:{self.user}@{self.endpoint.local}>",
                "Expires": str(expires_s),
            },
            credentials=(self.user, password),
        )
        self.endpoint.flush()
        await until(lambda: transaction in self.responses, f"an answer to REGISTER of {self.user}")
        return self.responses.pop(transaction).status

    async def rung(self, *, within_s: float = PATIENCE_S) -> Leg:
        """Return the next INVITE that comes in, each once."""
        await until(lambda: bool(self.incoming), f"{self.user} is rung", within_s=within_s)
        return self.incoming.pop(0)

    async def answer(self, leg: Leg) -> Leg:
        """Pick up and wait for the ACK."""
        self.do("answer", leg, self.sdp)
        await leg.wait(sip.Confirmed)
        return leg

    async def hang_up(self, leg: Leg) -> None:
        """Say BYE and wait until it is over."""
        self.do("bye", leg)
        await leg.wait(sip.Ended)

    # -- hearing

    def _take(self, event: sip.Event) -> None:
        if isinstance(event, sip.ResponseReceived):
            self.responses[event.transaction] = event
            return
        leg_id: LegId | None = getattr(event, "leg", None)
        if leg_id is None:
            return
        if isinstance(event, sip.IncomingInvite):
            self.legs[leg_id] = Leg(self, leg_id, event.sip_call_id, invite=event)
            self.incoming.append(self.legs[leg_id])
        if leg_id not in self.legs:
            self._early[leg_id].append(event)
            return
        self.legs[leg_id].events.append(event)
        if isinstance(event, sip.OfferReceived) and self.answers_offers:
            self.do("answer_offer", self.legs[leg_id], self.sdp)
