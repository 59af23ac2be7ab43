"""PURE. Which bytes of a body a Range header asks for (RFC 9110 §14.2)."""

from __future__ import annotations

import re
from typing import Final

from control_plane.errors import ApiError
from control_plane.recordings.errors import BAD_RANGE

_ONE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one behind the last; None: all of it, as without a header.

    Raise `range-not-satisfiable`. What is not one range of bytes is ignored, as one may.
    """
    found = _ONE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise ApiError(BAD_RANGE, headers={"Content-Range": f"bytes */{size}"})
    return start, end
