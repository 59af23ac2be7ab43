"""PURE. The recorder of a site: its command, its files, and where everything of it is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from drills.lab.paths import NG, Paths, Work
from drills.lab.plan import Host
from drills.lab.process import ProcessSpec, UnixProbe

SIGNING: Final = "recorder-signing.key"
PROVIDER: Final = "recording-provider.key"


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


def process_name(site: str) -> str:
    """Return what the supervisor calls a site's recorder."""
    return f"recorder-{site}"


def compose(paths: Paths, host: Host) -> Work:
    """Return a site's recorder; its keys are made by `keys.make_recording_keys`."""
    run = paths.of(host.name)
    config = run / "recorder.toml"
    content = f"""\
site = "{host.name}"
ng = "{NG}"
socket = "{socket_of(run)}"
spool = "{spool_of(run)}"
store = "{store_of(run)}"
keyring = "{keyring_of(run)}"
signing_key = "{run / SIGNING}"
"""
    process = ProcessSpec(
        name=process_name(host.name),
        host=host.name,
        cwd=paths.project,
        argv=(str(paths.python), "-m", "edge.recorder", "--config", str(config)),
        ready=UnixProbe(path=socket_of(run)),
        ready_timeout_s=30.0,
    )
    return Work(processes=(process,), files={config: content})
