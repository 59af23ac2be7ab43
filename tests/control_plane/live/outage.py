"""A database that is away, and a shared state that does what it is asked and is not heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.errors import DatabaseUnavailableError
from state.errors import OutcomeUnknownError
from state.store import Store


@asynccontextmanager
async def away() -> AsyncIterator[AsyncConnection]:
    """Fail as a database does that cannot be reached."""
    raise DatabaseUnavailableError
    yield  # type: ignore[unreachable]


def unheard(store: Store) -> Callable[..., Awaitable[object]]:
    """Return a `txn` whose answers are lost on their way."""
    asking: Callable[..., Awaitable[object]] = store.txn

    async def txn(*words: object) -> object:
        await asking(*words)
        raise OutcomeUnknownError("the answer did not come")

    return txn
