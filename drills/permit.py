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
    approved_by: str
    why: str
    ticket: str = ""
    approved: str
    """When, in RFC 3339."""
    used: str

    def told(self) -> str:
        """Return it in a line."""
        return (
            f"asked for by {self.asked_by} ({self.why}), approved by {self.approved_by}"
            f" at {self.approved}, request {self.request}"
        )
