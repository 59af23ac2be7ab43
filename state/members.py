"""Which members keep the shared state, and which of them take part at present. PURE."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from msgspec import Struct


class EtcdMember(Struct, frozen=True, kw_only=True):
    """One member that has a vote."""

    name: str
    """As it was started: its site's id, if its operator keeps to that; empty: it never was."""
    hosts: tuple[str, ...]
    """Where it says that it is to be reached, without ports."""
    is_up: bool
    """It answers, and knows who leads."""


@runtime_checkable
class Membered(Protocol):
    """A store that can be asked for its members."""

    async def members(self) -> tuple[EtcdMember, ...]:
        """Return those with a vote, by name; none: it has no such. Raises StoreError."""
        ...


def silent(members: tuple[EtcdMember, ...]) -> tuple[str, ...]:
    """Name those that do not take part."""
    return tuple(each.name or " ".join(each.hosts) for each in members if not each.is_up)
