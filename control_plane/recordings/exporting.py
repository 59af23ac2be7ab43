"""Exports recordings: their sound in the clear, with what proves whose, when and why.

A tar archive (POSIX ustar): of each recording the WAV, the recorder's signed manifest, and what the
audit log has of it, with proofs, this export included.
"""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from control_plane.recordings import playing
from custody.library import Library
from custody.manifest import Manifest

TAR: Final = "application/x-tar"
_BLOCK: Final = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One recording, and what goes beside its sound."""

    account: Manifest
    signed: bytes
    """The manifest as the recorder signed it."""
    trail: bytes


async def archive(
    library: Library, recordings: Sequence[Exported], now_s: int
) -> AsyncIterator[bytes]:
    """Yield the archive. Raise `TamperedError` or `NoKeyError`; it is cut short then."""
    for each in recordings:
        name, account = each.account.recording, each.account
        for suffix, content in (("manifest.json", each.signed), ("audit.jsonl", each.trail)):
            yield _head(f"{name}/{suffix}", len(content), now_s) + content + _pad(len(content))
        size = playing.size_of(account)
        yield _head(f"{name}/audio.wav", size, now_s)
        async for chunk in playing.wav(library, account, 0, size):
            yield chunk
        yield _pad(size)
    yield bytes(2 * _BLOCK)


def _head(name: str, size: int, now_s: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, now_s, 0o600
    return info.tobuf(tarfile.USTAR_FORMAT)


def _pad(size: int) -> bytes:
    return bytes(-size % _BLOCK)
