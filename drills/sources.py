"""Which code a measurement is of, by a digest of its sources as they lie here; on which machine."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import Final

from drills.setup.pyenv import ROOT

PRODUCT: Final = ("control_plane", "custody", "edge", "policies", "state")
"""All that runs at a site and is ours."""
_SUFFIXES: Final = frozenset({".py", ".cfg", ".csv", ".conf", ".js", ".html"})


def digest(*parts: str) -> str:
    """Return what tells one version of some packages from another, in twelve digits."""
    found = hashlib.sha256()
    for part in parts:
        for file in sorted((ROOT / part).rglob("*")):
            if file.suffix in _SUFFIXES and file.is_file():
                found.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:12]


def machine() -> str:
    """Return how many processors of which kind there are here: `2 x Some CPU @ 3 GHz`."""
    return f"{os.cpu_count()} x {_processor(Path('/proc/cpuinfo').read_text())}"


def _processor(cpuinfo: str) -> str:
    """Return the processors' name; of a kind that has none there, its architecture."""
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == "model name":
            return value.strip()
    return platform.machine()
