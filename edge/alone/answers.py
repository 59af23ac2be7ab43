"""What the store has told one edge, and its mirror does not show: yet, or since a watch lost it.

The copy on which a site begins to serve alone is never older than that. There are the edge's own
writes that have landed, and what it has read: what stood at a key as an answer was given, be it to
a question or to a transaction that was refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from edge.alone.copy import (
    Landed,
    Read,
    is_told_by,
    reads_of,
    unseen_of,
    with_landed,
    with_read,
    with_unseen,
)
from state.nesting import done_by
from state.snapshot import Delta, Snapshot
from state.store import Delete, Get, Got, Nested, Operation, Put, Response, TxnResult


class Answers:
    """Grows with every answer, and shrinks as the mirror comes to them."""

    def __init__(self) -> None:
        self._landed: deque[Landed] = deque()
        """Own writes that the mirror has not come to yet."""
        self._unseen: list[Landed] = []
        """Own writes that it has gone beyond and does not show: its watch has lost them."""
        self._read: dict[str, Read] = {}
        """By key: the newest, as long as the mirror does not show as much."""

    def note_landed(
        self, operations: Sequence[Operation], revision: int, snapshot: Snapshot
    ) -> None:
        """Take in that own writes stand, at a revision; the mirror shows `snapshot`."""
        for each in operations:
            if isinstance(each, Put | Delete):
                read = self._read.get(each.key)
                if read is not None and read.revision <= revision:
                    del self._read[each.key]
        if revision > snapshot.revision:
            self._landed.append((revision, operations))
        else:
            self._note_passed((revision, operations), snapshot)

    def note_read(self, read: Iterable[Read], snapshot: Snapshot) -> None:
        """Take in what stood at some keys; the mirror shows `snapshot`."""
        for each in read:
            before = self._read.get(each.key)
            if before is not None and before.revision > each.revision:
                continue
            if is_told_by(snapshot, each):
                self._read.pop(each.key, None)
            elif not self._is_rewritten(each):
                self._read[each.key] = each

    def _is_rewritten(self, read: Read) -> bool:
        """Tell whether an answer that came first speaks of an own write that is later."""
        return any(
            revision >= read.revision
            and any(isinstance(o, Put | Delete) and o.key == read.key for o in operations)
            for revision, operations in (*self._landed, *self._unseen)
        )

    def turned(self, snapshot: Snapshot) -> None:
        """Forget what the mirror shows by now."""
        if self._unseen:
            still = (unseen_of(snapshot, each) for each in self._unseen)
            self._unseen = [each for each in still if each is not None]
        while self._landed and self._landed[0][0] <= snapshot.revision:
            self._note_passed(self._landed.popleft(), snapshot)
        if self._read:
            read = self._read.items()
            self._read = {key: each for key, each in read if not is_told_by(snapshot, each)}

    def _note_passed(self, landed: Landed, snapshot: Snapshot) -> None:
        """See whether the mirror shows what it has gone beyond."""
        unseen = unseen_of(snapshot, landed)
        if unseen is not None:
            self._unseen.append(unseen)

    def with_written(self, snapshot: Snapshot, now_s: float) -> tuple[Snapshot, list[Delta]]:
        """Return a snapshot with what this edge has written, and what that changes."""
        snapshot, deltas = with_unseen(snapshot, self._unseen, now_s)
        snapshot, landed = with_landed(snapshot, self._landed, now_s)
        return snapshot, deltas + landed

    def with_read(self, snapshot: Snapshot, now_s: float) -> tuple[Snapshot, list[Delta]]:
        """Return a snapshot with what this edge has read, and what that changes."""
        return with_read(snapshot, self._read.values(), now_s)


def landed(
    success: Sequence[Operation], failure: Sequence[Operation], result: TxnResult
) -> Iterator[tuple[Sequence[Operation], int]]:
    """Yield which writes of a transaction stand, and at which revision."""
    revision = _landed_at(success, result)
    if revision is not None:
        yield success, revision
    elif not result.succeeded:
        for each, response in zip(failure, result.responses, strict=True):
            if isinstance(each, Nested) and isinstance(response, TxnResult):
                yield from landed(each.success, each.failure, response)


def _landed_at(success: Sequence[Operation], result: TxnResult) -> int | None:
    """Return at which revision the writes of a transaction stand; None: they were refused.

    What it read instead may be what an earlier attempt had written, whose answer was lost.
    """
    if result.succeeded:
        return result.revision
    puts = {each.key: each.value for each in success if isinstance(each, Put)}
    for response in result.responses:
        if isinstance(response, Got) and response.record is not None:
            found = response.record
            if puts.get(found.key) == found.value:
                return found.mod_revision
    return None


def read_by(
    success: Sequence[Operation], failure: Sequence[Operation], result: TxnResult
) -> Iterator[Read]:
    """Yield what a transaction has read."""
    asked = done_by(result, success, failure)
    for each, response in zip(asked, _flat(result), strict=True):
        if isinstance(each, Get) and isinstance(response, Got):
            yield from reads_of(each.key, response.record, result.revision)


def _flat(result: TxnResult) -> Iterator[Response]:
    for response in result.responses:
        if isinstance(response, TxnResult):
            yield from _flat(response)
        else:
            yield response


def as_asked(result: TxnResult, asked: Sequence[Operation], done: Sequence[Operation]) -> TxnResult:
    """Return a result in which what was written stands as it was asked for: its writer looks."""
    wanted = {
        (did.key, did.value): put.value
        for put, did in zip(asked, done, strict=True)
        if isinstance(put, Put) and isinstance(did, Put) and put != did
    }
    return replace(result, responses=tuple(_got_as(each, wanted) for each in result.responses))


def _got_as(response: Response, wanted: Mapping[tuple[str, bytes], bytes]) -> Response:
    record = response.record if isinstance(response, Got) else None
    if record is None or (record.key, record.value) not in wanted:
        return response
    return Got(record=replace(record, value=wanted[record.key, record.value]))
