"""The table of legal holds on calls and their recordings. A customer's hold stands in their row."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class HoldRow(Table):
    """A court or an authority wants a call kept, with its recording: for as long as it takes."""

    __tablename__ = "recording_holds"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    call: Mapped[str] = mapped_column(primary_key=True)
    has_legal_hold: Mapped[bool]
    because: Mapped[str]
    by: Mapped[str]
    at_ms: Mapped[Ms]
    version: Mapped[int]
