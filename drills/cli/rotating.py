"""Rotates the key provider of a control plane on this host, by its settings file."""

from __future__ import annotations

from pathlib import Path

from control_plane import settings
from control_plane.errors import SettingsError
from control_plane.recording_keys.provider import open_provider
from custody import rotation
from custody.errors import CustodyError
from custody.findings import Rotation
from custody.keyring import Keyring
from drills.cli.errors import CommandError, Exit


def rotating_here(config: Path, *, is_to_begin: bool) -> Rotation:
    """Return how far the rotation is, after beginning it if asked to. Raise `CommandError`."""
    try:
        made = settings.load(config).recordings
        if made is None:
            raise CommandError(f"{config}: no recordings are served here", Exit.FAILED)
        provider = open_provider(made)
        if is_to_begin:
            provider.begin_rotation()
        return rotation.look(made.provider, provider, Keyring(made.keyring))
    except (SettingsError, CustodyError, OSError) as error:
        raise CommandError(str(error), Exit.FAILED) from error
