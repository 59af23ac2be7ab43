"""The NG control protocol of rtpengine, as JSON: commands to datagrams, datagrams to replies.

Owns the names on the wire. Knows no call flow (`plan`) and no socket (`rtpengine`). PURE.

A datagram is `cookie SP payload`. rtpengine answers in the encoding it was asked in and repeats its
answer to a repeated cookie without doing the work twice, so that a lost datagram is simply sent
again. JSON rather than bencode, because rtpengine does not sort the keys of its dictionaries.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct


class NgError(ValueError):
    """A datagram that is not an NG reply."""


class Verb(StrEnum):
    """What rtpengine is asked to do."""

    PING = "ping"
    OFFER = "offer"
    ANSWER = "answer"
    DELETE = "delete"
    QUERY = "query"
    LIST = "list"
    PLAY_MEDIA = "play media"
    STOP_MEDIA = "stop media"
    BLOCK_MEDIA = "block media"
    UNBLOCK_MEDIA = "unblock media"
    BLOCK_DTMF = "block DTMF"
    SILENCE_MEDIA = "silence media"
    UNSILENCE_MEDIA = "unsilence media"
    SUBSCRIBE_REQUEST = "subscribe request"
    SUBSCRIBE_ANSWER = "subscribe answer"
    UNSUBSCRIBE = "unsubscribe"


class Command(Struct, frozen=True, kw_only=True):
    """One request. Fields left at their defaults are not sent."""

    verb: Verb
    call: str = ""
    from_tag: str = ""
    to_tag: str = ""
    sdp: str = ""
    flags: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    ice: str = ""
    transport: str = ""
    rtcp_mux: tuple[str, ...] = ()
    file: str = ""
    repeat_times: int = 0
    limit: int = 0
    held_back_ms: int = 0
    """What a party sends from now on is handed on so much later."""
    delete_delay_s: int | None = None


_WIRE_NAMES = {
    "call": "call-id",
    "from_tag": "from-tag",
    "to_tag": "to-tag",
    "sdp": "sdp",
    "flags": "flags",
    "replace": "replace",
    "ice": "ICE",
    "transport": "transport-protocol",
    "rtcp_mux": "rtcp-mux",
    "file": "file",
    "repeat_times": "repeat-times",
    "limit": "limit",
    "held_back_ms": "delay-buffer",
}


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Packets, octets and errors."""

    packets: int = 0
    bytes: int = 0
    errors: int = 0


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """One socket of a party: RTP or RTCP."""

    stats: Counters = Counters()
    last_packet: int = msgspec.field(name="last packet", default=0)
    """When something last came here, or it was last offered or answered: Unix time, whole seconds.

    Also what came from elsewhere than it should, and was dropped (rtpengine 10.5.3.5)."""


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """One m-line of a party."""

    type: str = ""
    streams: tuple[Stats, ...] = ()
    flags: tuple[str, ...] = ()


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """One tag of a call."""

    tag: str = ""
    medias: tuple[Media, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What rtpengine said. Fields that a verb does not fill keep their defaults."""

    result: str
    error_reason: str = msgspec.field(name="error-reason", default="")
    sdp: str = ""
    to_tag: str = msgspec.field(name="to-tag", default="")
    """Of a subscription: the name that rtpengine has given to the listener."""
    duration_ms: int = msgspec.field(name="duration", default=0)
    calls: tuple[str, ...] = ()
    tags: dict[str, Party] = msgspec.field(default_factory=dict)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Reply)


def encode(cookie: str, command: Command) -> bytes:
    """Write `command` as a datagram under `cookie` (no blanks in it)."""
    fields: dict[str, object] = {"command": command.verb.value}
    for name, wire_name in _WIRE_NAMES.items():
        value = getattr(command, name)
        if value:
            fields[wire_name] = value
    if command.delete_delay_s is not None:
        fields["delete-delay"] = command.delete_delay_s
    return cookie.encode() + b" " + _encoder.encode(fields)


def cookie_of(datagram: bytes) -> str:
    """Return the cookie that a datagram answers; `NgError` if it has none."""
    cookie, blank, _ = datagram.partition(b" ")
    if not blank or not cookie.isascii():
        raise NgError("a datagram without a cookie")
    return cookie.decode("ascii")


def decode(datagram: bytes) -> Reply:
    """Read a reply; `NgError` if it is none."""
    _, _, payload = datagram.partition(b" ")
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NgError(f"not an NG reply in JSON: {error}") from error
