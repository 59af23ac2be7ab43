"""A control plane with a key store, on both databases."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.control_plane.center import Center, running, settings
from tests.control_plane.customers.stage import key_settings


@pytest.fixture
async def center(database_url: str) -> AsyncIterator[Center]:
    """Serve on an empty database."""
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = settings(folder, database_url, **key_settings(folder))
        async with running(made) as center:
            yield center
