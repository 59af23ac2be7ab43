"""The services of this feature, and their life in the application."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from control_plane.background import running
from control_plane.configuration.book import Book
from control_plane.configuration.publisher import Publisher
from control_plane.configuration.reckoning import Reckonings
from control_plane.configuration.room import RoomWatch
from control_plane.configuration.schemas import Publication
from control_plane.services import SERVICES
from control_plane.settings import Settings
from control_plane.traced_store import TracedStore
from control_plane.tracing import TRACING
from state.etcd import EtcdStore, Tls
from state.mirror import Mirror
from state.space import Roomy
from state.store import Store


class Desk:
    """Where the configuration is written and published."""

    def __init__(self) -> None:
        self.book = Book(self.released, self.written)
        self.reckonings = Reckonings()
        self.mirror: Mirror | None = None
        self.publisher: Publisher | None = None
        self.store: Store | None = None
        self.room: RoomWatch | None = None
        """How that stands; None: it does not tell."""

    def released(self) -> int:
        """Return the version that stands in the shared state, as far as is known here."""
        release = None if self.mirror is None else self.mirror.snapshot.releases.get("current")
        return 0 if release is None else release.value.version

    def written(self, number: int) -> None:
        """Hear that a version is being written."""
        if self.publisher is not None:
            self.publisher.expect(number)

    async def wait(self, number: int, wait_s: float) -> Publication:
        """Return how far a version has come."""
        if self.publisher is None:
            return Publication(
                version=number,
                stands=0,
                is_everywhere=False,
                edges=(),
                missing=(),
                problem="no etcd is named in the settings",
            )
        return await self.publisher.wait(number, wait_s)


DESK = web.AppKey("configuration", Desk)
SHARED = web.AppKey("shared", Store)
"""The shared state, where it is another than the settings' etcd."""


async def context(app: web.Application) -> AsyncIterator[None]:
    """Follow the shared state and publish, while the application runs."""
    services = app[SERVICES]
    desk = app[DESK] = Desk()
    store = app[SHARED] if SHARED in app else _etcd(services.settings)
    if store is None:
        yield
        return
    if isinstance(store, Roomy):
        quota_bytes = services.settings.etcd_quota_bytes
        desk.room = RoomWatch(store, services.metrics, quota_bytes, services.clock)
    rooms = [] if desk.room is None else [desk.room]
    if TRACING in app:
        store = TracedStore(store)
    desk.store = store
    mirror = desk.mirror = Mirror(store, services.clock)
    publisher = desk.publisher = Publisher(
        store=store,
        mirror=mirror,
        database=services.database,
        book=desk.book,
        clock=services.clock,
    )
    try:
        async with running(
            "configuration", mirror.run, publisher.run, *(each.run for each in rooms)
        ):
            yield
    finally:
        desk.reckonings.close()
        await store.close()


def _etcd(settings: Settings) -> Store | None:
    if not settings.etcd:
        return None
    tls = Tls.of(settings.etcd_ca, settings.etcd_cert, settings.etcd_key)
    return EtcdStore(list(settings.etcd), tls=tls)
