"""PURE. Which refresh token follows which, so that a lost answer can be given again.

The next token is made of the present one and of a salt that stands in the session's row until the
one after it. Whoever has only the token, or only the database, makes nothing of it; both together
make the one successor, at whichever control plane, also after a restart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

AGAIN_MS: Final = 15_000
"""So long after a token was used, who has used it may be given the same answer once more."""
_BYTES: Final = 32
_PURPOSE: Final = b"everline refresh token "


def fresh_salt() -> str:
    """Return what makes the next token one that nobody can foresee."""
    return secrets.token_hex(_BYTES)


def following(token: str, salt: str) -> str:
    """Return the token that follows `token`: HMAC-SHA-256 by it, of 43 letters as all are."""
    made = hmac.digest(token.encode(), _PURPOSE + salt.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
