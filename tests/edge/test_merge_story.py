"""A call lives through a cut and the merge after it, and ends once, by its own edge.

Whatever happens on either side of the cut, and to the merge's own writes. On a store in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.abandoned import abandoned
from edge.acd.ending import WITHDRAWN, AgentPart, Ending
from edge.acd.granting import reserved
from edge.acd.match import match
from edge.acd.plan import GivenAgent, Held, Plan
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
from edge.alone.kept import Kept
from edge.alone.merging import Merged, is_shown, merge
from edge.alone.store import SiteStore
from edge.calls.records import CallRecords, Landed, PlanMaker
from state import keys
from state.codec import decode, encode
from state.errors import StoreError
from state.mirror import Mirror
from state.model import (
    CallId,
    CallRecord,
    EdgeId,
    EdgeLife,
    EdgeState,
    Now,
    Outcome,
    SiteId,
    WorkEnd,
)
from state.raw import Change
from state.snapshot import Snapshot, apply
from state.store import Delete, Put
from tests.edge.lone import A1, ANN, CALL, OTHER, Bench, configured, ticket
from tests.edge.troubled import TROUBLES, Way
from tests.edge.virtual_time import play

B1 = EdgeId("b1")
LIFE = EdgeLife(edge=A1, site=SiteId("a"), sip="h:1", state=EdgeState.SERVING, started_ms=0)
TALKED = AgentPart(end=WorkEnd.TALKED, rest_s=1.0)
ENDING = Ending(outcome=Outcome.ANSWERED, cause="agent_hung_up")


class Story:
    """One call, its edge, and the majority."""

    def __init__(self, bench: Bench, way: Way, disk: Path) -> None:
        self.bench = bench
        self.way = way
        self.disk = disk
        self._begin_life()
        self.has_come = False
        self.is_over = False
        self.is_guessed = False
        self.is_lost = False
        """Whether the edge has heard that survivors had closed the call, and let go of it."""
        self.has_agent = False
        """By the journal."""
        self.number = 0
        self.theirs = CallRecords(store=bench.shared, clock=bench.clock, call=OTHER)

    def _begin_life(self) -> None:
        self.mirror = Mirror(self.way, self.bench.clock)
        self.kept = Kept(self.disk)
        self.store = SiteStore(self.way, self.mirror, self.bench.clock, self.kept)
        self.records = CallRecords(store=self.store, clock=self.bench.clock, call=CALL)

    async def live_again(self, *, is_cut_off: bool) -> None:
        """Begin anew after a kill, with what stands on disk: the copy, and the journal.

        The copy of one that is cut off may be older than what the former life wrote last.
        """
        copy = self.mirror.snapshot
        self._begin_life()
        written = self.kept.load()
        if is_cut_off:
            self.mirror._turn(copy, ())  # noqa: SLF001 - as it starts from its disk
        else:
            await self.read()
        # Nobody is left who knows better than a survivor that took this edge for dead.
        self.is_guessed = self.is_lost or (not written and not is_cut_off)
        if written or is_cut_off:
            drop = list(abandoned(self.mirror.snapshot, A1, self.holds))
            self.store.begin(drop=drop, written_before=written)
        entry = self.store.snapshot.tickets.get(CALL)
        if entry is not None and entry.value.holder == A1:
            offer = self.store.snapshot.offers.get(ANN)
            is_its = offer is not None and offer.value.call == CALL
            given_ = given_agent(self.store.snapshot, offer) if offer and is_its else None
            held = Held(ticket=entry, given=given_)
            self.records.restore(held, is_old=self.store.is_alone)
            if given_ is not None and not self.has_agent:
                await self.records.write(_for_given(_given_back))
        if self.is_over:
            # The journal knows that it is over; the record may stand already.
            await self.records.end(_goodbye, A1)
        elif self.has_come and self.records.held is None:
            await self.records.recreate(ticket(), self.bench.clock.now())

    def holds(self, call: CallId) -> bool:
        """Tell whether the edge has a call, or owes its record."""
        return call == CALL and not self.is_lost

    async def hear(self, news: str) -> None:
        """Let the watch tell what has happened, or lose it; or let it be still on its way."""
        if news == "seen":
            await self.read()
        elif news == "lost":
            revision = (await self.seen()).revision
            self.mirror._turn(replace(self.mirror.snapshot, revision=revision), ())  # noqa: SLF001 - as a batch without changes does

    async def read(self) -> None:
        """Let the edge's mirror be current."""
        for _ in range(20):
            try:
                await self.mirror._list()  # noqa: SLF001 - one look, in place of a loop
            except StoreError:
                await asyncio.sleep(0.3)
            else:
                return

    # -- the call

    async def step(self, what: str) -> None:
        """Let the call do something, if it can."""
        held = self.records.held
        match what:
            case "arrive" if not self.has_come:
                self.has_come = True
                await self.records.write(lambda _, at: created(ticket(), at))
            case "reserve" if held is not None and held.given is None:
                await self._reserve()
            case "talk" if held is not None and held.given is not None:
                await self.records.write(_for_given(connected))
            case "give back" if held is not None and held.given is not None:
                await self.records.write(_for_given(_given_back))
                self.has_agent = False
            case "end" if held is not None:
                await self.end()
            case "be lost" if held is not None and not self.is_over:
                await self.be_lost()
            case "die":
                await self.live_again(is_cut_off=self.store.is_alone)
            case _:
                pass

    async def _reserve(self) -> None:
        snapshot = self.store.snapshot
        offering = next(
            (each for each in match(snapshot, self.bench.clock.now()) if each.call == CALL), None
        )
        if offering is None:
            return
        self.number += 1
        token = Token(epoch=2, revision=self.number) if self.store.is_alone else None

        def plan(held: Held | None, at: Now) -> Plan | None:
            if held is None:
                return None
            return reserved(offering, held, snapshot, edge=A1, at=at, alone=token)

        written = await self.records.write(plan, wait=False)
        self.has_agent = self.has_agent or isinstance(written, Landed)

    async def end(self, *, at_once: bool = False) -> None:
        """Let the agent hang up, or the caller. `at_once`: by what is held, without looking."""
        held = self.records.held
        if held is None or self.is_over:
            return
        self.is_over = True
        doing = self.records.write(_goodbye) if at_once else self.records.end(_goodbye, A1)
        written = await doing
        assert isinstance(written, Landed), written
        if at_once and held.given is not None:
            assert (await self.seen()).works[ANN].value.end is WorkEnd.TALKED

    async def be_lost(self) -> None:
        """Be closed by survivors while the edge is frozen, which hears of it when it wakes up."""
        await self.others("close")
        assert not isinstance(await self.records.end(_goodbye, A1), Landed)
        self.records.restore(None)
        self.is_over = self.is_guessed = self.is_lost = True

    def check_copy(self) -> None:
        """See that the copy on which it serves alone keeps nothing that the call has given back."""
        copy, held = self.store.snapshot, self.records.held
        offer = copy.offers.get(ANN)
        assert (CALL in copy.tickets) == (held is not None)
        is_its = offer is not None and offer.value.call == CALL
        assert is_its == (held is not None and held.given is not None)

    # -- the majority

    async def others(self, what: str) -> None:
        """Let the other side of the cut do something."""
        snapshot = await self.seen()
        at = self.bench.clock.now()
        match what:
            case "close":
                await self._close_for(snapshot, at)
            case "give away":
                await self._give_away(at)
            case "take back":
                await self.take_back()
            case _:
                pass

    async def seen(self) -> Snapshot:
        """Return what the majority knows."""
        mirror = Mirror(self.bench.shared, self.bench.clock)
        await mirror._list()  # noqa: SLF001 - as above
        return mirror.snapshot

    async def _close_for(self, snapshot: Snapshot, at: Now) -> None:
        """Take the edge that is cut off for dead."""
        entry = snapshot.tickets.get(CALL)
        if entry is None:
            return
        offer = snapshot.offers.get(ANN)
        is_its = offer is not None and offer.value.call == CALL
        given_ = given_agent(snapshot, offer) if offer is not None and is_its else None
        plan = orphan_closed(entry, given_, at, guard=edge_is_dead(A1))
        shared = self.bench.shared
        await shared.txn((), (Delete(key=keys.edge(A1)),))
        assert (await shared.txn(plan.compares, plan.success)).succeeded
        await shared.txn((), (Put(key=keys.edge(A1), value=encode(LIFE)),))

    async def _give_away(self, at: Now) -> None:
        """Give Ann to a call of theirs, if she seems free."""
        if self.theirs.held is None:
            await self.theirs.write(lambda _, now: created(ticket(OTHER, holder="b1"), now))
        snapshot, held = await self.seen(), self.theirs.held
        assert held is not None
        # The caller who is cut off may be before theirs, and is none of their business.
        later = snapshot.revision + 1
        gone = Change(key=keys.ticket(CALL), value=None, create_revision=0, mod_revision=later)
        seen = apply(snapshot, [gone], later, at.mono_s)
        offering = next((each for each in match(seen, at) if each.call == OTHER), None)
        if offering is not None:
            plan = reserved(offering, held, snapshot, edge=B1, at=at)
            await self.theirs.write(lambda _, __: plan)

    async def take_back(self) -> None:
        """Let Ann's gate refuse them."""
        give_back = _for_given(lambda h, g, at: offer_failed(h, g, WITHDRAWN, at, tried=True))
        await self.theirs.write(give_back)

    async def place(self) -> int | None:
        """Return the caller's place in the store's line; None: they have no ticket there."""
        entry = (await self.seen()).tickets.get(CALL)
        return None if entry is None else entry.value.place or entry.create_revision

    # -- the merge

    async def merge(self, between: Sequence[str]) -> None:
        """Merge as `edge.alone.alone` does: again until it is done; the call goes on in between."""
        done, doing = Merged(), list(between)
        for _ in range(60):
            overlay = self.store.overlay
            if overlay is None:
                return  # a life that has nothing to merge
            self.store.hold(merging=True)
            what = doing.pop(0) if doing else ""
            acting = asyncio.create_task(self.step(what if what != "die" else ""))
            try:
                async with asyncio.timeout(_KILLED_S if what == "die" else 8.0):
                    await merge(self.way, overlay, self.mirror.snapshot, A1, done, holds=self.holds)
                    await self.read()
                    assert is_shown(self.mirror.snapshot, done)
            except (StoreError, TimeoutError):
                self.store.hold(merging=False)
                await self.take_back()
                if what == "die":
                    acting.cancel()
                    done = Merged()
                    await self.live_again(is_cut_off=False)
                await asyncio.sleep(0.3)
                await self.read()
            else:
                self.store.end(done.revisions, done.ranks)
                await acting
                return
        raise AssertionError("it is never merged")


_KILLED_S = 0.025
"""After so long in a merge: a transaction takes 0.01 s."""


def _goodbye(held: Held | None, at: Now) -> Plan | None:
    return None if held is None else ended(held, ENDING, TALKED, at)


def _given_back(held: Held, given: GivenAgent, at: Now) -> Plan:
    return offer_failed(held, given, WITHDRAWN, at, tried=False)


def _for_given(make: Callable[[Held, GivenAgent, Now], Plan]) -> PlanMaker:
    def plan(held: Held | None, at: Now) -> Plan | None:
        return None if held is None or held.given is None else make(held, held.given, at)

    return plan


CALLS = st.sampled_from(["arrive", "reserve", "talk", "give back", "end", "die"])
BEFORE = st.sampled_from(["arrive", "reserve", "talk", "give back", "end", "die", "be lost"])
OTHERS = st.sampled_from(["close", "give away", "take back"])
NEWS = st.sampled_from(["seen", "on their way", "lost"])
Cut = tuple[list[tuple[str, str]], list[str], list[str], list[str], list[tuple[int, str]]]
CUTS = st.tuples(
    st.lists(st.tuples(BEFORE, NEWS), max_size=4),
    st.lists(CALLS, max_size=5),
    st.lists(OTHERS, max_size=4),
    st.lists(CALLS, max_size=3),
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(TROUBLES)), max_size=4),
)


CAME = ("arrive", "seen")


async def _live_through(cut: Cut, disk: Path) -> None:
    before, alone, others, between, troubles = cut
    bench = await configured()
    await bench.put(keys.edge(B1), replace(LIFE, edge=B1, site=SiteId("b")))
    story = Story(bench, Way(bench.shared, ()), disk)
    await story.read()
    for what, news in before:
        await story.step(what)
        await story.hear(news)
    held = story.records.held
    story.store.begin(held=() if held is None else (held,))
    story.check_copy()
    for what in alone:
        await story.step(what)
    place = await story.place()
    for what in others:
        await story.others(what)
    await story.read()
    story.way.troubles = list(troubles)
    story.way.well = troubles[0][0] if troubles else 0
    merging = asyncio.create_task(story.merge(between))
    await asyncio.sleep(1.0)
    await story.take_back()
    await merging
    await story.take_back()
    if not story.is_over:
        await story.records.look_again(A1, lambda: True)
        await story.read()
    for what in ("reserve", "give back"):
        if place is not None and await story.place() is not None and not story.is_guessed:
            assert await story.place() == place
        await story.step(what)
        await story.read()
    await story.end(at_once=True)
    await _check(story)


async def _check(story: Story) -> None:
    snapshot = await story.seen()
    assert CALL not in snapshot.tickets
    assert all(each.value.call != CALL for each in snapshot.offers.values())
    found = (await story.bench.shared.range(keys.ended(CALL))).records
    assert len(found) == story.has_come
    for each in found:
        record = decode(CallRecord, each.value, each.key)
        may_be = {"agent_hung_up", "edge_died"} if story.is_guessed else {"agent_hung_up"}
        assert record.edge == A1
        assert record.cause in may_be


@settings(max_examples=120, deadline=None)
@example(([CAME], ["reserve", "talk"], ["give away"], ["end"], []))
@example(([CAME], ["reserve", "talk"], ["close", "give away"], [], []))
@example(([CAME], ["reserve", "talk"], [], [], [(2, "loses_answers")]))
@example(([CAME, ("reserve", "on their way")], ["die"], [], [], []))
@example(([("arrive", "on their way")], ["die"], [], [], []))
@example(([("arrive", "on their way")], ["die"], ["close"], [], []))
@example(([CAME, ("reserve", "seen")], ["talk", "end"], ["close"], [], [(3, "is_away")]))
@example(([("arrive", "lost")], ["end"], [], [], []))
@example(([CAME, ("reserve", "lost")], ["talk", "end"], [], [], []))
@example(([CAME, ("reserve", "seen"), ("end", "lost")], [], [], [], []))
@example(([CAME, ("reserve", "seen"), ("be lost", "on their way")], [], [], [], []))
@example(([CAME, ("reserve", "seen"), ("be lost", "lost")], [], ["give away"], [], []))
@example(([CAME, ("reserve", "seen"), ("be lost", "on their way")], ["die"], [], [], []))
@given(CUTS)
def test_a_call_that_lives_through_a_cut_ends_once_by_its_own_edge(cut: Cut) -> None:
    with TemporaryDirectory() as disk:
        play(_live_through(cut, Path(disk) / "alone-a1"))
