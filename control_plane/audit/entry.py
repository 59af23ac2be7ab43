"""PURE. One line of the log, and the bytes of it that the tree is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

ALLOWED: Final = "allowed"
_encoder: Final = msgspec.json.Encoder(order="sorted")
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what, or was refused; why, from where, and by which policy."""

    tenant: str
    at_ms: int
    actor: str
    action: str
    """A permission, or a word such as `session:start`."""
    kind: str
    thing: str
    policy_version: str
    request_id: str
    site: str
    purpose: str = ""
    """What the request said that it was for."""
    origin: str = ""
    """The address that it came from."""
    session: str = ""
    """The sign-in by which it was asked."""
    decision: str = ALLOWED
    """`allowed`, or why it was not: a word of `control_plane.authz.Why`."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """Names of fields that were changed, and other words; never what a customer told us."""


COLUMNS: Final = tuple(name for name in Entry.__dataclass_fields__ if name != "detail")


def detail_text(detail: Mapping[str, object]) -> str:
    """Return an entry's details as they are kept."""
    return _encoder.encode(dict(detail)).decode()


def leaf(row: Mapping[str, Any]) -> bytes:
    """Return what the tree is over: the columns of a row, `detail` as its text.

    Canonical JSON, so that whoever has an entry makes the same bytes of it.
    """
    told = {name: row[name] for name in COLUMNS}
    return _encoder.encode({**told, "detail": row["detail"], "v": VERSION})
