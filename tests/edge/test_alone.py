"""Serving without a quorum: when, on what copy, and how it is merged. On a store in memory."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.acd.merge import Contested, Elsewhere, keys_of, local_calls, merge_call
from edge.acd.plan import Held
from edge.acd.reservation import created, given_agent
from edge.acd.token import Token
from edge.alone.alone import Alone
from edge.alone.kept import Kept
from edge.alone.merging import is_shown, merge
from edge.alone.mode import ENTER_S, LEAVE_S, Mode, Seen, Standing, merged, next_standing
from edge.alone.sister import is_acceptable, telling
from edge.alone.store import SiteStore
from edge.calls.records import Landed
from state import keys
from state.codec import encode
from state.errors import StoreError
from state.model import (
    AgentId,
    CallRecord,
    EdgeId,
    Entry,
    Place,
    Presence,
    PresenceState,
    SiteId,
    Ticket,
    TicketState,
    Work,
    WorkEnd,
)
from state.overlay import ALONE_FROM
from state.raw import Change
from state.store import Delete, ModIs, Put
from tests.edge.lone import A1, ANN, CALL, NUMBER, OTHER, Bench, configured, guess, ticket

GOOD = Seen(age_s=0.2, is_configured=True, has_lease=True)
BAD = replace(GOOD, age_s=60.0)


@pytest.fixture
async def bench() -> Bench:
    return await configured()


# ---- when ----------------------------------------------------------------------------------------


def looks(standing: Standing, seen: Seen, *at_s: float) -> Standing:
    for now_s in at_s:
        standing = next_standing(standing, seen, now_s)
    return standing


def ticks(first: float, last: float) -> tuple[float, ...]:
    return tuple(first + n / 10 for n in range(round((last - first) * 10) + 1))


NEW = Standing(since_s=0.0, looked_s=0.0)


def test_a_site_is_alone_after_three_seconds_without_a_proof_and_not_before() -> None:
    assert looks(NEW, BAD, *ticks(0.1, ENTER_S)).mode is Mode.QUORUM
    assert looks(NEW, BAD, *ticks(0.1, ENTER_S + 0.2)).mode is Mode.ALONE


def test_who_was_frozen_is_not_alone_because_of_it() -> None:
    frozen = looks(NEW, BAD, 0.1, 30.0, *ticks(30.1, 32.9))
    assert frozen.mode is Mode.QUORUM


def test_without_a_configuration_nobody_serves_alone() -> None:
    seen = replace(BAD, is_configured=False)
    assert looks(NEW, seen, *ticks(0.1, 9.0)).mode is Mode.QUORUM


def test_a_quorum_has_to_stay_for_a_second_and_the_lease_to_stand() -> None:
    alone = looks(NEW, BAD, *ticks(0.1, 4.0))
    flickering = looks(looks(alone, GOOD, *ticks(4.1, 4.9)), BAD, 5.0)
    assert looks(flickering, GOOD, *ticks(5.1, 5.0 + LEAVE_S)).mode is Mode.ALONE
    unleased = replace(GOOD, has_lease=False)
    assert looks(alone, unleased, *ticks(4.1, 9.0)).mode is Mode.ALONE
    back = looks(alone, GOOD, *ticks(4.1, 5.3))
    assert back.mode is Mode.MERGING
    assert next_standing(back, BAD, 5.4).mode is Mode.ALONE
    assert merged(back, 5.4).mode is Mode.QUORUM


# ---- alone, and back -----------------------------------------------------------------------------


async def test_what_was_done_alone_is_in_the_store_once_it_is_merged(bench: Bench) -> None:
    bench.store.begin()
    records = await bench.waits()
    await bench.give(records, Token(epoch=2, revision=1))
    assert not await bench.has(keys.ticket(CALL))
    assert (await bench.merge()).written == 1
    snapshot = bench.store.snapshot
    offer = snapshot.offers[ANN].value
    assert (offer.call, offer.epoch, offer.granted) == (CALL, 2, 1)
    assert snapshot.tickets[CALL].value.state is TicketState.CONNECTED
    assert snapshot.tickets[CALL].create_revision < ALONE_FROM
    # The call goes on as if nothing had been: what it holds is known by the store's revisions.
    assert isinstance(await bench.end(records), Landed)
    assert await bench.has(keys.ended(CALL))
    assert not await bench.has(keys.offer(ANN))


async def test_a_call_that_ended_alone_leaves_its_record_and_its_agents_work(bench: Bench) -> None:
    records = await bench.waits(is_seen=True)
    bench.store.begin()
    await bench.give(records, Token(epoch=2, revision=1))
    await bench.end(records)
    await bench.merge()
    assert await bench.has(keys.ended(CALL))
    assert bench.store.snapshot.works[ANN].value.calls == 1
    assert not bench.store.snapshot.tickets
    assert not bench.store.snapshot.offers


async def test_a_clock_that_was_set_back_takes_nothing_from_what_an_agent_did_alone(
    bench: Bench,
) -> None:
    records = await bench.waits(is_seen=True)
    await bench.put(
        keys.work(ANN), Work(agent=ANN, calls=7, end=WorkEnd.TALKED, rest_s=0.0, ended_ms=1 << 50)
    )
    await bench.read()
    bench.store.begin()
    await bench.give(records, Token(epoch=2, revision=1))
    await bench.end(records)
    await bench.merge()
    assert bench.store.snapshot.works[ANN].value.calls == 8


async def test_to_merge_twice_writes_nothing_more(bench: Bench) -> None:
    bench.store.begin()
    records = await bench.waits()
    await bench.give(records, Token(epoch=2, revision=1))
    await bench.end(records)
    overlay = bench.store.overlay
    assert overlay is not None
    await bench.read()
    assert (await merge(bench.shared, overlay, bench.mirror.snapshot, A1)).written > 0
    await bench.read()
    assert (await merge(bench.shared, overlay, bench.mirror.snapshot, A1)).written == 0


async def test_a_survivors_guess_makes_room_and_the_old_place_is_kept(bench: Bench) -> None:
    await bench.waits(is_seen=True)
    place = bench.store.snapshot.tickets[CALL].create_revision
    bench.store.begin()
    lost = Place(call=CALL, did=NUMBER, caller="4930123", place=place)
    await bench.shared.txn(
        (),
        (
            Delete(key=keys.ticket(CALL)),
            Put(key=keys.ended(CALL), value=encode(guess())),
            Put(key=keys.place(CALL), value=encode(lost)),
        ),
    )
    await bench.merge()
    assert bench.store.snapshot.tickets[CALL].value.place == place
    assert not await bench.has(keys.ended(CALL))
    assert not await bench.has(keys.place(CALL))


@pytest.mark.parametrize(
    "stands",
    [guess(cause="caller_hung_up"), guess(edge="b1"), ticket(holder="b1")],
    ids=["another outcome", "another edge's record", "another edge's ticket"],
)
async def test_what_another_edge_has_is_not_written_over(
    bench: Bench, stands: CallRecord | Ticket
) -> None:
    bench.store.begin()
    await bench.records().create(ticket(), bench.clock.now())
    key = keys.ticket(CALL) if isinstance(stands, Ticket) else keys.ended(CALL)
    await bench.put(key, stands)
    overlay = bench.store.overlay
    assert overlay is not None
    (local,) = local_calls(overlay, A1)
    found = dict.fromkeys(keys_of(local, {}))
    found |= {key: (await bench.shared.range(key)).records[0]}
    assert isinstance(merge_call(local, found, 1), Elsewhere)
    assert (await bench.merge()).elsewhere == 1


async def test_calls_that_are_merged_share_what_they_say_of_all_keys(bench: Bench) -> None:
    """A thousand calls of a site are a thousand times three thousand keys else, at one moment."""
    bench.store.begin()
    for call in (CALL, OTHER):
        await bench.records(call).create(ticket(call), bench.clock.now())
    overlay = bench.store.overlay
    assert overlay is not None
    one, two = local_calls(overlay, A1)
    assert one.written is two.written


async def test_an_agent_whom_the_majority_has_given_away_is_waited_for(bench: Bench) -> None:
    bench.store.begin()
    records = await bench.waits()
    await bench.give(records, Token(epoch=2, revision=1))
    await bench.others_give_ann()
    overlay = bench.store.overlay
    assert overlay is not None
    (local,) = local_calls(overlay, A1)
    found = dict.fromkeys(keys_of(local, {}))
    found |= {keys.offer(ANN): (await bench.shared.range(keys.offer(ANN))).records[0]}
    assert merge_call(local, found, 1) == Contested(ANN)


async def test_what_landed_unheard_before_a_site_was_alone_is_not_undone_by_its_merge(
    bench: Bench,
) -> None:
    records = await bench.waits(is_seen=True)
    await bench.reserve(records)
    await bench.read()
    plan = await bench.give_back_unheard(records)
    bench.store.begin()
    assert bench.store.snapshot.offers[ANN].value.call == CALL, "the copy is from before"
    assert (await bench.merge()).written == 0
    assert not await bench.has(keys.offer(ANN))
    assert bench.store.snapshot.tickets[CALL].value.state is TicketState.QUEUED
    # Asked again, the same plan is found to have landed, and the call goes on from there.
    assert isinstance(await records.write(lambda _, __: plan), Landed)
    assert isinstance(await bench.end(records), Landed)


async def test_what_landed_before_a_site_was_alone_is_in_its_copy_though_the_mirror_is_behind(
    bench: Bench,
) -> None:
    records = bench.records()
    assert isinstance(await records.create(ticket(), bench.clock.now()), Landed)
    assert CALL not in bench.mirror.snapshot.tickets, "nobody has told yet"
    bench.store.begin()
    entry = bench.store.snapshot.tickets[CALL]
    assert records.held is not None
    assert entry.mod_revision == records.held.ticket.mod_revision
    await bench.give(records, Token(epoch=2, revision=1))
    await bench.merge()
    assert bench.store.snapshot.offers[ANN].value.granted == 1
    assert isinstance(await bench.end(records), Landed)
    # What the mirror has shown is not laid over it again.
    again = bench.records(OTHER)
    await again.create(ticket(OTHER), bench.clock.now())
    await bench.read()
    await bench.end(again)
    await bench.read()
    bench.store.begin()
    assert bench.store.snapshot.tickets == bench.mirror.snapshot.tickets


async def test_a_copy_tells_what_the_mirror_had_not_shown_and_is_no_snapshot_of_the_store(
    bench: Bench,
) -> None:
    """What is decided on the copy names its revision, and who matches goes by what has changed."""
    told: list[str] = []
    bench.store.subscribe(lambda _, deltas: told.extend(delta.id for delta in deltas))
    assert isinstance(await bench.records().create(ticket(), bench.clock.now()), Landed)
    bench.store.begin()
    assert bench.store.snapshot.revision >= ALONE_FROM
    assert told == [CALL]


async def test_what_is_found_to_have_landed_while_a_site_is_alone_already_is_in_its_copy(
    bench: Bench,
) -> None:
    records = await bench.waits(is_seen=True)
    await bench.reserve(records)
    await bench.read()
    plan = await bench.give_back_unheard(records)
    bench.shared.before_answer = bench.store.begin
    assert isinstance(await records.write(lambda _, __: plan), Landed)
    assert bench.store.is_alone
    assert ANN not in bench.store.snapshot.offers
    assert bench.store.snapshot.tickets[CALL].value.state is TicketState.QUEUED
    # And what the call does next rests on it.
    await bench.give(records, Token(epoch=2, revision=1))
    await bench.merge()
    assert bench.store.snapshot.offers[ANN].value.granted == 1
    assert isinstance(await bench.end(records), Landed)


def presence_as(
    before: Entry[Presence], state: PresenceState
) -> tuple[tuple[ModIs, ...], tuple[Put, ...]]:
    """Return what changes a presence, as its keeper asks for it."""
    key = keys.presence(before.value.agent)
    changed = replace(before.value, state=state)
    compare = ModIs(key=key, mod_revision=before.mod_revision)
    return (compare,), (Put(key=key, value=encode(changed)),)


async def test_a_presence_that_landed_as_a_site_went_alone_can_be_changed_after_the_merge(
    bench: Bench,
) -> None:
    """No merge writes presences: the store has them at the revision at which they landed."""
    await bench.read()
    before = bench.store.snapshot.presences[ANN]
    bench.shared.before_answer = bench.store.begin
    assert (await bench.store.txn(*presence_as(before, PresenceState.PAUSED))).succeeded
    assert bench.store.is_alone
    await bench.merge()
    paused = bench.store.snapshot.presences[ANN]
    assert paused.value.state is PresenceState.PAUSED
    assert (await bench.store.txn(*presence_as(paused, PresenceState.READY))).succeeded


async def test_after_a_merge_that_failed_one_that_takes_too_long_still_ends(bench: Bench) -> None:
    bench.store.begin()
    records = await bench.waits()
    await bench.give(records, Token(epoch=2, revision=1))
    overlay = bench.store.overlay
    assert overlay is not None
    bench.shared.is_away = True
    with pytest.raises(StoreError):
        await merge(bench.shared, overlay, bench.mirror.snapshot, A1)
    bench.shared.is_away = False
    await bench.others_give_ann()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await merge(bench.shared, overlay, bench.mirror.snapshot, A1)


async def test_a_place_that_is_gone_is_read_anew_from_when_it_was_gone(bench: Bench) -> None:
    records = await bench.waits(is_seen=True)
    bench.store.begin()
    await bench.end(records)
    # A survivor has closed it meanwhile, and much has happened elsewhere since.
    revision = (
        await bench.shared.txn(
            (),
            (
                Delete(key=keys.ticket(CALL)),
                Put(key=keys.ended(CALL), value=encode(guess(cause="other"))),
            ),
        )
    ).revision
    assert bench.store.overlay is not None
    done = await merge(bench.shared, bench.store.overlay, bench.mirror.snapshot, A1)
    assert done.gone[keys.ticket(CALL)] >= revision
    assert not is_shown(bench.mirror.snapshot, done)
    assert done.newest >= revision, "an older listing would still show the place"


async def test_while_a_merge_is_under_way_nobody_writes(bench: Bench) -> None:
    bench.store.begin()
    bench.store.hold(merging=True)
    records = bench.records()
    written = await records.write(lambda _, at: created(ticket(), at), wait=False)
    assert not isinstance(written, Landed)


# ---- two edges of a site -------------------------------------------------------------------------


async def test_a_sister_hears_what_was_written_and_no_one_speaks_of_anothers_agent(
    bench: Bench,
) -> None:
    bench.store.begin()
    records = await bench.waits()
    await bench.give(records, Token(epoch=2, revision=1))
    overlay = bench.store.overlay
    assert overlay is not None
    told = telling(overlay, A1, bench.store.own_since(0))["records"]
    assert isinstance(told, list)
    assert {each["key"] for each in told} == {keys.ticket(CALL), keys.offer(ANN)}
    stale = Change(key=keys.offer(ANN), value=None, create_revision=0, mod_revision=0)
    assert not is_acceptable(overlay, A1, stale)
    assert is_acceptable(overlay, EdgeId("a2"), stale)


async def test_an_offer_ends_on_the_work_that_a_sister_wrote_meanwhile(bench: Bench) -> None:
    bench.store.begin()
    records = await bench.waits()
    await bench.give(records, Token(epoch=2, revision=1))
    work = b'{"v": 1, "agent": "ann", "calls": 3}'
    change = Change(key=keys.work(ANN), value=work, create_revision=5, mod_revision=0)
    bench.store.note((change,), is_ours=False)
    await bench.merge()
    assert isinstance(await bench.end(records), Landed)
    assert await bench.has(keys.ended(CALL))


# ---- another life, still alone -------------------------------------------------------------------


async def test_what_an_edge_did_alone_outlives_it_and_is_merged_by_its_next_life(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "alone-a1"
    first = SiteStore(bench.shared, bench.mirror, bench.clock, Kept(path))
    bench.store = first
    first.begin()
    talks, waits = bench.records(), bench.records(OTHER)
    await talks.create(ticket(), bench.clock.now())
    await waits.create(ticket(OTHER), bench.clock.now())
    await bench.give(talks, Token(epoch=2, revision=1))
    assert first.overlay is not None
    before = first.overlay
    with path.open("ab") as file:
        file.write(b'{"v":1,"key":"/everl')  # torn: it was being written

    kept = Kept(path)
    again = SiteStore(bench.shared, bench.mirror, bench.clock, kept)
    again.begin(written_before=kept.load())
    assert again.overlay is not None
    assert again.snapshot.raw == before.snapshot.raw
    assert again.overlay.written == before.written
    # It goes on: the call that was being talked in ends, by what it holds.
    bench.store = again
    entry, offer = again.snapshot.tickets[CALL], again.snapshot.offers[ANN]
    records = bench.records()
    records.restore(Held(ticket=entry, given=given_agent(again.snapshot, offer)))
    assert isinstance(await bench.end(records), Landed)
    await bench.merge()
    assert await bench.has(keys.ended(CALL))
    assert await bench.has(keys.ticket(OTHER))
    assert not await bench.has(keys.offer(ANN))
    assert not path.exists(), "nothing is left to go on with"


async def test_a_life_after_one_that_was_alone_says_so_and_another_does_not(
    bench: Bench, tmp_path: Path
) -> None:
    for was_alone in (True, False):
        file = tmp_path / f"alone-{was_alone}"
        before = Kept(file)
        if was_alone:
            before.begin(())
            before.note(
                (Change(key=keys.wish(ANN), value=b"{}", create_revision=1, mod_revision=1),)
            )
        again: list[bool] = []
        kept = Kept(file)
        alone = Alone(
            edge=A1,
            site=SiteId("a"),
            clock=bench.clock,
            mirror=bench.mirror,
            shared=bench.shared,
            store=SiteStore(bench.shared, bench.mirror, bench.clock, kept),
            gate_of=_no_gate,
            on_change=lambda _: None,
            on_again=lambda heard=again: heard.append(True),  # type: ignore[misc]
            kept=kept,
        )
        assert kept.is_there is was_alone
        assert alone.is_unmerged is None, "nobody knows yet"
        running = asyncio.create_task(alone.run())
        await asyncio.sleep(0.01)
        running.cancel()
        assert again == [True] * was_alone
        assert alone.is_unmerged is was_alone


async def _no_gate(_: AgentId) -> None:
    return None


async def test_a_life_that_did_nothing_alone_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "alone-a1")
    store = bench.store = SiteStore(bench.shared, bench.mirror, bench.clock, kept)
    await bench.records().create(ticket(), bench.clock.now())
    assert kept.load() == ()
    await bench.read()
    store.begin()
    assert kept.load() == ()


async def test_what_a_sister_did_is_hers_to_keep(bench: Bench, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "alone-a1")
    store = SiteStore(bench.shared, bench.mirror, bench.clock, kept)
    store.begin()
    text = encode(ticket(holder="a2"))
    hers = Change(key=keys.ticket(CALL), value=text, create_revision=ALONE_FROM, mod_revision=0)
    store.note([hers], is_ours=False)
    assert CALL in store.snapshot.tickets
    assert kept.load() == ()


def test_what_a_full_disk_has_taken_in_part_costs_nothing_of_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_file = tmp_path / "alone-a1"
    kept = Kept(kept_file)
    kept.begin()
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[:9])

    changes = [
        Change(key=keys.wish(AgentId(name)), value=b"{}", create_revision=1, mod_revision=number)
        for number, name in enumerate(("ann", "bob", "cat"), 1)
    ]
    kept.note(changes[:1])
    with monkeypatch.context() as patching:
        patching.setattr(os, "write", full)
        kept.note(changes[1:2])
    kept.note(changes[2:])
    with kept_file.open("ab") as file:
        file.write(b'{"v":1,"key":"\xff\xfe"}\n' + b"[" * 5000 + b"\n")
    assert kept.load() == (changes[0], changes[2])
    kept.end()


async def test_a_disk_that_is_full_costs_the_next_life_and_not_this_one(
    bench: Bench, tmp_path: Path
) -> None:
    kept = Kept(tmp_path / "nowhere" / "alone-a1")
    bench.store = SiteStore(bench.shared, bench.mirror, bench.clock, kept)
    bench.store.begin()
    await bench.records().create(ticket(), bench.clock.now())
    assert CALL in bench.store.snapshot.tickets
    assert (await bench.merge()).written == 1
