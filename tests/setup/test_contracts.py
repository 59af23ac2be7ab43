"""The import contracts of pyproject.toml, tried on a small tree with one wrong import each."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TREE = {
    "state/__init__.py": "",
    "state/model/__init__.py": "",
    "state/codec.py": "import state.model",
    "state/snapshot/snapshot.py": "import state.codec",
    "state/store.py": "import asyncio",
    "state/etcd.py": "import grpc, asyncio, state.store",
    "state/mirror.py": "import state.store, os",
    "state/memory.py": "import state.store, state.clock, asyncio",
    "state/clock.py": "import time, state.model",
    "state/eventlog/log.py": "import asyncio, os, state.model",
    "state/eventlog/files.py": "import pathlib, state.model",
    "custody/__init__.py": "",
    "custody/store.py": "import pathlib",
    "edge/__init__.py": "",
    "edge/reserve.py": "import edge.acd.match, edge.sip.endpoint, state.mirror, asyncio",
    "edge/acd/__init__.py": "",
    "edge/acd/match.py": "import state.model",
    "edge/steering/__init__.py": "import state.model",
    "edge/sip/__init__.py": "",
    "edge/sip/events.py": "",
    "edge/sip/stack.py": "import edge.sip.events",
    "edge/sip/endpoint.py": "import asyncio, socket, edge.sip.stack",
    "edge/media/__init__.py": "",
    "edge/media/ng.py": "",
    "edge/media/rtpengine.py": "import asyncio, edge.media.ng",
    "edge/ivr/__init__.py": "",
    "control_plane/__init__.py": "import state.mirror, edge.steering",
    "control_plane/permissions.py": "",
    "control_plane/subjects.py": "import control_plane.permissions",
    "control_plane/conditions.py": "import control_plane.subjects",
    "control_plane/errors.py": "",
    "control_plane/policy.py": "import control_plane.conditions",
    "control_plane/authz.py": "import casbin, control_plane.policy",
    "control_plane/api/__init__.py": "",
    "control_plane/api/limits.py": "",
    "control_plane/users/__init__.py": "import control_plane.authz",
    "control_plane/configuration/__init__.py": "import control_plane.authz",
    "control_plane/customers/__init__.py": "import control_plane.authz",
    "control_plane/tenants/__init__.py": "import sqlalchemy",
    "drills/__init__.py": "import state.store, edge.acd.match, subprocess",
    "loadtests/__init__.py": "import state.model",
}

WRONG = [
    ("edge/acd/rank.py", "import time", "Pure"),
    ("edge/steering/rows.py", "import random", "Pure"),
    ("edge/sip/dialog.py", "import asyncio", "Pure"),
    ("edge/media/sdp.py", "import logging", "Pure"),
    ("state/snapshot/snapshot.py", "import os", "Pure"),
    ("edge/acd/rank.py", "import state.mirror", "holds no store"),
    ("edge/acd/rank.py", "import state.clock", "holds no store"),
    ("edge/sip/stack.py", "import edge.sip.endpoint", "Pure modules know no shell"),
    ("edge/media/ng.py", "import edge.media.rtpengine", "Pure modules know no shell"),
    ("state/model/__init__.py", "import state.codec", "Shared state"),
    ("state/store.py", "import state.mirror", "Shared state"),
    ("state/rows.py", "import edge.acd.match", "Siblings stand on state"),
    ("custody/frame.py", "import os", "Pure"),
    ("custody/frame.py", "import edge.acd.match", "Siblings stand on state"),
    ("edge/wall.py", "import control_plane", "The edge knows no sibling"),
    ("drills/probe.py", "import edge.reserve", "know of the edge only"),
    ("drills/probe.py", "import edge.sip.stack", "know of the edge only"),
    ("loadtests/calls.py", "import edge.sip.stack", "know of the edge only"),
    ("control_plane/calls.py", "import edge.sip.endpoint", "know of the edge only"),
    ("edge/acd/past.py", "import state.eventlog.log", "The core decides on values"),
    ("control_plane/gate.py", "import casbin", "imports casbin"),
    ("control_plane/api/binding.py", "import opentelemetry", "imports OpenTelemetry"),
    ("control_plane/conditions.py", "import time", "decisions are pure"),
    ("control_plane/policy.py", "import sqlalchemy", "decisions are pure"),
    ("control_plane/configuration/plans.py", "import sqlalchemy", "decisions are pure"),
    ("control_plane/users/store.py", "import control_plane.tenants", "no other feature"),
    ("control_plane/authz.py", "import control_plane.users", "features over what they share"),
    ("edge/lease.py", "import grpc", "Only state.etcd speaks gRPC"),
    ("drills/lease.py", "import grpc", "Only state.etcd speaks gRPC"),
    ("drills/desk/words.py", "import asyncio", "Pure: what drills"),
    ("loadtests/bench/stats.py", "import time", "Pure: what drills"),
]


def named() -> list[str]:
    """Return the modules that contracts name one by one: the linter wants them to be there."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    sources = [each.get("source_modules", ()) for each in tool["contracts"]]
    return [module for modules in sources for module in modules]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).parent / "lint-imports"
    command = [str(tool), "--no-cache", "--no-logo", "--config", "pyproject.toml"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tree")
    for name, text in TREE.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    for module in named():
        file = home / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not (file.exists() or file.with_suffix("").is_dir()):
            file.touch()
    for folder in home.rglob("*.py"):
        (folder.parent / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", home)
    return home


def test_a_tree_in_order_keeps_every_contract(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"), WRONG, ids=[f"{file}: {line}" for file, line, _ in WRONG]
)
def test_a_wrong_import_breaks_its_contract(tree: Path, file: str, line: str, broken: str) -> None:
    place = tree / file
    before = place.read_text() if place.exists() else None
    place.write_text(f"{line}\n{before or ''}")
    try:
        done = lint(tree)
    finally:
        if before is None:
            place.unlink()
        else:
            place.write_text(before)
    assert done.returncode == 1
    verdicts = [row for row in done.stdout.splitlines() if " BROKEN" in row]
    assert any(broken in row for row in verdicts), done.stdout
