"""Ephemeral credentials of agents' phones: who signs in until when, proved by HMAC. PURE.

Control planes issue them and Kamailios check them; all that these share is a secret, in a file at
each site and nowhere else. The form is that of draft-uberti-behave-turn-rest, with the name of the
secret in front, so that a check tries one secret and not all:

    user      NAME:EXPIRY:AGENT     1a2b3c4d:1764337200:alba
    password  base64url(HMAC-SHA256(secret, user)), without padding

`edge/kemi/agents.py` has the same lines, since it may import nothing of ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import ClassVar, Final

from state.discreet import Discreet
from state.model import AgentId

LIFETIME_S: Final = 300
"""How long credentials may be good for, at most."""
MOST_SECRETS: Final = 4
_SECRET: Final = re.compile(r"[A-Za-z0-9+/=_-]{32,128}")
_NAME_CHARS: Final = 8


class PhoneSecret(Discreet, frozen=True, kw_only=True):
    """A secret and its name, which is public."""

    UNTOLD: ClassVar = frozenset({"text"})

    name: str
    text: str


class PhoneCredentials(Discreet, frozen=True, kw_only=True):
    """What a phone signs in with."""

    UNTOLD: ClassVar = frozenset({"password"})

    user: str
    password: str
    until_s: int
    """On the wall clock."""


def read_secrets(content: str) -> tuple[PhoneSecret, ...]:
    """Return the secrets of a file, one a line: the first issues, each of them is accepted.

    ValueError says which line is none, and never what it says.
    """
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if _SECRET.fullmatch(text) is None:
            raise ValueError(f"line {number} should be 32 to 128 characters of base64")
        name = hashlib.sha256(text.encode()).hexdigest()[:_NAME_CHARS]
        found.append(PhoneSecret(name=name, text=text))
    if not 0 < len(found) <= MOST_SECRETS:
        raise ValueError(f"there should be 1 to {MOST_SECRETS} secrets, not {len(found)}")
    return tuple(found)


def issue(secret: PhoneSecret, agent: AgentId, until_s: int) -> PhoneCredentials:
    """Return credentials for an agent's phone."""
    user = f"{secret.name}:{until_s}:{agent}"
    digest = hmac.new(secret.text.encode(), user.encode(), hashlib.sha256).digest()
    password = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return PhoneCredentials(user=user, password=password, until_s=until_s)
