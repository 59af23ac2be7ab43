"""The tables of providers, of sign-ins under way, and of who is whom at a provider."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class ProviderRow(Table):
    """A tenant's provider."""

    __tablename__ = "oidc_providers"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    settings: Mapped[str]
    """JSON of `schemas.ProviderBody`, without the client's secret."""
    client_secret: Mapped[bytes | None]
    """Wrapped under the tenant's key; None: a public client."""
    updated_ms: Mapped[Ms]
    version: Mapped[int]


class FlowRow(Table):
    """A sign-in under way: good once, for ten minutes."""

    __tablename__ = "oidc_flows"
    __table_args__ = (Index("ix_oidc_flows_until_ms", "until_ms"),)

    state_digest: Mapped[str] = mapped_column(primary_key=True)
    holder_digest: Mapped[str]
    """Of what only whoever began it has: nobody else's answer of the provider is taken."""
    tenant: Mapped[str]
    nonce: Mapped[str]
    verifier: Mapped[str]
    redirect_uri: Mapped[str]
    provider_version: Mapped[int]
    until_ms: Mapped[Ms]


class IdentityRow(Table):
    """Who somebody at a provider is here."""

    __tablename__ = "oidc_identities"
    __table_args__ = (Index("ix_oidc_identities_user_id", "user_id"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_ms: Mapped[Ms]
