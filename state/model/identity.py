"""Ids and numbers, and what the store knows of a record beside its value. PURE."""

from __future__ import annotations

from typing import Annotated, Generic, NewType, TypeAlias, TypeVar

from msgspec import Meta, Struct

SiteId = NewType("SiteId", str)
EdgeId = NewType("EdgeId", str)
TrunkId = NewType("TrunkId", str)
DidNumber = NewType("DidNumber", str)
QueueId = NewType("QueueId", str)
SkillId = NewType("SkillId", str)
AgentId = NewType("AgentId", str)
CalendarId = NewType("CalendarId", str)
TenantId = NewType("TenantId", str)
CallId = NewType("CallId", str)
"""Ours: names one caller's call for its whole life. SIP's is always `sip_call_id`."""

MAIN = TenantId("main")
"""The tenant of whatever names none: the center's own."""

Whole: TypeAlias = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
"""A whole number that a float holds exactly. JSON's and Python's have no end, and who reckons in
seconds, or sums scores, would die of one: a record with such a number cannot be read."""

T_co = TypeVar("T_co", covariant=True)


class Now(Struct, frozen=True, kw_only=True):
    """One instant on both clocks. Pure code takes it as an argument and never asks for it."""

    mono_s: float
    """This process's monotonic clock: the only one durations are measured on."""
    wall_ms: int
    """UTC, for records and people."""


class Entry(Struct, Generic[T_co], frozen=True, kw_only=True, eq=False):
    """A record with what the store knows of it."""

    value: T_co
    create_revision: int
    mod_revision: int
    seen_s: float
    """When this process first saw this `mod_revision`, on its monotonic clock. Of a work
    record that it found: from when the rest is counted, maybe before (`state.snapshot.rests`)."""
    is_found: bool = False
    """This process did not see it being written, but found it in a listing: it may be older than
    `seen_s` says. Two entries are equal whatever it is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    @property
    def _compared(self) -> tuple[object, ...]:
        return (self.value, self.create_revision, self.mod_revision, self.seen_s)
