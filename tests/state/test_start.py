"""How our processes start: what they import, and that they are collected again when they serve."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from control_plane.tokens import make_key
from custody import keyfile
from state import start

ROOT = Path(__file__).parents[2]
TOLD = """
import gc, json, os, runpy, sys
from state import start
settle = start.settle
def told():
    before = gc.isenabled()
    settle()
    print(json.dumps([before, gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()]))
    sys.stdout.flush()
    os._exit(0)
start.settle = told
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""

IMPORTED = """
import runpy, sys
try:
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
except SystemExit:
    pass
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print(*(name for name, file in files.items() if "site-packages" in file), file=sys.stderr)
"""


def an_edge(folder: Path) -> str:
    return f"""\
edge = "a1"
site = "a"
sip = "127.0.0.1:5060"
kamailio_rpc = "{folder / "rpc"}"
evapi = "127.0.0.1:8448"
ng = "direct"
etcd = ["127.0.0.1:2379"]
run_dir = "{folder}"
command_socket = "{folder / "edge.sock"}"
"""


def a_recorder(folder: Path) -> str:
    keyfile.make(folder / "signing.key")
    return f"""\
site = "a"
ng = "127.0.0.1:2223"
socket = "{folder / "recorder.sock"}"
spool = "{folder / "spool"}"
store = "{folder / "store"}"
keyring = "{folder / "keys"}"
signing_key = "{folder / "signing.key"}"
"""


def a_control_plane(folder: Path) -> str:
    key = folder / "key.pem"
    key.touch(mode=0o600)
    key.write_bytes(make_key())
    return f"""\
site = "a"
listen_unix = "{folder / "api.sock"}"
database = "sqlite:///{folder / "everline.db"}"
signing_key = "{key}"
"""


def phones(_folder: Path) -> str:
    return '{"host": "127.0.0.1"}'


PROGRAMS = {
    "edge": an_edge,
    "edge.recorder": a_recorder,
    "control_plane": a_control_plane,
    "edge.phone": phones,
}


WEB = "aiohappyeyeballs aiohttp aiosignal attr frozenlist idna multidict propcache yarl"
STATE = "google grpc grpc_tools immutables msgspec structlog greenlet typing_extensions"
LIBRARIES = {
    "edge": f"{STATE} phonenumbers",
    "edge.recorder": f"{WEB} structlog msgspec phonenumbers cryptography numpy obstore opuslib_next"
    " brotli greenlet typing_extensions",
    "edge.phone": "msgspec numpy typing_extensions",
    "control_plane": f"{WEB} {STATE} phonenumbers cryptography obstore brotli numpy"
    " aiosqlite annotated_types argon2 bracex casbin joserfc prometheus_client"
    " pydantic pydantic_core alembic mako markupsafe pygments"
    " simpleeval sqlalchemy typing_inspection wcmatch yaml",
}
"""What each takes to serve. What it uses seldom it imports then: a start waits for nothing else."""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", PROGRAMS)
def test_nothing_is_collected_until_a_process_is_assembled_and_what_is_there_never(
    module: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    write: Callable[[Path], str] = PROGRAMS[module]
    config.write_text(write(tmp_path))
    done = run("-c", TOLD, module, "--config", str(config))
    assert done.returncode == 0, done.stderr
    was_collected, is_collected, frozen, thresholds = json.loads(done.stdout)
    assert (was_collected, is_collected) == (False, True)
    assert frozen > 10_000
    assert tuple(thresholds) == start.THRESHOLDS


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_process_imports_no_library_that_it_does_not_need_to_serve(module: str) -> None:
    done = run("-c", IMPORTED, module, "--help")
    assert done.stdout.startswith(f"usage: python -m {module} "), done.stderr
    names = {name.partition(".")[0] for name in done.stderr.split()}
    libraries = {name for name in names if not name.startswith("_") and "__mypyc" not in name}
    assert libraries - set(LIBRARIES[module].split()) == set()
