"""The tables of users and of the roles that they have."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class UserRow(Table):
    """Somebody who may sign in."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("tenant", "login"),
        Index("ix_users_tenant_name_id", "tenant", "name", "id"),
        Index("ix_users_agent", "agent"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    login: Mapped[str]
    name: Mapped[str]
    agent: Mapped[str]
    employer: Mapped[str]
    team: Mapped[str]
    site: Mapped[str]
    is_active: Mapped[bool]
    password_hash: Mapped[str | None]
    created_ms: Mapped[Ms]
    updated_ms: Mapped[Ms]
    version: Mapped[int]


class GrantRow(Table):
    """A role of a user in a tenant, or in all (`*`), and by whose word.

    By both, it stays until both take it; by neither it is from before that was written down.
    """

    __tablename__ = "grants"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(primary_key=True)
    by_hand: Mapped[bool] = mapped_column(server_default=false())
    """Somebody who may grant has given it."""
    by_provider: Mapped[bool] = mapped_column(server_default=false())
    """The groups of the tenant's identity provider have given it, at the latest sign-in by it."""
