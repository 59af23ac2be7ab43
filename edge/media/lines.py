"""PURE. The lines of a session description (RFC 8866), in whatever charset its names are."""

from __future__ import annotations

from collections.abc import Iterable


def lines_of(sdp: bytes) -> list[str]:
    """Return what `joined` makes the same bytes of again: names may be in any charset.

    Parted as bytes: a text has more ends of lines than SDP, as U+2028 in a name.
    """
    lines = (line.rstrip(b"\r") for line in sdp.split(b"\n"))
    return [line.decode("utf-8", "surrogateescape") for line in lines if line]


def joined(lines: list[str]) -> bytes:
    """Return the description that has these lines."""
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def grouped(lines: Iterable[str]) -> list[list[str]]:
    """Cut at the m= lines: first what stands before them all, then one group a section."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            groups.append([])
        groups[-1].append(line)
    return groups
