"""What an edge reads of a gate, and what it tells one."""

from __future__ import annotations

import json

import pytest
from immutables import Map
from msgspec.structs import replace

from edge.acd.token import Token, alone_token
from edge.proxy.gate import (
    CHUNK,
    GateEntry,
    GateLoad,
    GateState,
    epoch_alone,
    free_message,
    gate_load,
    is_stuck,
    load_messages,
    parse_entry,
)
from state.model import (
    FIRST_EPOCH,
    Agent,
    AgentId,
    CallId,
    EdgeId,
    EdgeLife,
    EdgeState,
    Entry,
    Offer,
    OfferState,
    SiteId,
)
from state.snapshot import Snapshot

ALICE, BOB, GHOST = AgentId("alice"), AgentId("bob"), AgentId("ghost")


def token(revision: int, epoch: int = 1) -> Token:
    return Token(epoch=epoch, revision=revision)


def test_tokens_are_ordered_by_epoch_first() -> None:
    assert token(9) < token(10) < token(1, epoch=2)


@pytest.mark.parametrize(
    ("text", "state", "call"),
    [
        ("1.7.idle.", GateState.IDLE, None),
        ("1.7.ringing.c-1", GateState.RINGING, CallId("c-1")),
        ("1.7.talking.c.with.dots", GateState.TALKING, CallId("c.with.dots")),
    ],
)
def test_an_entry_is_read(text: str, state: GateState, call: CallId | None) -> None:
    assert parse_entry(text) == GateEntry(token=token(7), state=state, call=call)


def test_a_gates_floor_is_above_tokens_made_alone_that_no_presence_tells_of() -> None:
    behind = snapshot()
    floor = gate_load(behind, SiteId("a")).floor
    made = epoch_alone(behind, SiteId("a"))
    assert made == alone_token(None, FIRST_EPOCH).epoch
    alone = gate_load(behind, SiteId("a"), let_through=made).floor
    assert token(99, epoch=2) < alone == token(floor.revision, epoch=3)


def test_a_gate_that_is_loaded_learns_which_edge_holds_the_call_if_that_one_lives() -> None:
    assert gate_load(snapshot(), SiteId("a")).offers[ALICE].served_by == ""
    life = EdgeLife(
        edge=EdgeId("a1"),
        site=SiteId("a"),
        sip="198.18.1.10:5081",
        state=EdgeState.SERVING,
        started_ms=0,
    )
    there = Entry(value=life, create_revision=1, mod_revision=1, seen_s=0)
    living = replace(snapshot(), edges=Map({EdgeId("a1"): there}))
    assert gate_load(living, SiteId("a")).offers[ALICE].served_by == life.sip


@pytest.mark.parametrize("text", ["", "1", "1.7", "1.7.idle", "x.7.idle.", "1.7.dancing."])
def test_an_entry_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_entry(text)


def snapshot() -> Snapshot:
    """Return one with an agent at site a and one at b, both offered, and an offer to nobody."""

    def agent(name: AgentId, site: str) -> Entry[Agent]:
        value = Agent(id=name, name=name, site=SiteId(site), skills={})
        return Entry(value=value, create_revision=1, mod_revision=1, seen_s=0)

    def offer(name: AgentId, created: int, state: OfferState) -> Entry[Offer]:
        value = Offer(
            agent=name, call=CallId(f"call-{name}"), edge=EdgeId("a1"), state=state, since_ms=0
        )
        return Entry(value=value, create_revision=created, mod_revision=created + 5, seen_s=0)

    return Snapshot(
        revision=80,
        agents=Map({ALICE: agent(ALICE, "a"), BOB: agent(BOB, "b")}),
        offers=Map(
            {
                ALICE: offer(ALICE, 70, OfferState.TALKING),
                BOB: offer(BOB, 71, OfferState.RINGING),
                GHOST: offer(GHOST, 72, OfferState.RINGING),
            }
        ),
    )


def test_a_gate_that_is_loaded_with_a_token_made_alone_has_seen_it_and_is_healed_above_it() -> None:
    merged = replace(snapshot().offers[ALICE].value, epoch=2, granted=1)
    entry = replace(snapshot().offers[ALICE], value=merged)
    load = gate_load(replace(snapshot(), offers=Map({ALICE: entry})), SiteId("a"))
    held = load.offers[ALICE]
    assert held.token == token(1, epoch=2)
    assert load.epoch_seen == 2
    # The call has ended since. The gate holds the agent by a token above the store's ...
    over = replace(snapshot(), offers=Map())
    assert not is_stuck(ALICE, held, gate_load(over, SiteId("a")))
    # ... until the presences stand above what the gate has seen.
    assert is_stuck(ALICE, held, gate_load(over, SiteId("a"), let_through=load.epoch_seen))
    assert gate_load(over, SiteId("a")).epoch_seen == FIRST_EPOCH


def test_a_gate_is_told_the_offers_of_its_own_agents_by_their_first_revision() -> None:
    held = GateEntry(token=token(70), state=GateState.TALKING, call=CallId("call-alice"))
    wanted = GateLoad(floor=token(80), offers={ALICE: held})
    assert gate_load(snapshot(), SiteId("a")) == wanted


@pytest.mark.parametrize(
    ("entry", "stuck"),
    [
        ("1.70.talking.call-alice", False),
        ("1.70.idle.", False),
        ("1.60.talking.gone", True),
        ("1.60.ringing.gone", True),
        ("1.60.idle.", False),
        ("1.81.ringing.newer", False),
        ("2.1.ringing.newer", False),
    ],
)
def test_a_gate_is_stuck_when_its_offer_is_gone_and_no_newer_than_the_snapshot(
    entry: str,
    stuck: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    standing = gate_load(snapshot(), SiteId("a"))
    assert is_stuck(ALICE, parse_entry(entry), standing) == stuck
    assert is_stuck(GHOST, parse_entry("1.72.ringing.call-ghost"), standing)


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 1000])
def test_a_load_is_cut_into_messages_that_fit_kamailios_buffer(count: int) -> None:
    long = "x" * 64
    offers = {
        AgentId(f"{long}{number}"): GateEntry(
            token=token(number),
            state=GateState.RINGING,
            call=CallId(f"{long}{number}"),
            served_by="198.18.255.255:65535",
        )
        for number in range(count)
    }
    *chunks, last = load_messages(GateLoad(floor=token(2000), offers=offers), "id")
    assert last == {"do": "open_gate", "id": "id", "count": count, "floor": [1, 2000]}
    sizes = [len(json.dumps(chunk)) for chunk in chunks]
    assert all(size < 30_000 for size in sizes)
    told = [offer for chunk in chunks for offer in json.loads(json.dumps(chunk))["offers"]]
    assert len(told) == count
    if told:
        assert told[0] == [f"{long}0", 1, 0, "ringing", f"{long}0", "198.18.255.255:65535"]


def test_freeing_names_the_token() -> None:
    wanted = {"do": "free_gate", "agent": "alice", "epoch": 1, "revision": 7}
    assert free_message(ALICE, token(7)) == wanted
