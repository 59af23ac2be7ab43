"""What the programs of a center log while it is loaded: their files, from here on.

The lab keeps logs short under their writers' hands: it cuts off the older half of one that has
grown. So they are read again and again, and of each the bytes before the place are remembered:
where they stand elsewhere or no more, the log was cut.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from loadtests.load.complaints import may_complain

LOOK_S: Final = 5.0
"""A program would have to write eight megabytes meanwhile for lines to be lost."""
MOMENT_S: Final = 0.5
"""A log that is just being cut is whole again after it."""
_MARK_BYTES: Final = 512
_LONGEST_LINE: Final = 1 << 16
"""So much of a log's end holds a whole line."""


class _Place(Struct):
    """How far a log has been read."""

    offset: int = 0
    mark: bytes = b""
    """What stands before it."""
    is_doubtful: bool = False
    """The mark was not found: it may just be being cut."""


class Logs:
    """The files of a folder, as long as they were when this was made, or not there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = {file: _end_of(file) for file in folder.glob("*.log")}
        self.errors: dict[str, list[bytes]] = {}
        """By program: the lines that may tell of an error."""
        self.cut: Counter[str] = Counter()
        """Programs of whose logs lines were lost, and how often."""

    async def follow(self) -> None:
        """Read on and on until cancelled."""
        while True:
            await asyncio.to_thread(self.read)
            await asyncio.sleep(LOOK_S)

    async def read_to_the_end(self) -> None:
        """Read what there is, once no log is being cut."""
        await asyncio.to_thread(self.read)
        if any(place.is_doubtful for place in self._places.values()):
            await asyncio.sleep(MOMENT_S)
            await asyncio.to_thread(self.read)

    def read(self) -> None:
        """Read what was added since."""
        for file in sorted(self._folder.glob("*.log")):
            place = self._places.setdefault(file, _Place())
            try:
                with file.open("rb") as log:
                    lines = self._added(log, place, file.stem).splitlines()
            except FileNotFoundError:
                continue  # it was taken away this moment
            self.errors.setdefault(file.stem, []).extend(filter(may_complain, lines))

    def _added(self, log: BinaryIO, place: _Place, program: str) -> bytes:
        """Return the whole lines after the place, and put it behind them."""
        log.seek(place.offset - len(place.mark))
        if log.read(len(place.mark)) != place.mark and not self._found_again(log, place, program):
            return b""
        log.seek(place.offset)
        added = log.read()
        added = added[: added.rfind(b"\n") + 1]
        place.offset += len(added)
        place.mark = (place.mark + added)[-_MARK_BYTES:]
        return added

    def _found_again(self, log: BinaryIO, place: _Place, program: str) -> bool:
        """Put the place where its mark stands now, or at the beginning; False: look again later."""
        log.seek(0)
        at = log.read().rfind(place.mark)
        if at < 0 and not place.is_doubtful:
            place.is_doubtful = True
            return False
        place.is_doubtful = False
        if at >= 0:
            place.offset = at + len(place.mark)
        else:
            self.cut[program] += 1
            place.offset, place.mark = 0, b""
        return True


def _end_of(file: Path) -> _Place:
    with file.open("rb") as log:
        begins = max(0, log.seek(0, os.SEEK_END) - _LONGEST_LINE)
        log.seek(begins)
        text = log.read()
    whole = text[: text.rfind(b"\n") + 1]
    return _Place(offset=begins + len(whole), mark=whole[-_MARK_BYTES:])
