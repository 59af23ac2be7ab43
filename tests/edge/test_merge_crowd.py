"""Several calls and agents go through a cut together: none holds another up, nobody is given twice.

What is drawn: who does what before the cut and in it, whom survivors take for dead, and whom the
majority gives away. On a store in memory.
"""

from __future__ import annotations

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN
from edge.acd.granting import reserved
from edge.acd.match import match as match_now
from edge.acd.plan import Held, Plan
from edge.acd.reservation import (
    connected,
    created,
    edge_is_dead,
    ended,
    given_agent,
    offer_failed,
    orphan_closed,
)
from edge.acd.token import Token
from edge.alone.merging import is_shown, merge
from edge.calls.records import CallRecords, Landed
from state import keys
from state.codec import decode, encode
from state.model import AgentId, CallId, CallRecord, Now, SiteId
from state.store import Delete, Put
from tests.edge.lone import A1, ANN, Bench, configured, ticket
from tests.edge.test_merge_story import B1, ENDING, LIFE, TALKED, _for_given
from tests.edge.virtual_time import play

CALLS = tuple(CallId(f"{number:024x}") for number in range(3))
THEIRS = CallId("f" * 24)
BOB = AgentId("bob")


class Crowd:
    """Three calls of one edge, two agents, and the majority."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.records = {
            call: CallRecords(store=bench.store, clock=bench.clock, call=call) for call in CALLS
        }
        self.come: set[CallId] = set()
        self.over: set[CallId] = set()
        self.theirs = CallRecords(store=bench.shared, clock=bench.clock, call=THEIRS)
        self.tokens = 0

    async def step(self, number: int, what: str) -> None:
        """Let one call do something, if it can."""
        call = CALLS[number]
        records = self.records[call]
        held = records.held
        match what:
            case "arrive" if call not in self.come:
                self.come.add(call)
                await records.write(lambda _, at: created(ticket(call), at))
            case "reserve" if held is not None and held.given is None:
                await self._reserve(call, records)
            case "talk" if held is not None and held.given is not None:
                await records.write(_for_given(connected))
            case "give back" if held is not None and held.given is not None:
                await records.write(
                    _for_given(lambda h, g, at: offer_failed(h, g, WITHDRAWN, at, tried=True))
                )
            case "end":
                await self.end(call)
            case _:
                pass

    async def _reserve(self, call: CallId, records: CallRecords) -> None:
        snapshot = self.bench.store.snapshot
        offers = match_now(snapshot, self.bench.clock.now())
        offering = next((each for each in offers if each.call == call), None)
        if offering is None:
            return
        self.tokens += 1
        is_alone = self.bench.store.is_alone
        token = Token(epoch=2, revision=self.tokens) if is_alone else None

        def plan(held: Held | None, at: Now) -> Plan | None:
            if held is None:
                return None
            return reserved(offering, held, snapshot, edge=A1, at=at, alone=token)

        await records.write(plan)

    async def end(self, call: CallId) -> None:
        """Let it be over: by what is held."""
        if call in self.over or self.records[call].held is None:
            return
        self.over.add(call)
        written = await self.records[call].write(
            lambda held, at: None if held is None else ended(held, ENDING, TALKED, at)
        )
        assert isinstance(written, Landed)

    async def others(self, number: int, what: str) -> None:
        """Let the majority do something."""
        await self.bench.read()
        snapshot, at = self.bench.mirror.snapshot, self.bench.clock.now()
        if what == "close":
            entry = snapshot.tickets.get(CALLS[number])
            if entry is None:
                return
            offers = (o for o in snapshot.offers.values() if o.value.call == CALLS[number])
            given_ = next((given_agent(snapshot, each) for each in offers), None)
            plan = orphan_closed(entry, given_, at, guard=edge_is_dead(A1))
            shared = self.bench.shared
            await shared.txn((), (Delete(key=keys.edge(A1)),))
            assert (await shared.txn(plan.compares, plan.success)).succeeded
            await shared.txn((), (Put(key=keys.edge(A1), value=encode(LIFE)),))
        elif self.theirs.held is None or self.theirs.held.given is None:
            if self.theirs.held is None:
                mine = replace(ticket(THEIRS, holder="b1"), priority=9)
                await self.theirs.write(lambda _, now: created(mine, now))
                await self.bench.read()
            await self._give_away()

    async def _give_away(self) -> None:
        snapshot, at = self.bench.mirror.snapshot, self.bench.clock.now()
        offers = match_now(snapshot, at)
        offering = next((each for each in offers if each.call == THEIRS), None)
        held = self.theirs.held
        if offering is not None and held is not None:
            plan = reserved(offering, held, snapshot, edge=B1, at=at)
            await self.theirs.write(lambda _, __: plan)

    async def merge(self) -> None:
        """Merge, while the majority's agent is given back."""
        overlay = self.bench.store.overlay
        assert overlay is not None
        await self.bench.read()
        now = self.bench.mirror.snapshot
        merging = asyncio.create_task(merge(self.bench.shared, overlay, now, A1))
        await asyncio.sleep(0.5)
        is_given = self.theirs.held is not None and self.theirs.held.given is not None
        written = await self.theirs.write(
            _for_given(lambda h, g, at: offer_failed(h, g, WITHDRAWN, at, tried=True))
        )
        assert isinstance(written, Landed) is is_given, "their agent is theirs to give back"
        async with asyncio.timeout(5.0):
            done = await merging
        await self.bench.read()
        assert is_shown(self.bench.mirror.snapshot, done)
        self.bench.store.end(done.revisions, done.ranks)


STEPS = st.tuples(
    st.integers(0, 2), st.sampled_from(["arrive", "reserve", "talk", "give back", "end"])
)
OTHERS = st.tuples(st.integers(0, 2), st.sampled_from(["close", "give away"]))
Cut = tuple[list[tuple[int, str]], list[tuple[int, str]], list[tuple[int, str]]]


async def _live_through(cut: Cut) -> None:
    before, alone, others = cut
    bench = await configured()
    bob = replace(bench.store.snapshot.agents[ANN].value, id=BOB, name="Bob")
    here = replace(bench.store.snapshot.presences[ANN].value, agent=BOB)
    await bench.put(keys.agent(BOB), bob)
    await bench.put(keys.presence(BOB), here)
    await bench.put(keys.edge(B1), replace(LIFE, edge=B1, site=SiteId("b")))
    await bench.read()
    crowd = Crowd(bench)
    for number, what in before:
        await crowd.step(number, what)
        await bench.read()
    bench.store.begin()
    for number, what in alone:
        await crowd.step(number, what)
    had = {a: (o.value.call, o.value.state) for a, o in bench.store.snapshot.offers.items()}
    line = [each for each in CALLS if each in bench.store.snapshot.tickets]
    for number, what in others:
        await crowd.others(number, what)
    await crowd.merge()
    has = {a: (o.value.call, o.value.state) for a, o in bench.store.snapshot.offers.items()}
    assert has == had, "who talks with whom is as it was"
    assert [each for each in CALLS if each in bench.store.snapshot.tickets] == line
    for call in CALLS:
        await crowd.end(call)
    await bench.read()
    left = bench.mirror.snapshot
    assert {each.value.holder for each in left.tickets.values()} <= {B1}
    assert not left.offers
    for call in crowd.come:
        (found,) = (await bench.shared.range(keys.ended(call))).records
        assert decode(CallRecord, found.value, found.key).cause == "agent_hung_up"


@settings(max_examples=150, deadline=None)
@example(
    (
        [(n, what) for n in (0, 1) for what in ("arrive", "reserve")],
        [*[(n, "give back") for n in (0, 1)], *[(n, "reserve") for n in (0, 1)]],
        [],
    )
)
@example(
    (
        [(n, what) for n in (0, 1) for what in ("arrive", "reserve")],
        [*[(n, "give back") for n in (0, 1)], *[(n, "reserve") for n in (0, 1)]],
        [(0, "close"), (0, "give away")],
    )
)
@given(
    st.tuples(
        st.lists(STEPS, max_size=8), st.lists(STEPS, max_size=10), st.lists(OTHERS, max_size=4)
    )
)
def test_calls_that_go_through_a_cut_together_keep_their_agents_and_end_once(cut: Cut) -> None:
    play(_live_through(cut))
