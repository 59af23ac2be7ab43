"""At which other site's store each recording of this site's store is, as far as is known here.

A file in the spool to which lines are added; of two of one recording, or of one site, the last
counts:

    TENANT/RECORDING RECORDER SITE STORE SAMPLES      a copy is, or was, in this store of a site
    SITE STORE                                        which store a site has now
    gone TENANT/RECORDING                             it is here no more

A copy counts as long as its site has that store. Whoever loses this file loses nothing else: all is
asked for again, and sent where it is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from custody.disk import write_whole
from state.discreet import fault

_SPARE: Final = 1_000
"""So many lines more than twice what they say, and the file is written anew."""
_OF_A_COPY: Final = 5
_OF_A_STORE: Final = 2

log = structlog.get_logger()


class Copy(Struct, frozen=True, kw_only=True, gc=False):
    """Where another copy of a recording is."""

    recorder: str
    """Who has made it."""
    site: str
    store: str
    """Of that site, when the copy was there; empty: an earlier version did not say."""
    samples: int
    """How long it is."""


class Ledger:
    """One site's."""

    def __init__(self, path: Path) -> None:
        """Read the file; what is torn, or of nobody, is passed over."""
        self._path = path
        self.copies: dict[str, Copy] = {}
        """By tenant and recording: `TENANT/RECORDING`."""
        self.stores: dict[str, str] = {}
        """By site."""
        self._lines = 0
        self._meanwhile: list[str] | None = None
        """What is added while the file is being written anew; None: it is not."""
        for line in _lines(path):
            self._read(line.split())
        if self._is_long:
            with _unwritten():
                self._lines = _write_anew(path, self.stores, self.copies)

    def _read(self, words: list[str]) -> None:
        self._lines += 1
        if len(words) == _OF_A_STORE and "/" in words[1]:
            self.copies.pop(words[1], None)
        elif len(words) == _OF_A_STORE:
            self.stores[words[0]] = words[1]
        elif len(words) == _OF_A_COPY and words[4].isdecimal():
            name, recorder, site, store, samples = words
            self.copies[name] = Copy(
                recorder=recorder, site=site, store=store, samples=int(samples)
            )
        elif len(words) == 1 and "/" in words[0]:
            self.copies[words[0]] = Copy(recorder="", site="", store="", samples=0)

    @property
    def _is_long(self) -> bool:
        return self._lines > 2 * len(self.copies) + _SPARE

    async def tidy(self) -> None:
        """Write the file anew if it is long for what it says; what is noted meanwhile stays."""
        if not self._is_long or self._meanwhile is not None:
            return
        self._meanwhile = []
        try:
            with _unwritten():
                # In a thread, as packets do not wait: there may be a million.
                self._lines = await asyncio.to_thread(
                    _write_anew, self._path, dict(self.stores), dict(self.copies)
                )
        finally:
            added, self._meanwhile = self._meanwhile, None
            self._add(*added)  # once more, for the file that has taken the other's place

    def stands(self, copy: Copy) -> bool:
        """Tell whether the site has that store still."""
        return self.stores.get(copy.site) == copy.store

    def learn(self, site: str, store: str) -> None:
        """Take in which store a site has; if it is another than before, it has no copy any more."""
        before = self.stores.get(site)
        if before == store:
            return
        self.stores[site] = store
        self._add(f"{site} {store}")
        if before is not None:
            gone = sum(each.site == site and each.store != store for each in self.copies.values())
            log.error("store_is_another", site=site, recordings=gone, remedy="copied again")

    def note(self, name: str, copy: Copy) -> None:
        """Take in where a copy of `TENANT/RECORDING` is."""
        if self.copies.get(name) != copy:
            self.copies[name] = copy
            self._add(_told(name, copy))

    def forget(self, names: Iterable[str]) -> None:
        """Forget recordings that are not here any more."""
        known = [each for each in names if self.copies.pop(each, None) is not None]
        self._add(*(f"gone {each}" for each in known))

    def _add(self, *lines: str) -> None:
        with _unwritten(), self._path.open("a") as file:
            file.write("".join(f"{each}\n" for each in lines))
        self._lines += len(lines)
        if self._meanwhile is not None:
            self._meanwhile += lines


@contextlib.contextmanager
def _unwritten() -> Iterator[None]:
    """Go on where the disk takes nothing: the next life asks and sends again, for nothing."""
    try:
        yield
    except OSError as error:
        log.warning("copy_not_noted", **fault(error))


def _write_anew(path: Path, stores: Mapping[str, str], copies: Mapping[str, Copy]) -> int:
    """Write what there is, and nothing of what was; return how many lines that took."""
    whole = [" ".join(each) for each in stores.items()]
    whole += [_told(*each) for each in copies.items()]
    write_whole(path, "".join(f"{each}\n" for each in whole).encode())
    return len(whole)


def _told(name: str, copy: Copy) -> str:
    if not copy.store:
        return name
    return f"{name} {copy.recorder} {copy.site} {copy.store} {copy.samples}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
