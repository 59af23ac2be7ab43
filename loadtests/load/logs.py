"""What the programs of a center log while it is loaded: their files, from here on."""

from __future__ import annotations

from pathlib import Path


class Logs:
    """The files of a folder, as long as they were when this was made, or not there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._from = {file: file.stat().st_size for file in folder.glob("*.log")}

    def read(self) -> dict[str, list[bytes]]:
        """Return, by program, the lines that have been added since."""
        return {file.stem: self._added(file) for file in sorted(self._folder.glob("*.log"))}

    def _added(self, file: Path) -> list[bytes]:
        with file.open("rb") as log:
            log.seek(self._from.get(file, 0))
            return log.read().splitlines()
