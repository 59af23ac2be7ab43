"""The table of tenants."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class TenantRow(Table):
    """Who rents queues."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_ms: Mapped[Ms]
    updated_ms: Mapped[Ms]
    version: Mapped[int]
