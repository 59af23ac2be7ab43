"""What Kamailio tells the edges over evapi: JSON in netstrings, as frozen values. PURE."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from edge.acd.token import Token
from edge.proxy.gate import GateState
from state.model import AgentId, CallId


class Connected(Struct, frozen=True, kw_only=True):
    """The stream is (again) there. Events may have been lost: compare with `registered()`."""


class Disconnected(Struct, frozen=True, kw_only=True):
    """Kamailio has died or is restarting."""


class Listening(Struct, frozen=True, kw_only=True):
    """Kamailio has heard that we listen: nothing is lost from here on."""


class Registered(Struct, frozen=True, kw_only=True):
    """An agent's phone has registered, or refreshed."""

    agent: AgentId
    expires_s: int


class Unregistered(Struct, frozen=True, kw_only=True):
    """An agent's phone has signed off, or (`expired`) has not been heard of in time."""

    agent: AgentId
    expired: bool


class GateChanged(Struct, frozen=True, kw_only=True):
    """An agent's gate has let an offer through, or has become free."""

    agent: AgentId
    token: Token
    state: GateState
    call: CallId | None


class Refused(Struct, frozen=True, kw_only=True):
    """An offer was not let through."""

    agent: AgentId
    call: CallId
    why: str
    """`busy`, `stale token`, `not registered`, `gate not loaded`, `nobody listens`."""


class GoodbyeUnheard(Struct, frozen=True, kw_only=True):
    """An agent has hung up, and the edge that holds the call has refused that, or is silent."""

    agent: AgentId


class Forwarded(Struct, frozen=True, kw_only=True):
    """A call was handed on to a backup number outside, or should have been."""

    trunk: str
    outcome: str
    """`sent`; then perhaps `refused` or `silent`. `loop`: it came back to us, and was ended."""
    count: int
    """Of that outcome, since Kamailio's start: whoever missed some knows."""


Event = (
    Connected
    | Disconnected
    | Registered
    | Unregistered
    | GateChanged
    | Refused
    | GoodbyeUnheard
    | Forwarded
)


class _Listening(msgspec.Struct, tag_field="event", tag="listening"):
    def event(self) -> Listening:
        return Listening()


class _Registered(msgspec.Struct, tag_field="event", tag="registered"):
    agent: str
    expires: int

    def event(self) -> Registered:
        return Registered(agent=AgentId(self.agent), expires_s=self.expires)


class _Unregistered(msgspec.Struct, tag_field="event", tag="unregistered"):
    agent: str

    def event(self) -> Unregistered:
        return Unregistered(agent=AgentId(self.agent), expired=False)


class _Expired(msgspec.Struct, tag_field="event", tag="expired"):
    agent: str

    def event(self) -> Unregistered:
        return Unregistered(agent=AgentId(self.agent), expired=True)


class _Gate(msgspec.Struct, tag_field="event", tag="gate"):
    agent: str
    epoch: int
    revision: int
    state: GateState
    call: str

    def event(self) -> GateChanged:
        return GateChanged(
            agent=AgentId(self.agent),
            token=Token(epoch=self.epoch, revision=self.revision),
            state=self.state,
            call=CallId(self.call) if self.call else None,
        )


class _Refused(msgspec.Struct, tag_field="event", tag="refused"):
    agent: str
    call: str
    why: str

    def event(self) -> Refused:
        return Refused(agent=AgentId(self.agent), call=CallId(self.call), why=self.why)


class _GoodbyeUnheard(msgspec.Struct, tag_field="event", tag="goodbye_unheard"):
    agent: str

    def event(self) -> GoodbyeUnheard:
        return GoodbyeUnheard(agent=AgentId(self.agent))


class _Forwarded(msgspec.Struct, tag_field="event", tag="forwarded"):
    trunk: str
    outcome: str
    count: int

    def event(self) -> Forwarded:
        return Forwarded(trunk=self.trunk, outcome=self.outcome, count=self.count)


_Frame = (
    _Listening
    | _Registered
    | _Unregistered
    | _Expired
    | _Gate
    | _Refused
    | _GoodbyeUnheard
    | _Forwarded
)
_decoder: msgspec.json.Decoder[_Frame] = msgspec.json.Decoder(_Frame)


def decode(frame: bytes) -> Event | Listening | None:
    """Read one message. None: not one that this version knows."""
    try:
        return _decoder.decode(frame).event()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


BIGGEST_FRAME = 1 << 20


class NetstringError(ValueError):
    """What came is not a netstring: the stream is out of step."""


def netstring(frame: bytes) -> bytes:
    """Wrap one message."""
    return b"%d:%b," % (len(frame), frame)


def split(buffer: bytearray) -> list[bytes]:
    """Take the complete netstrings from the front of `buffer`. Raises NetstringError."""
    frames = []
    while buffer:
        head, colon, _ = buffer.partition(b":")
        if len(head) > len(str(BIGGEST_FRAME)) or (head and not head.isdigit()):
            raise NetstringError(f"no netstring: {bytes(head[:20])!r}")
        if not colon:
            break
        size, start = int(head or b"-1"), len(head) + 1
        if not 0 <= size <= BIGGEST_FRAME:
            raise NetstringError(f"no netstring: a size of {size}")
        if len(buffer) <= start + size:
            break
        if buffer[start + size] != ord(","):
            raise NetstringError("no netstring: the comma is missing")
        frames.append(bytes(buffer[start : start + size]))
        del buffer[: start + size + 1]
    return frames
