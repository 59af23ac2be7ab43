"""Where agents are at home, those who were moved as well. PURE."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from state.codec import decode_at
from state.keys import Kind, build
from state.model import Agent, AgentId, Entry, Move, SiteId
from state.raw import KeyValue
from state.snapshot.snapshot import Snapshot


def configured_site(snapshot: Snapshot, agent: AgentId) -> SiteId:
    """Return where an agent who stands in `agents` is at home when nothing is broken."""
    return configured(snapshot.raw[build(Kind.AGENT, agent)]).site


def configured(record: KeyValue) -> Agent:
    """Read an agent's configuration, which has been read before."""
    found = decode_at(record.key, record.value)
    if not isinstance(found, Agent):
        raise TypeError(f"{record.key} holds a {type(found).__name__}")
    return found


def at_home(entry: Entry[Any], move: Entry[Move] | None) -> Entry[Any]:
    """Return a configured agent at the site that is their home for now."""
    agent = entry.value
    if move is None or move.value.home != agent.site or move.value.site == agent.site:
        return entry
    return structs.replace(entry, value=structs.replace(agent, site=move.value.site))
