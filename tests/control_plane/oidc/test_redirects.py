"""Where a provider may send people back to."""

from __future__ import annotations

import pytest

from control_plane.oidc.redirects import is_registered

KNOWN = ("https://desk.example.org/back", "http://127.0.0.1/ctl", "http://[::1]/ctl?x=1")


@pytest.mark.parametrize(
    "uri",
    [*KNOWN, "http://127.0.0.1:1/ctl", "http://127.0.0.1:65535/ctl", "http://[::1]:9/ctl?x=1"],
)
def test_the_port_of_a_loopback_is_free_where_none_is_named(uri: str) -> None:
    assert is_registered(uri, KNOWN)


@pytest.mark.parametrize(
    "uri",
    [
        "https://desk.example.org:8/back", "http://127.0.0.1:1/other", "http://127.0.0.1:1/ctl?x=1",
        "https://127.0.0.1:1/ctl", "http://localhost:1/ctl", "http://127.0.0.2:1/ctl",
        "http://a@127.0.0.1:1/ctl", "http://[::1]:9/ctl", "http://127.0.0.1.example.org:1/ctl",
        "http://127.0.0.1:1/ctl#x",
    ],
)  # fmt: skip
def test_all_else_is_compared_whole(uri: str) -> None:
    assert not is_registered(uri, KNOWN)


def test_a_port_that_is_named_stays() -> None:
    assert not is_registered("http://127.0.0.1:2/ctl", ("http://127.0.0.1:1/ctl",))
