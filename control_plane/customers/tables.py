"""The tables of customers."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Ordered, Table


class CustomerRow(Table):
    """Somebody who calls, and of whom we know something."""

    __tablename__ = "customers"
    __table_args__ = (
        Index("ix_customers_tenant_name_key_id", "tenant", "name_key", "id"),
        Index("ix_customers_tenant_id_name_key", "tenant", "id", "name_key"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    name_key: Mapped[Ordered]
    """The folded name, to sort by."""
    language: Mapped[str]
    email: Mapped[str]
    address: Mapped[str]
    notes: Mapped[str]
    consent: Mapped[str]
    """JSON: purpose -> whether given, and when (ms)."""
    numbers: Mapped[str]
    """JSON: E.164, in the customer's order; `customer_numbers` is their index."""
    tags: Mapped[str]
    """JSON; `customer_tags` is their index."""
    has_legal_hold: Mapped[bool]
    merged_into: Mapped[str | None]
    created_ms: Mapped[Ms]
    updated_ms: Mapped[Ms]
    version: Mapped[int]


class NumberRow(Table):
    """Who may be calling from a number: what the screen pop reads first."""

    __tablename__ = "customer_numbers"
    __table_args__ = (Index("ix_customer_numbers_customer", "customer"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(
        ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True
    )


class WordRow(Table):
    """Who has this word, folded, in the name."""

    __tablename__ = "customer_words"
    __table_args__ = (
        Index("ix_customer_words_customer_tenant_word", "customer", "tenant", "word"),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    word: Mapped[Ordered] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(
        ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True
    )


class TagRow(Table):
    """Who bears a tag."""

    __tablename__ = "customer_tags"
    __table_args__ = (Index("ix_customer_tags_customer", "customer"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(
        ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True
    )


class SealedRow(Table):
    """A sensitive field, readable with the customer's key only."""

    __tablename__ = "customer_sealed"

    customer: Mapped[str] = mapped_column(
        ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True
    )
    field: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    sealed: Mapped[bytes]


class FieldRow(Table):
    """A field that a tenant has marked as sensitive, beside those that are for everybody."""

    __tablename__ = "customer_fields"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    is_searchable: Mapped[bool]


class MergeRow(Table):
    """Two customers who turned out to be one, and what it takes to part them again."""

    __tablename__ = "customer_merges"
    __table_args__ = (Index("ix_customer_merges_tenant_kept", "tenant", "kept"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    kept: Mapped[str]
    gone: Mapped[str]
    numbers: Mapped[str]
    """JSON: what the kept one got by it."""
    tags: Mapped[str]
    consent: Mapped[str] = mapped_column(server_default="{}")
    """JSON: what the kept one had said before of that to which the other has said no."""
    at_ms: Mapped[Ms]
    undone_ms: Mapped[Ms | None]
