"""Two edges of a site that is alone have had the same INVITE: one of them has the caller.

In any order of telling each other and of merging. On a store in memory.
"""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.plan import Held, Plan
from edge.acd.reservation import created, ended
from edge.acd.yielding import ACKNOWLEDGED_ELSEWHERE, CANCELLED
from edge.alone.alone import Alone
from edge.alone.merging import merge
from edge.alone.sister import Holding, Told, is_acceptable, telling
from edge.alone.store import SiteStore
from edge.calls.records import CallRecords, Landed, Written
from state import keys
from state.mirror import Mirror
from state.model import CallId, EdgeId, Now, Outcome, SiteId, TicketState
from state.store import Delete
from tests.edge.lone import A1, ANN, CALL, OTHER, Bench, configured, ticket
from tests.edge.virtual_time import in_virtual_time, play, settle

A2 = EdgeId("a2")
GAVE_UP = Ending(outcome=Outcome.ABANDONED, cause=CANCELLED)
ENDS = {
    "answered": Ending(outcome=Outcome.ANSWERED, cause="agent_hung_up"),
    "abandoned": Ending(outcome=Outcome.ABANDONED, cause="caller_hung_up"),
    "lost": Ending(outcome=Outcome.LOST, cause="media_lost"),
    "cancelled": GAVE_UP,
}
TALKING = replace(ticket(holder="a2"), state=TicketState.CONNECTED, agent=ANN, connected_ms=2)


class Sister:
    """One edge of the site, and its words of the call."""

    def __init__(self, bench: Bench, edge: EdgeId) -> None:
        self.edge = edge
        self._bench = bench
        self._mirror = Mirror(bench.shared, bench.clock)
        self.store = SiteStore(bench.shared, self._mirror, bench.clock)
        self.records = CallRecords(store=self.store, clock=bench.clock, call=CALL)

    async def begin(self) -> None:
        """Serve alone from here on."""
        await self._mirror._list()  # noqa: SLF001 - one look, in place of a loop
        self.store.begin()

    async def end(self, ending: Ending) -> None:
        """End the call as its holder."""

        def close(held: Held | None, at: Now) -> Plan | None:
            return None if held is None else ended(held, ending, WITHDRAWN, at)

        assert isinstance(await self.records.end(close, self.edge), Landed)

    def hear(self, other: Sister) -> None:
        """Take in what the other has written, as far as it is the other's to say."""
        overlay, theirs = self.store.overlay, other.store.overlay
        if overlay is None or theirs is None:
            return
        said = telling(theirs, other.edge, other.store.own_since(0))["records"]
        assert isinstance(said, list)
        changes = [Told(**each).change() for each in said]
        self.store.note(
            [each for each in changes if is_acceptable(overlay, self.edge, each)], is_ours=False
        )

    async def merge(self) -> int:
        """Merge; return how many calls were another's."""
        await self._mirror._list()  # noqa: SLF001 - as above
        overlay = self.store.overlay
        if overlay is None:
            return 0
        done = await merge(self._bench.shared, overlay, self._mirror.snapshot, self.edge)
        await self._mirror._list()  # noqa: SLF001 - as above
        self.store.end(done.revisions, done.ranks)
        return done.elsewhere


async def _had(first: Sister, second: Sister, has: str, *, at_once: bool) -> None:
    """Let the caller of the first cancel; the second has them. `at_once`: while both have."""
    mine = TALKING if has in {"talks", "answered"} else ticket(holder="a2")
    await first.records.write(lambda _, at: created(ticket(), at))
    if at_once:
        await second.records.write(lambda _, at: created(mine, at))
        second.hear(first)
    await first.end(GAVE_UP)
    if not at_once:
        await second.records.write(lambda _, at: created(mine, at))
    if has in ENDS:
        await second.end(ENDS[has])


async def _live_through(has: str, hearing: list[str], merging: list[str], *, at_once: bool) -> None:
    bench = await configured()
    edges = {"a1": Sister(bench, A1), "a2": Sister(bench, A2)}
    first, second = edges.values()
    for each in edges.values():
        await each.begin()
    await _had(first, second, has, at_once=at_once)
    for who in hearing:
        edges[who].hear(first if who == "a2" else second)
    elsewhere = {who: await edges[who].merge() for who in merging}
    if has != "cancelled":
        assert not elsewhere["a2"], "the sister has the call"
    if has not in ENDS:
        assert second.store.snapshot.tickets[CALL].value.holder == A2
        assert not await bench.has(keys.ended(CALL)), "it goes on"
        await second.end(ENDS["answered"])
    record = await bench.record()
    wanted = ENDS.get(has, ENDS["answered"])
    assert (record.outcome, record.cause) == (wanted.outcome, wanted.cause)
    assert has == "cancelled" or record.edge == A2
    assert not await bench.has(keys.ticket(CALL))


@examples(max_examples=150, deadline=None)
@given(
    st.sampled_from(["waits", "talks", *ENDS]),
    st.lists(st.sampled_from(["a1", "a2"]), max_size=4),
    st.permutations(["a1", "a2"]),
    st.booleans(),
)
def test_who_has_the_caller_says_how_the_call_ends_and_nobody_else(
    has: str,
    hearing: list[str],
    merging: list[str],
    at_once: bool,  # noqa: FBT001 - a parameter
) -> None:
    play(_live_through(has, hearing, merging, at_once=at_once))


async def test_an_edge_that_knows_that_its_sister_has_the_caller_says_nothing_of_the_end() -> None:
    bench = await configured()
    first, second = Sister(bench, A1), Sister(bench, A2)
    for each in (first, second):
        await each.begin()
    await first.records.write(lambda _, at: created(ticket(), at))
    await first.end(GAVE_UP)
    await second.records.write(lambda _, at: created(TALKING, at))
    first.hear(second)
    await first.merge()
    assert not await bench.has(keys.ended(CALL))


async def _claimed(bench: Bench) -> tuple[Sister, Sister, asyncio.Task[Written]]:
    """Let the second of two sisters claim the first's call: it has the caller's ACK."""
    first, second = Sister(bench, A1), Sister(bench, A2)
    for each in (first, second):
        await each.begin()
    await first.records.write(lambda _, at: created(ticket(), at))
    second.hear(first)
    second.records.is_acknowledged = True
    taking = asyncio.create_task(second.records.create(ticket(holder="a2"), bench.clock.now()))
    await settle()
    first.hear(second)
    return first, second, taking


@in_virtual_time
async def test_the_edge_with_the_callers_acknowledgement_gets_the_call_of_its_sister() -> None:
    bench = await configured()
    first, second, taking = await _claimed(bench)
    assert first.store.snapshot.claims[CALL].value.edge == A2
    await first.end(Ending(outcome=Outcome.LOST, cause=ACKNOWLEDGED_ELSEWHERE))
    second.hear(first)
    assert isinstance(await taking, Landed)
    assert CALL not in second.store.snapshot.claims
    first.hear(second)
    assert [await each.merge() for each in (first, second)] == [0, 0]
    assert not await bench.has(keys.ended(CALL)), "it goes on"
    assert not await bench.has(keys.claim(CALL))
    await second.end(ENDS["answered"])
    assert (await bench.record()).edge == A2


@in_virtual_time
async def test_a_claim_holds_though_a_quorum_comes_before_the_sister_has_given_way() -> None:
    bench = await configured()
    first, second, taking = await _claimed(bench)
    assert CALL in first.store.snapshot.claims
    for each in (first, second):
        await each.merge()
    await first.end(Ending(outcome=Outcome.LOST, cause=ACKNOWLEDGED_ELSEWHERE))
    assert isinstance(await taking, Landed)
    assert not await bench.has(keys.ended(CALL))


async def _no_gate(_: object) -> None:
    return None


def _serving(bench: Bench, edge: Sister, acknowledged: set[CallId]) -> Alone:
    return Alone(
        edge=edge.edge,
        site=SiteId("a"),
        clock=bench.clock,
        mirror=bench.mirror,
        shared=bench.shared,
        store=edge.store,
        gate_of=_no_gate,
        on_change=lambda _: None,
        has_ack=acknowledged.__contains__,
    )


async def _both_answer(bench: Bench, merging: list[str]) -> None:
    edges = {"a1": Sister(bench, A1), "a2": Sister(bench, A2)}
    first, second = edges.values()
    for each in edges.values():
        await each.begin()
        mine = ticket(holder=each.edge)
        await each.records.write(lambda _, at, mine=mine: created(mine, at))  # type: ignore[misc]
    both = Holding(calls=frozenset({CALL}), agents=frozenset())
    _serving(bench, first, set()).hear_what_is_had(A2, both)
    _serving(bench, second, {CALL}).hear_what_is_had(A1, both)
    assert CALL not in first.store.snapshot.claims
    first.hear(second)
    assert first.store.snapshot.claims[CALL].value.edge == A2
    await first.end(Ending(outcome=Outcome.LOST, cause=ACKNOWLEDGED_ELSEWHERE))
    second.hear(first)
    assert second.store.snapshot.tickets[CALL].value.holder == A2
    elsewhere = {who: await edges[who].merge() for who in merging}
    assert not elsewhere["a2"]
    assert not await bench.has(keys.ended(CALL)), "it goes on"
    assert not await bench.has(keys.claim(CALL))
    await second.end(ENDS["answered"])
    assert (await bench.record()).edge == A2


@in_virtual_time
async def test_alone_the_edge_with_the_acknowledgement_claims_a_call_that_both_hold() -> None:
    for merging in (["a1", "a2"], ["a2", "a1"]):
        await _both_answer(await configured(), merging)


async def _given_way(bench: Bench) -> tuple[Sister, Sister]:
    """Return the two edges: the first has let the second have the call, and told so."""
    first, second = Sister(bench, A1), Sister(bench, A2)
    for each in (first, second):
        await each.begin()
        mine = ticket(holder=each.edge)
        await each.records.write(lambda _, at, mine=mine: created(mine, at))  # type: ignore[misc]
    await first.end(Ending(outcome=Outcome.LOST, cause=ACKNOWLEDGED_ELSEWHERE))
    second.hear(first)
    return first, second


@in_virtual_time
async def test_a_caller_whom_a_sister_has_given_up_leaves_no_place_by_that() -> None:
    for merging in ((0, 1), (1, 0)):
        for says_so_twice in (False, True):
            bench = await configured()
            edges = await _given_way(bench)
            first, second = edges
            assert CALL not in second.store.snapshot.places
            await second.end(ENDS["answered"])
            if says_so_twice:
                second.hear(first)
            for each in merging:
                await edges[each].merge()
            assert not await bench.has(keys.place(CALL)), "nor are they called back"


@in_virtual_time
async def test_a_place_that_our_call_has_left_goes_when_a_sister_says_that_it_was_had() -> None:
    bench = await configured()
    first, second = await _given_way(bench)
    await second.end(ENDS["lost"])
    assert CALL in second.store.snapshot.places
    first.hear(second)
    await first.store.txn((), (Delete(key=keys.place(CALL)),))
    second.hear(first)
    assert CALL not in second.store.snapshot.places


@in_virtual_time
async def test_a_sister_has_to_hold_the_very_call_for_it_to_be_claimed() -> None:
    bench = await configured()
    only = Sister(bench, A2)
    await only.begin()
    await only.records.write(lambda _, at: created(ticket(holder="a2"), at))
    serving = _serving(bench, only, {CALL})
    serving.hear_what_is_had(A1, Holding(calls=frozenset({OTHER}), agents=frozenset()))
    assert CALL not in only.store.snapshot.claims
