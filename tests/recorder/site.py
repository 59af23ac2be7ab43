"""One site's recorder as a process, with keys of its own and somebody to ask it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import keyfile, keyring
from custody.frame import Frame
from custody.keyring import Keyring
from custody.library import Library
from custody.manifest import Manifest
from custody.providers import LocalFile
from custody.store import RecordingStore

ROOT = Path(__file__).parents[2]


class RecorderSite:
    """Everything that a recorder needs but the relay."""

    def __init__(  # noqa: PLR0913 - what differs from test to test
        self,
        folder: Path,
        ng_port: int,
        *,
        name: str = "a",
        digits: str = "",
        more: str = "",
        signing: bytes | None = None,
    ) -> None:
        self.folder = folder
        self.spool, self.store = folder / "spool", folder / "store"
        self.socket = folder / "recorder.sock"
        self.ring = Keyring(folder / "keyring")
        self.providers = {"a": LocalFile(b"a" * 32), "b": LocalFile(b"b" * 32)}
        self.name = name
        self.signing = keyfile.make(folder / "signing.key", signing)
        self._config = folder / "recorder.toml"
        self._config.write_text(
            f'site = "{name}"\nng = "127.0.0.1:{ng_port}"\nsocket = "{self.socket}"\n'
            f'spool = "{self.spool}"\nstore = "{self.store}"\nkeyring = "{folder / "keyring"}"\n'
            f'signing_key = "{folder / "signing.key"}"\ndigits = "{digits}"\n{more}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    async def make_key(self) -> None:
        """Let there be a key to seal with."""
        self.ring.add(keyring.make("main", keyring.recipients(self.providers), 1))

    async def start(self) -> None:
        """Start the process; returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - a test has time
                [sys.executable, "-m", "edge.recorder", "--config", str(self._config)],
                cwd=ROOT,
                stderr=log,
            )
        ends_s = time.monotonic() + 20
        while True:
            try:
                await self.ask(cmd="status")
            except OSError:
                assert time.monotonic() < ends_s, self.log
                assert self.process.poll() is None, self.log
                await asyncio.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text()

    async def ask(self, **request: object) -> Mapping[str, Any]:
        """Send one command; return the answer."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            answer: Mapping[str, Any] = json.loads(await reader.readline())
            return answer
        finally:
            writer.close()

    async def record(self, call: str, media: str, **more: object) -> Mapping[str, Any]:
        """Have a call recorded, as an edge does."""
        words = {"call": call, "media": media, "tenant": "main", "queue": "orders"}
        return await self.ask(**{"cmd": "record", **words, "agent": "alba", **more})

    def library(self, provider: str = "b") -> Library:
        """Open the store with the keys of one place alone."""
        public = Ed25519PrivateKey.from_private_bytes(self.signing).public_key().public_bytes_raw()
        return Library(
            RecordingStore.open(str(self.store)),
            self.ring,
            providers={provider: self.providers[provider]},
            recorders={"a": public, "b": public},
        )

    async def kept(self, call: str, within_s: float = 15.0) -> Manifest:
        """Wait until the store has a recording whole."""
        ends_s = time.monotonic() + within_s
        while True:
            try:
                return await self.library().manifest("main", call)
            except FileNotFoundError:
                assert time.monotonic() < ends_s, self.log
                await asyncio.sleep(0.05)

    async def frames(self, account: Manifest) -> list[Frame]:
        """Open all of it."""
        return [frame async for frame in self._frames(account)]

    def _frames(self, account: Manifest) -> AsyncIterator[Frame]:
        return self.library().frames(account)
