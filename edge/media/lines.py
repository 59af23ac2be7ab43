"""PURE. The lines of a session description (RFC 8866), in whatever charset its names are."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNTIDY = re.compile(
    rb"^(?:m=(?=[ \t]|[^\r\n]*(?:\t|  | \r?$))[^\r\n]*|a=[^\r\n]*[ \t](?=\r?$))", re.MULTILINE
)


def tidy(sdp: bytes) -> bytes:
    """Return the description without blanks that say nothing: behind `a=` lines, and within `m=`.

    RFC 8866 §9 has none there, some writers do; and the relay takes `a=sendonly ` for an attribute
    that it does not know, and a second blank in `m=` for a port that is not there.
    """
    return _UNTIDY.sub(_tidied, sdp)


def _tidied(found: re.Match[bytes]) -> bytes:
    line = found[0]
    return b"m=" + b" ".join(line[2:].split()) if line.startswith(b"m=") else line.rstrip()


def lines_of(sdp: bytes) -> list[str]:
    """Return what `joined` makes the same bytes of again, if `tidy`: names may be in any charset.

    Parted as bytes: a text has more ends of lines than SDP, as U+2028 in a name.
    """
    lines = (line.rstrip(b"\r") for line in tidy(sdp).split(b"\n"))
    return [line.decode("utf-8", "surrogateescape") for line in lines if line]


def joined(lines: list[str]) -> bytes:
    """Return the description that has these lines."""
    return "\r\n".join([*lines, ""]).encode("utf-8", "surrogateescape")


def grouped(lines: Iterable[str]) -> list[list[str]]:
    """Cut at the m= lines: first what stands before them all, then one group a section."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            groups.append([])
        groups[-1].append(line)
    return groups
