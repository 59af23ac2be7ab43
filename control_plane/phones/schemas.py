"""What a phone signs in with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Instant


class PhoneCredentialsView(ApiModel):
    """Good for one agent, at any site, until they expire."""

    aor: str
    """Whom the phone registers as."""
    user: str
    """Of the digest."""
    password: Annotated[str, Field(repr=False)]
    realm: str
    expires: Instant
    registrar: str
    """The home site's proxy, host:port."""
    backups: tuple[str, ...]
    """The other sites' proxies, where the phone registers in turn while its home is silent."""
    site: str
