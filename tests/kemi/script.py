"""The script of the routes, loaded over a fake, and what tests ask of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.kemi.fake_ksr import FakeKsr, World

TRUNK = ("198.18.10.10", 5060)
EDGE = ("198.18.1.10", 5081)
PHONE = ("203.0.113.9", 40000)
E1, E2, E3 = (f"198.18.1.{number}:5081" for number in range(1, 4))


class Script:
    """The script, loaded over a fake."""

    def __init__(self, ksr: FakeKsr, modules: dict[str, Any]) -> None:
        self.ksr = ksr
        self.modules = modules
        self.routes: Any = None

    def begin(self, run_dir: Path) -> World:
        """Return a new world with one trunk, one edge, tables and an open gate."""
        world = self.ksr.world = World()
        world.results["kx.get_def"] = [str(run_dir), "a", "400"]
        self.routes = self.modules["edge_routes"].mod_init()
        world.tables["peers"] = {TRUNK[0]: "trunk:t1", "{}:{}".format(*EDGE): "edge"}
        world.tables["steer"] = {"4930111": E1}
        world.tables["meta"] = {"tables": "1", "gate_loaded": "1"}
        world.tables["home"] = {"alice": "0.0"}
        return world

    def request(self, world: World, **fields: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - of World
        """Let one request in; return what was done."""
        for name, value in fields.items():
            setattr(world, name, value)
        world.done.clear()
        self.routes.ksr_request_route(None)
        assert world.locked == [], "a lock was kept"
        return world.done


def order(script: Script, row: str, spin: int = 0, out: frozenset[str] = frozenset()) -> Any:  # noqa: ANN401 - list of str
    return script.modules["calls"].order(row, spin, out.__contains__)


def sealed(script: Script, world: World) -> str:
    """Return a Route URI as this proxy writes it for alice's dialog."""
    world.call_id = "call-id"
    param = script.routes.sealer.param("alice", (1, 7))
    return f"sip:198.18.1.10;lr=on{param}"


def says(script: Script, world: World, *messages: dict[str, object]) -> None:
    """Let an edge say something."""
    for message in messages:
        world.evapi_message = json.dumps(message)
        script.routes.ksr_edge_says(None, "evapi:message-received")
