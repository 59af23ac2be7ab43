"""The journal on a disk that is full for a moment: what it has not taken is all that is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.acd.call import Rules, State
from edge.calls import journal as journals
from edge.calls.journal import CallNote, Journal
from edge.sip.dialog import Dialog
from edge.sip.events import Address
from state.model import CallId
from tests.acd.worlds import ticket

DIALOG = Dialog(
    sip_call_id="one@carrier",
    local_tag="ours",
    remote_tag="theirs",
    local="<sip:everline@192.0.2.1>;tag=ours",
    remote="<sip:mueller@192.0.2.9>;tag=theirs",
    local_seq=0,
    remote_seq=1,
    remote_target="sip:mueller@192.0.2.9",
    route_set=(),
    hop=Address("192.0.2.9", 5060),
    caller=False,
)


def _note(number: int, state: State = State.QUEUED) -> CallNote:
    return CallNote(
        ticket=ticket(number),
        rules=Rules(greeting=False),
        state=state,
        caller=DIALOG,
        said={},
        told={},
        is_joined=False,
    )


def _left(path: Path) -> dict[CallId, State]:
    return {call: note.state for call, note in Journal(path).load().calls.items()}


@contextmanager
def _full(room: int) -> Iterator[None]:
    """Let the disk have room for so many bytes of each write, and no more."""
    write = os.write
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(os, "write", lambda fd, data: write(fd, data[:room]))
        yield


def _no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "no room")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal-a1"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path)
    made.open(made.load())
    yield made
    made.close()


def test_a_line_that_a_full_disk_has_taken_in_part_spoils_no_other(
    journal: Journal, path: Path
) -> None:
    journal.note(_note(1))
    with _full(9):
        journal.note(_note(2))
    journal.note(_note(3))
    calls = [_note(number).ticket.call for number in (1, 2, 3)]
    assert sorted(_left(path)) == sorted(calls), "and what was missed is made up for"


def test_what_was_missed_follows_though_there_was_room_for_one_line_only_at_first(
    journal: Journal, path: Path
) -> None:
    journal.note(_note(1))
    line = len(path.read_bytes())
    with _full(0):
        journal.note(_note(2))
        journal.note(_note(3))
    with _full(line + 9):
        journal.note(_note(4))
    journal.note(_note(5))
    assert sorted(_left(path)) == sorted(_note(number).ticket.call for number in range(1, 6))


def test_a_file_that_cannot_be_begun_at_all_is_once_it_can(path: Path) -> None:
    made = Journal(path)
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(os, "open", _no_room)
        made.open(made.load())
        made.note(_note(1))
    made.note(_note(2))
    assert sorted(_left(path)) == sorted(_note(number).ticket.call for number in (1, 2))
    made.close()


def test_what_ended_while_no_file_could_be_had_is_over_for_the_next_life(
    journal: Journal, path: Path
) -> None:
    journal.note(_note(1))
    journal.close()
    made = Journal(path)
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(os, "open", _no_room)
        made.open(made.load())
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(journals, "_write_new", _no_room)
        made.forget(_note(1).ticket.call)
        made.note(_note(2))
    assert list(_left(path)) == [_note(2).ticket.call]
    made.close()


def test_a_full_disk_is_not_asked_to_take_the_whole_file_with_each_line(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 11):
        journal.note(_note(number))
    monkeypatch.setattr(journals, "BIGGEST_BYTES", 1)
    begun: list[Path] = []

    def refuse(path: Path, _: bytes) -> int:
        begun.append(path)
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(journals, "_write_new", refuse)
    for number in range(1, 31):
        journal.note(_note(number))
    assert 1 <= len(begun) <= 4


def test_what_ended_on_a_full_disk_is_over_for_the_next_life(journal: Journal, path: Path) -> None:
    journal.note(_note(1))
    with _full(0):
        journal.forget(_note(1).ticket.call)
    journal.note(_note(2))
    assert list(_left(path)) == [_note(2).ticket.call]


def test_a_file_that_a_full_disk_does_not_take_whole_does_not_replace_the_old_one(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.note(_note(1))
    monkeypatch.setattr(journals, "BIGGEST_BYTES", 1)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with _full(len(path.read_bytes()) + 9):
        journal.note(_note(2))
    assert len(_left(path)) == 2
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files
    journal.note(_note(1, State.CONNECTED))
    assert _left(path)[_note(1).ticket.call] is State.CONNECTED


def test_a_life_that_begins_on_a_full_disk_writes_once_there_is_room(
    journal: Journal, path: Path
) -> None:
    journal.note(_note(1))
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"v":2,"call')
    born = Journal(path)
    with _full(9):
        born.open(born.load())
    assert list(_left(path)) == [_note(1).ticket.call]
    born.note(_note(2))
    assert len(_left(path)) == 2
    born.close()
