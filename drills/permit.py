"""Two people's leave to begin a drill on a live system. PURE.

The control plane gives it (`POST /v1/drill-permits`); the guard looks at it, the evidence keeps it.
"""

from __future__ import annotations

from msgspec import Struct


class Permit(Struct, frozen=True, kw_only=True):
    """Who asked, who approved, and exactly what; used up when it is given."""

    request: str
    drill: str
    plan_hash: str
    asked_by: str
    asked_by_name: str = ""
    approved_by: str
    approved_by_name: str = ""
    why: str
    ticket: str = ""
    approved: str
    """When, in RFC 3339."""
    used: str

    def told(self) -> str:
        """Return it in a line."""
        why = f"{self.why}, {self.ticket}" if self.ticket else self.why
        asked = _who(self.asked_by_name, self.asked_by)
        approved = _who(self.approved_by_name, self.approved_by)
        return (
            f"asked for by {asked} ({why}), approved by {approved} at {self.approved},"
            f" request {self.request}"
        )


def _who(name: str, user: str) -> str:
    return f"{name} ({user})" if name else user
