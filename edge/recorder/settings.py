"""What one recorder is told at its start, read from one TOML file."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.errors import SettingsError
from edge.settings import address
from state.keys import is_id


class RecorderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recorder. Addresses are `host:port`."""

    site: str
    ng: str
    """rtpengine's NG port, on loopback."""
    rtp: str = "127.0.0.1:0"
    """Where rtpengine sends copies of the audio; port 0: any."""
    digits: str = ""
    """Where rtpengine says which keys parties press (its `--dtmf-log-dest`). Empty: it does not,
    and keyed digits are kept from the agent and from the recording all the same, but not marked."""
    socket: str
    """Where the site's edges say what to record (a Unix socket)."""
    spool: str
    """A folder for what is being recorded, sealed."""
    store: str
    """Where recordings are kept: a folder, or `s3://BUCKET/PREFIX`."""
    keys_store: str = ""
    """Another place for sealed data keys: a bucket without object lock. Empty: the store."""
    keyring: str
    """The folder of recording keys; the recorder uses their public halves alone."""
    signing_key: str
    """The file with the secret by which the recorder signs."""
    recorders: dict[str, str] = {}
    """Who signs manifests: a recorder's name and its public key, base64. Needed for copies."""
    replica_listen: str = ""
    """Where other sites' recorders bring copies (mTLS). Empty: none are taken."""
    peers: tuple[str, ...] = ()
    """Where other sites' recorders take copies; the first that takes one has it."""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    log_level: str = "info"


def load(path: Path) -> RecorderSettings:
    """Read the file. Raise `SettingsError`."""
    try:
        settings = msgspec.convert(tomllib.loads(path.read_text()), RecorderSettings)
        host, _, port = settings.rtp.rpartition(":")
        ipaddress.ip_address(host)
        listed = [settings.ng, settings.digits, settings.replica_listen, *settings.peers]
        if port != "0":
            listed.append(settings.rtp)
        for each in filter(None, listed):
            ipaddress.ip_address(address(each)[0])
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    if (settings.peers or settings.replica_listen) and not (
        settings.tls_ca and settings.tls_cert and settings.tls_key and settings.recorders
    ):
        raise SettingsError(f"{path}: copies need tls_ca, tls_cert, tls_key and recorders")
    if not is_id(settings.site):
        raise SettingsError(f"{path}: site should be 1 to 64 of A-Z a-z 0-9 _ . + -")
    return settings
