"""The tables of articles. What full-text search reads is made by the migration: it has no model."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class ArticleRow(Table):
    """An article as it stands now."""

    __tablename__ = "articles"
    __table_args__ = (Index("ix_articles_tenant_title_id", "tenant", "title", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    language: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    tags: Mapped[str]
    """JSON; they are searched with the text, and compared with customers' tags."""
    queues: Mapped[str]
    """JSON: the queues whose agents it is suggested to."""
    employer: Mapped[str]
    """The outsourcer whose agents may read it beside our own; empty: none."""
    created_ms: Mapped[Ms]
    updated_ms: Mapped[Ms]
    version: Mapped[int]


class ArticleVersionRow(Table):
    """An article as it stood before."""

    __tablename__ = "article_versions"

    article: Mapped[str] = mapped_column(
        ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    by: Mapped[str]
    at_ms: Mapped[Ms]
