"""The table of tenants."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class TenantRow(Table):
    """Who rents queues."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    call_retention_days: Mapped[int] = mapped_column(server_default="0", default=0)
    """How long calls that are over are kept; 0: for good."""
    recording_retention_days: Mapped[int] = mapped_column(server_default="0", default=0)
    """How long their recordings are, if not as long as they; 0: as long as the calls."""
    created_ms: Mapped[Ms]
    updated_ms: Mapped[Ms]
    version: Mapped[int]
