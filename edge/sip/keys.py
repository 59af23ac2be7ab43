"""PURE. Keys that a telephone says in INFO (RFC 6086) and not in its audio.

Two bodies are in use, and no RFC has either: `application/dtmf-relay`, lines of `Signal=5` and
`Duration=160` (milliseconds), and `application/dtmf`, the key alone.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

KEYS: Final = "0123456789*#ABCD"
USUAL_S: Final = 0.16
LONGEST_S: Final = 10.0
_SIGNAL: Final = re.compile(rb"(?im)^[ \t]*signal[ \t]*=[ \t]*([0-9a-d*#]{1,2})[ \t]*\r?$")
_DURATION: Final = re.compile(rb"(?im)^[ \t]*duration[ \t]*=[ \t]*([0-9]{1,6})[ \t]*\r?$")
_NUMBERED: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some write the event's number (RFC 4733 §3.2)."""


class Key(Struct, frozen=True, kw_only=True):
    """One key that was pressed and let go."""

    key: str
    duration_s: float = USUAL_S

    def __repr__(self) -> str:
        """Say everything but which."""
        return f"Key(duration_s={self.duration_s!r})"


def key_of(content_type: str, body: bytes) -> Key | None:
    """Return the key that an INFO says; None: it says none that there is."""
    match content_type.partition(";")[0].strip().lower():
        case "application/dtmf-relay":
            found, length = _SIGNAL.search(body), _DURATION.search(body)
            said = found[1].decode() if found else ""
            said = _NUMBERED.get(said, said)
            duration_s = int(length[1]) / 1000 if length else USUAL_S
        case "application/dtmf":
            said, duration_s = body.strip()[:3].decode(errors="replace"), USUAL_S
        case _:
            return None
    key = said.upper()
    if len(key) != 1 or key not in KEYS:
        return None
    return Key(key=key, duration_s=min(duration_s, LONGEST_S))
