from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from state import keys
from state.codec import encode
from state.keys import Kind
from state.model import AgentId, Readiness, Ticket, TicketState, Wish
from state.raw import Change, KeyValue
from state.snapshot import (
    FIELDS,
    Delta,
    Snapshot,
    apply,
    replace,
    step,
)
from tests.acd.worlds import ticket
from tests.state.records import keyed_records, unhurried
from tests.state.revisions import revisions

ANNA = AgentId("anna")
KEY = keys.wish(ANNA)
READY = Wish(agent=ANNA, readiness=Readiness.READY)
PAUSED = Wish(agent=ANNA, readiness=Readiness.PAUSED)


def put(key: str, value: bytes, revision: int, created: int | None = None) -> Change:
    return Change(key=key, value=value, create_revision=created or revision, mod_revision=revision)


def gone(key: str, revision: int) -> Change:
    return Change(key=key, value=None, create_revision=0, mod_revision=revision)


class History:
    """What a store would tell: changes with right revisions, and the listing they lead to."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.listing: dict[str, KeyValue] = {}
        self.revision = 1

    def write(self, key: str, value: bytes | None) -> None:
        """Put the key, or delete it."""
        self.revision += 1
        if value is None:
            if self.listing.pop(key, None) is not None:
                self.changes.append(gone(key, self.revision))
            return
        held = self.listing.get(key)
        created = held.create_revision if held else self.revision
        change = put(key, value, self.revision, created)
        self.changes.append(change)
        self.listing[key] = KeyValue(
            key=key, value=value, create_revision=created, mod_revision=self.revision
        )


GARBAGE = st.sampled_from([b"", b"{}", b'{"v":9}', b"\xff", b'{"v":1,"agent":"zoe"}'])


@st.composite
def histories(draw: st.DrawFn) -> History:
    pool = draw(st.lists(keyed_records(), min_size=1, max_size=5))
    history = History()
    for _ in range(draw(st.integers(0, 15))):
        key, value = draw(st.sampled_from(pool))
        key = draw(
            st.sampled_from([key] * 8 + ["/everline/state/odd/x", "/everline/state/wish/\udcff"])
        )
        written = st.just(encode(value)) | GARBAGE | st.none()
        history.write(key, draw(written))
    return history


@unhurried
@given(histories(), st.data())
def test_applying_the_events_equals_listing_at_that_revision(
    history: History, data: st.DataObject
) -> None:
    snapshot = Snapshot()
    rest = history.changes
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        batch, rest = rest[:size], rest[size:]
        snapshot = apply(snapshot, batch, batch[-1].mod_revision, 5.0)
    snapshot = changed(snapshot, revision=history.revision)
    listed, _ = replace(Snapshot(), history.listing.values(), history.revision, 5.0)
    assert snapshot == listed
    assert revisions(snapshot) == revisions(history.listing.values())


@unhurried
@given(histories(), histories())
def test_a_listing_replaces_whatever_was_there(one: History, other: History) -> None:
    before, _ = replace(Snapshot(), one.listing.values(), one.revision, 1.0)
    fresh, _ = replace(Snapshot(), other.listing.values(), other.revision, 1.0)
    after, deltas = replace(before, other.listing.values(), other.revision, 1.0)
    assert revisions(after) == revisions(fresh)
    assert set(after.raw) == set(fresh.raw)
    assert not replace(after, other.listing.values(), other.revision, 9.0)[1]
    # An agent changes by their configuration, and by their move.
    others = [(delta.kind, delta.id) for delta in deltas if delta.kind is not Kind.AGENT]
    assert len(set(others)) == len(others)


@unhurried
@given(histories())
def test_playing_the_same_events_twice_does_nothing(history: History) -> None:
    once, _ = step(Snapshot(), history.changes, history.revision, 1.0)
    twice, deltas = step(once, history.changes, history.revision, 2.0)
    assert twice == once
    assert not deltas


def test_a_change_is_told_with_what_was_and_what_is() -> None:
    first, made = step(Snapshot(), [put(KEY, encode(READY), 5)], 5, 1.0)
    second, moved = step(first, [put(KEY, encode(PAUSED), 7, 5)], 7, 2.0)
    third, ended = step(second, [gone(KEY, 8)], 8, 3.0)
    old, new = first.wishes[ANNA], second.wishes[ANNA]
    assert made == (Delta(kind=Kind.WISH, id="anna", before=None, after=old),)
    assert moved == (Delta(kind=Kind.WISH, id="anna", before=old, after=new),)
    assert ended == (Delta(kind=Kind.WISH, id="anna", before=new, after=None),)
    assert (new.value, new.create_revision, new.mod_revision, new.seen_s) == (PAUSED, 5, 7, 2.0)
    assert ANNA not in third.wishes


def test_two_changes_of_one_key_in_one_batch_are_two_deltas() -> None:
    changes = [put(KEY, encode(READY), 5), gone(KEY, 6)]
    snapshot, deltas = step(Snapshot(), changes, 6, 1.0)
    assert [delta.after is None for delta in deltas] == [False, True]
    assert not snapshot.raw


def test_an_unchanged_record_keeps_the_moment_it_was_first_seen() -> None:
    first = apply(Snapshot(), [put(KEY, encode(READY), 5)], 5, 1.0)
    again, deltas = replace(first, first.raw.values(), 9, 100.0)
    assert again.wishes[ANNA].seen_s == 1.0
    assert (again.revision, deltas) == (9, ())


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"junk", "no readable Wish"), (b'{"v":2}', "version 2 of Wish")],
    ids=["corrupt", "future"],
)
def test_a_bad_record_is_listed_and_harms_no_other(data: bytes, words: str) -> None:
    bert = AgentId("bert")
    good = Wish(agent=bert, readiness=Readiness.READY)
    changes = [put(KEY, data, 5), put(keys.wish(bert), encode(good), 6)]
    snapshot, deltas = step(Snapshot(), changes, 6, 1.0)
    assert list(snapshot.wishes) == [bert]
    assert words in snapshot.bad[KEY]
    assert snapshot.bad[KEY].startswith(KEY)
    assert [delta.id for delta in deltas] == ["bert"]


def test_a_record_that_turns_bad_is_gone_until_it_is_mended() -> None:
    good = apply(Snapshot(), [put(KEY, encode(READY), 5)], 5, 1.0)
    bad, deltas = step(good, [put(KEY, b"junk", 6, 5)], 6, 2.0)
    assert [(delta.id, delta.after) for delta in deltas] == [("anna", None)]
    assert not bad.wishes
    mended = apply(bad, [put(KEY, encode(PAUSED), 7, 5)], 7, 3.0)
    assert mended.wishes[ANNA].value == PAUSED
    assert not mended.bad


def test_a_key_that_is_none_of_ours_is_bad_and_makes_no_delta() -> None:
    snapshot, deltas = step(Snapshot(), [put("/everline/state/odd/x", b"{}", 5)], 5, 1.0)
    assert "no key of ours" in snapshot.bad["/everline/state/odd/x"]
    assert not deltas
    cleared, _ = step(snapshot, [gone("/everline/state/odd/x", 6)], 6, 1.0)
    assert cleared == Snapshot(revision=6)


def test_old_snapshots_stay_as_they_were() -> None:
    first = apply(Snapshot(), [put(KEY, encode(READY), 5)], 5, 1.0)
    apply(first, [gone(KEY, 6)], 6, 1.0)
    assert first.wishes[ANNA].value == READY


def test_every_mirrored_kind_has_its_map() -> None:
    assert set(FIELDS) == set(Kind) - {Kind.ENDED, Kind.CODED, Kind.RESTED}
    assert all(hasattr(Snapshot(), name) for name in FIELDS.values())


def test_what_was_found_in_a_listing_is_told_from_what_was_seen_being_written() -> None:
    listed = KeyValue(key=KEY, value=encode(READY), create_revision=5, mod_revision=5)
    found, _ = replace(Snapshot(), [listed], 5, 1.0)
    assert found.wishes[ANNA].is_found
    seen, _ = step(found, [put(KEY, encode(PAUSED), 7, 5)], 7, 2.0)
    assert not seen.wishes[ANNA].is_found
    again, _ = replace(seen, seen.raw.values(), 9, 100.0)
    assert not again.wishes[ANNA].is_found


def test_it_says_who_calls_from_their_own_telephone_as_long_as_one_of_their_calls_stands() -> None:
    anna, bert = AgentId("anna"), AgentId("bert")
    one, other, third = (ticket(number, by="anna") for number in (1, 2, 3))

    def after(before: Snapshot, revision: int, *changes: tuple[Ticket, bool]) -> Snapshot:
        made = [
            put(keys.ticket(each.call), encode(each), revision)
            if stands
            else gone(keys.ticket(each.call), revision)
            for each, stands in changes
        ]
        return apply(before, made, revision, 1.0)

    both = after(Snapshot(), 5, (one, True), (other, True), (changed(third, by=None), True))
    assert dict(both.calling) == {anna: {one.call, other.call}}
    rewritten = after(both, 6, (changed(one, state=TicketState.CONNECTED), True))
    assert rewritten.calling == both.calling
    left = after(rewritten, 7, (one, False), (changed(third, by=bert), True))
    assert dict(left.calling) == {anna: {other.call}, bert: {third.call}}
    listed, _ = replace(Snapshot(), left.raw.values(), 9, 1.0)
    assert listed.calling == left.calling
    unreadable = apply(left, [put(keys.ticket(other.call), b"junk", 10)], 10, 1.0)
    assert dict(unreadable.calling) == {bert: {third.call}}
    assert not after(unreadable, 11, (third, False)).calling
