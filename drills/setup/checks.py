"""What a machine must have to run Everline: each check looks at one thing and returns a finding.

Checks change nothing that outlives them (what they try, they try in namespaces of their own) and
install nothing.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from drills.lab.enter import Ground, find_ground, what_to_allow
from drills.lab.errors import EnterError
from drills.setup import packages
from drills.setup.pyenv import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
TRY_LIMIT_S = 10.0

FILES_NEEDED = 8192
MEMORY_NEEDED_MIB = 2048
DISK_NEEDED_MIB = 1024
CORES_WANTED = 2
TOO_LARGE = frozenset({"chromium", "postgresql-15"})
"""Packages whose files nobody reads through for a glance."""
DAMAGED = re.compile(r"(?:missing|[?.]{2}5[?.]{6}) +(/\S+)")
"""As `dpkg --verify` says it; `c` stands before a file that people may change."""
MIB = 1024 * 1024


class State(str, Enum):  # noqa: UP042 - its value is what --json prints, on any Python 3
    """How a finding stands."""

    OK = "ok"
    NOTE = "note"
    """Works, and somebody may want to know."""
    MISSING = "missing"


class Finding(NamedTuple):
    """One row of the doctor's table."""

    name: str
    state: State
    found: str
    mend: str = ""
    """The command that mends it, or what to do where no command does."""


def findings() -> Iterator[Finding]:
    """Look at everything, one thing at a time."""
    for check in CHECKS:
        yield from check()


def debian() -> Iterator[Finding]:
    """Look at the distribution."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        lines = []
    pairs = (line.partition("=") for line in lines)
    release = {key: value.strip('"') for key, _, value in pairs}
    text = release.get("PRETTY_NAME", "unknown")
    fits = release.get("ID") == "debian" and release.get("VERSION_ID") == "12"
    if fits:
        yield Finding("system", State.OK, text)
    else:
        yield Finding("system", State.NOTE, text, "Everline is made for Debian 12 (bookworm)")


def debian_packages() -> Iterator[Finding]:
    """Look at each package of the list, and its version."""
    names = [package.name for package in packages.PACKAGES]
    form = "${db:Status-Status} ${Package} ${Version}\n"
    asked = _try("dpkg-query", "-W", "-f", form, *names)
    rows = [line.split() for line in asked.stdout.splitlines()]
    whole = {row[1]: row[2] for row in rows if row[0] == "installed" and len(row) > 2}  # noqa: PLR2004 - status name version
    looked_at = whole.keys() - TOO_LARGE
    is_whole = not looked_at or not _damaged(*looked_at)
    for package in packages.PACKAGES:
        version = whole.get(package.name)
        if version is None:
            yield Finding(package.name, State.MISSING, package.use, "./everline setup")
        elif not is_whole and package.name in looked_at and (damaged := _damaged(package.name)):
            said = f"{damaged} is gone, or is not what the package brought"
            mend = f"as root: apt-get install --reinstall {package.name}"
            yield Finding(package.name, State.MISSING, said, mend)
        else:
            yield Finding(package.name, State.OK, version)


def _damaged(*names: str) -> str:
    """Return the first file that packages cannot do without and that is not as it came."""
    for line in _try("dpkg", "--verify", *names).stdout.splitlines():
        found = DAMAGED.fullmatch(line.rstrip())
        if found and not found[1].startswith("/usr/share/"):
            return found[1]
    return ""


def boot_services() -> Iterator[Finding]:
    """Say which services of our packages start at boot: not by our doing, and not in our way."""
    wants = Path("/etc/systemd/system/multi-user.target.wants")
    ours = ("kamailio", "rtpengine-daemon", "etcd")
    enabled = [name for name in ours if (wants / f"{name}.service").is_symlink()]
    if enabled:
        yield Finding(
            "services",
            State.NOTE,
            f"start at boot: {' '.join(enabled)}",
            f"if you do not use them: systemctl disable {' '.join(enabled)}",
        )
    else:
        yield Finding("services", State.OK, "none of Everline's packages starts at boot")


def python() -> Iterator[Finding]:
    """Look at the interpreter and the locked environment."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding(
        "python", State.OK if fits else State.MISSING, version, "" if fits else "Debian 12"
    )
    environment = Environment()
    if environment.is_ready():
        yield Finding("environment", State.OK, ".venv is what requirements.lock asks for")
    elif environment.stamp.exists():
        yield Finding("environment", State.MISSING, ".venv is out of date", "./everline setup")
    elif environment.home.exists():
        yield Finding("environment", State.MISSING, ".venv is half built", "./everline setup")
    else:
        yield Finding("environment", State.MISSING, "no .venv yet", "./everline setup")


def namespaces() -> Iterator[Finding]:
    """Ask the lab itself on what ground it would stand here."""
    try:
        ground = find_ground()
    except EnterError:
        mend = what_to_allow(Path("/proc/sys"), is_root=os.geteuid() == 0)
        yield Finding("namespaces", State.MISSING, "refused, with root and without", mend)
        return
    how = {Ground.ROOT: "as root", Ground.USER: "as an ordinary user (user namespaces)"}
    yield Finding("namespaces", State.OK, how[ground])
    yield from _links(ground)


def _links(ground: Ground) -> Iterator[Finding]:
    """Try what the WAN is made of: veth, nftables, and netem or TUN for delay."""
    for name, command, mend in (
        ("links", "ip link add e0 type veth peer name e1", "modprobe veth"),
        ("cutting links", "nft add table inet everline", "modprobe nf_tables"),
    ):
        tried = _in_lab(ground, command)
        if tried.returncode == 0:
            yield Finding(name, State.OK, "works in a namespace")
        else:
            yield Finding(name, State.MISSING, _why(tried), mend)
    prio, netem = "root handle 1: prio", "parent 1:2 netem delay 1ms"
    if (
        _in_lab(ground, f"tc qdisc add dev lo {prio} && tc qdisc add dev lo {netem}").returncode
        == 0
    ):
        yield Finding("slow links", State.OK, "netem")
        return
    tried = _in_lab(ground, "ip tuntap add dev e0 mode tun")
    if tried.returncode == 0:
        yield Finding("slow links", State.OK, "TUN relay (this kernel has no netem)")
    else:
        yield Finding(
            "slow links",
            State.NOTE,
            f"no netem, and no TUN: {_why(tried)}; drills with delay will be refused",
            "as root: modprobe sch_netem, or modprobe tun",
        )


def limits() -> Iterator[Finding]:
    """Look at open files, cores, memory, and disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    said = "unlimited" if files == sys.maxsize else str(files)
    yield _enough("open files", files, FILES_NEEDED, said, f"ulimit -Hn {FILES_NEEDED}")

    cores = len(os.sched_getaffinity(0))
    slow = "slow with fewer than 2: calls may miss their times"
    fits = cores >= CORES_WANTED
    yield Finding("cores", State.OK if fits else State.NOTE, str(cores), "" if fits else slow)

    memory = _available_memory_mib()
    need = f"free {MEMORY_NEEDED_MIB} MiB of memory"
    yield _enough("memory", memory, MEMORY_NEEDED_MIB, f"{memory} MiB available", need)

    disk = shutil.disk_usage(ROOT).free // MIB
    need = f"free {DISK_NEEDED_MIB} MiB under {ROOT}"
    yield _enough("disk", disk, DISK_NEEDED_MIB, f"{disk} MiB free under {ROOT}", need)


def clock() -> Iterator[Finding]:
    """Look whether the wall clock can be right: certificates are checked against it."""
    now = time.time()  # noqa: TID251 - the clock itself is what is looked at
    newest = (ROOT / "requirements.lock").stat().st_mtime
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now + 1 >= newest:
        yield Finding("clock", State.OK, said)
    else:
        yield Finding("clock", State.MISSING, f"{said}: before this checkout", "date -s '...'")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    debian,
    python,
    debian_packages,
    boot_services,
    namespaces,
    limits,
    clock,
)


def _enough(name: str, have: int, need: int, said: str, mend: str) -> Finding:
    if have >= need:
        return Finding(name, State.OK, said)
    return Finding(name, State.MISSING, f"{said}, {need} needed", mend)


def _available_memory_mib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def _in_lab(ground: Ground, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in throwaway namespaces like the lab's."""
    user = ["--user", "--map-root-user"] if ground is Ground.USER else []
    wanted = ["--net", "--mount", "--pid", "--fork", "--kill-child"]
    return _try("unshare", *user, *wanted, "sh", "-c", command)


def _try(*command: str) -> subprocess.CompletedProcess[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # an ordinary user's PATH lacks these
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TRY_LIMIT_S,
            env={**os.environ, "PATH": path, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"no {command[0]}")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{command[0]} hangs")


def _why(tried: subprocess.CompletedProcess[str]) -> str:
    lines = tried.stderr.strip().splitlines()
    return lines[-1] if lines else f"failed with {tried.returncode}"
