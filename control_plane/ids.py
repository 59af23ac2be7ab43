"""PURE but for the dice: identifiers of what the control plane keeps.

A prefix, the milliseconds (so that new rows stand together in an index), and 80 random bits (so
that nobody guesses one): `usr_01jd...`. Base32 as Crockford wrote it, in lower case.
"""

from __future__ import annotations

import secrets

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS, _RANDOM_DIGITS = 10, 16


def fresh(prefix: str, now_ms: int) -> str:
    """Return an identifier that nothing has yet."""
    return (
        f"{prefix}_{_base32(now_ms, _TIME_DIGITS)}{_base32(secrets.randbits(80), _RANDOM_DIGITS)}"
    )


def _base32(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(digits)))
