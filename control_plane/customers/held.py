"""What else is held of a customer: other features say it here, for access and for erasure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

Entries = tuple[dict[str, str], ...]
Held = Callable[[AsyncConnection, str, str], Awaitable[Entries]]
"""Takes the transaction, the tenant and the customer."""
HELD = web.AppKey("held", dict[str, Held])
"""By name. What is told here has to go with the customer's row (ON DELETE CASCADE)."""


class Leaving(Struct, frozen=True, kw_only=True):
    """Somebody who is being erased."""

    tenant: str
    customer: str
    numbers: tuple[str, ...]
    """Those that they share with nobody else."""
    detail: str
    """Who has asked for it, and who has approved."""
    now_ms: int

    def __repr__(self) -> str:
        """Say nothing of their numbers."""
        return f"Leaving({self.customer})"


class Clearing(Protocol):
    """Another feature's part in an erasure."""

    async def is_held(self, connection: AsyncConnection, leaving: Leaving) -> bool:
        """Tell whether something of theirs has to be kept, so that they cannot be erased."""
        ...

    async def clear(
        self, connection: AsyncConnection, store: AsyncConnection, leaving: Leaving
    ) -> None:
        """Destroy what there is, for ever; the customer's rows are still there.

        `store` is the key store's transaction: what is destroyed there goes with all of the
        erasure, or not at all.
        """
        ...


CLEARINGS = web.AppKey("clearings", list[Clearing])
