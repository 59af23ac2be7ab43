"""PURE. The recorder of a site: its command, its files, and where everything of it is."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from drills.lab.paths import DIGITS, NG, Paths, Work
from drills.lab.plan import Host
from drills.lab.process import Identity, ProcessSpec, UnixProbe

SIGNING: Final = "recorder-signing.key"
KEEPING: Final = "recording-keeper.key"
PROVIDER: Final = "recording-provider.key"
REPLICA_PORT: Final = 5090


class Trusted(NamedTuple):
    """Whom the recorders and control planes of a lab believe: public halves, by site."""

    recorders: Mapping[str, bytes] = {}
    """Who signs recordings."""
    keepers: Mapping[str, bytes] = {}
    """Who signs what was deleted."""
    recipients: Mapping[str, str] = {}
    """Providers that are at no site of the lab, as they were published."""


def socket_of(run: Path) -> Path:
    """Return where a site's edges tell its recorder what to record."""
    return run / "recorder.sock"


def store_of(run: Path) -> Path:
    """Return the folder in which a site keeps its recordings."""
    return run / "recordings"


def spool_of(run: Path) -> Path:
    """Return the folder of what is being recorded."""
    return run / "recording-spool"


def keyring_of(run: Path) -> Path:
    """Return the folder of a site's copy of the recording keys."""
    return run / "recording-keys"


def sample_of(run: Path) -> Path:
    """Return the file in which a site's control plane says what its last sample came to."""
    return run / "recording-sample.json"


def process_name(site: str) -> str:
    """Return what the supervisor calls a site's recorder."""
    return f"recorder-{site}"


def counted(run: Path, site: str) -> set[str]:
    """Return the calls of a site's own recordings that it has counted as replicated."""
    try:
        lines = (spool_of(run) / "replicated").read_text().splitlines()
    except FileNotFoundError:
        return set()
    told = (line.split() for line in lines)
    # TENANT/RECORDING RECORDER SITE STORE SAMPLES
    return {words[0].rpartition("/")[2] for words in told if words[1:2] == [site] and words[2:]}


def compose(
    paths: Paths,
    host: Host,
    others: Sequence[Host],
    identity: Identity | None,
    signers: Mapping[str, bytes],
) -> Work:
    """Return a site's recorder; its keys are made by `keys.make_recording_keys`.

    It brings copies to the first of `others` that takes them, known by `identity`.
    """
    run = paths.of(host.name)
    copies = _copies(host, others, identity, signers) if identity and signers else ""
    config = run / "recorder.toml"
    content = f"""\
site = "{host.name}"
ng = "{NG}"
digits = "{DIGITS}"
socket = "{socket_of(run)}"
spool = "{spool_of(run)}"
store = "{store_of(run)}"
keyring = "{keyring_of(run)}"
signing_key = "{run / SIGNING}"
{copies}"""
    process = ProcessSpec(
        name=process_name(host.name),
        host=host.name,
        cwd=paths.project,
        argv=(str(paths.python), "-m", "edge.recorder", "--config", str(config)),
        ready=UnixProbe(path=socket_of(run)),
        ready_timeout_s=30.0,
    )
    return Work(processes=(process,), files={config: content})


def _copies(
    host: Host, others: Sequence[Host], identity: Identity, signers: Mapping[str, bytes]
) -> str:
    peers = ", ".join(f'"{other.address}:{REPLICA_PORT}"' for other in others)
    known = "".join(
        f'{name} = "{base64.b64encode(public).decode()}"\n' for name, public in signers.items()
    )
    return f"""\
replica_listen = "{host.address}:{REPLICA_PORT}"
peers = [{peers}]
tls_ca = "{identity.ca}"
tls_cert = "{identity.cert}"
tls_key = "{identity.key}"
[recorders]
{known}"""
