"""What the API takes and gives of providers, and of signing in by them."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from control_plane.api.model import ApiModel, Id, Instant, Line
from control_plane.permissions import Role

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _url(text: str) -> str:
    parts = urlsplit(text)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (is_safe and parts.hostname) or parts.fragment or parts.username or not text.isascii():
        raise ValueError("should be an https URL, or http on the loopback, without a fragment")
    return text


Url = Annotated[str, Field(max_length=500), AfterValidator(_url)]
Group = Annotated[str, Field(max_length=200)]
Claim = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:/-]+$")]


class ProviderBody(ApiModel):
    """A provider, but for the client's secret."""

    issuer: Url
    client_id: Annotated[str, Field(min_length=1, max_length=200)]
    redirect_uris: Annotated[tuple[Url, ...], Field(min_length=1, max_length=10)]
    """Where the provider may send people back to; compared whole, but for the port of one on the
    loopback that names none (RFC 8252, 7.3): `http://127.0.0.1/ctl`."""
    scopes: Annotated[tuple[Claim, ...], Field(max_length=10)] = ("openid", "profile")
    login_claim: Claim = "preferred_username"
    """Whose value is the login of a user here."""
    groups_claim: Claim = "groups"
    roles: dict[Group, tuple[Role, ...]] = Field(default_factory=dict, max_length=200)
    """Roles by the provider's groups, given and taken at every sign-in, beside those that are
    granted by hand; none: they stay."""
    creates_users: bool = False
    """Somebody who has no user yet gets one at the first sign-in."""
    is_enabled: bool = True

    @model_validator(mode="after")
    def _openid(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes should hold openid")
        return self


class ProviderDraft(ProviderBody):
    """A provider as it is put."""

    client_secret: Annotated[str | None, Field(min_length=1, max_length=500, repr=False)] = None
    """Left out: the one that is there stays; for a public client there is none."""


class ProviderView(ProviderBody):
    """A provider as it is told."""

    has_client_secret: bool
    updated: Instant


class Begin(ApiModel):
    """Who wants to sign in where."""

    tenant: Id
    redirect_uri: Url


class Begun(ApiModel):
    """Where to send the browser, and what to keep meanwhile."""

    authorization_url: str
    state: str
    holder: Annotated[str, Field(repr=False)]
    """Stays with whoever began: it is asked for at the end, and never leaves for the provider."""
    expires: Instant


class Complete(ApiModel):
    """With what the provider has sent the browser back."""

    state: Annotated[str, Field(min_length=1, max_length=200)]
    holder: Annotated[str, Field(min_length=1, max_length=200, repr=False)]
    code: Annotated[str, Field(min_length=1, max_length=4000, repr=False)]
    iss: Line = ""
    """If the provider has sent it (RFC 9207)."""
