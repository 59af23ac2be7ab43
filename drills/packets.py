"""What a packet capture says of calls: set-up, final answers, recovery, gaps in the audio. PURE.

An account of its own: it reads what was on the wire before the callers and knows nothing of what
their telephones, or the edges, report.
"""

from __future__ import annotations

import math
import re
import struct
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

_PCAP_NS: Final = 0xA1B23C4D
_HEADER: Final = 24
_RECORD: Final = struct.Struct("=IIII")
_ETHERNET: Final = 14
_UDP: Final = 17
_UDP_BYTES: Final = 8
_RTP_LEAST: Final = 12
_RTP_VERSION: Final = 0x80
_RTCP: Final = range(200, 205)
"""Kinds of packets that tell of sound and bear none (RFC 3550 §12.1)."""
_SUCCESS: Final = range(200, 300)
_FINAL: Final = 200


class Packet(Struct, frozen=True):
    """One UDP packet."""

    at_ns: int
    source: str
    source_port: int
    target: str
    target_port: int
    payload: bytes


class Dialled(Struct, frozen=True, kw_only=True):
    """One call, as the wire before the caller saw it."""

    sip_call_id: str
    number: str
    first_site: str
    invite_ns: int
    status: int | None = None
    """Of the final answer to the first INVITE."""
    final_ns: int | None = None
    audio_port: int | None = None
    """Where the caller wants to hear."""

    @property
    def setup_ms(self) -> float | None:
        """From the INVITE to its 200."""
        if self.final_ns is None or self.status not in _SUCCESS:
            return None
        return (self.final_ns - self.invite_ns) / 1e6

    @property
    def final_s(self) -> float | None:
        """From the INVITE to whatever final answer."""
        return None if self.final_ns is None else (self.final_ns - self.invite_ns) / 1e9


class Wire(Struct, frozen=True, kw_only=True):
    """All that was captured."""

    calls: tuple[Dialled, ...]
    """By the time of the INVITE."""
    audio_ns: dict[int, list[int]]
    """When audio came for callers, by their port."""
    voices_ns: Mapping[int, Mapping[int, int]] = {}
    """When each source of sound (SSRC, RFC 3550 §8) first came for callers, by their port."""
    sent_ns: Mapping[str, Sequence[int]] = {}
    """When audio for callers came from which address."""
    came: tuple[Dialled, ...] = ()
    """Calls that came to callers, who were called back; `status` is the callers' own answer."""


def packets(pcap: bytes) -> Iterator[Packet]:
    """Yield the UDP packets of a capture. ValueError for what is none of ours."""
    if len(pcap) < _HEADER or struct.unpack_from("=I", pcap)[0] != _PCAP_NS:
        raise ValueError("this is no capture with nanoseconds, as drills.capture makes them")
    at = _HEADER
    while at + _RECORD.size <= len(pcap):
        seconds, nanos, kept, _ = _RECORD.unpack_from(pcap, at)
        frame = pcap[at + _RECORD.size : at + _RECORD.size + kept]
        at += _RECORD.size + kept
        if frame[12:14] != b"\x08\x00" or len(frame) < _ETHERNET + 28 or frame[23] != _UDP:
            continue
        ip_bytes = 4 * (frame[_ETHERNET] & 15)
        if len(frame) < _ETHERNET + ip_bytes + _UDP_BYTES:
            continue
        source_port, target_port = struct.unpack_from("!HH", frame, _ETHERNET + ip_bytes)
        yield Packet(
            seconds * 1_000_000_000 + nanos,
            ".".join(map(str, frame[26:30])),
            source_port,
            ".".join(map(str, frame[30:34])),
            target_port,
            frame[_ETHERNET + ip_bytes + _UDP_BYTES :],
        )


def read_wire(pcap: bytes, callers: str) -> Wire:
    """Return what a capture at the callers' link says. `callers`: their address."""
    dialled, came = _Calls(), _Calls()
    audio: defaultdict[int, list[int]] = defaultdict(list)
    voices: defaultdict[int, dict[int, int]] = defaultdict(dict)
    sent: defaultdict[str, list[int]] = defaultdict(list)
    for packet in packets(pcap):
        if packet.payload.startswith(b"INVITE ") and callers in {packet.source, packet.target}:
            (dialled if packet.source == callers else came).take_invite(packet)
        elif packet.payload.startswith(b"SIP/2.0 ") and callers in {packet.source, packet.target}:
            (dialled if packet.target == callers else came).take_answer(packet)
        elif packet.target == callers and (voice := voice_of(packet.payload)) is not None:
            audio[packet.target_port].append(packet.at_ns)
            voices[packet.target_port].setdefault(voice, packet.at_ns)
            sent[packet.source].append(packet.at_ns)
    return Wire(
        calls=dialled.told(),
        audio_ns=dict(audio),
        voices_ns=dict(voices),
        sent_ns=dict(sent),
        came=came.told(),
    )


class _Calls:
    """The calls that one side has begun, and what the other answered first for good."""

    def __init__(self) -> None:
        self._invites: dict[str, Dialled] = {}
        self._finals: dict[str, tuple[int, int]] = {}

    def take_invite(self, packet: Packet) -> None:
        """Take in an INVITE of that side."""
        dialled = _dialled(packet)
        if dialled is not None:
            self._invites.setdefault(dialled.sip_call_id, dialled)

    def take_answer(self, packet: Packet) -> None:
        """Take in an answer of the other one."""
        found = _final(packet)
        if found is not None:
            self._finals.setdefault(found[0], (packet.at_ns, found[1]))

    def told(self) -> tuple[Dialled, ...]:
        """Return the calls, by the time of the INVITE."""
        known = sorted(self._invites.values(), key=lambda each: each.invite_ns)
        return tuple(self._answered(each) for each in known)

    def _answered(self, dialled: Dialled) -> Dialled:
        final = self._finals.get(dialled.sip_call_id)
        return dialled if final is None else replace(dialled, final_ns=final[0], status=final[1])


def heard(pcap: bytes, callers: str, *, dropped: int | None) -> Wire:
    """Return what a capture says; nothing if it never told how many packets it `dropped`.

    It does so at its end: one that ended before is silent of whatever failed afterwards.
    """
    return Wire(calls=(), audio_ns={}) if dropped is None else read_wire(pcap, callers)


def rto_s(
    wire: Wire, from_ns: int, after: Collection[str], limit_s: float, sites: Collection[str]
) -> float | None:
    """Return when service was back: the 200 of the first call from which on all got it in time.

    Over the calls `after`, by their Call-ID, that the carrier tries at one of `sites` first; where
    none is named, over all of them. Infinite where there is none from which on all did; None: no
    call came.
    """
    first_good: int | None = None
    came = [
        call
        for call in wire.calls
        if call.sip_call_id in after and (not sites or call.first_site in sites)
    ]
    for call in came:
        setup_ms = call.setup_ms
        if setup_ms is None or setup_ms > limit_s * 1000:
            first_good = None
        elif first_good is None:
            first_good = max(call.final_ns or from_ns, from_ns)
    if first_good is None:
        return math.inf if came else None
    return (first_good - from_ns) / 1e9


def longest_gap_ms(
    times: Iterable[int],
    from_ns: int,
    to_ns: int,
    unsent: Iterable[tuple[int, int]] = (),
) -> float | None:
    """Return the longest time without audio between two instants; None: there was none at all.

    Without what of it is `unsent`: stretches in which nobody had sent anything.
    """
    inside = [at for at in sorted(times) if from_ns <= at <= to_ns]
    if not inside:
        return None
    stretches = _joined(unsent)
    return (
        max(
            later
            - earlier
            - sum(max(0, min(later, end) - max(earlier, begin)) for begin, end in stretches)
            for earlier, later in pairwise((from_ns, *inside, to_ns))
        )
        / 1e6
    )


def _joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return stretches of time of which none overlaps another."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(stretches):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def voice_of(payload: bytes) -> int | None:
    """Return the SSRC of a packet of sound; None: it is none."""
    if len(payload) < _RTP_LEAST or payload[0] & 0xC0 != _RTP_VERSION or payload[1] in _RTCP:
        return None
    return int.from_bytes(payload[8:12], "big")


_FIELD = re.compile(
    rb"^(call-id|i|from|f|to|t|cseq|expires|x-first-site)[ \t]*:[ \t]*(.*?)\r?$",
    re.IGNORECASE | re.MULTILINE,
)
_AUDIO = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)
_USER = re.compile(r"sips?:([^@;>]*)@")
_SHORT = {"i": "call-id", "f": "from", "t": "to"}


def fields_of(payload: bytes) -> dict[str, str]:
    """Return the fields of a SIP message that are looked at here, each by its long name."""
    head = payload.partition(b"\r\n\r\n")[0]
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(head):
        key = name.decode().lower()
        found.setdefault(_SHORT.get(key, key), value.decode(errors="replace"))
    return found


def user_of(field: str) -> str:
    """Return the user's part of the address in a From or To field; empty: it has none."""
    user = _USER.search(field)
    return user[1] if user else ""


def audio_port_of(payload: bytes) -> int | None:
    """Return where whoever describes a session wants to have its sound; None: they do not say."""
    audio = _AUDIO.search(payload)
    return int(audio[1]) if audio else None


def _dialled(packet: Packet) -> Dialled | None:
    """Return the call of an INVITE that begins one; None: it is within a dialog."""
    fields = fields_of(packet.payload)
    if ";tag=" in fields.get("to", ";tag=") or "call-id" not in fields:
        return None
    return Dialled(
        sip_call_id=fields["call-id"],
        number=user_of(fields.get("from", "")),
        first_site=fields.get("x-first-site", ""),
        invite_ns=packet.at_ns,
        audio_port=audio_port_of(packet.payload),
    )


def _final(packet: Packet) -> tuple[str, int] | None:
    fields, code = fields_of(packet.payload), status_of(packet.payload)
    if code is None or not fields.get("cseq", "").endswith("INVITE"):
        return None
    return (fields["call-id"], code) if code >= _FINAL and "call-id" in fields else None


def status_of(payload: bytes) -> int | None:
    """Return the status of an answer; None: it is none."""
    status = payload[8:11]
    return int(status) if payload.startswith(b"SIP/2.0 ") and status.isdigit() else None
