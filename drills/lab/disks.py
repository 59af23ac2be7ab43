"""Disks in trouble: one that is full (a tmpfs, as large as what is on it), one that is gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from drills.lab.errors import NetworkError, ProcessError
from drills.lab.network import run_tool


class FullDisk:
    """Lies over a folder with all that was in it. Nobody may write there as it comes or goes.

    That takes a moment, if it was brought before: who has to stand still meanwhile does nothing
    else, and a recording that should begin begins late. One thread may take it away while another
    is still bringing or laying it: it goes when it has come.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._disk = folder.with_name(f"{folder.name}.disk")
        self._one_at_a_time = threading.Lock()
        self._is_given_up = False
        self._is_made = self._is_mounted = self._is_over = self._is_to_copy = False
        """What there is of it, and what has to be done yet before it goes."""

    def bring(self) -> None:
        """Bring it, with what is in the folder now, and lay it nowhere; people may write there.

        ProcessError when that cannot be; take away what there is.
        """
        self._do(self._bring)

    def lay(self) -> None:
        """Lay it over the folder. ProcessError when that cannot be; take away what there is."""
        self._do(self._lay)

    def _do(self, step: Callable[[], None]) -> None:
        with self._one_at_a_time:
            if self._is_given_up:
                raise ProcessError(f"{self._folder} was not put on a full disk: it was given up")
            try:
                step()
            except (OSError, NetworkError) as error:
                why = f"{self._folder} cannot be put on a full disk: {error}"
                raise ProcessError(why) from error

    def _bring(self) -> None:
        self._disk.mkdir(mode=0o700)
        self._is_made = True
        run_tool(("mount", "-t", "tmpfs", "-o", "size=1g,mode=0700", "tmpfs", str(self._disk)))
        self._is_mounted = True
        mirror(self._folder, self._disk)

    def _lay(self) -> None:
        if not self._is_mounted:
            self._bring()
        mirror(self._folder, self._disk)
        used = os.statvfs(self._disk)
        kilobytes = max(4, (used.f_blocks - used.f_bfree) * used.f_frsize // 1024)
        run_tool(("mount", "-o", f"remount,size={kilobytes}k", str(self._disk)))
        run_tool(("mount", "--bind", str(self._disk), str(self._folder)))
        self._is_over = True

    def take_away(self) -> None:
        """Give the folder back, with what is on the disk by now, and lay it no more.

        ProcessError when that cannot be; asked again, it goes on where it was.
        """
        with self._one_at_a_time:
            self._is_given_up = True
            try:
                self._take_away()
            except (OSError, NetworkError) as error:
                raise ProcessError(f"{self._folder} is still on a full disk: {error}") from error

    def _take_away(self) -> None:
        if self._is_over:
            run_tool(("umount", str(self._folder)))
            self._is_over, self._is_to_copy = False, True
        if self._is_to_copy:
            mirror(self._disk, self._folder)
            self._is_to_copy = False
        if self._is_mounted:
            run_tool(("umount", str(self._disk)))
            self._is_mounted = False
        if self._is_made:
            self._disk.rmdir()
            self._is_made = False


def mirror(source: Path, target: Path) -> None:
    """Let a folder be as another one is; files of the same size and time are left alone.

    OSError when that cannot be. What somebody takes away meanwhile is passed over, and may be left
    in the other one: another time sees to that, and to files that were changed since.
    """
    target.mkdir(mode=0o700, exist_ok=True)
    shutil.copymode(source, target)
    there = {path.name: path for path in target.iterdir()}
    for path in source.iterdir():
        copy = there.pop(path.name, target / path.name)
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                mirror(path, copy)
            else:
                _copy_if_other(path, copy)
    for path in there.values():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _copy_if_other(source: Path, target: Path) -> None:
    is_ = source.stat()
    if target.exists():
        was = target.stat()
        if (is_.st_size, is_.st_mtime_ns) == (was.st_size, was.st_mtime_ns):
            return
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
    # As it was before it was read: what is written meanwhile is newer.
    os.utime(target, ns=(is_.st_atime_ns, is_.st_mtime_ns))


class Away:
    """A file or a folder that can be taken away, with a file in its place: none is made anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._away = path.with_name(f"{path.name}.away")
        self._is_taken = False

    def take(self) -> None:
        """Take it. ProcessError when it cannot be taken; bring back what was."""
        try:
            if self._away.exists():  # and what is there now stands in its place
                raise FileExistsError(f"{self._away} is there already")
            self._path.rename(self._away)
            self._is_taken = True
            self._path.touch()
        except OSError as error:
            raise ProcessError(f"{self._path.name} cannot be taken away: {error}") from error

    def bring_back(self) -> None:
        """Bring it back, if it was taken."""
        if self._is_taken:
            self._path.unlink(missing_ok=True)
            self._away.rename(self._path)
            self._is_taken = False
