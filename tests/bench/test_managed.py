"""Our KEMI route with media, as `bench relay` loads it, over a KSR that knows the module."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.bench.relay.proxies import KEMI_DIR, MANAGED
from tests.kemi.fake_ksr import FakeKsr, World
from tests.kemi.script import E1, EDGE, TRUNK

COMMAND = "rtpengine.rtpengine_manage"


class KsrWithMedia(FakeKsr):
    """It notes what rtpengine is asked for."""

    def __init__(self) -> None:
        super().__init__({COMMAND: (str,)})
        self._verbs[COMMAND] = lambda flags: self._note("manage", flags)


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[tuple[Any, World]]:
    """Return the routes, loaded as Kamailio does, and their world."""
    ksr, path = KsrWithMedia(), list(sys.path)
    sys.modules["KSR"] = ksr
    sys.path.insert(0, str(MANAGED.parent))
    try:
        script = importlib.import_module("managed")
        assert Path(script.edge_routes.__file__).parent == KEMI_DIR
        world = ksr.world
        world.results["kx.get_def"] = [str(tmp_path), "a", "400"]
        routes = script.mod_init()
        world.tables["peers"] = {TRUNK[0]: "trunk:t1", "{}:{}".format(*EDGE): "edge"}
        world.tables["steer"] = {"4930111": E1}
        yield routes, world
    finally:
        sys.path[:] = path
        for name in [*(each.stem for each in KEMI_DIR.glob("*.py")), "managed", "KSR"]:
            sys.modules.pop(name, None)


def test_a_call_is_offered_before_it_goes_to_its_edge(managed: tuple[Any, World]) -> None:
    routes, world = managed
    routes.ksr_request_route(None)
    verbs = [each[0] for each in world.done]
    assert verbs.count("manage") == 1
    assert verbs.index("manage") < verbs.index("relay")


def test_the_edges_answer_is_answered(managed: tuple[Any, World]) -> None:
    routes, world = managed
    world.status = 200
    routes.ksr_edge_replies(None)
    assert len(world.was_done("manage")) == 1


@pytest.mark.parametrize(("next_hop", "times"), [(EDGE, 1), (("192.0.2.1", 5060), 0)])
def test_what_may_pass_within_the_dialog_goes_by_rtpengine_and_nothing_else(
    managed: tuple[Any, World], next_hop: tuple[str, int], times: int
) -> None:
    routes, world = managed
    world.method, world.to_tag, world.next_hop = "BYE", "t", (next_hop[0], str(next_hop[1]))
    routes.ksr_request_route(None)
    assert len(world.was_done("manage")) == times
    assert len(world.was_done("relay")) == times
