"""What one control plane is told at its start, read from one TOML file.

Owns the names and the checks; refuses to know what is done with them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from control_plane.errors import SettingsError
from state.keys import is_id
from state.space import QUOTA_BYTES

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def _host_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):  # noqa: PLR2004 - ports
        raise ValueError(f"{text!r} should be host:port")
    return text


def _database(text: str) -> str:
    scheme = urlsplit(text).scheme
    if scheme not in DRIVERS:
        raise ValueError("should begin with sqlite:/// or postgresql://")
    return DRIVERS[scheme] + text[len(scheme) :]


def _id(text: str) -> str:
    if not is_id(text):
        raise ValueError(f"{text!r} should be 1 to 64 of A-Z a-z 0-9 _ . + -")
    return text


HostPort = Annotated[str, AfterValidator(_host_port)]
Rate = Annotated[float, Field(gt=0, le=1_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Limits(BaseModel):
    """How much one client may ask of us."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    body_bytes: Annotated[int, Field(gt=0)] = 1_048_576
    header_s: Seconds = 10.0
    """A new connection has so long to send its first request's head."""
    body_s: Seconds = 15.0
    """A body has so long to arrive."""
    send_s: Seconds = 20.0
    """A client that takes nothing of an answer for so long is cut off."""
    subject_rate: Rate = 50.0
    """Requests a second of one subject, over time."""
    subject_burst: Rate = 200.0
    stranger_rate: Rate = 5.0
    """The same for an address that is not signed in."""
    stranger_burst: Rate = 40.0


class Token(BaseModel):
    """A PKCS#11 token; needs `pip install 'everline[hsm]'`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    module: Path
    """The library that speaks to it, such as /usr/lib/softhsm/libsofthsm2.so."""
    label: str
    pin_file: Path
    """Its user's PIN, mode 0600."""


class Recordings(BaseModel):
    """Where recordings are, and what opens them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str
    """A folder, or `s3://BUCKET/PREFIX`: the recorders' store."""
    keys_store: str = ""
    """Another place for sealed data keys, as the recorders have it. Empty: the store."""
    keyring: Path
    """The folder of recording keys."""
    provider: Annotated[str, AfterValidator(_id)]
    """The name under which this site's provider has wrapped them."""
    provider_file: Path | None = None
    """Its secret, base64 of 32 bytes, mode 0600. `FILE.next` beside it: it is being rotated."""
    provider_token: Token | None = None
    """Or a PKCS#11 token that has it."""
    recipients: dict[str, str] = {}
    """Further providers for which keys are wrapped, none of ours: a name and what it published."""
    recorders: dict[str, str]
    """Who signs recordings: a recorder's name and its public key, base64."""
    signing_key: Path | None = None
    """base64 of 32 bytes, mode 0600: signs what this site has deleted. None: nothing is deleted."""
    sample_s: Seconds = 86_400.0
    """How often a sample of other sites' recordings is opened with this site's keys alone."""
    keepers: dict[str, str] = {}
    """Who signs what was deleted: a site's name and its public key, base64."""

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        if (self.provider_file is None) == (self.provider_token is None):
            raise ValueError("either provider_file or provider_token is needed")
        return self


class Audit(BaseModel):
    """With what this site signs the audit log, and where it remembers what it has signed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Path
    """base64 of 32 bytes (Ed25519), mode 0600: this site's own, and at no other site."""
    sites: Annotated[tuple[str, ...], Field(min_length=1)]
    """The public keys of all sites, this one too, as `./everline audit key` prints them."""
    memory: Path
    """The last checkpoint that was signed here: on a disk of this site, and never in the database
    or its backups."""
    origin: Annotated[str, Field(pattern=r"^[!-*,-~]{1,200}$")] = "everline/audit"
    """What the log is called in its checkpoints; the same at every site."""


class Traces(BaseModel):
    """Where OpenTelemetry traces go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: Annotated[str, Field(pattern=r"^https?://\S+$")]
    """An OTLP receiver, by HTTP and protobuf: `http://127.0.0.1:4318/v1/traces`."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of all requests."""
    timeout_s: Seconds = 5.0


class Settings(BaseModel):
    """One control plane."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Annotated[str, AfterValidator(_id)]
    listen: HostPort | None = None
    listen_unix: Path | None = None
    """A Unix socket instead of an address."""
    tls_cert: Path | None = None
    """PEM, with what is between it and the authority. `listen` needs it, but on the loopback."""
    tls_key: Path | None = None
    is_plain_on_loopback: bool = False
    """Serve HTTP without TLS, on the loopback alone: behind a proxy of this host, or to try."""
    database: Annotated[str, AfterValidator(_database)]
    """`sqlite:///PATH` or `postgresql://USER:PASSWORD@/NAME?host=H1:P&host=H2:P`."""
    etcd: tuple[HostPort, ...] = ()
    """Endpoints, this site's member first. None: the shared state is not served."""
    etcd_ca: Path | None = None
    etcd_cert: Path | None = None
    etcd_key: Path | None = None
    etcd_quota_bytes: Annotated[int, Field(ge=1)] = QUOTA_BYTES
    """The members' `--quota-backend-bytes`: etcd before 3.6 does not tell it."""
    signing_key: Path
    """PEM, EC P-256, mode 0600: signs access tokens. The same at every site."""
    older_keys: tuple[Path, ...] = ()
    """Public or private PEMs whose tokens are still taken while a key is being replaced."""
    phone_secrets: Path | None = None
    """Secrets of phones' ephemeral credentials, mode 0600, the same as the edges'; see
    `state.phone_credentials`. None: none are issued."""
    oidc_issuers: tuple[str, ...] = ()
    """Issuers that tenants may name for signing in; these are asked from here, and no others."""
    customer_keys: Path | None = None
    """base64 of 32 bytes, mode 0600: wraps customers' keys. None: no sensitive field is taken."""
    keys_database: Annotated[str, AfterValidator(_database)] | None = None
    """Where the wrapped keys stand: never the customers' own database, nor in its backups."""
    run: Path | None = None
    """The run directory of this site's edges, where they are on this host: their event logs tell
    how a past call was decided, their command sockets since when they serve alone."""
    ledger_kept_h: Annotated[int, Field(ge=1, le=8760)] = 24
    """So many hours the shared state keeps calls that are over beside the database; see
    docs/keyspace.md."""
    audit: Audit | None = None
    """None: entries are written, and no checkpoint is signed here. What needs one is refused."""
    recordings: Recordings | None = None
    """None: no recording is served here."""
    traces: Traces | None = None
    """None: none are made."""
    first_password: Path | None = None
    """A file with the password of the first administrator, for an empty database."""
    policies: Path = Path(__file__).parents[1] / "policies"
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _together(self) -> Self:
        for names in (("tls_cert", "tls_key"), ("etcd_ca", "etcd_cert", "etcd_key")):
            given = [name for name in names if getattr(self, name) is not None]
            if given and len(given) < len(names):
                raise ValueError(f"{', '.join(names)} go together")
        if (self.listen is None) == (self.listen_unix is None):
            raise ValueError("either listen or listen_unix is needed")
        if self.listen is not None:
            self._check_sealed(self.listen.rpartition(":")[0].strip("[]"))
        if (self.customer_keys is None) != (self.keys_database is None):
            raise ValueError("customer_keys, keys_database go together")
        if self.keys_database == self.database:
            raise ValueError("keys_database should be another one than database")
        return self

    def _check_sealed(self, host: str) -> None:
        """Passwords and tokens go by TLS, or stay on this machine by somebody's own decision."""
        if self.is_plain_on_loopback and host not in LOOPBACK:
            raise ValueError(f"is_plain_on_loopback does not go with {host}: it is no loopback")
        if self.is_plain_on_loopback and self.tls_cert is not None:
            raise ValueError("is_plain_on_loopback and tls_cert exclude each other")
        if not self.is_plain_on_loopback and self.tls_cert is None:
            raise ValueError(
                "listen needs tls_cert and tls_key; or, on the loopback, is_plain_on_loopback"
            )


def load(path: Path) -> Settings:
    """Read `path`. Raise `SettingsError` naming the file, the key and what it should be."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: {key + ': ' if key else ''}{first['msg']}") from error
