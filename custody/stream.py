"""PURE. Authenticated encryption of a segment, frame by frame: Tink's AES256-GCM-HKDF streaming.

The wire format of Tink's streaming AEAD (an instance of STREAM, Hoang, Reyhanitabar, Rogaway and
Vizár 2015), with its own implementation's files as test vectors:

    length of the header (1 byte: 40) | salt (32) | nonce prefix (7)
    frame 0 | frame 1 | ... | last frame        each AES-256-GCM, 16 bytes longer than what it holds

The key is HKDF-SHA-256 of the data key, salted; where the segment belongs is the info. A nonce is
the prefix, the frame's number, and 1 for the last frame: what is cut off, swapped, repeated or put
behind the end does not open. Frame n begins at n * FRAME_BYTES; the header counts to frame 0. The
last frame is always a short one, so that nobody has to know beforehand which it is.

See docs/decisions/0016-recording-custody.md for why this and no other.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from custody.errors import FormatError, TamperedError

KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
PREFIX_BYTES: Final = 7
HEADER_BYTES: Final = 1 + SALT_BYTES + PREFIX_BYTES
TAG_BYTES: Final = 16


class Layout:
    """Sizes: of a frame on disk, and of what the first and the others hold."""

    def __init__(self, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self.first_bytes = frame_bytes - HEADER_BYTES - TAG_BYTES
        self.other_bytes = frame_bytes - TAG_BYTES

    def holds(self, index: int) -> int:
        """Return how many bytes frame `index` holds if it is not the last."""
        return self.other_bytes if index else self.first_bytes

    def span(self, index: int) -> tuple[int, int]:
        """Return where frame `index` begins and ends on disk, the header left out."""
        start = index * self.frame_bytes
        return (start or HEADER_BYTES), start + self.frame_bytes

    def whole(self, size: int) -> int:
        """Return how many frames are whole in a file of `size` bytes that may be torn."""
        return size // self.frame_bytes


def header(salt: bytes, prefix: bytes) -> bytes:
    """Return what a segment begins with; both parts are random, once for each segment.

    ValueError for a salt that has not 32 bytes, or a nonce prefix that has not 7.
    """
    if len(salt) != SALT_BYTES or len(prefix) != PREFIX_BYTES:
        raise ValueError("a salt has 32 bytes and a nonce prefix 7")
    return bytes([HEADER_BYTES]) + salt + prefix


class FrameCipher:
    """Seals and opens the frames of one segment."""

    def __init__(self, key: bytes, place: bytes, head: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise FormatError(f"a data key has {KEY_BYTES} bytes")
        if len(head) < HEADER_BYTES or head[0] != HEADER_BYTES:
            raise FormatError("not a sealed segment: its header is another")
        salt = head[1 : 1 + SALT_BYTES]
        self._prefix = head[1 + SALT_BYTES : HEADER_BYTES]
        self._aead = AESGCM(HKDF(SHA256(), KEY_BYTES, salt, place).derive(key))

    def seal(self, index: int, frame: bytes | bytearray, *, is_last: bool) -> bytes:
        """Return the frame, sealed. Never twice for one index."""
        return self._aead.encrypt(self._nonce(index, is_last=is_last), frame, None)

    def open(self, index: int, sealed: bytes | memoryview, *, is_last: bool) -> bytes:
        """Return what the frame holds. Raise `TamperedError`, and nothing of it."""
        try:
            return self._aead.decrypt(self._nonce(index, is_last=is_last), sealed, None)
        except (InvalidTag, ValueError) as error:
            raise TamperedError(f"frame {index} does not open") from error

    def _nonce(self, index: int, *, is_last: bool) -> bytes:
        return self._prefix + index.to_bytes(4) + (b"\x01" if is_last else b"\x00")
