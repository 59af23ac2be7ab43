"""For tests of what does not depend on the database: SQLite alone.

Import `database_url` from here into the test's module.
"""

from __future__ import annotations

import pytest

from tests.control_plane.databases import SQLITE, begun


@pytest.fixture(params=SQLITE)
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database that holds its first administrator, and else nothing."""
    return begun(request)
