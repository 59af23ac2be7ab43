"""PURE. Where a provider may send people back to (RFC 8252, section 7.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
"""Addresses alone: `localhost` may be somebody else's (section 8.3)."""


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Return whether `uri` is one of these: whole, but for a loopback's port where none is named.

    A program on the user's machine listens on whichever port is free.
    """
    return any(uri == each or _is_of_any_port(uri, each) for each in registered)


def _is_of_any_port(uri: str, registered: str) -> bool:
    asked, known = urlsplit(uri), urlsplit(registered)
    return (
        known.scheme == "http"
        and known.hostname in LOOPBACK
        and known.port is None
        and known.netloc.rpartition("@")[0] == asked.netloc.rpartition("@")[0] == ""
        and asked._replace(netloc="") == known._replace(netloc="")
        and asked.hostname == known.hostname
    )
