"""Looks at things beside the people, as long as they are there, and tells whose looks broke off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any


@contextlib.asynccontextmanager
async def watched(looks: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator[list[str]]:
    """Look while the block lasts; after it the list says at what nobody had looked to the end.

    `looks`: by what is looked at; each would go on for ever.
    """
    broken: list[str] = []
    tasks = {what: asyncio.create_task(look) for what, look in looks.items()}
    try:
        yield broken
    finally:
        for task in tasks.values():
            task.cancel()
        ends = await asyncio.gather(*tasks.values(), return_exceptions=True)
        broken += [
            f"nobody looked at {what} to the end: {type(end).__name__}: {end}"
            for what, end in zip(tasks, ends, strict=True)
            if isinstance(end, Exception)
        ]
