"""Calls that are over, carried from the shared state's ledger; and how far that has come."""

from __future__ import annotations

from sqlalchemy import Index, false
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.db.tables import Ms, Table


class CallRow(Table):
    """One call that is over. Its record is the ledger's; the caller's number stands here alone."""

    __tablename__ = "calls"
    __table_args__ = (
        Index("ix_calls_tenant_arrived_ms_id", "tenant", "arrived_ms", "id"),
        Index("ix_calls_tenant_caller", "tenant", "caller"),
        Index("ix_calls_ended_ms_revision", "ended_ms", "revision"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    did: Mapped[str]
    queue: Mapped[str]
    site: Mapped[str]
    agent: Mapped[str]
    """Empty: none talked with the caller."""
    agent_site: Mapped[str]
    team: Mapped[str]
    """Of the agent, when the call was carried over."""
    employer: Mapped[str]
    caller: Mapped[str]
    """E.164 where it is such a number. Empty: not known, or erased."""
    is_caller_erased: Mapped[bool] = mapped_column(server_default=false())
    """Whoever still remembers the number of this call does not write it here again."""
    outcome: Mapped[str]
    arrived_ms: Mapped[Ms]
    ended_ms: Mapped[Ms]
    revision: Mapped[Ms]
    """Of the ledger's record: a later one replaces it."""
    record: Mapped[str]
    """JSON: the record as the ledger has it."""
    callback_of: Mapped[str] = mapped_column(server_default="")
    """The call that was lost or sent away, if this one was to call them back; empty: of none."""
    code: Mapped[str] = mapped_column(server_default="")
    """What it was about: a wrap-up code. Empty: nobody has said."""
    code_revision: Mapped[Ms] = mapped_column(server_default="0")
    """Of the shared state's word on that: the last one counts."""


class RestRow(Table):
    """The wrap-ups of a call that were other than its record says."""

    __tablename__ = "rests"

    call: Mapped[str] = mapped_column(primary_key=True)
    """It may be on yet."""
    revision: Mapped[Ms]
    """Of the shared state's word on that: the last one counts."""
    at_ms: Mapped[Ms]
    told: Mapped[str]
    """JSON: that word."""


class CarriedRow(Table):
    """Up to which revision something has been carried over: in all, and by each control plane."""

    __tablename__ = "carried"

    name: Mapped[str] = mapped_column(primary_key=True)
    """`ledger`, `codes`, `rests`; `ledger@SITE`: by the control plane there."""
    revision: Mapped[Ms]
    at_ms: Mapped[Ms] = mapped_column(server_default="0")
    """When that was last said."""
