"""Passwords: argon2id, and a check that takes as long for somebody who does not exist."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's least for argon2id: 19 MiB, two passes."""


def hash_password(password: str) -> str:
    """Return what is kept. Takes tens of milliseconds: call it in a thread."""
    return _HASHER.hash(password)


def is_right(kept: str | None, password: str) -> bool:
    """Return whether `password` fits; None (nobody, or no password) costs the same and is no."""
    try:
        _HASHER.verify(kept or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Return whether it was hashed by other parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


@lru_cache(maxsize=1)
def _nobody() -> str:
    return hash_password("nobody has this password")
