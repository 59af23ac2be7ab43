"""For tests of what does not depend on the database: SQLite alone.

Import `database_url` from here into the test's module.
"""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    return f"sqlite:///{tmp_path / 'everline.db'}"
