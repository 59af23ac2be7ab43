"""What the people on the phones saw, as values. PURE.

Owns the words in which callers and agents report, whichever program spoke for them. Knows nothing
of what the edges say: the ledger compares the two.

Stamps end in `_ms` and are wall-clock milliseconds of this one machine, on which everybody runs.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from drills.demo.scenario import Dialler
from state.model import AgentId, CallId


class End(StrEnum):
    """How a phone's half of a call ended, as the phone saw it."""

    HUNG_UP = "hung_up"
    """It said BYE and was answered 200."""
    UNHEARD = "unheard"
    """It said BYE and nobody was there: no answer, or one that knows no such call."""
    FAR_END = "far_end"
    """It was hung up on."""
    CANCELLED = "cancelled"
    """The INVITE was withdrawn before the answer, by whoever sent it."""
    REFUSED = "refused"
    """The INVITE got a final answer above 299."""
    SILENCE = "silence"
    """The INVITE never got a final answer."""
    FAULT = "fault"
    """Its own user agent gave the dialog up: no ACK, or the session timer ran out."""
    UNFINISHED = "unfinished"
    """The report has no end: the program died, or was stopped."""


class CallerReport(Struct, frozen=True, kw_only=True):
    """One call, as its caller saw it."""

    number: str
    sip_call_id: str
    call: CallId
    """Our name for it, made of the Call-ID and From tag that the caller itself chose."""
    dialler: Dialler
    invite_ms: int
    ok_ms: int | None = None
    """When the 200 came."""
    joined_ms: int | None = None
    """When an agent's audio was joined: SIPp goes by the re-INVITE, our phone by what it hears."""
    told_ms: int | None = None
    """When it last took a session that it was offered within the call, before it hung up: an edge
    brings a caller and an agent together by that."""
    hung_up_ms: int | None = None
    """When the caller put the phone down."""
    ended_ms: int | None = None
    """When that, or the other side's doing, was settled."""
    end: End = End.UNFINISHED
    status: int | None = None
    """Of a refusal."""
    reason: str = ""
    """The Reason field of the BYE that ended it."""
    sent: str | None = None
    """Its chord; None: it echoed what it heard."""
    heard: frozenset[str] = frozenset()
    """Chords that came in."""
    held: bool = False
    """It put the agent on hold and came back."""
    first_held_ms: int | None = None
    """When it did so first, if it tells."""
    resumed_ms: int | None = None
    """When it came back last."""
    last_heard_ms: int | None = None
    """When the agent was heard last, if it listens, and there was one agent only."""
    crossed: bool = False
    """Its goodbye met one of the other side."""
    heard_nothing: bool = False
    """It hung up because nothing came any more, not even music."""
    packets_after: int = 0
    """How many packets of sound, of any kind, came after it had put the phone down."""
    stalls: tuple[tuple[int, int], ...] = ()
    """From when to when its telephone sent nothing, since the telephone itself stood still."""


class AgentReport(Struct, frozen=True, kw_only=True):
    """One INVITE that reached an agent's phone, as the agent saw it."""

    agent: AgentId
    sip_call_id: str
    call: CallId | None
    """From the token of the offer; None when the INVITE bore none."""
    invite_ms: int
    answered_ms: int | None = None
    passed_on_ms: int | None = None
    """When they had passed the caller on, to a colleague or a queue."""
    hung_up_ms: int | None = None
    """When the agent put the phone down."""
    ended_ms: int | None = None
    """When that, or the other side's doing, was settled."""
    end: End = End.UNFINISHED
    sent: str = ""
    heard: frozenset[str] = frozenset()
    last_heard_ms: int | None = None
    crossed: bool = False
    """Its goodbye met one of the other side."""
    stalls: tuple[tuple[int, int], ...] = ()
    """From when to when its telephone sent nothing, since the telephone itself stood still."""

    @property
    def busy_until_ms(self) -> int | None:
        """Return when the agent was free again; None: never."""
        return self.ended_ms if self.hung_up_ms is None else self.hung_up_ms


class OfferChange(StrEnum):
    """What an etcd event did to an agent's offer key."""

    PUT = "put"
    DELETED = "deleted"


class OfferEvent(Struct, frozen=True, kw_only=True):
    """One change of `/everline/state/offer/AGENT`, as a watch saw it."""

    revision: int
    at_ms: int
    """When the watch delivered it, here."""
    change: OfferChange
    agent: AgentId
    call: CallId | None = None
    """None for a deletion."""
