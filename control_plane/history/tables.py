"""What happened with customers, in the order in which it happened."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class InteractionRow(Table):
    """One call, step of a case, or change. Holds words and ids, never what a customer told us."""

    __tablename__ = "interactions"
    __table_args__ = (
        Index("ix_interactions_tenant_customer_at_ms", "tenant", "customer", "at_ms"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    customer: Mapped[str]
    at_ms: Mapped[Ms]
    kind: Mapped[str]
    """`call`, `case`, `merge`, ..."""
    reference: Mapped[str]
    """The call's or case's id."""
    what: Mapped[str]
    """A constant word: `answered`, `opened`, `in_work`, ..."""
    by: Mapped[str]
    """The user or agent."""
