"""What people read of recordings, and by which code a command exits."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from custody.findings import Rotation, Sample
from drills.cli import recordings as command
from drills.cli.errors import CommandError, Exit
from drills.desk import recording_tables as tables
from drills.desk.asks import RecordingsAsk, RotateAsk
from drills.desk.recording_answers import RecordingRow, Recordings, Samples, SegmentRow
from drills.desk.tables import clock
from state.model import AgentId, CallId, QueueId, SiteId
from tests.cli.test_tables import printed

if TYPE_CHECKING:
    from collections.abc import Iterator


def row(call: str, **changes: Any) -> RecordingRow:  # noqa: ANN401
    usual: dict[str, Any] = {
        "call": CallId(call * 12),
        "queue": QueueId("orders"),
        "agent": AgentId("alba"),
        "site": SiteId("a"),
        "ended_ms": 1_700_000_000_000,
        "is_kept": True,
        "is_complete": True,
        "length_s": 12.5,
        "size": 204_800,
    }
    return RecordingRow(**(usual | changes))


KEPT = row("ab")
CUT = row("cd", is_complete=False, gaps=("2.00 to 4.00 s: recorder_restarted",))
UNRECORDED = row("aa", is_kept=False, is_complete=False, unrecorded="no_consent")
MISSING = row("ef", is_kept=False, is_complete=False, faults=("no recording",))


LOST = row("ba", cut_off="edge_died")
GONE = row("be", is_kept=False, is_complete=False, cut_off="edge_died")


def found(*rows: RecordingRow) -> Recordings:
    return Recordings(lab=7, is_thorough=True, recordings=rows)


def answering(monkeypatch: pytest.MonkeyPatch, *rows: RecordingRow) -> list[RecordingsAsk]:
    """Let a lab answer with these; return what it is asked."""
    asked: list[RecordingsAsk] = []

    class Line:
        def ask(self, ask: RecordingsAsk, _: type[Recordings], *, timeout_s: float) -> Recordings:
            assert timeout_s >= (command.THOROUGH_S if ask.is_thorough else command.PATIENCE_S)
            asked.append(ask)
            return found(*rows)

    @contextmanager
    def asking(_: int | None) -> Iterator[Line]:
        yield Line()

    monkeypatch.setattr(command, "asking", asking)
    return asked


def test_the_list_says_of_each_call_what_there_is_and_sums_up() -> None:
    text = printed(tables.listed(found(KEPT, CUT, MISSING, UNRECORDED, LOST, GONE)), width=200)
    assert "abababab" in text
    assert "12.50 s" in text
    assert "incomplete" in text
    assert "no recording" in text
    assert "not recorded: no_consent" in text
    assert "complete, cut off: edge_died" in text
    assert "none, cut off: edge_died" in text
    assert "3 of 6 answered calls have a recording, hashed and opened" in text
    assert "1 incomplete with a reason, 1 not recorded with a reason" in text
    assert "1 cut off by a fault without one, 1 with a fault" in text


def test_one_recording_is_shown_with_segments_and_gaps() -> None:
    segment = SegmentRow(
        number=1, start_s=0.0, length_s=2.0, size=32_276, sha256="c0ffee" * 10, key="4a" * 8,
        is_complete=False, lost=3,
    )  # fmt: skip
    text = printed(tables.shown(row("cd", segments=(segment,), gaps=CUT.gaps)), width=100)
    assert "cut off" in text
    assert "gap: 2.00 to 4.00 s: recorder_restarted" in text
    assert "c0ffeec0" in text


def test_a_missing_recording_is_a_difference_and_an_incomplete_one_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, KEPT, CUT, MISSING)
    assert command.reconcile(json=True) is Exit.FAILED
    shown = capsys.readouterr().out
    assert "efef" in shown
    assert "cdcd" in shown
    assert "abab" not in shown
    answering(monkeypatch, KEPT, CUT, LOST, GONE)
    assert command.reconcile(json=True) is Exit.OK, "what was lost in a fault is explained by it"
    assert "bebe" in capsys.readouterr().out


def test_verify_hashes_and_opens_all_and_fails_for_one_that_was_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answering(monkeypatch, KEPT)
    assert command.verify(json=True) is Exit.OK
    assert asked[0].is_thorough
    answering(monkeypatch, row("ab", faults=("segment 1 is not the one that was written",)))
    assert command.verify(json=True) is Exit.FAILED


def test_show_needs_a_beginning_that_names_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, KEPT, CUT)
    with pytest.raises(CommandError, match="2 answered calls begin with"):
        command.show("a")
    answering(monkeypatch, KEPT)
    assert command.show("ab", json=True) is Exit.OK


SAMPLE = Sample(site="b", at_ms=1, tried=5, opened=5)
BAD = Sample(site="c", at_ms=1, tried=2, opened=1, faults=("main/ab: segment 1 is missing",))


@pytest.mark.parametrize(("samples", "code"), [((SAMPLE,), Exit.OK), ((SAMPLE, BAD), Exit.FAILED)])
def test_reconcile_and_sample_tell_what_opened_with_a_site_s_own_keys(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    samples: tuple[Sample, ...],
    code: Exit,
) -> None:
    class Line:
        def ask(self, ask: object, _: object, *, timeout_s: float) -> object:
            assert timeout_s >= command.PATIENCE_S
            if isinstance(ask, RecordingsAsk):
                return Recordings(lab=7, is_thorough=False, recordings=(KEPT,), samples=samples)
            return Samples(samples=samples)

    monkeypatch.setattr(command, "asking", lambda _: nullcontext(Line()))
    for run in (command.reconcile, command.sample):
        assert run() is code
        shown = capsys.readouterr().out
        assert "Site b opened 5 of 5 copies of other sites' recordings" in shown
        assert ("segment 1 is missing" in shown) is (code is Exit.FAILED)


def test_a_rotation_is_begun_once_and_followed_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[RotateAsk] = []

    class Line:
        def ask(self, ask: RotateAsk, _: object) -> Rotation:
            asked.append(ask)
            count = min(len(asked), 3)
            return Rotation(provider="a", keys=3, rewrapped=count, is_over=count == 3)

    monkeypatch.setattr(command, "asking", lambda _: nullcontext(Line()))
    monkeypatch.setattr(command, "LOOK_S", 0.0)
    assert command.rotate(site="a", json=True) is Exit.OK
    assert [each.is_to_begin for each in asked] == [True, False, False]
    assert '"rewrapped": 3' in capsys.readouterr().out


def test_a_rotation_that_does_not_move_says_who_should(monkeypatch: pytest.MonkeyPatch) -> None:
    class Line:
        def ask(self, *_: object) -> Rotation:
            return Rotation(provider="a", keys=3, rewrapped=1, is_over=False)

    monkeypatch.setattr(command, "asking", lambda _: nullcontext(Line()))
    monkeypatch.setattr(command, "LOOK_S", 0.0)
    monkeypatch.setattr(command, "PATIENCE_S", 0.0)
    with pytest.raises(CommandError, match="is the control plane of site a up"):
        command.rotate(site="a")
    with pytest.raises(CommandError, match="--site"):
        command.rotate()


def test_recordings_are_listed_by_the_same_clock_as_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        text = printed(tables.listed(found(KEPT)), width=140)
        assert clock(KEPT.ended_ms) == "03:43:20"
        assert "03:43:20" in text
    finally:
        monkeypatch.undo()
        time.tzset()
