"""Gets the missing Debian packages installed, by ourselves if root, else through sudo.

What is under way is written down first (`Journal`), so that a run after an interrupted one still
knows whose services it has to take out of the boot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from drills.setup import packages, say
from drills.setup.apt import Apt
from drills.setup.errors import SetupError, stop_politely
from drills.setup.services import disable, restore, services_held_back

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".everline" / "setup"


class Journal:
    """The names of the packages that a set-up has begun to install; gone when it is through."""

    def __init__(self, path: Path = STATE / "installing") -> None:
        self.path = path

    def read(self) -> list[str]:
        """Return what an interrupted run had begun; nothing if none was."""
        try:
            return self.path.read_text().split()
        except FileNotFoundError:
            return []

    def write(self, names: Iterable[str]) -> None:
        """Note the names before the first of them is touched."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(names) + "\n")

    def clear(self) -> None:
        """Forget them: they are installed and their services are out of the boot."""
        self.path.unlink(missing_ok=True)


def apt_command(names: Iterable[str]) -> str:
    """Return what a person types who has to do it by hand."""
    return f"apt-get install --no-install-recommends {' '.join(names)}"


def ensure_packages() -> None:
    """Install whatever of the list is missing; return at once if nothing is.

    SetupError says what a person has to do.
    """
    journal = Journal()
    names = list(dict.fromkeys([*journal.read(), *packages.missing()]))
    if not names:
        return
    if not shutil.which("apt-get"):
        raise SetupError(f"no apt-get here: Everline needs Debian 12 with {' '.join(names)}")
    command = _as_root(names)
    journal.write(names)
    if command is None:
        install(names)
    elif subprocess.run(command, check=False).returncode != 0:
        raise SetupError(f"installing {' '.join(names)} through sudo failed; see above")
    if still := packages.missing():
        raise SetupError(f"apt-get said yes, yet these are not installed: {' '.join(still)}")
    journal.clear()


def _as_root(names: list[str]) -> list[str] | None:
    """Return how to become root for the installation: None if we are, else a sudo command."""
    if os.geteuid() == 0:
        return None
    if not shutil.which("sudo"):
        raise SetupError(
            f"missing: {' '.join(names)}; neither root nor sudo here. As root, run: "
            f"{ROOT}/everline setup    (or: {apt_command(names)})"
        )
    asking = [] if sys.stdin.isatty() else ["--non-interactive"]
    say.note(f"installing {len(names)} Debian packages needs root: asking sudo")
    module = "drills.setup.debian"
    return [
        *("sudo", *asking, "env", f"PYTHONPATH={ROOT}", "/usr/bin/python3", "-P", "-m", module),
        *names,
    ]


def install(names: list[str]) -> None:
    """Install as root: no service of theirs is started or enabled; others are left alone."""
    STATE.mkdir(parents=True, exist_ok=True)
    with say.Step(f"{len(names)} Debian packages") as step, services_held_back() as environment:
        try:
            Apt(STATE / "apt.log", environment, step).install(names)
        finally:
            for name in names:
                disable(name)


def main(names: list[str]) -> int:
    """Be the part that runs under sudo."""
    stop_politely()
    known = {package.name for package in packages.PACKAGES}
    if strange := [name for name in names if name not in known]:
        say.note(f"not on the list of packages: {' '.join(strange)}")
        return 2
    try:
        install(names)
    except SetupError as error:
        say.note(str(error))
        return 1
    return 0


def clean_up() -> None:
    """Take away the service policy that a killed set-up may have left, if we may."""
    if os.geteuid() == 0:
        restore()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
