"""How busy the machine of a lab is: a drill that measures seconds needs one that has time."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.1
LOOKS: Final = 50
"""So many looks are made one of: five seconds."""
_LOAD: Final = Path("/proc/loadavg")


class Machine:
    """The machine that this runs on, looked at for as long as `run` runs."""

    def __init__(self, source: Path = _LOAD, cores: int | None = None) -> None:
        self._source = source
        self._cores = cores or os.cpu_count() or 1
        self._seen: deque[int] = deque(maxlen=LOOKS)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Count who runs or waits for a processor, but for whoever counts."""
        runnable, _, _ = self._source.read_text().split()[3].partition("/")
        self._seen.append(int(runnable) - 1)

    def measure(self) -> Mapping[str, float]:
        """Return how many run or want to, for each core; nothing while nobody has looked."""
        if not self._seen:
            return {}
        return {"runnable_per_core": sum(self._seen) / len(self._seen) / self._cores}
