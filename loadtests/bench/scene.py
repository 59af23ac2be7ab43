"""Who is where in a benchmark, who looks on, and what is known of one call. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from msgspec import Struct

from loadtests.bench.wire import Heard

DEADLINE_S = 5.0
"""Beyond its own length, how long a call may take."""


class Watch(Protocol):
    """Who looks at the agents of a crowd; instants are the generator's."""

    def rung(self, agent: bytes, at_s: float) -> None:
        """Be told that an INVITE has come to them."""

    def joined(self, agent: bytes, at_s: float) -> None:
        """Be told that the caller hears them."""

    def left(self, agent: bytes, at_s: float) -> None:
        """Be told that they have hung up, or were hung up on."""


class Way(Enum):
    """Which of the two Kamailios a datagram goes out by, or came in by."""

    CALLERS = auto()
    AGENTS = auto()


class Scene(Struct, frozen=True, kw_only=True):
    """Who is where, and how long things take. Addresses are `host:port`."""

    edge: str
    callers: str
    """The Kamailio of the callers' site."""
    agents: str
    """The Kamailio of the agents' site."""
    did: str
    dids: int = 1
    """So many numbers from `did` on are called in turn."""
    ring_s: float = 0.02
    talk_s: float = 0.2
    patience_s: float = DEADLINE_S
    """Beyond its own length, how long a call may take: then the caller hangs up."""
    is_alone: bool = False
    """Nobody is there for them: callers hang up so long after they were answered as others talk."""
    rtp_port: int = 40000
    """Where everybody hears; on the host of their Kamailio."""

    def dialled(self, turn: int) -> str:
        """Return the URI that the caller of a turn dials."""
        return f"sip:{int(self.did) + turn % self.dids}@{self.edge}"

    @property
    def length_s(self) -> float:
        """How long a call takes if the edge takes no time."""
        return self.talk_s if self.is_alone else self.ring_s + self.talk_s


@dataclass(slots=True, eq=False)
class Call:
    """What is known of a call."""

    number: bytes
    began_s: float
    agent_hangs_up: bool
    dialled: bytes = b""
    """The URI of the first INVITE."""
    remote: bytes = b""
    """The edge's Contact in the caller's dialog."""
    to: bytes = b""
    is_first_answered: bool = False
    agent: bytes = b""
    agent_invite: Heard | None = None
    agent_call_id: bytes = b""
    is_talking: bool = False
    has_hung_up: bool = False
    """One of the two has."""
    caller_over: bool = False
    agent_over: bool = False
    is_closed: bool = False
    is_given_up: bool = False
    """The caller has lost patience, and hangs up as soon as that can be done."""
    spoken: dict[bytes, bytes] = field(default_factory=dict)
    """What was answered to a request of the edge, by leg, method and CSeq; ACKs by our request."""

    @property
    def stage(self) -> str:
        """How far a call had come that never ended."""
        if not self.to:
            return "not answered"
        if self.agent_invite is None:
            return "no agent rung"
        return "not ended" if self.is_talking else "not joined"
