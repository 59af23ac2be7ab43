"""The recordings that this control plane can open: the store and keys of its settings."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.audit import store as audit
from control_plane.audit.entry import Entry
from control_plane.audit.ledger import FAILURES
from control_plane.background import Part, running
from control_plane.configuration.desk import DESK
from control_plane.customers.held import CLEARINGS
from control_plane.db.database import Database
from control_plane.errors import SettingsError
from control_plane.first import TENANT
from control_plane.recording_keys.keeping import keep
from control_plane.recording_keys.provider import open_provider
from control_plane.recording_keys.ring import NotWrittenDownError, Ringkeeper
from control_plane.recording_keys.store import RecordingKeys
from control_plane.recordings.archive import Archive
from control_plane.recordings.caller_keys import CallerKeys
from control_plane.recordings.caretaker import look_after
from control_plane.recordings.retention import RecordingsOfCustomer
from control_plane.recordings.sampler import Sampler
from control_plane.services import SERVICES, Services
from control_plane.settings import Recordings
from control_plane.tenants import store as tenants
from custody import keyfile
from custody.errors import CustodyError
from custody.keyring import Keyring
from custody.library import Library
from custody.store import RecordingStore
from state.model import SiteId

LIBRARY = web.AppKey("recordings", Library)
ARCHIVE = web.AppKey("recordings_archive", Archive)
RECORDING_KEYS = web.AppKey("recording_keys", RecordingKeys)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Open the store where one is configured, and keep this site's keys where a key store is."""
    services = app[SERVICES]
    settings = services.settings.recordings
    if settings is None:
        yield
        return
    provider, ring = open_provider(settings), Keyring(settings.keyring)
    store = RecordingStore.open(settings.store, settings.keys_store)
    library = app[LIBRARY] = Library(
        store,
        ring,
        providers={settings.provider: provider},
        recorders=_decoded(settings.recorders),
    )
    sampler = Sampler(services, store, library, settings.sample_s)
    if services.settings.keys_database is None:
        async with running("recordings", sampler.run):
            yield
        return
    database = Database.open(services.settings.keys_database)
    keys = app[RECORDING_KEYS] = RecordingKeys(database, settings.recipients)
    archive = app[ARCHIVE] = Archive(
        site=services.settings.site,
        store=store,
        ring=ring,
        database=database,
        key=_signing_key(settings),
        keepers=_decoded(settings.keepers),
    )
    app[CLEARINGS].append(RecordingsOfCustomer(keys))
    keeper = Ringkeeper(
        keys, ring, settings.provider, provider, partial(_write_down, services, settings.provider)
    )
    parts: list[Part] = [
        partial(_keep, services, keeper),
        partial(look_after, services, archive, library),
        sampler.run,
    ]
    if (caller_keys := _caller_keys(app, keys, ring)) is not None:
        parts.append(caller_keys.run)
    try:
        await keys.start()
        async with running("recordings", *parts):
            yield
    finally:
        await database.close()


def _signing_key(settings: Recordings) -> Ed25519PrivateKey | None:
    if settings.signing_key is None:
        return None
    try:
        return Ed25519PrivateKey.from_private_bytes(keyfile.load(settings.signing_key))
    except CustodyError as error:
        raise SettingsError(str(error)) from error


def _decoded(publics: dict[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(public) for name, public in publics.items()}


async def _write_down(services: Services, provider: str, secret: str) -> None:
    """Put the rotation of a provider under a signed checkpoint. Raise `NotWrittenDownError`.

    Who has begun it at this host, the host knows.
    """
    entry = Entry(
        tenant=TENANT,
        at_ms=services.clock.now().wall_ms,
        actor="",
        action="recording_key:rotate",
        kind="recording_key",
        thing=provider,
        policy_version="",
        request_id="",
        site=services.settings.site,
        detail={"to": secret},
    )
    try:
        async with services.database.write() as connection:
            await audit.add(connection, entry)
            await services.ledger.seal(connection)
    except FAILURES as error:
        raise NotWrittenDownError("the audit log does not take the rotation") from error


async def _keep(services: Services, keeper: Ringkeeper) -> None:
    async def everybody() -> tuple[str, ...]:
        async with services.database.read() as connection:
            return await tenants.ids(connection)

    await keep(keeper, everybody, lambda: services.clock.now().wall_ms)


def _caller_keys(app: web.Application, keys: RecordingKeys, ring: Keyring) -> CallerKeys | None:
    """Return what tells the recorder who calls, where its socket and the shared state are."""
    services, mirror = app[SERVICES], app[DESK].mirror
    if mirror is None or services.settings.run is None:
        return None
    return CallerKeys(
        site=SiteId(services.settings.site),
        run=services.settings.run,
        mirror=mirror,
        database=services.database,
        keys=keys,
        ring=ring,
        clock=services.clock,
    )
