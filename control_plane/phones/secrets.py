"""The secret by which phones' credentials are issued, read from the file of this site."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from control_plane.errors import SettingsError
from state.phone_credentials import PhoneSecret, read_secrets


def load(path: Path) -> PhoneSecret:
    """Return the secret that issues. Raise `SettingsError`: also where others may read the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                raise SettingsError(f"{path}: others may read it; chmod 600 it")
            return read_secrets(file.read())[0]
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
