"""The launcher from outside: found through links, quick, and honest in its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drills.setup import bootstrap, packages

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "everline"


def wait_until(holds: Callable[[], bool], limit_s: float = 8.0) -> None:
    """Poll until `holds`."""
    give_up = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)


pytestmark = pytest.mark.skipif(
    not bootstrap.is_set_up(),
    reason="started without ./everline: the launcher would install things",
)


def launch(
    *words: str, launcher: Path = LAUNCHER, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [launcher, *words],
        cwd=cwd,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # else most of it is their start
        capture_output=True,
        text=True,
        check=False,
        timeout=9,
    )


def test_it_works_through_a_link_from_another_directory(tmp_path: Path) -> None:
    link = tmp_path / "everline"
    link.symlink_to(LAUNCHER)
    # A package of the same name in the working directory must not be taken for ours.
    (tmp_path / "drills").mkdir()
    (tmp_path / "drills/__init__.py").write_text("raise SystemExit('the wrong drills')")
    done = launch("--version", launcher=link, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "everline 0.1.0\n"), done.stderr


def test_paths_are_taken_from_where_the_caller_stands(tmp_path: Path) -> None:
    (tmp_path / "test_here.py").write_text("def test_it() -> None: pass\n")
    done = launch("test", "test_here.py", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "1 passed, 0 failed", done.stdout + done.stderr


def test_a_failing_test_makes_the_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text("def test_it() -> None: assert False\n")
    done = launch("test", str(tmp_path / "test_bad.py"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"


def test_it_becomes_the_command_and_keeps_its_process_id() -> None:
    """Killing the launcher's process must be killing the command: the lab dies with it."""
    seen = set()
    with subprocess.Popen([LAUNCHER, "doctor"], stdout=subprocess.DEVNULL, cwd=ROOT) as child:
        while child.poll() is None:
            seen.add(Path(f"/proc/{child.pid}/cmdline").read_bytes().split(b"\0")[0].decode())
    assert str(ROOT / ".venv/bin/python") in seen


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_the_launcher_ends_running_tests_clean_up_behind_them(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "test_long.py").write_text(
        "import pathlib, pytest, signal\n"
        "here = pathlib.Path(__file__).parent\n"
        "@pytest.fixture\n"
        "def server():\n"
        "    (here / 'up').touch()\n"
        "    yield\n"
        "    (here / 'up').unlink()\n"
        "@pytest.mark.parts\n"
        "def test_it(server): signal.pause()\n"
    )
    up = tmp_path / "up"
    command = [str(LAUNCHER), "test", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        wait_until(up.exists)
        child.send_signal(number)
        child.wait(timeout=9)
        wait_until(lambda: not up.exists())
    assert child.returncode != 0


def test_a_second_run_finds_nothing_to_do_in_no_time() -> None:
    took_s: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        assert bootstrap.is_set_up()
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 0.3
    assert packages.missing() == []


def test_continuous_integration_runs_what_a_person_runs() -> None:
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert script[-1] == "./everline test"
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert os.access(LAUNCHER, os.X_OK)
    assert subprocess.run(["sh", "-n", LAUNCHER], check=False).returncode == 0
