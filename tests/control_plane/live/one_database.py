"""For tests of what does not depend on the database: SQLite alone.

Import `database_url` from here into the test's module.
"""

from __future__ import annotations

import pytest


@pytest.fixture
def database_url(begun_file: str) -> str:
    """Return the URL of a database that holds its first administrator, and else nothing."""
    return begun_file
