"""The routes without Kamailio: what edges say at the door, and how it starts."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tests.kemi.fake_ksr import World
from tests.kemi.script import E1, E2, Script, says, sealed


def test_an_edge_that_listens_is_told_and_one_that_went_quiet_is_not(
    script: Script, world: World
) -> None:
    says(script, world, {"do": "listen", "name": "a1"}, {"do": "listen", "name": "a2"})
    assert world.tables["meta"]["listeners"] == "a1 a2"
    assert world.was_done("tell")[-1] == ("a2", '{"event": "listening"}')
    del world.tables["listen"]["a1"]  # it expired
    says(script, world, {"do": "listen", "name": "a2"})
    assert world.tables["meta"]["listeners"] == "a2"
    world.done.clear()
    world.to_user = "alice"
    script.routes.ksr_contact_expired(None, "usrloc:contact-expired")
    ((name, text),) = world.was_done("tell")
    assert (name, json.loads(text)["event"]) == ("a2", "expired")


def load_of(*offers: list[object], count: int | None = None) -> list[dict[str, object]]:
    size = len(offers) if count is None else count
    return [
        {"do": "load_gate", "id": "x", "offers": list(offers)},
        {"do": "open_gate", "id": "x", "count": size, "floor": [1, 50]},
    ]


def test_a_gate_is_loaded_once_and_whole(script: Script, world: World) -> None:
    del world.tables["meta"]["gate_loaded"]
    says(script, world, *load_of(["alice", 1, 40, "talking", "c"], count=2))
    assert "gate_loaded" not in world.tables["meta"]
    del world.tables["loading"]["x"]
    rows = [["alice", 1, 40, "talking", "c", E1], ["bob", 1, 41, "ringing", "d", ""]]
    says(script, world, *load_of(*rows))
    assert world.tables["served_by"] == {"alice": E1}
    assert world.tables["meta"]["gate_loaded"] == "1"
    assert world.tables["meta"]["gate_floor"] == "1.50"
    assert world.tables["gate"] == {"alice": "1.40.talking.c", "bob": "1.41.ringing.d"}
    says(script, world, *load_of(["alice", 1, 99, "idle", ""]))
    assert world.tables["gate"]["alice"] == "1.40.talking.c"
    assert world.tables["meta"]["gate_floor"] == "1.50"


def test_given_two_edges_load_at_once_then_the_newer_offer_stays(
    script: Script, world: World
) -> None:
    del world.tables["meta"]["gate_loaded"]
    says(script, world, *load_of(["alice", 1, 45, "ringing", "new"])[:1])
    says(script, world, *load_of(["alice", 1, 40, "talking", "old"], count=2))
    assert world.tables["gate"]["alice"] == "1.45.ringing.new"


def test_an_edge_may_free_a_gate_by_its_token(script: Script, world: World) -> None:
    world.tables["gate"]["alice"] = "1.7.talking.c"
    world.tables["leg"]["alice"] = "old 1"
    says(script, world, {"do": "free_gate", "agent": "alice", "epoch": 1, "revision": 6})
    assert world.tables["gate"]["alice"] == "1.7.talking.c"
    assert world.was_done("cancel") == []
    says(script, world, {"do": "free_gate", "agent": "alice", "epoch": 1, "revision": 7})
    assert world.tables["gate"]["alice"] == "1.7.idle."
    assert world.was_done("cancel") == [("old", "1")]


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"do": "dance"}', '{"do": "free_gate"}'])
def test_what_an_edge_says_wrong_is_one_line(script: Script, world: World, text: str) -> None:
    world.evapi_message = text
    script.routes.ksr_edge_says(None, "evapi:message-received")
    assert len(world.was_done("log")) == 1
    script.routes.ksr_edge_says(None, "evapi:connection-new")
    assert len(world.was_done("log")) == 1


GOOD = {"v": 1, "steer": {"1": E2}, "peers": {"1.2.3.4": "trunk:t2"}, "ha1": {"bob": "0" * 32}}


def test_a_start_begins_with_the_last_good_tables(
    script: Script, world: World, tmp_path: Path
) -> None:
    world.tables.clear()
    handed_on = {"forward": {"1": "t2 +4930123456"}}
    (tmp_path / "tables.json").write_text(json.dumps(GOOD | handed_on))
    script.routes.ksr_tables_from_file(None, "htable:mod-init")
    assert world.tables["forward"] == handed_on["forward"]
    assert world.tables["steer"] == {"1": E2}
    assert world.tables["peers"] == {"1.2.3.4": "trunk:t2"}
    assert world.tables["ha1"] == {"bob": "0" * 32}
    assert world.tables["meta"] == {"tables": "1"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '{"v": 1}',
        '{"steer": [], "peers": {}, "ha1": {}}',
        "\x00",
        json.dumps(GOOD | {"v": 2}),
    ],
)
def test_a_start_without_good_tables_goes_on_empty(
    script: Script, world: World, tmp_path: Path, text: str
) -> None:
    world.tables.clear()
    script.routes.ksr_tables_from_file(None, "htable:mod-init")
    assert world.done == []
    (tmp_path / "tables.json").write_text(text)
    script.routes.ksr_tables_from_file(None, "htable:mod-init")
    assert len(world.was_done("log")) == 1
    assert not world.tables["meta"]


def test_the_seals_key_outlives_a_restart_and_is_nobody_elses(
    script: Script, world: World, tmp_path: Path
) -> None:
    route = sealed(script, world)
    key = tmp_path / "kamailio.secret"
    assert key.stat().st_mode & 0o777 == 0o600
    world.results["kx.get_def"] = [str(tmp_path), "a", "400"]
    again = script.modules["edge_routes"].mod_init()
    assert again.sealer.read(route) == ("alice", (1, 7))
    key.unlink()
    world.results["kx.get_def"] = [str(tmp_path), "a", "400"]
    assert script.modules["edge_routes"].mod_init().sealer.read(route) is None


@pytest.mark.parametrize("left", [b"", b"half"])
def test_a_key_that_a_full_disk_left_half_written_seals_nothing(
    script: Script, world: World, tmp_path: Path, left: bytes
) -> None:
    key = tmp_path / "kamailio.secret"
    key.write_bytes(left)
    world.results["kx.get_def"] = [str(tmp_path), "a", "400"]
    script.modules["edge_routes"].mod_init()
    assert len(key.read_bytes()) == 32
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_key_that_cannot_be_kept_leaves_none(
    script: Script, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "kamailio.secret").unlink()
    world.results["kx.get_def"] = [str(tmp_path), "a", "400"]
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        script.modules["edge_routes"].mod_init()
    assert not (tmp_path / "kamailio.secret").exists()


def test_what_cannot_be_read_is_not_told_to_the_log(
    script: Script, world: World, tmp_path: Path
) -> None:
    (tmp_path / "tables.json").write_bytes(json.dumps(GOOD).encode() + b"\xff")
    script.routes.ksr_tables_from_file(None, "htable:mod-init")
    ((line,),) = world.was_done("log")
    assert "0" * 32 not in line


def test_the_callbacks_that_kamailio_needs_are_there(script: Script, world: World) -> None:
    assert world is script.ksr.world
    assert script.routes.child_init(0) == 0
