"""What is wrong in a settings file is said in one line that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import SettingsError
from edge.settings import load, parse

GOOD: dict[str, object] = {
    "edge": "a1",
    "site": "a",
    "sip": "198.18.1.10:5081",
    "kamailio_rpc": "/run/everline/a/kamailio.rpc",
    "evapi": "127.0.0.1:8448",
    "ng": "127.0.0.1:2223",
    "etcd": ["198.18.1.10:2379"],
    "run_dir": "/run/everline/a",
    "command_socket": "/run/everline/a/edge-a1.sock",
}
TLS = {"etcd_ca": "ca.pem", "etcd_cert": "cert.pem", "etcd_key": "key.pem"}


def test_a_good_file_is_read() -> None:
    settings = parse({**GOOD, **TLS, "log_level": "debug", "prompts": "/prompts"}, "x")
    assert settings.edge == "a1"
    assert settings.sip == "198.18.1.10:5081"
    assert settings.etcd == ("198.18.1.10:2379",)
    assert settings.etcd_key == Path("key.pem")
    assert parse({**GOOD, "ng": "direct"}, "x").ng == "direct"
    assert parse({**GOOD, "sip": "[::1]:5081"}, "x").sip == "[::1]:5081"


@pytest.mark.parametrize("key", sorted(GOOD))
def test_a_key_that_is_missing_is_named(key: str) -> None:
    raw = {name: value for name, value in GOOD.items() if name != key}
    assert key in _error(raw)


@pytest.mark.parametrize("key", sorted({**GOOD, **TLS, "log_level": "", "prompts": ""}))
@pytest.mark.parametrize("value", [5, True, "", [], {"a": "b"}, [1], "two\nlines", "nul\0"])
def test_a_value_that_makes_no_sense_names_its_key(key: str, value: object) -> None:
    assert key in _error({**GOOD, **TLS, key: value})


@pytest.mark.parametrize("key", ["sip", "evapi", "ng"])
@pytest.mark.parametrize(
    "value", ["somewhere", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:99999", ":5060",
              "1.2.3.4:²", "1.2.3.4:-1", "host.example:5060", "1.2.3.4.5:5060", "direct:1"],
)  # fmt: skip
def test_an_address_that_is_none_names_its_key(key: str, value: str) -> None:
    error = _error({**GOOD, key: value})
    assert key in error
    assert "host:port" in error or "IP address" in error


def test_an_etcd_endpoint_that_is_none_is_named() -> None:
    assert "etcd" in _error({**GOOD, "etcd": ["198.18.1.10:2379", "nowhere"]})


@pytest.mark.parametrize("key", sorted(TLS))
def test_certificates_come_together_or_not_at_all(key: str) -> None:
    raw = {**GOOD, **TLS}
    del raw[key]
    assert f"{key} is missing" in _error(raw)
    missing = min(TLS.keys() - {key})
    assert f"{missing} is missing" in _error({**GOOD, key: "x.pem"})


@pytest.mark.parametrize("key", ["edge", "site"])
@pytest.mark.parametrize("value", ["a 1", "a/1", "é", "x" * 65])
def test_a_name_that_no_key_can_hold_is_refused(key: str, value: str) -> None:
    assert key in _error({**GOOD, key: value})


def test_a_log_level_that_there_is_not_is_refused() -> None:
    assert "log_level" in _error({**GOOD, "log_level": "loud"})


def test_a_key_that_there_is_not_is_named_with_those_that_there_are() -> None:
    error = _error({**GOOD, "sipp": "x"})
    assert "'sipp'" in error
    assert "kamailio_rpc" in error


@pytest.mark.parametrize(
    "content", [b"edge = ", b"\xff\xfe", b"edge = 1\nedge = 2", b"[edge]\nx = 1"]
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "edge.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingsError, match=str(path)):
            load(path)


def _error(raw: dict[str, object]) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(dict(raw), "edge.toml")
    text = str(caught.value)
    assert text.startswith("edge.toml: ")
    assert "\n" not in text
    return text.removeprefix("edge.toml: ")
