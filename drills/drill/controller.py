"""`python -m drills.drill.controller SOCKET`: makes the faults that it reads, then stands there.

The process that a drill kills to show that faults end without whoever made them.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from drills.fault import Fault
from drills.faults import FaultClient


async def control(socket: Path, faults: list[Fault]) -> None:
    """Make them, and wait to be killed."""
    client = FaultClient(socket)
    for fault in faults:
        await client.make(fault)
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[Fault])
    asyncio.run(control(Path(sys.argv[1]), given))
