"""What the figures were measured on: without it they say little."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

_VERSIONS: Final = {
    "kamailio": (("kamailio", "-v"), r"kamailio ([0-9.]+)"),
    "rtpengine": (("rtpengine", "--version"), r"([0-9]+(?:\.[0-9]+)+)"),
    "etcd": (("etcd", "--version"), r"etcd Version: ([0-9.]+)"),
    "sipp": (("sipp", "-v"), r"SIPp v([0-9.]+)"),
}


@cache
def machine() -> dict[str, str]:
    """Return the processor, the kernel, the load at hand, and the versions of the parts."""
    found = {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load average at the end": f"{os.getloadavg()[0]:.1f}",
    }
    for name, (command, pattern) in _VERSIONS.items():
        found[name] = _version(command, pattern)
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(command: tuple[str, ...], pattern: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)  # noqa: S603 - names of ours
    except OSError:
        return "not installed"
    except subprocess.TimeoutExpired:
        return "unknown: it did not say within 5 s"
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
