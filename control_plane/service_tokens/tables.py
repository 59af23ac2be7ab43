"""The table of service tokens."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class ServiceTokenRow(Table):
    """A machine's token. What is kept of it is its digest."""

    __tablename__ = "service_tokens"
    __table_args__ = (Index("ix_service_tokens_tenant_name_id", "tenant", "name", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    roles: Mapped[str]
    """In order, with blanks between."""
    created_ms: Mapped[Ms]
    created_by: Mapped[str]
    until_ms: Mapped[Ms]
    used_ms: Mapped[Ms | None]
    revoked_ms: Mapped[Ms | None]
