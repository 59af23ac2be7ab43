"""Tenants' own lines of the policy, version by version."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class PolicyVersionRow(Table):
    """What somebody proposed; and, once it was applied, what holds until a later one is."""

    __tablename__ = "policy_versions"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    by: Mapped[str]
    why: Mapped[str]
    at_ms: Mapped[Ms]
    applied_by: Mapped[str]
    """Empty: it was not."""
    applied_ms: Mapped[Ms | None]
