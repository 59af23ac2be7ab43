"""Approvals on SQLite alone: their SQL is plain, and the same tables are read on both elsewhere."""

from __future__ import annotations

import pytest


@pytest.fixture
def database_url(begun_file: str) -> str:
    """Return the URL of a SQLite database that holds its first administrator."""
    return begun_file
