"""Opens a sample of other sites' recordings every day, and tells how that went.

In metrics, and in `RUN/recording-sample.json`, from where `./everline recordings reconcile` has it
and the next life of this process knows when it was.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec
import structlog
from obstore.exceptions import BaseError
from prometheus_client import CollectorRegistry, Gauge

from control_plane.services import Services
from custody.disk import write_whole
from custody.findings import Sample
from custody.library import Library
from custody.sampling import sample
from custody.store import RecordingStore

log = structlog.get_logger()

FILE: Final = "recording-sample.json"
LOOK_S: Final = 5.0


class Sampler:
    """One site's."""

    def __init__(
        self, services: Services, store: RecordingStore, library: Library, every_s: float
    ) -> None:
        self._services = services
        self._store = store
        self._library = library
        self._every_s = every_s
        self._path = services.settings.run and services.settings.run / FILE
        self._gauges = _gauges(services.metrics.registry)
        self._last_ms = 0 if self._path is None else _last_ms(self._path)

    async def run(self) -> None:
        """Take a sample whenever it is time, until cancelled."""
        while True:
            now_ms = self._services.clock.now().wall_ms
            if now_ms - self._last_ms >= self._every_s * 1000:
                try:
                    await self.take(now_ms)
                except (OSError, BaseError) as error:
                    log.warning("recordings_not_sampled", because=type(error).__name__)
                self._last_ms = now_ms
            await asyncio.sleep(LOOK_S)

    async def take(self, now_ms: int) -> Sample:
        """Take one now."""
        found = await sample(self._store, self._library, self._services.settings.site, at_ms=now_ms)
        for gauge, value in zip(
            self._gauges, (found.tried, found.opened, now_ms / 1000), strict=True
        ):
            gauge.set(value)
        if self._path is not None:
            await asyncio.to_thread(write_whole, self._path, msgspec.json.encode(found))
        say = log.error if found.faults else log.info
        say("recordings_sampled", tried=found.tried, opened=found.opened, faults=found.faults)
        return found


def _gauges(registry: CollectorRegistry) -> tuple[Gauge, Gauge, Gauge]:
    """Return what is tried, what opened of it, and when."""
    about = (
        ("tried", "Copies of other sites' recordings in the last daily sample."),
        ("opened", "Those of them that opened with this site's keys alone."),
        ("timestamp_seconds", "When the last daily sample was taken."),
    )
    tried, opened, at = (
        Gauge(f"everline_recording_sample_{name}", what, registry=registry) for name, what in about
    )
    return tried, opened, at


def _last_ms(path: Path) -> int:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sample).at_ms
    except (OSError, msgspec.MsgspecError):
        return 0
