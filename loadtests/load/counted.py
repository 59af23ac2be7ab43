"""SIPp's calls as rows of Locust's tables, read from its two files as they grow.

How long each answer took stands in the one (`-trace_rtt`), how many calls failed in the other
(`-trace_stat`). Decides nothing about when somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadtests.load.sums import Sums, sums, times_ms
from loadtests.load.telling import SIP, Row

NAME: Final = "set-up, SIPp"
_TIMES: Final = "*_rtt.csv"
"""SIPp calls it by its scenario and its process."""


class Counted:
    """What has come since it was looked at last."""

    def __init__(self, statistics: Path) -> None:
        """`statistics`: where SIPp writes its sums; the times come beside it."""
        self._statistics = statistics
        self._seen = Sums()
        self._read: dict[Path, int] = {}
        """How many bytes of each file of times."""

    def new(self) -> Iterator[Row]:
        """Yield each answer with the time that it took, and each failure, of which none is told."""
        for file in sorted(self._statistics.parent.glob(_TIMES)):
            for took_ms in times_ms(self._new_lines(file)):
                yield Row(kind=SIP, name=NAME, value_ms=took_ms)
        text = self._statistics.read_text(errors="replace") if self._statistics.exists() else ""
        now = sums(text)
        for _ in range(now.failed - self._seen.failed):
            yield Row(kind=SIP, name=NAME, value_ms=None, fault="failed")
        self._seen = now

    def _new_lines(self, file: Path) -> str:
        """Return the whole lines that were added."""
        with file.open("rb") as content:
            content.seek(self._read.get(file, 0))
            added = content.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._read[file] = self._read.get(file, 0) + len(whole)
        return whole.decode(errors="replace")
