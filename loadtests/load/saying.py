"""What a load says to whoever asked for it: on standard output, one JSON object a line."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import msgspec

ALIVE_S: Final = 5.0
"""So often it says that it lives: comparing and waiting tell nothing else for a minute."""


def tell(event: str, **fields: object) -> None:
    """Say something."""
    sys.stdout.buffer.write(msgspec.json.encode({"event": event, **fields}) + b"\n")
    sys.stdout.buffer.flush()


async def tell_that_it_lives() -> None:
    """Say `alive` again and again until cancelled."""
    while True:
        tell("alive")
        await asyncio.sleep(ALIVE_S)
