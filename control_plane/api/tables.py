"""The table of answers that are given again to a request that comes again."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class AnswerRow(Table):
    """What was answered to a request that bore an Idempotency-Key."""

    __tablename__ = "answers"
    __table_args__ = (Index("ix_answers_until_ms", "until_ms"),)

    subject: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]
    """Digest of tenant, method, path and body."""
    status: Mapped[int]
    headers: Mapped[str]
    body: Mapped[bytes]
    until_ms: Mapped[Ms]
