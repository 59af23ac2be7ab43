"""The locked Python environment in .venv: built from requirements.lock, and from nothing else.

A stamp in it, written last, holds a digest of all it was made from. No stamp, or another digest:
the environment is half built or out of date, and is built anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from drills.setup import say
from drills.setup.errors import SetupError, not_writable

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
SDISTS = frozenset({"sippy"})
"""No wheel exists; pure Python, built here by the locked setuptools without any download."""
LOG_LINES_SHOWN = 8

REQUIREMENT = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.IGNORECASE)
COLLECTING = re.compile(r"^Collecting ([A-Za-z0-9._-]+)")


class Environment(NamedTuple):
    """A virtual environment and the lock it is made from."""

    root: Path = ROOT

    @property
    def home(self) -> Path:
        """Where it stands."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / "bin" / "python"

    @property
    def lock(self) -> Path:
        """What it is made from."""
        return self.root / "requirements.lock"

    @property
    def stamp(self) -> Path:
        """The file that says it is whole."""
        return self.home / "everline.stamp"

    def digest(self) -> str:
        """Digest what the environment depends on: lock, interpreter, and place (it cannot move)."""
        recipe = hashlib.sha256(self.lock.read_bytes())
        recipe.update(f"\n1 {sys.version} {self.root}".encode())
        return recipe.hexdigest()

    def is_ready(self) -> bool:
        """Whether it is whole and made from today's lock."""
        try:
            return self.stamp.read_text().strip() == self.digest()
        except FileNotFoundError:
            return False


class Split(NamedTuple):
    """A lock cut in two, for pip: what comes as wheels, and what is built here."""

    wheels: str
    sdists: str
    total: int


def split(lock: str) -> Split:
    """Cut the lock by `SDISTS`. A requirement's hashes are the indented lines that follow it."""
    parts: dict[bool, list[str]] = {False: [], True: []}
    current = False
    count = 0
    for line in lock.splitlines(keepends=True):
        if found := REQUIREMENT.match(line):
            current = found[1].lower() in SDISTS
            count += 1
        parts[current].append(line)
    return Split("".join(parts[False]), "".join(parts[True]), count)


def ensure_environment() -> None:
    """Build the environment unless it is ready. The caller holds the set-up's lock."""
    environment = Environment()
    if environment.is_ready():
        return
    cut = split(environment.lock.read_text())
    with say.Step(f"Python environment, {cut.total} packages") as step:
        try:
            _build(environment, cut, step)
        except PermissionError as error:
            raise not_writable(error) from error


def _build(environment: Environment, cut: Split, step: say.Step) -> None:
    home = environment.home
    if home.is_symlink():
        raise SetupError(f"{home} is a symbolic link; Everline wants to build it: remove the link")
    if home.exists():
        shutil.rmtree(home)
    step.show(0.0, "venv")
    log = environment.root / ".everline" / "setup" / "pip.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    _run([PYTHON, "-m", "venv", str(home)], log, "python3 -m venv")

    pip = [
        *(str(environment.python), "-m", "pip", "install", "--no-deps", "--require-hashes"),
        *("--no-input", "--progress-bar=off", "--disable-pip-version-check"),
    ]
    wheels, sdists = home / "wheels.txt", home / "sdists.txt"
    wheels.write_text(cut.wheels)
    sdists.write_text(cut.sdists)
    _pip([*pip, "--only-binary=:all:", "-r", str(wheels)], log, step, cut.total)
    if cut.sdists:
        step.show(0.95, ", ".join(sorted(SDISTS)))
        _pip([*pip, "--no-build-isolation", "--no-binary=:all:", "-r", str(sdists)], log, step, 0)

    # `python -m edge` and friends work from any directory.
    libraries = next((home / "lib").glob("python3.*")) / "site-packages"
    (libraries / "everline.pth").write_text(f"{environment.root}\n")
    environment.stamp.write_text(environment.digest() + "\n")


def _pip(command: list[str], log: Path, step: say.Step, count: int) -> None:
    """Run pip; of the time, about two thirds go into fetching and one third into unpacking."""
    seen = 0
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        child = subprocess.Popen(
            command,
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            for line in child.stdout or ():
                file.write(line)
                if found := COLLECTING.match(line):
                    seen += 1
                    step.show(0.65 * seen / max(count, 1), found[1])
                elif line.startswith("Installing collected"):
                    step.show(0.7, "unpacking")
            code = child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if code != 0:
        raise SetupError(
            f"pip could not install what requirements.lock asks for (log: {log}). The first time, "
            f"a package registry has to be reachable:\n{_tail(log)}"
        )


def _run(command: list[str], log: Path, what: str) -> None:
    with log.open("a") as file:
        code = subprocess.run(
            command, check=False, env=_clean_environment(), stdout=file, stderr=file
        ).returncode
    if code != 0:
        raise SetupError(f"{what} failed (log: {log}):\n{_tail(log)}")


def _clean_environment() -> dict[str, str]:
    """Return our environment without what would send pip's work elsewhere."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "PIP_USER": "0"}


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return "\n".join(f"  {line}" for line in errors[-LOG_LINES_SHOWN:])
