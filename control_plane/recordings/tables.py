"""The table of what people have tagged recordings with."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Table


class TagRow(Table):
    """A recording bears a tag. A recording is named as its call is, and forgotten with it."""

    __tablename__ = "recording_tags"
    __table_args__ = (Index("ix_recording_tags_call", "call"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    call: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
