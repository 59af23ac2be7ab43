"""What a control plane refuses to start with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from control_plane.settings import Settings

TLS = {"tls_cert": Path("/c.pem"), "tls_key": Path("/k.pem")}


def made(**changes: Any) -> Settings:  # noqa: ANN401
    usual = {"site": "a", "database": "sqlite:///x.db", "signing_key": Path("/s")}
    return Settings.model_validate(usual | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"listen": "127.0.0.1:80"}, "needs tls_cert and tls_key"),
        ({"listen": "198.51.100.1:80"}, "needs tls_cert and tls_key"),
        ({"listen": "198.51.100.1:80", "is_plain_on_loopback": True}, "it is no loopback"),
        ({"listen": "127.0.0.1:80", "is_plain_on_loopback": True, **TLS}, "exclude each other"),
        ({"listen": "127.0.0.1:80", "tls_cert": Path("/c.pem")}, "go together"),
        ({}, "either listen or listen_unix"),
    ],
)
def test_nothing_is_served_without_tls_by_mistake(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        made(**changes)


def test_tls_a_unix_socket_and_the_loopback_by_decision_are_served() -> None:
    assert made(listen="198.51.100.1:443", **TLS).tls_cert is not None
    assert made(listen="[::1]:80", is_plain_on_loopback=True).listen == "[::1]:80"
    assert made(listen_unix="/run/api.sock").listen is None
