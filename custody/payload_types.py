"""PURE. The two laws of G.711 by their RTP payload types (RFC 3551 section 6)."""

from __future__ import annotations

from typing import Final

PAYLOAD_TYPES: Final = {0: "PCMU", 8: "PCMA"}
SILENCE: Final = {0: 0xFF, 8: 0xD5}
"""The code of no sound at all."""
