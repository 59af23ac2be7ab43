"""PURE but for the clock that is given. Checkpoints and their signatures, as C2SP writes them.

    everline.example/audit       the log's origin
    4711                         how many entries
    base64                       the head of the tree of these (RFC 9162)

    — everline.example/audit ...  the site that appended (signed-note, Ed25519: type 1)
    — b ...                       a site that has checked that it goes on (tlog-cosignature: type 4)

The formats are C2SP's signed-note, tlog-checkpoint and tlog-cosignature (cosignature/v1), so that
other people's tools read them. A key is written `NAME+HASH+BASE64`, as C2SP's "vkey".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from control_plane.audit.errors import NoteError
from control_plane.audit.tree import HASH_BYTES

ED25519: Final = 1
COSIGNATURE: Final = 4
_DASH: Final = "\u2014 "
_HINT_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_LINES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How long the log was, and the root of its tree then."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteKey:
    """A site's public key."""

    site: str
    public: bytes

    def hint(self, name: str, kind: int) -> bytes:
        """Return the four bytes by which a signature names its key."""
        raw = name.encode() + b"\n" + bytes([kind]) + self.public
        return hashlib.sha256(raw).digest()[:_HINT_BYTES]

    @property
    def text(self) -> str:
        """Return the key as it is written in settings."""
        key = base64.b64encode(bytes([COSIGNATURE]) + self.public).decode()
        return f"{self.site}+{self.hint(self.site, COSIGNATURE).hex()}+{key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """A site's word for a checkpoint, whose signature holds."""

    site: str
    at_s: int | None
    """When it was countersigned; None: by whoever appended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A head, and who vouches for it."""

    head: Head
    vouched: tuple[Vouched, ...]

    @property
    def by(self) -> str:
        """Return the site that appended; empty: no site that is known."""
        return next((each.site for each in self.vouched if each.at_s is None), "")

    @property
    def countersigned(self) -> frozenset[str]:
        """Return the other sites that vouch for it."""
        own = {each.site for each in self.vouched if each.at_s is None}
        return frozenset(each.site for each in self.vouched if each.at_s is not None) - own


def read_key(text: str) -> SiteKey:
    """Read a key as `SiteKey.text` writes it. Raise `NoteError`."""
    name, _, rest = text.partition("+")
    hint, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise NoteError(f"{text!r}: a key is NAME+HASH+BASE64") from error
    key = SiteKey(site=name, public=raw[1:])
    if not name or raw[:1] != bytes([COSIGNATURE]) or len(raw) != 1 + 32 or key.text != text:
        raise NoteError(f"{text!r}: no Ed25519 key of a site, or mistyped (its hash is {hint!r})")
    return key


def public_of(site: str, private: Ed25519PrivateKey) -> SiteKey:
    """Return the public half of a site's key."""
    return SiteKey(site=site, public=private.public_key().public_bytes_raw())


def sign(head: Head, site: str, private: Ed25519PrivateKey) -> str:
    """Return the checkpoint as the site that appended signs it."""
    key = public_of(site, private)
    raw = key.hint(head.origin, ED25519) + private.sign(head.body.encode())
    return f"{head.body}\n{_DASH}{head.origin} {base64.b64encode(raw).decode()}\n"


def countersign(head: Head, site: str, private: Ed25519PrivateKey, at_s: int) -> str:
    """Return the line by which another site vouches for a head since `at_s`."""
    key = public_of(site, private)
    signature = private.sign(_cosigned(head, at_s))
    raw = key.hint(site, COSIGNATURE) + at_s.to_bytes(_TIME_BYTES) + signature
    return f"{_DASH}{site} {base64.b64encode(raw).decode()}\n"


def read_head(note: str) -> Head:
    """Return what a note says, whoever has signed it. Raise `NoteError`."""
    body, blank, _ = note.partition("\n\n")
    lines = body.split("\n")
    try:
        origin, size, root = lines[:_LINES]
        decoded = base64.b64decode(root, validate=True)
    except ValueError as error:  # binascii's is one
        raise NoteError("not a checkpoint: origin, size and root are needed") from error
    known = Head(origin=origin, size=int(size), root=decoded) if size.isdecimal() else None
    if known is None or len(decoded) != HASH_BYTES or not blank or known.body != body + "\n":
        raise NoteError("not a checkpoint as we write them")
    return known


def read(note: str, keys: Iterable[SiteKey]) -> Checkpoint:
    """Return a checkpoint and whose signatures on it hold. Raise `NoteError`: it is none.

    Signatures of keys that are not known are left out, as C2SP has it; so are wrong ones.
    """
    head = read_head(note)
    _, _, signatures = note.partition("\n\n")
    known = tuple(keys)
    found: dict[tuple[str, bool], Vouched] = {}
    for line in signatures.splitlines():
        name, _, encoded = line.removeprefix(_DASH).rpartition(" ")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
        for key in known:
            vouched = _vouched(head, key, name, raw)
            if vouched is not None:
                found[vouched.site, vouched.at_s is None] = vouched
    return Checkpoint(head=head, vouched=tuple(found.values()))


def _vouched(head: Head, key: SiteKey, name: str, raw: bytes) -> Vouched | None:
    """Return what a signature says if it is this key's and holds."""
    hint, rest = raw[:_HINT_BYTES], raw[_HINT_BYTES:]
    at_s: int | None = None
    if name == head.origin and hint == key.hint(name, ED25519):
        signature, signed = rest, head.body.encode()
    elif name == key.site and hint == key.hint(name, COSIGNATURE):
        at_s = int.from_bytes(rest[:_TIME_BYTES])
        signature, signed = rest[_TIME_BYTES:], _cosigned(head, at_s)
    else:
        return None
    if len(signature) != _SIGNATURE_BYTES:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return None
    return Vouched(site=key.site, at_s=at_s)


def _cosigned(head: Head, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{head.body}".encode()
