"""PURE. The signed account of one recording: its segments, hashes, gaps, pauses and keys.

Signed with Ed25519 by the recorder that wrote it. Whoever checks it has the recorders' public keys
from elsewhere; a manifest never vouches for its own signer.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from custody.errors import FormatError, TamperedError
from custody.place import Place

VERSION: Final = 1
_DOMAIN: Final = b"everline recording manifest 1\0"
NO_AGENT: Final = "no_agent"
"""Why a recording pauses between two agents: the caller waits, and nobody speaks with them."""


class Losses(Struct, frozen=True, kw_only=True):
    """What became of the packets of one party."""

    received: int = 0
    lost: int = 0
    """Missing from the sequence."""
    late: int = 0
    """Came when their second had been sealed."""
    foreign: int = 0
    """In no codec of ours: keyed digits, comfort noise."""


class Span(Struct, frozen=True, kw_only=True):
    """From one sample to another, and why."""

    start: int
    end: int
    because: str


class Part(Struct, frozen=True, kw_only=True):
    """An agent's time in the call, in samples."""

    agent: str
    start: int
    end: int


class Transfer(Struct, frozen=True, kw_only=True):
    """Where the caller passed from one agent to another, in samples; they waited in between."""

    start: int
    end: int
    before: str
    """Who had talked with them."""
    after: str
    """Who did next: the same agent if the transfer came back; empty: nobody any more."""


class Segment(Struct, frozen=True, kw_only=True):
    """One sealed file."""

    number: int
    start: int
    """In samples from the recording's beginning."""
    samples: int
    frames: int
    size: int
    sha256: str
    key_id: str
    sealed_key: str
    """SHA-256 of the sealed data key, which is kept apart so that it can be destroyed."""
    is_complete: bool = True
    """False: it was not closed, and opens up to its last whole frame."""
    caller: Losses = Losses()
    agent: Losses = Losses()


class Manifest(Struct, frozen=True, kw_only=True):
    """One recording. `started_ms` is wall time, for people; everything else counts samples."""

    recording: str
    tenant: str
    call: str
    queue: str
    agents: tuple[str, ...]
    site: str
    recorder: str
    started_ms: int
    segments: tuple[Segment, ...]
    gaps: tuple[Span, ...] = ()
    pauses: tuple[Span, ...] = ()
    """Of neither party anything is kept: because `agent`, `supervisor`, or `no_agent` was there."""
    holds: tuple[Span, ...] = ()
    """The agent had the caller on hold; of the agent's side nothing is kept: it may be music."""
    masks: tuple[Span, ...] = ()
    """Digits were keyed; which ones is nowhere."""
    parts: tuple[Part, ...] = ()
    """Which agent was in the call when; one who came twice has two."""
    v: int = VERSION

    @property
    def samples(self) -> int:
        """How long it is."""
        return max((each.start + each.samples for each in self.segments), default=0)

    @property
    def is_complete(self) -> bool:
        """Whether every segment was closed and nothing is missing between them."""
        whole = bool(self.segments) and all(each.is_complete for each in self.segments)
        return whole and not self.gaps

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """Where the caller passed on, in the order of time."""
        befores = sorted(self.parts, key=lambda part: part.start)
        found = [
            Transfer(start=one.end, end=other.start, before=one.agent, after=other.agent)
            for one, other in itertools.pairwise(befores)
        ]
        waits = [each for each in self.pauses if each.because == NO_AGENT]
        if befores and waits and waits[-1].start >= befores[-1].start:
            last, wait = befores[-1], waits[-1]
            found.append(Transfer(start=last.end, end=wait.end, before=last.agent, after=""))
        return tuple(found)

    def place(self, segment: Segment) -> Place:
        """Return what is bound into a segment."""
        return Place(
            tenant=self.tenant,
            call=self.call,
            recording=self.recording,
            segment=segment.number,
            key_id=segment.key_id,
        )


class Signed(Struct, frozen=True, kw_only=True):
    """A manifest as it is kept."""

    manifest: msgspec.Raw
    signature: bytes


_encoder: Final = msgspec.json.Encoder(order="sorted")


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """Return the manifest with its signature, as it is kept."""
    body = _encoder.encode(manifest)
    signature = key.sign(_DOMAIN + body)
    return _encoder.encode(Signed(manifest=msgspec.Raw(body), signature=signature))


def read(signed: bytes, recorders: Mapping[str, bytes]) -> Manifest:
    """Return a manifest that one of `recorders` (id -> public key) has signed.

    Raise `TamperedError` if the signature does not hold, `FormatError` if it is no manifest.
    """
    try:
        kept = msgspec.json.decode(signed, type=Signed)
        manifest = msgspec.json.decode(kept.manifest, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError("not a signed manifest") from error
    if _encoder.encode(kept) != signed:
        # Another spelling of the same would be a second object that nobody wrote.
        raise FormatError("not a signed manifest as recorders write them")
    if manifest.v != VERSION:
        raise FormatError(f"a manifest of version {manifest.v}, which is not known here")
    public = recorders.get(manifest.recorder)
    if public is None:
        raise TamperedError("the manifest is signed by a recorder that is not known here")
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(kept.signature, _DOMAIN + bytes(kept.manifest))
    except (InvalidSignature, ValueError) as error:
        raise TamperedError("the manifest was changed after it was signed") from error
    return manifest
