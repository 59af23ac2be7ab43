"""The limits of tests/conftest.py, tried by running pytest on small files that break them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run `body` as a test module under the project's own conftest."""
    text = (ROOT / "tests/conftest.py").read_text()
    for now, then in (
        ("HERMETIC_LIMIT_S = 30.0", "HERMETIC_LIMIT_S = 0.3"),
        ("AGAIN_S = 5.0", "AGAIN_S = 0.1"),
        ("GRACE_S = 30.0", "GRACE_S = 1.0"),
    ):
        assert now in text
        text = text.replace(now, then)
    (folder / "conftest.py").write_text(text)
    (folder / "test_it.py").write_text(body)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "pytest_asyncio.plugin",
            "-c",
            str(ROOT / "pyproject.toml"),
            "--rootdir",
            str(folder),
            str(folder),
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


TOUCHES = (
    "socket.socket().connect(('127.0.0.1', 9))",
    "socket.socket().bind(('127.0.0.1', 0))",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "socket.socket(socket.AF_INET6).connect(('::1', 9))",
)


def test_a_hermetic_test_that_touches_the_network_fails(tmp_path: Path) -> None:
    tests = [f"def test_{number}():\n    {act}\n" for number, act in enumerate(TOUCHES)]
    done = run_pytest(tmp_path, "import socket\n" + "".join(tests))
    assert f"{len(TOUCHES)} failed" in done.stdout
    assert done.stdout.count("this test is hermetic") >= len(TOUCHES)


def test_a_test_marked_parts_may_use_the_network(tmp_path: Path) -> None:
    body = (
        "import pytest, socket\n@pytest.mark.parts\ndef test_net():\n"
        "    with socket.socket() as s: s.bind(('127.0.0.1', 0))\n"
    )
    done = run_pytest(tmp_path, body)
    assert done.returncode == 0, done.stdout


def test_unix_sockets_stay_open_to_hermetic_tests(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(tmp_path / "s"))


@pytest.mark.parametrize(
    "body",
    [
        "import time\ndef test_slow():\n    time.sleep(5)\n",
        "import asyncio\nasync def test_slow():\n    await asyncio.sleep(5)\n",
        "def test_it():\n    while 1:\n        try: sum([1])\n        except Exception: pass\n",
    ],
    ids=["sleeps", "awaits", "spins and swallows"],
)
def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path, body: str) -> None:
    done = run_pytest(tmp_path, body)
    assert done.returncode == 1
    assert "took longer than 0.3 s" in done.stdout


def test_a_slow_test_that_computes_is_given_more_time_than_one_that_hangs(tmp_path: Path) -> None:
    body = (
        "import time\ndef test_slow():\n    began = time.monotonic()\n"
        "    while time.monotonic() < began + 0.5: pass\n"
    )
    done = run_pytest(tmp_path, body)
    assert done.returncode == 0, done.stdout


def test_a_fixture_that_never_goes_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Hold on in a teardown, and again at the session's end, where pytest tries it once more."""
    body = (
        "import pytest, time\n"
        "@pytest.fixture(scope='session')\n"
        "def stuck():\n"
        "    yield\n"
        "    while True:\n"
        "        try: time.sleep(9)\n"
        "        except BaseException: pass\n"
        "def test_it(stuck): pass\n"
    )
    done = run_pytest(tmp_path, body)
    assert done.returncode == 1
    assert "Timeout (" in done.stderr
    assert "test_it.py" in done.stderr
