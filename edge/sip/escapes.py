"""Text as it came, where only Unicode may stand.

A header field may hold bytes that are no UTF-8; the stack keeps them as lone surrogates (PEP 383),
which neither JSON nor a record takes.
"""

from __future__ import annotations

import re

_ESCAPE = "\x1a"
"""SUBSTITUTE, of which hardly any header has one. Two hexadecimal digits follow: those of the byte,
or its own."""
ESCAPE_IN_JSON = b"\\u001a"
"""As JSON writes it (RFC 8259 §7): where that stands, somebody has sent one."""
_HIGH = 0xDC00
"""Added to a byte that is no UTF-8 (PEP 383)."""
_LOSSY = re.compile("[\x1a\udc80-\udcff]")
_ESCAPED = re.compile("\x1a(1a|[89a-f][0-9a-f])")


def escaped(text: str) -> str:
    """Return the text in Unicode, so that `unescaped` can tell what it was."""
    if text.isascii() and _ESCAPE not in text:
        return text
    return _LOSSY.sub(lambda found: f"{_ESCAPE}{ord(found[0]) & 0xFF:02x}", text)


def unescaped(text: str) -> str:
    """Return the text that was `escaped`."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    byte = int(found[1], 16)
    return _ESCAPE if byte == ord(_ESCAPE) else chr(_HIGH + byte)


def clean(text: str) -> str:
    """Return the text with a question mark for what is no Unicode, to be shown to people."""
    return text.encode("utf-8", "replace").decode()
