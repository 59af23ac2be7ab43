"""What phones can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.phone.config import ConfigError, read, read_file
from edge.sip.events import Address


def test_least_that_must_be_said_is_read_with_sensible_behaviour() -> None:
    plan = read(
        b'{"agents": [{"id": "alba", "registrar": "192.0.2.1:5060"}],'
        b' "callers": [{"id": "c1", "carrier": "192.0.2.2:5060", "did": "15550100"}]}'
    )
    assert plan.agents[0].decline == 0
    assert plan.callers[0].patience_s > 0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"", "phones"),
        (b"[]", "object"),
        (b'{"agent": []}', "agent"),
        (b'{"agents": [{"id": "alba"}]}', "registrar"),
        (b'{"agents": [{"id": "alba", "registrar": "nowhere"}]}', "nowhere"),
        (b'{"agents": [{"id": "alba", "registrar": "a:1", "backups": ["b"]}]}', "`b`"),
        (b'{"callers": [{"id": "c", "carrier": "192.0.2.1:99999", "did": "1"}]}', "99999"),
        (b'{"callers": [{"id": "c", "carrier": "a:1", "did": "1", "talk_s": "x"}]}', "talk_s"),
    ],
)
def test_mistake_is_named(text: bytes, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read(text)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no-such\.json"):
        read_file(tmp_path / "no-such.json")


def test_address_is_host_and_port() -> None:
    plan = read(b'{"agents": [{"id": "a", "registrar": "192.0.2.1:5060"}]}')
    assert plan.agents[0].registrar == str(Address("192.0.2.1", 5060))
