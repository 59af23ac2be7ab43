"""PURE. Where a lab keeps what, and what is to be done to have a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from drills.lab.process import ProcessSpec

NG = "127.0.0.1:2223"
DIGITS = "127.0.0.1:2225"
"""Where a site's rtpengine says which keys parties press."""


class Paths(Struct, frozen=True, kw_only=True):
    """Where a lab keeps what."""

    run: Path
    """The run directory; a host's own is a directory in it."""
    project: Path
    """The checkout: working directory of our own programs."""
    python: Path
    kemi: Path
    """Where a site's kamailio.cfg and edge_routes.py are."""
    carrier: Path
    """Where the carrier's kamailio.cfg is."""

    def of(self, host: str) -> Path:
        """Return a host's run directory, `RUN` in docs/architecture.md."""
        return self.run / host

    @property
    def secrets(self) -> Secrets:
        """Where the secrets of the control planes are."""
        center = self.run / "center"
        return Secrets(
            signing_key=center / "signing.pem",
            customer_keys=center / "customer.key",
            first_password=center / "password",
            phone_secrets=center / "phone.secrets",
        )


class Secrets(Struct, frozen=True, kw_only=True):
    """Files that the control planes share, each 0600; the edges read the phones' secrets."""

    signing_key: Path
    customer_keys: Path
    first_password: Path
    phone_secrets: Path


class Work(Struct, frozen=True, kw_only=True):
    """Processes to run, and the files that have to be there before."""

    processes: tuple[ProcessSpec, ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)

    def plus(self, other: Work) -> Work:
        """Return both together."""
        return Work(processes=self.processes + other.processes, files={**self.files, **other.files})
