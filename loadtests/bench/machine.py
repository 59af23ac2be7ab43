"""What the figures were measured on: without it they say little."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

_SAYS_WITHIN_S: Final = 5.0
_VERSIONS: Final = {
    "kamailio": (("kamailio", "-v"), r"kamailio ([0-9.]+)"),
    "rtpengine": (("rtpengine", "--version"), r"([0-9]+(?:\.[0-9]+)+)"),
    "etcd": (("etcd", "--version"), r"etcd Version: ([0-9.]+)"),
    "sipp": (("sipp", "-v"), r"SIPp v([0-9.]+)"),
}


PROJECT: Final = Path(__file__).parents[2]


def machine(when: str) -> dict[str, str]:
    """Return the processor, the kernel, the load average, the versions of the parts and of us.

    `when` the load is taken ("before", "at the end") is a part of its name.
    """
    return {**_lasting(), f"load average {when}": f"{os.getloadavg()[0]:.1f}"}


@cache
def _lasting() -> dict[str, str]:
    """Return what stays as it is for as long as we run."""
    return {
        "everline": revision(PROJECT),
        "processor": f"{os.cpu_count()} x {_processor()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
    } | {name: _version(command, pattern) for name, (command, pattern) in _VERSIONS.items()}


def revision(project: Path) -> str:
    """Return which code a project's folder holds: its commit; without one, its version."""
    if (project / ".git").exists():
        # In namespaces of our own the folder may seem to be somebody else's.
        git = ("git", "-c", "safe.directory=*", "-C", str(project))
        command = (*git, "describe", "--always", "--dirty", "--tags", "--abbrev=12")
        with contextlib.suppress(subprocess.TimeoutExpired):
            if (found := _said(command)) and found[0]:
                return found[0].strip()
    return str(tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(command: tuple[str, ...], pattern: str) -> str:
    try:
        said = _said(command)
    except subprocess.TimeoutExpired:
        return f"unknown: it did not say within {_SAYS_WITHIN_S:g} s"
    if said is None:
        return "not installed"
    found = re.search(pattern, "".join(said))
    return found[1] if found else "unknown"


def _said(command: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what a program says on standard output and error; None: it is not there."""
    try:
        done = subprocess.run(  # noqa: S603 - names of ours
            command, capture_output=True, text=True, check=False, timeout=_SAYS_WITHIN_S
        )
    except OSError:
        return None
    return done.stdout, done.stderr
