"""The gate before each agent's phone, as Kamailio keeps it: tokens, entries, what to load. PURE.

The gate itself is in edge/kemi/edge_routes.py; here is what an edge reads of it and writes to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from edge.acd.token import Token, store_epoch, token_of
from state.model import FIRST_EPOCH, AgentId, CallId, OfferState, SiteId
from state.snapshot import Snapshot

CHUNK = 50
"""Offers in one message: evapi's buffer is 32 KB."""


class GateState(StrEnum):
    """Whether an offer holds the agent."""

    IDLE = "idle"
    RINGING = "ringing"
    TALKING = "talking"


class GateEntry(Struct, frozen=True, kw_only=True):
    """The highest token seen for an agent, and what became of it."""

    token: Token
    state: GateState
    call: CallId | None
    served_by: str = ""
    """Where the edge is that holds the call, HOST:PORT; only to load a gate, if it is known."""


class GateLoad(Struct, frozen=True, kw_only=True):
    """What a gate has to know after a restart."""

    floor: Token
    """No token up to this one is new. Its revision is the snapshot's."""
    offers: Mapping[AgentId, GateEntry]
    """The offers that stand, for agents homed at this site."""
    by_word: frozenset[AgentId] | None = None
    """Whom sisters who serve alone have given to calls besides, by their word; None: none does.

    They give and take agents without the store, so their word is asked for anew before a gate is
    freed: of what it held before that was asked nobody has a call any more."""

    @property
    def epoch_seen(self) -> int:
        """The highest epoch of a token that the gate has seen, once it has been loaded with this.

        An offer that was made alone and merged may be loaded into a gate that never let it through.
        """
        return max((entry.token.epoch for entry in self.offers.values()), default=FIRST_EPOCH)


def site_epoch(snapshot: Snapshot, site: SiteId) -> int:
    """Return the highest epoch of the presences of a site's agents."""
    epochs = (each.value.epoch for each in snapshot.presences.values() if each.value.site == site)
    return max(epochs, default=FIRST_EPOCH)


def epoch_alone(snapshot: Snapshot, site: SiteId) -> int:
    """Return the epoch of tokens that a site may have made alone since that snapshot."""
    return site_epoch(snapshot, site) + 1


def gate_load(
    snapshot: Snapshot,
    site: SiteId,
    *,
    let_through: int = 0,
    by_word: frozenset[AgentId] | None = None,
) -> GateLoad:
    """Return what the gate of `site` has to know, from a snapshot that is not stale.

    To load one that was shut, the snapshot has to be of after that. `let_through`: the highest
    epoch of a token that the gate is known to have let through, of which the presences may not tell
    yet. `by_word`: see `GateLoad`.
    """
    epoch = max(site_epoch(snapshot, site), store_epoch(let_through))
    states = {OfferState.RINGING: GateState.RINGING, OfferState.TALKING: GateState.TALKING}
    return GateLoad(
        floor=Token(epoch=epoch, revision=snapshot.revision),
        offers={
            agent: GateEntry(
                token=token_of(entry),
                state=states[entry.value.state],
                call=entry.value.call,
                served_by=life.value.sip if (life := snapshot.edges.get(entry.value.edge)) else "",
            )
            for agent, entry in snapshot.offers.items()
            if (known := snapshot.agents.get(agent)) is not None and known.value.site == site
        },
        by_word=by_word,
    )


def parse_entry(text: str) -> GateEntry:
    """Read a value of the htable `gate`. Raises ValueError."""
    epoch, revision, state, call = text.split(".", 3)
    return GateEntry(
        token=Token(epoch=int(epoch), revision=int(revision)),
        state=GateState(state),
        call=CallId(call) if call else None,
    )


def is_stuck(agent: AgentId, entry: GateEntry, standing: GateLoad) -> bool:
    """Whether the gate still holds the agent for an offer that no longer stands.

    What is newer than the snapshot is not ours to judge.
    """
    if entry.state is GateState.IDLE or entry.token > standing.floor:
        return False
    if standing.by_word is not None and agent in standing.by_word:
        return False
    offer = standing.offers.get(agent)
    return offer is None or offer.token != entry.token


def load_messages(load: GateLoad, load_id: str) -> list[Mapping[str, object]]:
    """Return the messages that load a gate; the last one opens it, if none before it was lost."""
    offers = [
        [
            *(agent, entry.token.epoch, entry.token.revision),
            *(entry.state, entry.call or "", entry.served_by),
        ]
        for agent, entry in load.offers.items()
    ]
    messages: list[Mapping[str, object]] = [
        {"do": "load_gate", "id": load_id, "offers": offers[at : at + CHUNK]}
        for at in range(0, len(offers), CHUNK)
    ]
    floor = [load.floor.epoch, load.floor.revision]
    return [*messages, {"do": "open_gate", "id": load_id, "count": len(offers), "floor": floor}]


def free_message(agent: AgentId, token: Token) -> Mapping[str, object]:
    """Return the message that frees an agent's gate, if it is still that token's."""
    return {
        "do": "free_gate",
        "agent": agent,
        "epoch": token.epoch,
        "revision": token.revision,
    }
