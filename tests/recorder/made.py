"""A recording made by the recorder's own parts, of sounds that a test chooses."""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import g711, keyring
from custody.frame import BLOCK, RATE_HZ
from custody.keyring import Keyring, RecordingKey
from custody.library import Library
from custody.providers import LocalFile
from custody.store import RecordingStore
from edge.recorder.folder import Facts
from edge.recorder.recording import Recording
from edge.recorder.shipping import Shipper

T = TypeVar("T")
SIGNING = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
PUBLIC = SIGNING.public_key().public_bytes_raw()
SECRETS = {"a": b"a" * 32, "b": b"b" * 32}
LOUDNESS = (6000, 3000)
"""Of caller and agent: a test knows them apart by it."""


def tone(side: int) -> bytes:
    """Return 20 ms of one party."""
    wave = LOUDNESS[side] * np.sin(2 * np.pi * 400 * np.arange(BLOCK) / RATE_HZ)
    return g711.encode(wave.astype(np.int16), 0)


class AtOnce(Executor):
    """A disk that has done everything before anybody asks."""

    def submit(self, what: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:  # noqa: ANN401
        """Do it."""
        done: Future[T] = Future()
        try:
            done.set_result(what(*given, **named))
        except OSError as error:
            done.set_exception(error)
        return done


class Archive:
    """A site's store, spool and keys in a folder."""

    def __init__(self, folder: Path, site: str = "a") -> None:
        self.site = site
        self.spool, self.store = folder / "spool", folder / "store"
        self.spool.mkdir(parents=True)
        self.ring = Keyring(folder / "keyring")
        self.providers = {name: LocalFile(secret) for name, secret in SECRETS.items()}

    async def make_key(self) -> None:
        """Let there be a key to seal with."""
        self.ring.add(keyring.make("main", keyring.recipients(self.providers), 1))

    def record(
        self,
        call: str,
        seconds: float,
        *,
        tenant: str = "main",
        take_up_s: float | None = None,
        key: RecordingKey | None = None,
    ) -> None:
        """Record both parties, sealed to `key` or the tenant's newest.

        With `take_up_s` go on then, after a life that was cut off.
        """
        now = round((take_up_s or 0.0) * RATE_HZ)
        facts = Facts(
            call=call,
            tenant=tenant,
            queue="sales",
            agents=("ann",),
            media=f"a1:{call}",
            site=self.site,
            started_ms=1_000,
            started_s=0.0,
        )
        recording = Recording(
            self.spool / call, facts, key or self.ring.newest(tenant), now, AtOnce()
        )
        recording.join("ann", now)
        for number in range(round(seconds * 50)):
            for side, channel in enumerate(recording.timeline.sides):
                head = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * BLOCK, 7 + side)
                packet = head + tone(side)
                channel.take(packet, len(packet), now + number * BLOCK)
            recording.tick(now + number * BLOCK)
        self.last = recording
        self.now = now + round(seconds * RATE_HZ)

    def end(self) -> None:
        """End what is being recorded."""
        self.last.end(self.now).result()

    async def ship(self) -> None:
        """Hand everything that is over to the store."""
        shipper = Shipper(
            spool=self.spool,
            store=RecordingStore.open(str(self.store)),
            key=SIGNING,
            recorder=self.site,
        )
        await shipper.ship()

    def library(self, provider: str = "a") -> Library:
        """Open it with the keys of one place."""
        return Library(
            RecordingStore.open(str(self.store)),
            self.ring,
            providers={provider: self.providers[provider]},
            recorders=dict.fromkeys(("a", "b", "c"), PUBLIC),
        )
