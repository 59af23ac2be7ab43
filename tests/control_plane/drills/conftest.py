"""Drills' permits on SQLite alone: their SQL is that of approvals."""

from __future__ import annotations

import pytest


@pytest.fixture
def database_url(begun_file: str) -> str:
    """Return the URL of a SQLite database that holds its first administrator."""
    return begun_file
