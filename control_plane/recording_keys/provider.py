"""Opens the key provider that the settings name: a local file, or a PKCS#11 token."""

from __future__ import annotations

from control_plane.errors import SettingsError
from control_plane.settings import Recordings
from custody.errors import CustodyError
from custody.providers import LocalFile, WrappingProvider
from custody.token import Token


def open_provider(settings: Recordings) -> WrappingProvider:
    """Return this site's provider. Raise `SettingsError`."""
    try:
        if settings.provider_file is not None:
            return LocalFile.load(settings.provider_file)
        token = settings.provider_token
        if token is None:
            raise SettingsError("recordings: either provider_file or provider_token is needed")
        return Token.load(token.module, token.label, token.pin_file)
    except CustodyError as error:
        raise SettingsError(str(error)) from error
