from __future__ import annotations

import math

from drills.demo.history import Seen
from drills.demo.said import Life, Said, words
from state import keys
from state.codec import Record, encode
from state.model import (
    AgentId,
    CallId,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    SiteId,
)
from state.raw import Change

A, A1, ALBA, CALL = SiteId("a"), EdgeId("a1"), AgentId("alba"), CallId("1" * 24)
READY, OUT = PresenceState.READY, PresenceState.SIGNED_OUT
PRESENCE, OFFER, EDGE = keys.presence(ALBA), keys.offer(ALBA), keys.edge(A1)


def at(at_ms: int, key: str, value: Record | None = None) -> Seen:
    text = None if value is None else encode(value)
    return Seen(
        at_ms=at_ms,
        change=Change(key=key, value=text, create_revision=1, mod_revision=at_ms),
    )


def presence(state: PresenceState) -> Presence:
    return Presence(agent=ALBA, site=A, state=state, since_ms=0)


def offer() -> Offer:
    return Offer(agent=ALBA, call=CALL, edge=A1, state=OfferState.TALKING, since_ms=0)


def test_what_is_said_of_an_agent_stands_until_something_else_is() -> None:
    seen = (
        at(10, PRESENCE, presence(READY)),
        at(20, OFFER, offer()),
        at(30, OFFER),
        at(40, PRESENCE, presence(OUT)),
        at(50, PRESENCE),
    )
    told = [
        (each.state, each.site, each.call, each.from_ms, each.to_ms) for each in words(seen).agents
    ]
    assert told == [
        (READY, A, None, 10, 20),
        (READY, A, CALL, 20, 30),
        (READY, A, None, 30, 40),
        (OUT, A, None, 40, 50),
        (OUT, A, None, 50, math.inf),
    ]


def test_two_changes_of_one_moment_are_one() -> None:
    seen = (at(10, PRESENCE, presence(READY)), at(10, OFFER, offer()))
    assert words(seen).agents == (
        Said(agent=ALBA, state=READY, site=A, call=CALL, from_ms=10, to_ms=math.inf),
    )


def test_an_edge_lives_from_its_first_word_until_its_lease_has_run_out() -> None:
    life = EdgeLife(edge=A1, site=A, sip="x:1", state=EdgeState.SERVING, started_ms=0)
    seen = (at(10, EDGE, life), at(20, EDGE, life), at(30, EDGE), at(35, EDGE), at(40, EDGE, life))
    assert words(seen).lives == (
        Life(edge=A1, from_ms=10, to_ms=30),
        Life(edge=A1, from_ms=40, to_ms=math.inf),
    )
