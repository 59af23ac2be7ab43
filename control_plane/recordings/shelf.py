"""The recordings that this control plane can open: the store and keys of its settings."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from aiohttp import web

from control_plane.errors import SettingsError
from control_plane.services import SERVICES
from control_plane.settings import Recordings
from custody.errors import KeyFileError
from custody.keyring import Keyring
from custody.library import Library
from custody.providers import LocalFile
from custody.store import RecordingStore

LIBRARY = web.AppKey("recordings", Library)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Open the store, where one is configured."""
    settings = app[SERVICES].settings.recordings
    if settings is not None:
        app[LIBRARY] = _open(settings)
    yield


def _open(settings: Recordings) -> Library:
    try:
        provider = LocalFile.load(settings.provider_file)
    except KeyFileError as error:
        raise SettingsError(str(error)) from error
    return Library(
        RecordingStore.open(settings.store),
        Keyring(settings.keyring),
        providers={settings.provider: provider},
        recorders={name: base64.b64decode(public) for name, public in settings.recorders.items()},
    )
