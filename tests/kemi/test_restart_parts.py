"""A Kamailio that starts: what it serves before any edge has spoken to it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from edge.proxy.tables import Tables, encode_file
from state.model import AgentId
from tests.kemi.phone import offer, register
from tests.kemi.sip_peer import SDP, ha1_of
from tests.kemi.site import Site, running

pytestmark = pytest.mark.parts


def test_given_it_was_killed_then_it_serves_from_its_file_as_soon_as_it_is_up(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path / "run")
    trunk, edge, phone = site.peer(5060), site.peer(), site.peer()
    tables = Tables(
        steer={"4930111": edge.address},
        peers={trunk.host: "trunk:t1", edge.address: "edge"},
        ha1={AgentId("alice"): ha1_of("alice", "pw")},
        home={AgentId("alice"): "1.6"},
    )
    (site.run_dir / "tables.json").write_bytes(encode_file(tables))
    with running(site):
        site.stop(signal.SIGKILL)
        start = time.monotonic()
        site.start()
        trunk.send(trunk.request("INVITE", f"sip:4930111@{site.address}", body=SDP))
        edge.respond(edge.wait("INVITE"), 200, body=SDP)
        assert trunk.wait(200).status == 200
        assert time.monotonic() - start < 8
        assert register(phone, "alice").status == 200
        # But who rings an agent it lets no one say before the gate is loaded.
        offer(edge, "alice", "c", (1, 7))
        assert edge.final().start == "SIP/2.0 503 gate not loaded"
        assert site.row("home", "alice") == "1.6"


@pytest.mark.parametrize("content", [b"", b'{"v": 1, "steer": {', bytes(100), b'{"v": 99}'])
def test_given_a_corrupt_file_then_it_starts_and_sends_calls_elsewhere(
    tmp_path: Path, content: bytes
) -> None:
    site = Site(tmp_path / "run")
    (site.run_dir / "tables.json").write_bytes(content)
    with running(site):
        trunk = site.trunk()
        trunk.send(trunk.request("INVITE", f"sip:4930111@{site.address}", body=SDP))
        answer = trunk.final()
        assert answer.status == 503
        assert answer["Retry-After"]
        lines = [line for line in site.log_text().splitlines() if "tables.json" in line]
        assert len(lines) == 1
        assert "no tables until an edge writes them" in lines[0]
