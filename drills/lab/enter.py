"""Runs a Python module in namespaces of its own, which die with the launcher.

    launcher            what the person started; stays outside, passes signals and exit status
      `- unshare        new mount, PID, network (and, without root, user) namespaces
           `- init      PID 1: mounts /run and /dev/shm, reaps orphans, watches the lifeline
                `- the module

Three ropes hold the lab to its launcher, so that nothing is left behind whenever it is killed: init
reads a socket (the lifeline) whose other end only the launcher has, and ends when it closes;
`--kill-child` ends init when `unshare` dies; `setpriv --pdeathsig` ends `unshare` when the launcher
dies. When init ends, the kernel kills every process in the PID namespace, and with the last of them
go the mounts and the network namespaces.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from drills.lab.errors import EnterError

INSIDE = "EVERLINE_INSIDE"
"""Environment variable that says, inside, which `Ground` this is."""
RUN_ROOT = Path("/run/everline")
"""The lab's run directory: on a tmpfs that only the lab's processes see."""
RUN_SIZE = "4g"
SHARED = Path("/dev/shm")  # noqa: S108 - a mount point
COVERED = (Path("/run"), SHARED)
"""In there these are others, which vanish with the lab."""
GRACE_S = 15.0
"""How long the lab may take to end after the first signal."""
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ground(StrEnum):
    """Which kind of namespaces this machine gives us."""

    ROOT = "root"
    USER = "user"
    """An unprivileged user namespace: no TUN devices."""


_UNSHARE = {
    Ground.ROOT: ("unshare", "-m", "-p", "-n", "-f", "--kill-child", "--mount-proc"),
    Ground.USER: ("unshare", "-U", "-r", "-m", "-p", "-n", "-f", "--kill-child", "--mount-proc"),
}


def inside() -> Ground | None:
    """Return on what ground this process stands, or None when it is outside any lab."""
    value = os.environ.get(INSIDE)
    return None if value is None else Ground(value)


def find_ground() -> Ground:
    """Return what this machine gives us; EnterError says what to allow when it is nothing."""
    for tool in ("unshare", "setpriv", "mount"):
        if shutil.which(tool) is None:
            raise EnterError(f"{tool} is missing: apt-get install util-linux mount")
    refusals = []
    for ground in Ground:
        command = (*_UNSHARE[ground], "mount", "-t", "tmpfs", "tmpfs", "/run")
        probe = subprocess.run(command, capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            return ground
        refusals.append(f"{ground}: {probe.stderr.strip()}")
    raise EnterError(
        "this machine gives us no network namespaces, with or without root. "
        f"{what_to_allow(Path('/proc/sys'), is_root=os.geteuid() == 0)} ({'; '.join(refusals)})"
    )


def what_to_allow(sysctls: Path, *, is_root: bool) -> str:
    """Return the sentence that tells a person what to allow, from the kernel's settings."""
    wanted = (
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user/max_user_namespaces", "0", "10000"),
        ("user/max_net_namespaces", "0", "10000"),
    )
    commands = []
    for name, bad, good in wanted:
        with contextlib.suppress(OSError):
            if (sysctls / name).read_text().strip() == bad:
                commands.append(f"sysctl -w {name.replace('/', '.')}={good}")
    if commands:
        return f"Allow them: {' && '.join(commands)}."
    if is_root:
        return "In a container, start it with --privileged (CAP_SYS_ADMIN and CAP_NET_ADMIN)."
    return "Run it as root (sudo)."


def enter(
    module: str,
    argv: Sequence[str] = (),
    *,
    output: BinaryIO | None = None,
    grace_s: float = GRACE_S,
    inherited: Collection[int] = (),
) -> int:
    """Run `python -m module argv...` inside new namespaces; return its exit status (128 + signal).

    SIGINT, SIGTERM and SIGHUP are passed on; `grace_s` after the first, it is ended by force. What
    it prints goes to `output`, if that is given. It has the descriptors `inherited`, by the same
    numbers: a socket among them stays in our network. Call it from the main thread.
    """
    ground = find_ground()
    lifeline, their_end = socket.socketpair()
    with lifeline:
        with their_end:
            command = (
                *("setpriv", "--pdeathsig", "KILL", *_UNSHARE[ground]),
                *(sys.executable, "-m", __name__, str(their_end.fileno()), ground),
                *(module, *argv),
            )
            # A session of its own: Ctrl-C reaches the launcher alone, which passes it on once.
            process = subprocess.Popen(
                command,
                env=_environment(),
                pass_fds=[their_end.fileno(), *inherited],
                start_new_session=True,
                stdout=output,
                stderr=output,
            )
        with _forwarding(lifeline, process, grace_s):
            status = process.wait()
    return 128 - status if status < 0 else status


def _environment() -> dict[str, str]:
    """Return our environment, with our packages in reach from any directory."""
    packages = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{packages}:{path}" if path else packages}


@contextlib.contextmanager
def _forwarding(
    lifeline: socket.socket, process: subprocess.Popen[bytes], grace_s: float
) -> Iterator[None]:
    """Pass signals down the lifeline, and end it all when the lab does not end in time."""

    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            lifeline.send(bytes([number]))
        if signal.getitimer(signal.ITIMER_REAL)[0] == 0:
            signal.setitimer(signal.ITIMER_REAL, grace_s)

    def give_up(_number: int, _frame: FrameType | None) -> None:
        process.kill()

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, give_up)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def covered_by(path: Path) -> Path | None:
    """Return under which folder, that a lab has of its own, a path is; None: it is in reach."""
    whole = path.resolve()
    return next((each for each in COVERED if whole.is_relative_to(each)), None)


def _mount_own() -> None:
    """Cover by empty tmpfs of our own what outlives processes that are killed.

    /run, where `ip netns` and the run directory live, and shared memory, which a PostgreSQL that is
    killed does not give back.
    """
    _cover("/run", f"mode=755,size={RUN_SIZE}")
    if SHARED.is_dir():
        _cover(str(SHARED), "mode=1777")
    Path("/run/netns").mkdir()
    RUN_ROOT.mkdir(mode=0o700)


def _cover(folder: str, options: str) -> None:
    subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder), check=True)


def _init(lifeline: socket.socket, main: int) -> NoReturn:
    """Be PID 1: reap orphans, pass signals to `main`, end when it or the launcher ends."""
    wake, woken = socket.socketpair()
    wake.setblocking(False)  # noqa: FBT003 - its only parameter
    woken.setblocking(False)  # noqa: FBT003
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    selector.register(lifeline, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    while True:
        _reap(main)
        for key, _ in selector.select():
            if key.fileobj is wake:
                wake.recv(4096)
            else:
                numbers = lifeline.recv(64)
                if not numbers:
                    os._exit(128 + signal.SIGKILL)
                for sent in numbers:
                    os.kill(main, sent)


def _reap(main: int) -> None:
    """Reap whoever has ended; end with the status of `main` when it is among them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            os._exit(128 - code if code < 0 else code)


def _main(fd: str, ground: str, module: str, *argv: str) -> None:
    lifeline = socket.socket(fileno=int(fd))
    _mount_own()
    main = os.fork()
    if main:
        _init(lifeline, main)
    lifeline.close()
    # Shells have what they start in the background ignore SIGINT; the program in here does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ[INSIDE] = ground
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
