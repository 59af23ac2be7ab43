"""The tables of the configuration: its versions, and what stood from which version to which."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class VersionRow(Table):
    """One change of the configuration. Never altered."""

    __tablename__ = "configuration_versions"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(unique=True)
    """Of this very row: a transaction that is rolled back leaves its number to another."""
    tenant: Mapped[str] = mapped_column(index=True)
    """Where it was made."""
    at_ms: Mapped[Ms]
    by: Mapped[str]
    why: Mapped[str]
    what: Mapped[str]
    """A constant word: `edited`, `rolled_back`, `adopted`, `activated`, `reverted`."""


class ItemRow(Table):
    """A table as it was from version `since` to before version `until`."""

    __tablename__ = "configuration_items"
    __table_args__ = (
        Index("ix_configuration_items_tenant_section_until_id", "tenant", "section", "until", "id"),
        Index("ix_configuration_items_until", "until"),
    )

    section: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    until: Mapped[int]
    """`STANDING` while it stands."""
    tenant: Mapped[str]
    body: Mapped[str]
    """JSON."""


STANDING = 2**31 - 1
