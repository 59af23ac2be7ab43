"""A database that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.errors import DatabaseUnavailableError


@asynccontextmanager
async def away() -> AsyncIterator[AsyncConnection]:
    """Fail as a database does that cannot be reached."""
    raise DatabaseUnavailableError
    yield  # type: ignore[unreachable]
