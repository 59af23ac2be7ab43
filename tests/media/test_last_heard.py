"""When the relay has heard somebody last, from its answer to a query."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.media.ng import decode
from edge.media.plan import AGENT, CALLER, QUEUE, Party
from edge.media.rtpengine.engine import last_heard_of, packets_of

OFFERED_S = 1402064111
"""Of a stream of which nothing has come rtpengine says when it was last offered or answered."""


def _stream(packets: int, last_s: int, *flags: str) -> dict[str, Any]:
    endpoint = {"family": "IPv4", "address": "192.0.2.1", "port": 57370}
    return {
        "local port": 30018,
        "local address": "198.18.1.10",
        "family": "IPv4",
        "endpoint": endpoint,
        "advertised endpoint": endpoint,
        "last packet": last_s,
        "flags": [*flags, "filled", "strict source address"],
        "SSRC": 4242,
        "stats": {"packets": packets, "bytes": packets * 172, "errors": 0},
    }


def _party(tag: str, *streams: dict[str, Any]) -> dict[str, Any]:
    media = {
        "index": 1,
        "type": "audio",
        "protocol": "RTP/AVP",
        "codec": "PCMU",
        "streams": list(streams),
        "flags": ["initialized", "send", "recv"],
    }
    return {
        "tag": tag,
        "created": OFFERED_S,
        "subscriptions": [],
        "subscribers": [],
        "medias": [media] if streams else [],
    }


def _heard(*parties: dict[str, Any]) -> tuple[dict[Party, int], dict[Party, int]]:
    """Decode an answer as 10.5.3.5 writes it (`ng_call_stats`)."""
    reply = {
        "created": OFFERED_S,
        "created_us": 1234,
        "last signal": OFFERED_S + 9,
        "SSRC": {},
        "tags": {each["tag"]: each for each in parties},
        "totals": {"RTP": {"packets": 1, "bytes": 1, "errors": 0}, "RTCP": {"packets": 0}},
        "result": "ok",
    }
    decoded = decode(b"c_1 " + msgspec.json.encode(reply))
    return packets_of(decoded), last_heard_of(decoded)


def test_whole_seconds_are_taken_for_as_late_as_they_may_mean() -> None:
    packets, heard = _heard(
        _party("caller", _stream(343, 1402064124, "RTP"), _stream(0, OFFERED_S, "RTCP")),
        _party("agent", _stream(200, 1402064120, "RTP"), _stream(0, OFFERED_S, "RTCP")),
    )
    assert (packets[CALLER], packets[AGENT]) == (343, 200)
    assert heard == {CALLER: 1402064125, AGENT: 1402064121}


def test_who_sends_rtcp_alone_by_now_is_heard() -> None:
    _, heard = _heard(_party("agent", _stream(9, 1402064120, "RTP"), _stream(4, 1402064130)))
    assert heard == {AGENT: 1402064131}


def test_who_has_never_sent_anything_is_not_told_of() -> None:
    _, heard = _heard(
        _party("agent", _stream(0, OFFERED_S, "RTP"), _stream(2, 1402064124, "RTCP")),
        _party("queue", _stream(0, OFFERED_S, "RTP")),
        _party("9f3c0d"),
    )
    assert AGENT not in heard
    assert QUEUE not in heard
    assert not heard
