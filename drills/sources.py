"""Which version of the code a measurement is of: a digest of its sources, as they lie here."""

from __future__ import annotations

import hashlib
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
