"""A second person's yes, for one act on one thing in one state."""

from __future__ import annotations

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
