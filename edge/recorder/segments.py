"""Writes one segment of a recording into the spool: sealed in memory, appended as it comes.

What reaches the disk is ciphertext. The data key lives here, in memory, until the segment ends.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from custody import frame as frames
from custody import seal, stream
from custody.frame import BLOCKS, Frame
from custody.keyring import RecordingKey
from custody.manifest import Losses, Segment
from custody.place import Place

SEALED = ".seg"
KEY = ".key"


class SegmentWriter:
    """One segment, from its first frame to its end."""

    def __init__(self, folder: Path, place: Place, key: RecordingKey, start: int) -> None:
        """Make the data key and begin the file."""
        data_key = secrets.token_bytes(stream.KEY_BYTES)
        head = stream.header(
            secrets.token_bytes(stream.SALT_BYTES), secrets.token_bytes(stream.PREFIX_BYTES)
        )
        sealed_key = seal.seal(data_key, key.public, place)
        name = f"{place.segment:04d}"
        write_whole(folder / f"{name}{KEY}", sealed_key)
        self._cipher = stream.FrameCipher(data_key, place.bound(), head)
        self._hash = hashlib.sha256()
        self._descriptor = os.open(
            folder / f"{name}{SEALED}",
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        self._place = place
        self._sealed_key = hashlib.sha256(sealed_key).hexdigest()
        self._start = start
        self._head = head
        self.frames = 0
        self.samples = 0
        self._size = 0

    def write(self, frame: Frame, *, is_last: bool = False) -> None:
        """Seal a second and append it; the last one, and no other, is shorter, or ValueError.

        OSError: it is not on the disk, or not whole.
        """
        if is_last == (frame.blocks == BLOCKS):
            raise ValueError("the last frame of a segment, and no other, is a short one")
        sealed = self._cipher.seal(self.frames, frames.pack(frame, self.frames), is_last=is_last)
        piece = sealed if self.frames else self._head + sealed
        # One write a frame: whoever looks in between sees whole frames.
        written = os.write(self._descriptor, piece)
        if written != len(piece):
            raise OSError(f"only {written} of {len(piece)} bytes were written")
        self._hash.update(piece)
        self._size += len(piece)
        self.frames += 1
        self.samples += frame.samples

    def end(self, last: Frame, caller: Losses, agent: Losses) -> Segment:
        """Write the end; return what the manifest says of the segment."""
        self.write(last, is_last=True)
        self.abandon()
        return Segment(
            number=self._place.segment,
            start=self._start,
            samples=self.samples,
            frames=self.frames,
            size=self._size,
            sha256=self._hash.hexdigest(),
            key_id=self._place.key_id,
            sealed_key=self._sealed_key,
            caller=caller,
            agent=agent,
        )

    def abandon(self) -> None:
        """Let go of the file as it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_as_told(folder: Path, segment: Segment) -> bool:
    """Tell whether the disk has all that was written of a segment before it was said to be closed.

    By the length of what was sealed: it is only ever added to.
    """
    name = f"{segment.number:04d}"
    try:
        sealed_key = (folder / f"{name}{KEY}").read_bytes()
        size = (folder / f"{name}{SEALED}").stat().st_size
    except OSError:
        return False
    return size == segment.size and hashlib.sha256(sealed_key).hexdigest() == segment.sealed_key


def left_over(folder: Path, number: int, start: int, key_id: str) -> Segment | None:
    """Take stock of a segment that a former life did not close; None: nothing of it can open.

    What is behind the last whole frame is torn, and cut off.
    """
    path = folder / f"{number:04d}{SEALED}"
    try:
        sealed_key = (folder / f"{number:04d}{KEY}").read_bytes()
        whole = frames.LAYOUT.whole(path.stat().st_size)
    except OSError:
        return None
    if not whole or len(sealed_key) != seal.SEALED_BYTES:
        return None
    size = whole * frames.LAYOUT.frame_bytes
    os.truncate(path, size)
    return Segment(
        number=number,
        start=start,
        samples=whole * frames.SAMPLES,
        frames=whole,
        size=size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        key_id=key_id,
        sealed_key=hashlib.sha256(sealed_key).hexdigest(),
        is_complete=False,
    )


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    part.replace(path)
