"""What log lines and tracebacks show of values and of faults: not all of it. PURE."""

from __future__ import annotations

import traceback
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import fields

_FRAMES: Final = 4


class Discreet(Struct, frozen=True):
    """A value whose `repr` leaves out the fields in `UNTOLD`: personal data, secrets, bulk."""

    UNTOLD: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        """Return the other fields."""
        names = (each.name for each in fields(type(self)) if each.name not in self.UNTOLD)
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({told})"


def fault(error: BaseException) -> dict[str, str]:
    """Return the fields that say of an exception what it is and where it came from, for a log line.

    Its text stays out: it may quote what somebody sent, and a traceback is no line.
    """
    if isinstance(error, BaseExceptionGroup) and error.exceptions:
        return fault(error.exceptions[0])
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    at = " < ".join(f"{_name(each.filename)}:{each.lineno}" for each in reversed(frames))
    return {"fault": type(error).__name__, "at": at or "?"}


def _name(path: str) -> str:
    return path.rpartition("/")[2]
