"""Values that do not tell all of themselves: what a log line or a traceback shows of them. PURE."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct
from msgspec.structs import fields


class Discreet(Struct, frozen=True):
    """A value whose `repr` leaves out the fields in `UNTOLD`: personal data, secrets, bulk."""

    UNTOLD: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        """Return the other fields."""
        names = (each.name for each in fields(type(self)) if each.name not in self.UNTOLD)
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({told})"
