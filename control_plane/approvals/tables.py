"""A second person's yes, for one act on these things in this state."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class ApprovalRow(Table):
    """Used once, or never."""

    __tablename__ = "approvals"

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    act: Mapped[str]
    thing: Mapped[str]
    digest: Mapped[str]
    by: Mapped[str]
    by_team: Mapped[str]
    until_ms: Mapped[Ms]
    used_ms: Mapped[Ms | None]


class RequestRow(Table):
    """What somebody wants to do once, and what a second person has said to it."""

    __tablename__ = "approval_requests"
    __table_args__ = (Index("ix_approval_requests_tenant_made_ms", "tenant", "made_ms"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    act: Mapped[str]
    things: Mapped[str]
    """JSON: the things' ids, and the digest of the state in which each was looked at."""
    digest: Mapped[str]
    """Of all that is asked for."""
    purpose: Mapped[str]
    ticket: Mapped[str]
    by: Mapped[str]
    by_team: Mapped[str]
    made_ms: Mapped[Ms]
    until_ms: Mapped[Ms]
    state: Mapped[str]
    decided_by: Mapped[str]
    decided_by_team: Mapped[str]
    decided_ms: Mapped[Ms | None]
    used_ms: Mapped[Ms | None]
