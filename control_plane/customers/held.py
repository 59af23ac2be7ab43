"""What else is held of a customer: other features say it here, for the subject's access."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

Entries = tuple[dict[str, str], ...]
Held = Callable[[AsyncConnection, str, str], Awaitable[Entries]]
"""Takes the transaction, the tenant and the customer."""
HELD = web.AppKey("held", dict[str, Held])
"""By name. What is told here has to go with the customer's row (ON DELETE CASCADE)."""
