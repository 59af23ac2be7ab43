"""The table of what was done. Rows are added, and neither changed nor deleted."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class AuditRow(Table):
    """One change: who did what to what, under which policy, in which request."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_tenant_number", "tenant", "number"),)

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    tenant: Mapped[str]
    at_ms: Mapped[Ms]
    actor: Mapped[str]
    action: Mapped[str]
    kind: Mapped[str]
    thing: Mapped[str]
    policy_version: Mapped[str]
    request_id: Mapped[str]
    site: Mapped[str]
    detail: Mapped[str]
    """JSON: names of fields that were changed, and other words; never what a customer told us."""
