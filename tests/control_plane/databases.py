"""On which databases tests of a control plane run."""

from __future__ import annotations

import os
from typing import Final

import pytest

from tests.control_plane.postgresql import Server

BOTH: Final = ("sqlite", pytest.param("postgresql", marks=pytest.mark.parts))
SQLITE: Final = BOTH if os.environ.get("EVERLINE_BOTH_DATABASES") else BOTH[:1]
"""For what hardly depends on the database: with `EVERLINE_BOTH_DATABASES=1` also on PostgreSQL."""


def begun(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database of the kind `request.param`, with its first administrator."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("begun_file"))
    server: Server = request.getfixturevalue("postgresql")
    return server.url(server.create(like=request.getfixturevalue("begun_postgresql")))
