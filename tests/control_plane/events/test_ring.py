"""What a stream can go on from, and what of it each gets."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from control_plane.events.ring import (
    KEPT_S,
    TOGETHER,
    Batch,
    News,
    Ring,
    event,
    told,
    told_together,
)
from control_plane.permissions import Permission
from control_plane.subjects import Thing

CALLS = frozenset({"calls"})


def news(identifier: str, *, before: bool = False, gone: bool = False, **about: str) -> News:
    thing = Thing(kind="call", tenant="t1", id=identifier, **about)  # type: ignore[arg-type]
    return News(
        topic="calls",
        id=identifier,
        permission=Permission.CALL_READ,
        thing=None if gone else thing,
        before=thing if before else None,
        contact=Thing(kind="customer", tenant="t1"),
        render=lambda mask: event("calls", identifier, msgspec.json.encode(mask)),
    )


def batch(revision: int, *ids: str, is_of_change: bool = True, at_s: float = 0.0) -> Batch:
    told_of = tuple(map(news, ids))
    return Batch(revision=revision, news=told_of, at_s=at_s, is_of_change=is_of_change)


def allowing(*permissions: Permission) -> Callable[[Thing, Permission], bool]:
    return lambda _thing, permission: permission in permissions


def ids(message: bytes | None) -> list[str]:
    assert message is not None
    return [each["id"] for each in msgspec.json.decode(message)["events"]]


def test_a_ring_goes_on_from_any_revision_that_it_has_seen() -> None:
    ring = Ring()
    assert ring.after(0) is None, "it has seen nothing"
    ring.begin(10)
    for revision in (11, 12, 15):
        ring.add(batch(revision, "c"))
    after = {cursor: ring.after(cursor) for cursor in (9, 10, 11, 13, 15, 99)}
    assert after[9] is None
    found = {cursor: [b.revision for b in after[cursor] or ()] for cursor in (10, 11, 13, 15, 99)}
    assert found == {10: [11, 12, 15], 11: [12, 15], 13: [15], 15: [], 99: []}


def test_what_was_forgotten_cannot_be_gone_on_from() -> None:
    ring = Ring(most=3)
    ring.begin(0)
    for revision in range(1, 6):
        ring.add(batch(revision, "c"))
    assert ring.after(1) is None
    assert [each.revision for each in ring.after(2) or ()] == [3, 4, 5]


def test_news_of_long_ago_is_forgotten_however_little_there_is() -> None:
    ring = Ring()
    ring.begin(0)
    for revision in range(1, 8):
        ring.add(batch(revision, "c", at_s=revision * KEPT_S / 4))
    assert ring.after(1) is None
    assert [each.revision for each in ring.after(2) or ()] == [3, 4, 5, 6, 7]
    ring.add(batch(9, "c", at_s=100 * KEPT_S))
    assert ring.after(6) is None
    assert [each.revision for each in ring.after(7) or ()] == [9]


def test_news_without_a_change_is_told_again_at_its_revision() -> None:
    ring = Ring()
    ring.begin(0)
    ring.add(batch(5, "c"))
    ring.add(batch(5, "d", is_of_change=False))
    assert [each.news[0].id for each in ring.after(5) or ()] == ["d"]


def test_news_without_a_change_that_was_forgotten_may_have_been_missed_at_its_revision() -> None:
    ring = Ring()
    ring.begin(5)
    ring.add(batch(5, "c", is_of_change=False))
    ring.add(batch(5, "d", is_of_change=False, at_s=2 * KEPT_S))
    assert ring.after(5) is None, "whoever left before the first has not heard of it"
    ring.add(batch(6, "e", at_s=2 * KEPT_S))
    assert [each.news[0].id for each in ring.after(6) or ()] == []


def test_one_message_holds_what_one_revision_changed_and_these_eyes_may_see() -> None:
    def sees(thing: Thing, permission: Permission) -> bool:
        return permission is Permission.CALL_READ and thing.id != "b"

    message = told(batch(7, "a", "b", "c"), CALLS, "t1", sees)
    assert ids(message) == ["a", "c"]
    assert told(batch(7, "b"), CALLS, "t1", sees) is None
    assert told(batch(7, "a"), frozenset({"agents"}), "t1", sees) is None


def test_a_mask_is_rendered_once_for_all_who_have_it() -> None:
    one = batch(7, "a")
    full = allowing(Permission.CALL_READ, Permission.CUSTOMER_CONTACT_READ_FULL)
    masked = allowing(Permission.CALL_READ, Permission.CUSTOMER_CONTACT_READ_MASKED)
    none = allowing(Permission.CALL_READ)
    for eyes, data in ((full, True), (masked, False), (none, None), (full, True)):
        message = told(one, CALLS, "t1", eyes)
        assert message is not None
        said = msgspec.json.decode(message)
        assert said["events"][0]["data"] is data
    assert len(one.rendered) == 3


def test_who_saw_what_is_gone_hears_so_and_nobody_else() -> None:
    gone = Batch(revision=7, news=(news("a", before=True, gone=True),), at_s=0.0)
    assert ids(told(gone, CALLS, "t1", allowing(Permission.CALL_READ))) == ["a"]
    assert told(gone, CALLS, "t1", allowing()) is None


def test_many_batches_come_in_few_messages_that_end_with_a_batch() -> None:
    many = [batch(number, *(f"c{number}-{n}" for n in range(30))) for number in range(1, 41)]
    messages = list(told_together(many, CALLS, "t1", allowing(Permission.CALL_READ)))
    assert len(messages) < 40 * 30 / TOGETHER + 1
    assert [each for message in messages for each in ids(message)] == [
        each.id for one in many for each in one.news
    ]
    assert [msgspec.json.decode(each)["revision"] for each in messages][-1] == 40
