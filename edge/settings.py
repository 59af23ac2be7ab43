"""What one edge process is told at its start, read from one TOML file.

Owns the names and the checks; refuses to know what is done with them.
"""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from edge.errors import SettingsError
from state.keys import is_id
from state.model import EdgeId, SiteId

DIRECT = "direct"


class Settings(Struct, frozen=True, kw_only=True):
    """One edge. Addresses are `host:port`."""

    edge: EdgeId
    site: SiteId
    sip: str
    """Where this edge takes SIP from the Kamailios (UDP)."""
    kamailio_rpc: Path
    """Kamailio's JSON-RPC socket (Unix datagram)."""
    evapi: str
    """Kamailio's event stream."""
    ng: str
    """rtpengine's NG port: on loopback, it has no authentication. `direct`: no relay at all."""
    etcd: tuple[str, ...]
    """Endpoints, this site's member first."""
    etcd_ca: Path | None = None
    etcd_cert: Path | None = None
    etcd_key: Path | None = None
    run_dir: Path
    """For the snapshot, the tables file and sockets; mode 0700."""
    command_socket: Path
    phone_secrets: Path | None = None
    """Secrets of phones' ephemeral credentials, mode 0600; see `state.phone_credentials`. None: no
    such credentials are taken."""
    log_level: str = "info"
    recorder: Path | None = None
    """The socket of the site's recorder. None: nothing is recorded."""
    prompts: Path = Path(__file__).parent / "ivr" / "prompts"


def load(path: Path) -> Settings:
    """Read `path`. Raise `SettingsError` naming the file, the key and what it should be."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not TOML: it is no UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    return parse(raw, str(path))


def parse(raw: dict[str, Any], where: str) -> Settings:
    """Check and convert the keys of `raw`. Raise `SettingsError`, where `where` is their origin."""
    known = {field.name for field in fields(Settings)}
    if unknown := sorted(raw.keys() - known):
        raise SettingsError(
            f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    needed = {field.name for field in fields(Settings) if field.required}
    if missing := sorted(needed - raw.keys()):
        raise SettingsError(f"{where}: {missing[0]} is missing")
    if 0 < len(without := sorted(_TLS - raw.keys())) < len(_TLS):
        # With a part of them the edge would speak to etcd in the clear, and nobody would notice.
        raise SettingsError(
            f"{where}: {without[0]} is missing: {', '.join(sorted(_TLS))} go together"
        )
    try:
        values: dict[str, Any] = {name: _convert(name, value) for name, value in raw.items()}
        return Settings(**values)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from error


_ADDRESSES = frozenset({"sip", "evapi", "ng"})
_NAMES = frozenset({"edge", "site"})
_TLS = frozenset({"etcd_ca", "etcd_cert", "etcd_key"})
_LEVELS = ("debug", "info", "warning", "error", "critical")
_PATHS = frozenset(
    {
        "kamailio_rpc",
        "etcd_ca",
        "etcd_cert",
        "etcd_key",
        "run_dir",
        "command_socket",
        "prompts",
        "recorder",
        "phone_secrets",
    }
)


def address(text: str) -> tuple[str, int]:
    """Split `host:port`; IPv6 comes in brackets. Raise ValueError when it is not that."""
    host, colon, port = text.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port) < 65536  # noqa: PLR2004 - ports
    if not (host and colon and is_port):
        raise ValueError(f"{text!r} should be host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _convert(name: str, value: object) -> object:
    if name == "etcd":
        return _endpoints(value)
    if not isinstance(value, str):
        raise ValueError(f"{name} should be a string, not {value!r}")  # noqa: TRY004 - one kind
    if not value or not value.isprintable():
        raise ValueError(f"{name} should be a word or a path, not {value!r}")
    if name in _NAMES and not is_id(value):
        raise ValueError(f"{name} should be 1 to 64 of A-Z a-z 0-9 _ . + -, not {value!r}")
    if name == "log_level" and value.lower() not in _LEVELS:
        raise ValueError(f"log_level should be one of {', '.join(_LEVELS)}, not {value!r}")
    if name in _ADDRESSES and not (name == "ng" and value == DIRECT):
        _check_address(name, value)
    return Path(value) if name in _PATHS else value


def _endpoints(value: object) -> tuple[str, ...]:
    if not (isinstance(value, list) and value and all(isinstance(each, str) for each in value)):
        raise ValueError("etcd should be a list of host:port, this site's member first")
    for endpoint in value:
        try:
            address(endpoint)
        except ValueError as error:
            raise ValueError(f"etcd: {error}") from error
    return tuple(value)


def _check_address(name: str, value: str) -> None:
    """Raise ValueError unless it is a port of an IP address: no call is to wait for DNS."""
    try:
        host, _ = address(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise ValueError(f"{name}: {host!r} should be an IP address") from error
