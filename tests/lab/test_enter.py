"""Namespaces that die with their launcher: nothing is left behind, whatever happens to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from drills.lab.enter import Ground, inside, what_to_allow
from drills.lab.errors import EnterError
from drills.lab.lab import Lab
from drills.lab.plan import plan_lab

ROOT = Path(__file__).parents[2]
OUTSIDE = pytest.mark.lab(outside=True)
NOBODY = 65534

LAUNCH = """
import sys
from drills.lab.enter import enter
sys.exit(enter(sys.argv[1], sys.argv[2:], grace_s=1.0))
"""

FIND_GROUND = """
from drills.lab.enter import find_ground
from drills.lab.errors import EnterError
try:
    print(find_ground())
except EnterError as error:
    print(error)
"""

LAB = """
import asyncio, sys
from drills.lab.lab import Lab
from drills.lab.plan import Part, plan_lab

async def main():
    parts = frozenset({Part.ETCD, Part.RTPENGINE}) if "servers" in sys.argv else frozenset()
    async with Lab(plan_lab(parts=parts)) as lab:
        leader = await lab.etcd_leader_site() if parts else None
        print("up", lab.addresses["a"], lab.wan.delay_means, leader, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


BREAK_WAN = """
import asyncio, socket
from drills.lab.errors import DelayError
from drills.lab.lab import Lab
from drills.lab.namespaces import socket_in
from drills.lab.plan import plan_lab

def lost(lab, count):
    with (socket_in("a", socket.AF_INET, socket.SOCK_DGRAM) as sender,
          socket_in("b", socket.AF_INET, socket.SOCK_DGRAM) as receiver):
        receiver.bind((lab.addresses["b"], 9000))
        receiver.settimeout(0.2)
        sender.connect(receiver.getsockname())
        got = 0
        for _ in range(count):
            sender.send(b"x")
        try:
            while got < count:
                receiver.recv(1)
                got += 1
        except TimeoutError:
            pass
    return 100 * (count - got) // count

async def main():
    async with Lab(plan_lab(parts=frozenset())) as lab:
        print("sound", lost(lab, 10))
        lab.wan.cut("a", "b")
        print("cut", lost(lab, 10))
        lab.wan.heal("a", "b")
        lab.wan.shape("a", "b", loss_pct=30)
        print("lost", lost(lab, 200))
        try:
            lab.wan.shape("a", "b", delay_ms=10)
            print("delayed")
        except DelayError as error:
            print(error)

asyncio.run(main())
"""


@pytest.fixture
def modules() -> Iterator[Path]:
    """Return a directory of modules that a launcher can run, and an ordinary user can read."""
    with tempfile.TemporaryDirectory(prefix="everline-modules-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        _write_modules(path)
        yield path


def _write_modules(tmp_path: Path) -> None:
    (tmp_path / "stay_up.py").write_text(LAB)
    (tmp_path / "break_wan.py").write_text(BREAK_WAN)
    (tmp_path / "exit_seven.py").write_text("raise SystemExit(7)")
    (tmp_path / "die.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "forever.py").write_text(
        "import time\nprint('up', flush=True)\nwhile True: time.sleep(60)"
    )
    (tmp_path / "polite.py").write_text(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "print('up', flush=True)\nwhile True: signal.pause()"
    )
    (tmp_path / "deaf.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True)\nwhile True: time.sleep(60)"
    )
    (tmp_path / "shares.py").write_text(
        "import os, sys, time\nfrom pathlib import Path\n"
        "before = os.listdir('/dev/shm')\nPath('/dev/shm', sys.argv[1]).touch()\n"
        "print(before, flush=True)\ntime.sleep(60)"
    )
    (tmp_path / "where.py").write_text(
        "import os\nfrom drills.lab.enter import inside\n"
        "print(inside(), os.getpid(), os.listdir('/run'), os.getuid())"
    )


class Traces(Struct, frozen=True, kw_only=True):
    """What of a lab can be seen from outside."""

    processes: frozenset[str]
    """Those that mention the marker, or stand in one of the namespaces."""
    namespaces: frozenset[str]
    interfaces: frozenset[str]
    mounts: frozenset[str]


def traces(marker: str, namespaces: frozenset[str] = frozenset()) -> Traces:
    """Look for processes with `marker` in their environment, and all that share their namespaces.

    Our own processes have it; servers in the lab have an environment of their own, and are found by
    where they stand. `namespaces` were seen before.
    """
    ours = _stands_in(Path("/proc/self"))
    processes = {
        path: _stands_in(path) for path in Path("/proc").glob("[0-9]*") if path.name.isdigit()
    }
    marked = {path for path in processes if _mentions(path, marker)}
    namespaces |= {name for path in marked for name in processes[path]} - ours
    found = marked | {path for path, stands_in in processes.items() if stands_in & namespaces}
    # A host's network namespace is known by whoever stands in it.
    namespaces |= {name for path in found for name in processes[path]} - ours
    return Traces(
        processes=frozenset(path.name for path in found),
        namespaces=frozenset(namespaces),
        interfaces=frozenset(name for _, name in socket.if_nameindex()),
        mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
    )


def _stands_in(process: Path) -> frozenset[str]:
    try:
        return frozenset(str((process / "ns" / kind).readlink()) for kind in ("net", "pid", "mnt"))
    except OSError:
        return frozenset()


def _mentions(process: Path, marker: str) -> bool:
    try:
        return marker.encode() in (process / "environ").read_bytes()
    except OSError:
        return False


def assert_nothing_is_left(marker: str, before: Traces, during: Traces) -> None:
    """Wait until no process has the marker or stands where the lab stood, and all is as before."""
    until(lambda: not traces(marker, during.namespaces).processes)
    after = traces(marker)
    assert after.interfaces == before.interfaces
    assert after.mounts == before.mounts


@pytest.fixture
def launch(modules: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start launchers of modules; whatever the test does, they are gone at its end."""
    launched: list[subprocess.Popen[str]] = []

    def start(*argv: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            (*before, sys.executable, "-c", LAUNCH, *argv),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{modules}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        launched.append(process)
        return process

    yield start
    for process in launched:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


Launch = Callable[..., subprocess.Popen[str]]


@OUTSIDE
@pytest.mark.parametrize(("module", "status"), [("exit_seven", 7), ("die", 128 + signal.SIGSEGV)])
def test_the_exit_status_comes_through(launch: Launch, module: str, status: int) -> None:
    assert launch(module).wait(timeout=10) == status


@OUTSIDE
def test_inside_there_is_an_empty_run_and_a_pid_namespace(launch: Launch) -> None:
    ground, pid, *_ = line_of(launch("where")).split()
    assert ground in set(Ground)
    assert int(pid) < 100


@OUTSIDE
def test_shared_memory_of_the_lab_is_its_own_and_goes_with_it(launch: Launch) -> None:
    outside = Path("/dev/shm", f"everline-test-{os.getpid()}")  # noqa: S108 - looked for only
    process = launch("shares", outside.name)
    try:
        assert line_of(process) == "[]\n"
        assert not outside.exists(), "a database that is killed would leave it for ever"
    finally:
        outside.unlink(missing_ok=True)


@OUTSIDE
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 128 + 15), (signal.SIGINT, 1), (signal.SIGHUP, 128 + 1)]
)
def test_signals_reach_the_program_inside(
    launch: Launch, number: signal.Signals, status: int
) -> None:
    process = launch("forever")
    assert line_of(process) == "up\n"
    process.send_signal(number)
    code = process.wait(timeout=10)
    # An unhandled KeyboardInterrupt ends Python by SIGINT.
    assert code == (128 + signal.SIGINT if number is signal.SIGINT else status)


@OUTSIDE
def test_a_program_that_handles_sigterm_decides_how_it_ends(launch: Launch) -> None:
    process = launch("polite")
    assert line_of(process) == "up\n"
    process.terminate()
    assert process.wait(timeout=10) == 3


@OUTSIDE
def test_a_program_that_is_deaf_to_sigterm_is_ended_by_force(launch: Launch, modules: Path) -> None:
    process = launch("deaf")
    assert line_of(process) == "up\n"
    before, during = traces("no such marker"), traces(str(modules))
    process.terminate()
    assert process.wait(timeout=5) == 128 + signal.SIGKILL
    assert_nothing_is_left(str(modules), before, during)


@OUTSIDE
def test_ctrl_c_reaches_the_program_of_a_launcher_in_the_background(launch: Launch) -> None:
    process = launch("forever", before=("env", "--ignore-signal=INT"))
    assert line_of(process) == "up\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 128 + signal.SIGINT


@OUTSIDE
def test_where_no_namespace_is_to_be_had_the_error_says_what_to_allow() -> None:
    script = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$0" -c "$1"'
    done = subprocess.run(
        ("unshare", "-U", "-r", "sh", "-c", script, sys.executable, FIND_GROUND),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "gives us no network namespaces" in done.stdout, done.stderr
    assert "sysctl -w user.max_net_namespaces=10000" in done.stdout


@OUTSIDE
def test_sigkill_of_the_launcher_leaves_nothing(launch: Launch, modules: Path) -> None:
    before = traces(str(modules))
    assert not before.processes
    process = launch("stay_up", "servers")
    assert line_of(process).startswith("up 198.18.1.10")
    during = traces(str(modules))
    # launcher, unshare, init, the lab, the relay, three etcd and three rtpengine
    assert len(during.processes) >= 10
    # net, pid and mnt of the lab, and a net of each site
    assert len(during.namespaces) == 6
    process.kill()
    process.wait(timeout=5)
    assert_nothing_is_left(str(modules), before, during)


@OUTSIDE
@pytest.mark.parametrize("after_s", [0, 0.01, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6])
def test_sigkill_of_the_launcher_at_any_moment_leaves_nothing(
    launch: Launch, modules: Path, after_s: float
) -> None:
    before = traces(str(modules))
    process = launch("stay_up", "servers")
    time.sleep(after_s)
    during = traces(str(modules))
    process.kill()
    process.wait(timeout=5)
    assert_nothing_is_left(str(modules), before, during)


@OUTSIDE
def test_two_labs_stand_beside_each_other(launch: Launch) -> None:
    labs = [launch("stay_up", "servers"), launch("stay_up", "servers")]
    for lab in labs:
        line = line_of(lab)
        assert line.startswith("up 198.18.1.10"), line + (lab.communicate()[0] or "")
        assert line.split()[-1] in {"a", "b", "c"}
    labs[0].terminate()
    labs[0].wait(timeout=10)
    assert labs[1].poll() is None


def as_nobody() -> tuple[str, ...]:
    """Return how to run a command as an ordinary user; skip the test where that cannot be shown."""
    if os.geteuid() != 0:
        pytest.skip("we are not root: the other tests have already shown it")
    command = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if subprocess.run((*command, "unshare", "-U", "true"), check=False).returncode != 0:
        pytest.skip("this kernel gives ordinary users no user namespaces")
    return command


@OUTSIDE
def test_without_root_a_lab_stands_in_a_user_namespace(launch: Launch) -> None:
    process = launch("stay_up", "servers", before=as_nobody())
    line = line_of(process)
    assert line.startswith("up 198.18.1.10 "), line + process.communicate(timeout=10)[0]


@OUTSIDE
def test_without_root_cuts_and_loss_work_and_delay_works_or_says_why_not(launch: Launch) -> None:
    process = launch("break_wan", before=as_nobody())
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    sound, cut, lost, delayed = output.splitlines()
    assert sound == "sound 0"
    assert cut == "cut 100"
    assert 20 < float(lost.removeprefix("lost ")) < 40
    assert delayed == "delayed" or (
        "delay needs the kernel's netem or a TUN device" in delayed and "run as root" in delayed
    )


async def test_a_lab_outside_of_namespaces_touches_nothing_and_says_why() -> None:
    if inside() is not None:
        pytest.skip("this test is about being outside")
    interfaces = socket.if_nameindex()
    with pytest.raises(EnterError, match="namespaces of its own"):
        await Lab(plan_lab()).__aenter__()
    assert socket.if_nameindex() == interfaces


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        (
            {"kernel/unprivileged_userns_clone": "0"},
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({"user/max_user_namespaces": "0"}, "sysctl -w user.max_user_namespaces=10000"),
        (
            {"user/max_user_namespaces": "0", "user/max_net_namespaces": "0"},
            "sysctl -w user.max_user_namespaces=10000 && sysctl -w user.max_net_namespaces=10000",
        ),
    ],
)
def test_a_refusal_says_what_to_allow(
    tmp_path: Path, settings: dict[str, str], command: str
) -> None:
    for name, value in settings.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    assert what_to_allow(tmp_path, is_root=False) == f"Allow them: {command}."


def test_a_refusal_without_a_setting_to_blame_says_how_to_start(tmp_path: Path) -> None:
    assert "sudo" in what_to_allow(tmp_path, is_root=False)
    assert "--privileged" in what_to_allow(tmp_path, is_root=True)
