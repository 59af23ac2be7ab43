"""The telephones of one worker, by host: begun when the first is needed, and anew when they died.

Knows of their programs only that they can end: how they are started is told to it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

LIVES_MOST: Final = 10
"""Of one host's telephones. A program that dies more often than that is broken, and a load that
goes on without it would look at nobody's calls."""


class PhonesError(Exception):
    """There are no telephones. The text says where, and where to look."""


class Phones(Protocol):
    """All telephones of one host, as one program."""

    @property
    def is_over(self) -> bool:
        """Whether the program has ended."""
        ...

    def await_ready(self) -> None:
        """Wait until it takes plans. PhonesError: it does not in time."""
        ...

    def stop(self) -> None:
        """Hang up everywhere and end."""
        ...


P = TypeVar("P", bound=Phones)


class Exchange(Generic[P]):
    """One worker's telephones."""

    def __init__(
        self, worker: int, start: Callable[[str], P], on_restart: Callable[[str], None]
    ) -> None:
        """`start` starts those of a host; `on_restart` hears of the host if they had ended."""
        self._worker = worker
        self._start = start
        self._on_restart = on_restart
        self._open: dict[str, P] = {}
        self._lives: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def at(self, host: str) -> P:
        """Return the telephones of a host. PhonesError: they do not start, or died too often."""
        phones = self._open.get(host)
        if phones is None or phones.is_over:
            phones = self._begin(host)
        phones.await_ready()
        return phones

    def _begin(self, host: str) -> P:
        if self._lives[host] >= LIVES_MOST:
            raise PhonesError(
                f"the telephones at {host} have ended {LIVES_MOST} times: see their log"
            )
        before = self._open.get(host)
        # The new ones first: to stop is to wait, and whoever comes meanwhile starts none again.
        self._open[host] = phones = self._start(host)
        self._lives[host] += 1
        if before is not None:
            before.stop()
            self._on_restart(host)
        return phones

    def number(self) -> str:
        """Return a calling number that no other caller of this load has."""
        return f"1555{8 + self._worker % 2}{self._worker // 2}{next(self._numbers):05d}"

    def everywhere(self) -> tuple[P, ...]:
        """Return the telephones of all hosts."""
        return tuple(self._open.values())
