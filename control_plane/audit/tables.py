"""The tables of the log. Entries are added; a trigger refuses to change or delete one."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class AuditRow(Table):
    """One entry. Its columns are those of `control_plane.audit.entry.Entry`."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_tenant_number", "tenant", "number"),
        Index("ix_audit_tenant_thing", "tenant", "thing"),
        Index("uq_audit_place", "place", unique=True),
        Index(
            "ix_audit_waiting",
            "number",
            sqlite_where=text("place IS NULL"),
            postgresql_where=text("place IS NULL"),
        ),
    )

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    """In which order it was begun to be written. Numbers may be left out."""
    place: Mapped[int | None] = mapped_column(BigInteger())
    """Where it stands in the tree, from 0 and with none left out; None: not sealed yet."""
    tenant: Mapped[str]
    at_ms: Mapped[Ms]
    actor: Mapped[str]
    action: Mapped[str]
    kind: Mapped[str]
    thing: Mapped[str]
    policy_version: Mapped[str]
    request_id: Mapped[str]
    site: Mapped[str]
    purpose: Mapped[str] = mapped_column(server_default="")
    origin: Mapped[str] = mapped_column(server_default="")
    session: Mapped[str] = mapped_column(server_default="")
    decision: Mapped[str] = mapped_column(server_default="allowed")
    detail: Mapped[str]
    """JSON: names of fields that were changed, and other words; never what a customer told us."""


class TileRow(Table):
    """Up to 256 hashes of the tree (`control_plane.audit.tiles`)."""

    __tablename__ = "audit_tiles"

    level: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger(), primary_key=True)
    hashes: Mapped[bytes] = mapped_column(LargeBinary())


class CheckpointRow(Table):
    """The log's head as a site has signed it, once for each time that entries were sealed."""

    __tablename__ = "audit_checkpoints"

    size: Mapped[int] = mapped_column(BigInteger(), primary_key=True, autoincrement=False)
    note: Mapped[str]


class CosignatureRow(Table):
    """Another site's signature on a checkpoint."""

    __tablename__ = "audit_cosignatures"

    size: Mapped[int] = mapped_column(BigInteger(), primary_key=True, autoincrement=False)
    site: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[str]
