"""When the database is away: whoever talks to a caller goes on for a time, all else is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.errors import DatabaseUnavailableError
from control_plane.permissions import Role
from control_plane.who import STALE_S
from tests.control_plane.center import Center


async def test_live_calls_go_on_and_sensitive_acts_are_refused(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[AsyncConnection]:
        raise DatabaseUnavailableError
        yield  # type: ignore[unreachable]

    person = await center.person(Role.TENANT_ADMIN)
    assert (await person.get("/v1/me")).status == 200
    monkeypatch.setattr(center.services.database, "read", away)
    center.clock.advance(3)
    assert (await person.get("/v1/me")).status == 200
    refused = await person.get("/v1/users")
    assert (refused.status, refused.error_id) == (503, "unavailable")
    assert (await center.ask("GET", "/ready")).status == 503
    assert (await center.ask("GET", "/health")).status == 200
    center.clock.advance(STALE_S)
    assert (await person.get("/v1/me")).status in (401, 503)
    monkeypatch.undo()
    assert (await center.ask("GET", "/ready")).status == 200
