"""Where the recordings are that callers hear."""

from __future__ import annotations

from pathlib import Path


class Prompts:
    """The files of one folder, by name. A call asks for two or three: each path is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}

    def path(self, name: str) -> Path:
        """Return the file of a recording, which may not be there. Names are a configuration's."""
        known = self._paths.get(name)
        if known is None:
            known = self._paths[name] = self._folder / f"{name}.wav"
        return known
