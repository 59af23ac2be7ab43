"""The tables of sessions, and of the refresh tokens of each."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class SessionRow(Table):
    """A sign-in, and all tokens that came of it: a family."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_user_id", "user_id"),
        Index("ix_sessions_until_ms", "until_ms"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_ms: Mapped[Ms]
    until_ms: Mapped[Ms]
    """However often it is refreshed."""
    used_ms: Mapped[Ms | None]
    """When it was last gone on with."""
    address: Mapped[str]
    """From which it was begun."""
    client: Mapped[str]
    ended_ms: Mapped[Ms | None]
    ended_because: Mapped[str]
    salt: Mapped[str | None]
    """Of the refresh token that stands: what made it of the one before; None: it is the first."""
    renewed_by: Mapped[str | None]
    """Digest of the address and the client that used the one before: they may come again."""


class RefreshRow(Table):
    """A refresh token: good once, for one successor. What is kept is its digest."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("ix_refresh_tokens_session_id", "session_id"),
        Index("ix_refresh_tokens_until_ms", "until_ms"),
    )

    digest: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    until_ms: Mapped[Ms]
    used_ms: Mapped[Ms | None]
