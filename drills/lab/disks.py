"""Disks in trouble: one that is full (a tmpfs, as large as what is on it), one that is gone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from drills.lab.errors import NetworkError, ProcessError
from drills.lab.network import run_tool


class FullDisk:
    """Lies over a folder with all that was in it. Nobody may write there as it comes or goes."""

    def __init__(self, folder: Path) -> None:
        """Lay it over a folder. ProcessError when that cannot be."""
        self._folder = folder
        self._disk = folder.with_name(f"{folder.name}.disk")
        try:
            self._disk.mkdir(mode=0o700)
            run_tool(("mount", "-t", "tmpfs", "-o", "size=1g,mode=0700", "tmpfs", str(self._disk)))
            shutil.copytree(folder, self._disk, dirs_exist_ok=True)
            used = os.statvfs(self._disk)
            kilobytes = max(4, (used.f_blocks - used.f_bfree) * used.f_frsize // 1024)
            run_tool(("mount", "-o", f"remount,size={kilobytes}k", str(self._disk)))
            run_tool(("mount", "--bind", str(self._disk), str(folder)))
        except (OSError, NetworkError) as error:
            raise ProcessError(f"{folder} cannot be put on a full disk: {error}") from error

    def take_away(self) -> None:
        """Give the folder back, with what is on the disk by now."""
        try:
            run_tool(("umount", str(self._folder)))
            shutil.copytree(self._disk, self._folder, dirs_exist_ok=True)
            run_tool(("umount", str(self._disk)))
            self._disk.rmdir()
        except (OSError, NetworkError) as error:
            raise ProcessError(f"{self._folder} is still on a full disk: {error}") from error


def take_away(path: Path) -> Callable[[], None]:
    """Take a file or a folder away, and put a file in its place: it cannot be made anew.

    Return what brings it back. ProcessError when it cannot be taken.
    """
    away = path.with_name(f"{path.name}.away")
    try:
        path.rename(away)
        path.touch()
    except OSError as error:
        raise ProcessError(f"{path.name} cannot be taken away: {error}") from error

    def bring_back() -> None:
        path.unlink()
        away.rename(path)

    return bring_back
