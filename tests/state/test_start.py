"""How our processes start: what they import, and that they are collected again when they serve."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias
from weakref import ref

import pytest
from sqlalchemy import create_engine, text

import control_plane.features  # noqa: F401 - so that every feature's tables are known
from control_plane.db.migrate import newest
from control_plane.db.tables import Table
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
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    print(json.dumps({
        "was_collected": before,
        "is_collected": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "thresholds": gc.get_threshold(),
        "libraries": [name for name, file in files.items() if "site-packages" in file],
    }))
    sys.stdout.flush()
    os._exit(0)
start.settle = told
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
"""Is a process of ours until it is about to serve, and tells then what it has come to."""


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
    engine = create_engine(f"sqlite:///{folder / 'everline.db'}")
    with engine.begin() as connection:  # as migrations leave it, as far as a start looks
        Table.metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:it)"), {"it": newest()})
    engine.dispose()
    return f"""\
site = "a"
listen_unix = "{folder / "api.sock"}"
database = "sqlite:///{folder / "everline.db"}"
signing_key = "{key}"
"""


def phones(_folder: Path) -> str:
    return '{"host": "127.0.0.1"}'


Process: TypeAlias = tuple[str, dict[str, Any]]
"""Its module, and what it told."""
PROGRAMS: Final[dict[str, Callable[[Path], str]]] = {
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
    "control_plane": f"{WEB} {STATE} phonenumbers cryptography obstore brotli"
    " aiosqlite annotated_types argon2 bracex casbin joserfc prometheus_client"
    " pydantic pydantic_core simpleeval sqlalchemy typing_inspection wcmatch",
}
"""What each takes to serve. What it uses seldom it imports then: a start waits for nothing else."""


@pytest.fixture(scope="module", params=PROGRAMS)
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Process:
    """Start one, and return what it told."""
    module: str = request.param
    folder = tmp_path_factory.mktemp(module)
    config = folder / "config"
    config.write_text(PROGRAMS[module](folder))
    command = [sys.executable, "-c", TOLD, module, "--config", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return module, json.loads(done.stdout)


def test_nothing_is_collected_before_a_process_serves_and_what_is_there_then_never(
    process: Process,
) -> None:
    _, told = process
    assert (told["was_collected"], told["is_collected"]) == (False, True)
    assert told["frozen"] > 10_000
    assert tuple(told["thresholds"]) == start.THRESHOLDS


def test_what_stays_is_not_looked_at_again_and_is_let_go_of_when_it_is_replaced() -> None:
    class Some(list[object]):
        """Something of which can be told whether it still is."""

    it = Some([[]])
    gone = ref(it)
    before = gc.get_freeze_count()
    try:
        start.keep()
        assert gc.get_freeze_count() > before
        assert all(each is not it for each in gc.get_objects())
        del it
        assert gone() is None
    finally:
        gc.unfreeze()


def test_a_process_imports_no_library_that_it_does_not_need_to_serve(process: Process) -> None:
    module, told = process
    names = {name.partition(".")[0] for name in told["libraries"]}
    libraries = {name for name in names if not name.startswith("_") and "__mypyc" not in name}
    assert libraries - set(LIBRARIES[module].split()) == set()
