"""What the lab's programs hold just now, from /proc: they all live in our PID namespace."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadtests.bench.cpu import memory_kb
from loadtests.load.growth import Round, Sample

_PROC: Final = Path("/proc")
PROGRAMS: Final = {
    "edge": ("-m", "edge"),
    "recorder": ("-m", "edge.recorder"),
    "control_plane": ("-m", "control_plane"),
    "kamailio": ("kamailio",),
    "rtpengine": ("rtpengine",),
    "etcd": ("etcd",),
}
_KB = 1024
MOST_ROUNDS: Final = 6000
"""More than eight hours of them: a day's would be 300 MB."""


def look(at_s: float) -> Round:
    """Return a sample of each process."""
    found: dict[str, dict[int, Sample]] = {}
    for folder in _processes():
        program = _program(folder)
        sample = None if program is None else _sample(at_s, folder)
        if program is not None and sample is not None:
            found.setdefault(program, {})[int(folder.name)] = sample
    return found


async def watch(every_s: float, seen: list[Round]) -> None:
    """Look again and again until cancelled; in a long load more and more rarely."""
    loop = asyncio.get_running_loop()
    while True:
        seen.append(await asyncio.to_thread(look, loop.time()))
        every_s *= thinned(seen)
        await asyncio.sleep(every_s)


def thinned(seen: list[Round]) -> int:
    """Leave every second look out if there are many; return how much further apart they are now.

    All are the same time apart: a life's slope is of as many at its beginning as at its end.
    """
    if len(seen) <= MOST_ROUNDS:
        return 1
    # An odd number: the last one stays.
    del seen[1::2]
    return 2


def _processes() -> Iterator[Path]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            yield entry


def _program(folder: Path) -> str | None:
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    name = os.path.basename(words[0])  # noqa: PTH119 - a word, no path of ours
    if name.startswith("python") and "-m" in words:
        module = tuple(words[words.index("-m") :][:2])
        return next((each for each, marks in PROGRAMS.items() if marks == module), None)
    return name if PROGRAMS.get(name) == (name,) else None


def _sample(at_s: float, folder: Path) -> Sample | None:
    try:
        memory = memory_kb(int(folder.name))
        threads = _field(folder / "status", "Threads:")
        held = [str(each.readlink()) for each in (folder / "fd").iterdir()]
    except (OSError, ValueError):
        return None  # it has ended this moment
    return Sample(
        at_s=at_s,
        memory_mb=memory / _KB,
        descriptors=len(held),
        threads=threads,
        sockets=sum(1 for each in held if each.startswith("socket:")),
    )


def _field(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0
