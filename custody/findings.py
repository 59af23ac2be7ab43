"""PURE. What is found out about recordings and their keys, as values that are told on."""

from __future__ import annotations

from msgspec import Struct


class Sample(Struct, frozen=True, kw_only=True):
    """What came of one."""

    site: str
    at_ms: int
    tried: int
    opened: int
    """Whole: every hash is right, and every frame opened."""
    faults: tuple[str, ...] = ()
    """`TENANT/RECORDING: what is wrong`."""


class Rotation(Struct, frozen=True, kw_only=True):
    """One provider's."""

    provider: str
    keys: int
    """That it can open."""
    rewrapped: int
    """Of these, those that its newest generation has wrapped."""
    is_over: bool
    """The older secret is gone."""
