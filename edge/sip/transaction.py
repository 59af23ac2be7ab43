"""The four transaction machines of RFC 3261 §17 with the Accepted states of RFC 6026, as tables.

Laws:
- every transition of every machine is in `RULES`; an input that has no rule in a state is absorbed;
- every timer is in `TIMINGS`: entering a state sets its timers, staying in it changes none.
A state has at most two: one that retransmits (A, E, G) and one that ends it (the others).

We speak UDP only, so the timers are those for an unreliable transport.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct

from edge.sip.timers import LINGER, T1, T2, T4

if TYPE_CHECKING:
    from edge.sip.builder import Outgoing
    from edge.sip.events import Address, TransactionId
    from edge.sip.message import Request, Response


class Machine(StrEnum):
    """Which of the four."""

    INVITE_CLIENT = "invite client"
    CLIENT = "client"
    INVITE_SERVER = "invite server"
    SERVER = "server"


class State(StrEnum):
    """Where a machine is; the names are the RFC's."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Input(StrEnum):
    """What happens to a machine: from the wire, from the user, or by the clock."""

    REQUEST = "request again"
    ACK = "ack"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    RETRANSMIT = "retransmission timer"
    EXPIRE = "state timer"


class Action(StrEnum):
    """What a transition makes the machine do."""

    SEND = "send the user's message"
    RESEND = "send the last message again"
    ACK = "acknowledge the failure"
    DELIVER = "give it to the user"
    GIVE_UP = "tell the user that nothing came"


class Rule(Struct, frozen=True):
    """One transition."""

    state: State
    actions: tuple[Action, ...] = ()


class Timing(Struct, frozen=True):
    """The timers of a state, in seconds. None: no such timer; `keeps`: the one running goes on."""

    retransmit: float | None = None
    cap: float = inf
    """The retransmission interval doubles up to this."""
    expire: float | None = None
    keeps: bool = False


MAX_RINGING = 180.0
"""Seconds without any response in Proceeding before a client gives an INVITE up. RFC 3261 leaves it
to the user; a proxy's Timer C is as long, and a UAS repeats its 1xx each minute (§13.3.1.1)."""

_C, _S, _W = State, Input, Action
RULES: dict[Machine, dict[tuple[State, Input], Rule]] = {
    Machine.INVITE_CLIENT: {
        (_C.CALLING, _S.RETRANSMIT): Rule(_C.CALLING, (_W.RESEND,)),
        # The RFC ends it here. We listen on for as long again: a 2xx that comes too late is
        # acknowledged and hung up, instead of leaving somebody in a call with nobody.
        (_C.CALLING, _S.EXPIRE): Rule(_C.ACCEPTED, (_W.GIVE_UP,)),
        (_C.CALLING, _S.PROVISIONAL): Rule(_C.PROCEEDING, (_W.DELIVER,)),
        (_C.CALLING, _S.SUCCESS): Rule(_C.ACCEPTED, (_W.DELIVER,)),
        (_C.CALLING, _S.FAILURE): Rule(_C.COMPLETED, (_W.ACK, _W.DELIVER)),
        (_C.PROCEEDING, _S.PROVISIONAL): Rule(_C.PROCEEDING, (_W.DELIVER,)),
        (_C.PROCEEDING, _S.SUCCESS): Rule(_C.ACCEPTED, (_W.DELIVER,)),
        (_C.PROCEEDING, _S.FAILURE): Rule(_C.COMPLETED, (_W.ACK, _W.DELIVER)),
        (_C.PROCEEDING, _S.EXPIRE): Rule(_C.ACCEPTED, (_W.GIVE_UP,)),
        (_C.COMPLETED, _S.FAILURE): Rule(_C.COMPLETED, (_W.ACK,)),
        # RFC 3261 §16.7: a proxy passes another fork's 2xx on though it has passed a refusal on.
        (_C.COMPLETED, _S.SUCCESS): Rule(_C.COMPLETED, (_W.DELIVER,)),
        (_C.COMPLETED, _S.EXPIRE): Rule(_C.TERMINATED),
        # RFC 6026 §7.2: later 2xx, of this fork or another, are the user's to acknowledge.
        (_C.ACCEPTED, _S.SUCCESS): Rule(_C.ACCEPTED, (_W.DELIVER,)),
        (_C.ACCEPTED, _S.PROVISIONAL): Rule(_C.ACCEPTED, (_W.DELIVER,)),
        (_C.ACCEPTED, _S.FAILURE): Rule(_C.ACCEPTED, (_W.ACK,)),
        (_C.ACCEPTED, _S.EXPIRE): Rule(_C.TERMINATED),
    },
    Machine.CLIENT: {
        (_C.TRYING, _S.RETRANSMIT): Rule(_C.TRYING, (_W.RESEND,)),
        (_C.TRYING, _S.EXPIRE): Rule(_C.TERMINATED, (_W.GIVE_UP,)),
        (_C.TRYING, _S.PROVISIONAL): Rule(_C.PROCEEDING, (_W.DELIVER,)),
        (_C.TRYING, _S.SUCCESS): Rule(_C.COMPLETED, (_W.DELIVER,)),
        (_C.TRYING, _S.FAILURE): Rule(_C.COMPLETED, (_W.DELIVER,)),
        (_C.PROCEEDING, _S.RETRANSMIT): Rule(_C.PROCEEDING, (_W.RESEND,)),
        (_C.PROCEEDING, _S.EXPIRE): Rule(_C.TERMINATED, (_W.GIVE_UP,)),
        (_C.PROCEEDING, _S.PROVISIONAL): Rule(_C.PROCEEDING, (_W.DELIVER,)),
        (_C.PROCEEDING, _S.SUCCESS): Rule(_C.COMPLETED, (_W.DELIVER,)),
        (_C.PROCEEDING, _S.FAILURE): Rule(_C.COMPLETED, (_W.DELIVER,)),
        (_C.COMPLETED, _S.EXPIRE): Rule(_C.TERMINATED),
    },
    Machine.INVITE_SERVER: {
        (_C.PROCEEDING, _S.REQUEST): Rule(_C.PROCEEDING, (_W.RESEND,)),
        (_C.PROCEEDING, _S.PROVISIONAL): Rule(_C.PROCEEDING, (_W.SEND,)),
        (_C.PROCEEDING, _S.SUCCESS): Rule(_C.ACCEPTED, (_W.SEND,)),
        (_C.PROCEEDING, _S.FAILURE): Rule(_C.COMPLETED, (_W.SEND,)),
        (_C.COMPLETED, _S.REQUEST): Rule(_C.COMPLETED, (_W.RESEND,)),
        (_C.COMPLETED, _S.RETRANSMIT): Rule(_C.COMPLETED, (_W.RESEND,)),
        (_C.COMPLETED, _S.ACK): Rule(_C.CONFIRMED),
        (_C.COMPLETED, _S.EXPIRE): Rule(_C.TERMINATED),
        (_C.CONFIRMED, _S.EXPIRE): Rule(_C.TERMINATED),
        # RFC 6026 §7.1: the user retransmits its 2xx; INVITEs that come again are absorbed.
        (_C.ACCEPTED, _S.ACK): Rule(_C.ACCEPTED, (_W.DELIVER,)),
        (_C.ACCEPTED, _S.EXPIRE): Rule(_C.TERMINATED),
    },
    Machine.SERVER: {
        # The RFC leaves it to the user; by then its client has given up.
        (_C.TRYING, _S.EXPIRE): Rule(_C.TERMINATED),
        (_C.PROCEEDING, _S.EXPIRE): Rule(_C.TERMINATED),
        (_C.TRYING, _S.PROVISIONAL): Rule(_C.PROCEEDING, (_W.SEND,)),
        (_C.TRYING, _S.SUCCESS): Rule(_C.COMPLETED, (_W.SEND,)),
        (_C.TRYING, _S.FAILURE): Rule(_C.COMPLETED, (_W.SEND,)),
        (_C.PROCEEDING, _S.REQUEST): Rule(_C.PROCEEDING, (_W.RESEND,)),
        (_C.PROCEEDING, _S.PROVISIONAL): Rule(_C.PROCEEDING, (_W.SEND,)),
        (_C.PROCEEDING, _S.SUCCESS): Rule(_C.COMPLETED, (_W.SEND,)),
        (_C.PROCEEDING, _S.FAILURE): Rule(_C.COMPLETED, (_W.SEND,)),
        (_C.COMPLETED, _S.REQUEST): Rule(_C.COMPLETED, (_W.RESEND,)),
        (_C.COMPLETED, _S.EXPIRE): Rule(_C.TERMINATED),
    },
}

TIMINGS: dict[Machine, dict[State, Timing]] = {
    Machine.INVITE_CLIENT: {
        _C.CALLING: Timing(retransmit=T1, expire=LINGER),  # A, B
        _C.PROCEEDING: Timing(expire=MAX_RINGING),
        _C.COMPLETED: Timing(expire=LINGER),  # D
        _C.ACCEPTED: Timing(expire=LINGER),  # M
    },
    Machine.CLIENT: {
        _C.TRYING: Timing(retransmit=T1, cap=T2, expire=LINGER),  # E, F
        _C.PROCEEDING: Timing(retransmit=T2, cap=T2, keeps=True),  # E; F goes on
        _C.COMPLETED: Timing(expire=T4),  # K
    },
    Machine.INVITE_SERVER: {
        _C.PROCEEDING: Timing(),
        _C.COMPLETED: Timing(retransmit=T1, cap=T2, expire=LINGER),  # G, H
        _C.CONFIRMED: Timing(expire=T4),  # I
        _C.ACCEPTED: Timing(expire=LINGER),  # L
    },
    Machine.SERVER: {
        _C.TRYING: Timing(expire=LINGER),
        _C.PROCEEDING: Timing(keeps=True),
        _C.COMPLETED: Timing(expire=LINGER),  # J
    },
}

START = {
    Machine.INVITE_CLIENT: State.CALLING,
    Machine.CLIENT: State.TRYING,
    Machine.INVITE_SERVER: State.PROCEEDING,
    Machine.SERVER: State.TRYING,
}


def kind_of(status: int) -> Input:
    """Return which input a response of this status is."""
    if status < 200:  # noqa: PLR2004 - SIP's own classes of status
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE  # noqa: PLR2004


class Transaction:
    """One machine at work: its state, its deadlines and the last message it sent."""

    __slots__ = (
        "cap",
        "due",
        "expire_at",
        "interval",
        "key",
        "machine",
        "message",
        "peer",
        "queued",
        "retransmit_at",
        "rules",
        "state",
        "timings",
    )

    def __init__(self, machine: Machine, key: str, peer: Address) -> None:
        self.machine = machine
        self.rules = RULES[machine]
        self.timings = TIMINGS[machine]
        self.state = START[machine]
        self.key = key
        self.peer = peer
        self.message = b""
        self.interval = 0.0
        self.cap = inf
        self.retransmit_at = inf
        self.expire_at = inf
        self.due = inf
        self.queued = inf

    @property
    def rings(self) -> bool:
        """Whether this is an INVITE of ours that has been heard of and not been answered."""
        return self.machine is Machine.INVITE_CLIENT and self.state is State.PROCEEDING

    def enter(self, state: State, now: float) -> None:
        """Go to `state` and set its timers."""
        self.state = state
        timing = self.timings.get(state)
        if timing is None:
            self.retransmit_at = self.expire_at = self.due = inf
            return
        if not timing.keeps:
            self.expire_at = inf if timing.expire is None else now + timing.expire
        if timing.retransmit is None:
            self.retransmit_at = inf
        else:
            self.interval = timing.retransmit
            self.cap = timing.cap
            self.retransmit_at = now + timing.retransmit
        self.due = min(self.retransmit_at, self.expire_at)

    def back_off(self, now: float) -> None:
        """Set the retransmission timer anew after it fired."""
        self.interval = min(2 * self.interval, self.cap)
        self.retransmit_at = now + self.interval
        self.due = min(self.retransmit_at, self.expire_at)

    def expire_in(self, seconds: float, now: float) -> None:
        """Let the present state end `seconds` from now, whatever the table says."""
        self.expire_at = now + seconds
        self.due = min(self.retransmit_at, self.expire_at)


class ClientTransaction(Transaction):
    """A request of ours and what may come back."""

    __slots__ = ("acks", "on_response", "proofs", "request", "via")

    def __init__(  # noqa: PLR0913, PLR0917 - what a transaction is made of
        self,
        machine: Machine,
        key: str,
        peer: Address,
        request: Outgoing,
        via: str,
        on_response: Callable[[ClientTransaction, Response | None], None],
    ) -> None:
        super().__init__(machine, key, peer)
        self.request = request
        self.via = via
        self.on_response = on_response
        """Called with each response, or with None when none came in time."""
        self.proofs = 0
        """How many times this request has been sent with proof of who we are, counting this one."""
        self.acks: dict[str, tuple[bytes, Address]] = {}
        """By To tag, the ACK that each 2xx got, to be sent again when the 2xx comes again."""


class ServerTransaction(Transaction):
    """A request of theirs and our answers."""

    __slots__ = ("id", "leg", "merge_key", "request", "source", "to_tag")

    def __init__(  # noqa: PLR0913, PLR0917 - what a transaction is made of
        self,
        machine: Machine,
        key: str,
        peer: Address,
        source: Address,
        request: Request,
        identity: TransactionId,
        to_tag: str,
    ) -> None:
        super().__init__(machine, key, peer)
        self.request = request
        self.source = source
        """Where the request came from; `peer` is where responses go."""
        self.id = identity
        self.to_tag = to_tag
        """The tag that our responses put on To if the request had none."""
        self.merge_key = ""
        self.leg = ""
        """The leg that this INVITE belongs to, for CANCEL and ACK."""
