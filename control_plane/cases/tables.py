"""The table of cases."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class CaseRow(Table):
    """A complaint or another matter of one customer; it goes with the customer."""

    __tablename__ = "cases"
    __table_args__ = (
        Index("ix_cases_tenant_due_ms_id", "tenant", "due_ms", "id"),
        Index("ix_cases_customer", "customer"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    customer: Mapped[str] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    kind: Mapped[str]
    state: Mapped[str]
    title: Mapped[str]
    text: Mapped[str]
    owner: Mapped[str]
    """The user who has to move it; empty: nobody yet."""
    owner_agent: Mapped[str]
    """As whom the owner took calls when they were given it; what counts is as whom they do now."""
    due_ms: Mapped[Ms]
    is_escalated: Mapped[bool]
    created_ms: Mapped[Ms]
    updated_ms: Mapped[Ms]
    version: Mapped[int]
