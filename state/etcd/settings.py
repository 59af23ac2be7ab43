"""How the etcd client finds, trusts and waits for its members."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

from msgspec import Struct


class Pem(NamedTuple):
    """What stood in the files: the authority, our key, our certificate."""

    ca: bytes
    key: bytes
    cert: bytes


def _whole(path: Path) -> bytes:
    data = path.read_bytes()
    if not data:
        raise OSError(f"{path} is empty: write the certificate or key anew")
    return data


class Tls(Struct, frozen=True, kw_only=True):
    """Paths of PEM files for mTLS."""

    ca: Path
    cert: Path
    key: Path

    @classmethod
    def of(cls, ca: Path | None, cert: Path | None, key: Path | None) -> Self | None:
        """Return what settings name; None, which is no TLS, unless they name all three."""
        return cls(ca=ca, cert=cert, key=key) if ca and cert and key else None

    def read(self) -> Pem:
        """Read the files as they are now: certificates are rotated.

        OSError when one is missing, or empty: as one is while it is being written, or after a full
        disk. grpc aborts the process over an empty certificate or key.
        """
        return Pem(*(_whole(path) for path in (self.ca, self.key, self.cert)))


class EtcdSettings(Struct, frozen=True, kw_only=True):
    """How patient the client is. Seconds."""

    attempt_s: float = 1.0
    """One request to one member; a frozen member costs this much, once."""
    total_s: float = 3.0
    """All attempts of one call together, waiting for a usable member included."""
    connect_s: float = 1.0
    probe_every_s: float = 0.1
    """Between the first probes of a benched member; grows to five times as much."""
    probe_s: float = 0.5
    """How long a probe waits for its answer."""
    heartbeat_s: float = 1.0
    """How often a silent watch is asked for a sign of life."""
    silence_s: float = 2.5
    """A watch that has said nothing for so long, though asked, is given up."""
