"""The recorder under test: a process of its own, with keys and a store in a folder."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import keyfile, keyring
from custody.keyring import Keyring
from custody.library import Library
from custody.providers import LocalFile
from custody.store import RecordingStore
from loadtests.bench.errors import BenchError
from loadtests.bench.servers import PROJECT

TENANT: Final = "main"
START_S: Final = 30.0


class Recorder:
    """One that runs, and how it is asked."""

    def __init__(self, folder: Path, pid: int, public: bytes) -> None:
        self.folder = folder
        self.pid = pid
        self.public = public
        self.idle_bytes = self.resident_bytes()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, **request: object) -> Mapping[str, Any]:
        """Send a command. BenchError when it is refused."""
        if self._reader is None or self._writer is None:
            opened = await asyncio.open_unix_connection(self.folder / "recorder.sock")
            self._reader, self._writer = opened
        self._writer.write(json.dumps(request).encode() + b"\n")
        answer: Mapping[str, Any] = json.loads(await self._reader.readline())
        if not answer["ok"]:
            raise BenchError(f"the recorder refused {request['cmd']}: {answer['error']}")
        return answer

    def library(self) -> Library:
        """Open what it has kept."""
        return Library(
            RecordingStore.open(str(self.folder / "store")),
            Keyring(self.folder / "keyring"),
            providers={"a": LocalFile.load(self.folder / "a.key")},
            recorders={"a": self.public},
        )

    def resident_bytes(self) -> int:
        """Return how much memory it has."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0


@asynccontextmanager
async def recording(folder: Path, ng_port: int) -> AsyncIterator[Recorder]:
    """Run a recorder while entered."""
    config = folder / "recorder.toml"
    config.write_text(
        f'site = "a"\nng = "127.0.0.1:{ng_port}"\nsocket = "{folder / "recorder.sock"}"\n'
        f'spool = "{folder / "spool"}"\nstore = "{folder / "store"}"\n'
        f'keyring = "{folder / "keyring"}"\nsigning_key = "{folder / "signing.key"}"\n'
        'log_level = "warning"\n'
    )
    secret = keyfile.make(folder / "signing.key")
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    providers = {name: LocalFile(keyfile.make(folder / f"{name}.key")) for name in ("a", "b")}
    Keyring(folder / "keyring").add(keyring.make(TENANT, keyring.recipients(providers), 1))
    log = folder / "recorder.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program
            [sys.executable, "-m", "edge.recorder", "--config", str(config)],
            cwd=PROJECT,
            stderr=sink,
        )
    try:
        ends_s = time.monotonic() + START_S
        while not (folder / "recorder.sock").exists():
            if process.poll() is not None or time.monotonic() > ends_s:
                raise BenchError(f"the recorder does not start: {log.read_text()[-800:]}")
            await asyncio.sleep(0.05)
        yield Recorder(folder, process.pid, public)
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
