"""The proof of recordings: it finds every change, and it says so when one is not found."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from custody.library import Library
from drills.demo.hearing import Recorded
from drills.lab.process import EventKind, ProcessEvent
from drills.prove.recordings.absences import Absence, absences, is_explained
from drills.prove.recordings.erasing import Erased
from drills.prove.recordings.proof import Proof, complaints, table
from drills.prove.recordings.tampering import Found, copied, tamper
from drills.prove.recordings.telling import told
from state.model import (
    MAIN,
    CallId,
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    QueueId,
    SiteId,
)
from tests.recorder.made import Archive

CALL = "1" * 24


@pytest.fixture
async def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    await archive.make_key()
    archive.record(CALL, 5.5)
    archive.end()
    await archive.ship()
    return archive


async def test_every_change_is_found_and_undone(archive: Archive) -> None:
    library = archive.library()
    found = await tamper(library, archive.store, MAIN, CALL, "1")
    assert found.tried > 100
    assert found.missed == ()
    assert await library.verify(MAIN, CALL) == []


async def test_every_change_of_a_recording_that_was_cut_off_is_found_too(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    await archive.make_key()
    archive.record(CALL, 5.5)
    archive.last.abandon()
    archive.record(CALL, 1.5, take_up_s=7)
    archive.end()
    await archive.ship()
    found = await tamper(archive.library(), archive.store, MAIN, CALL, "1")
    assert found.missed == ()


async def test_a_change_that_nobody_notices_is_reported(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(Library, "verify", blind)
    found = await tamper(archive.library(), archive.store, MAIN, CALL, "1")
    assert len(found.missed) == found.tried


def test_a_copy_is_changed_and_not_the_store(archive: Archive, tmp_path: Path) -> None:
    to = copied(archive.store, MAIN, [CALL], tmp_path / "to")
    theirs = sorted(path.relative_to(to) for path in to.rglob("*") if path.is_file())
    ours = sorted(
        path.relative_to(archive.store) for path in archive.store.rglob("*") if path.is_file()
    )
    assert theirs == ours


HEARD = Recorded(
    call=CALL,
    is_complete=True,
    caller=frozenset({"1"}),
    agent=frozenset({"2"}),
    due_left="1",
    due_right="2",
    allowed=frozenset({"1", "2"}),
)
GOOD = Proof(
    recorded=(HEARD,),
    answered=1,
    kills={"recorder": 2},
    unexplained=(),
    plaintext=(),
    sounds_sought=2,
    tampered=Found(tried=9),
    lost_site=SiteId("a"),
    replicated=1,
    not_replicated=0,
    played=1,
    erased=Erased(customers=2, recordings=3, sealed_to_tenant=1, stated=3),
)


def test_a_good_proof_holds() -> None:
    assert GOOD.held
    found = GOOD.as_json()
    assert (found["calls"], found["opened"], found["unexplained"]) == (1, 1, 0)
    assert found["tamper"] == {"tried": 9, "found": 9, "missed": []}


@pytest.mark.parametrize(
    "change",
    [
        {"answered": 2},
        {"recorded": (replace(HEARD, fault="there is none"),)},
        {"unexplained": (CALL,)},
        {"plaintext": ("a/log",)},
        {"sounds_sought": 0},
        {"tampered": Found(tried=9, missed=("bit 1",))},
        {"tampered": Found()},
        {"played": 0},
        {"replicated": 0, "played": 0},
        {"recorded": (), "answered": 0},
        {"erased": Erased()},
        {"erased": replace(GOOD.erased, readable_after=1)},
        {"erased": replace(GOOD.erased, readable_in_backup=1)},
        {"erased": replace(GOOD.erased, sealed_to_tenant=3)},
        {"erased": replace(GOOD.erased, stated=2)},
    ],
    ids="-".join,
)
def test_anything_that_is_missing_breaks_it(change: dict[str, object]) -> None:
    assert not replace(GOOD, **change).held


def event(kind: EventKind, at_s: float, process: str = "recorder-a") -> ProcessEvent:
    return ProcessEvent(kind=kind, process=process, host="a", pid=1, at_s=at_s)


GONE = absences(
    [
        event(EventKind.READY, 1),
        event(EventKind.KILLED, 10),
        event(EventKind.DIED, 10.1),
        event(EventKind.KILLED, 12, "edge-a1"),
        event(EventKind.READY, 14),
        event(EventKind.DIED, 90),
    ],
    "recorder-a",
    1_000,
)


def test_a_recorder_is_away_from_its_death_until_it_is_ready() -> None:
    assert (Absence(11_000, 15_000), Absence(91_000, None)) == GONE


@pytest.mark.parametrize(
    ("joined_ms", "ended_ms", "why", "explained"),
    [
        (12_000, 14_000, "no_recorder", True),
        (17_000, 30_000, "no_recorder", True),
        (19_000, 30_000, "no_recorder", False),
        (2_000, 10_000, "no_recorder", False),
        (92_000, 99_000, "no_recorder", True),
        (12_000, 14_000, "no_key", False),
        (12_000, 14_000, "", False),
        (None, 14_000, "no_recorder", False),
    ],
)
def test_a_call_without_a_recording_is_explained_only_if_its_recorder_was_away(
    joined_ms: int | None, ended_ms: int, why: str, *, explained: bool
) -> None:
    record = CallRecord(
        call=CallId(CALL),
        did=DidNumber("1"),
        queue=QueueId("sales"),
        outcome=Outcome.ANSWERED,
        cause="caller_hung_up",
        edge=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id="x",
        arrived_ms=1,
        queued_ms=1,
        connected_ms=joined_ms,
        ended_ms=ended_ms,
        unrecorded=why,
    )
    assert is_explained(record, GONE) is explained


def test_what_could_not_be_recorded_is_counted_apart_and_may_not_be_most() -> None:
    gone = replace(HEARD, call="2" * 24, fault="there is none")
    proof = replace(GOOD, recorded=(HEARD, gone), answered=2, unrecorded=frozenset({"2" * 24}))
    assert not proof.held, "one of two"
    again = replace(HEARD, call="3" * 24)
    assert replace(proof, recorded=(HEARD, again, gone), answered=3).held


def test_what_is_unexplained_is_complained_of() -> None:
    assert list(complaints(GOOD)) == ["All held."]
    assert table(GOOD).row_count > 10
    bad = replace(GOOD, unexplained=(CALL,), told={CALL: ("there is none",)})
    assert list(complaints(bad)) == [f"unexplained: {CALL}: there is none", "NOT all held."]


def test_what_is_unexplained_is_told_with_what_the_logs_say(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "recorder-a.log").write_text(f"begun {CALL}\nanother call\n")
    silent = replace(HEARD, agent=frozenset(), seconds=2.5)
    assert told(tmp_path, silent) == (
        "left 1, due 1; right nothing, due 2; 2.50 s",
        f"recorder-a: begun {CALL}",
    )
    broken = replace(HEARD, fault="there is none")
    assert told(tmp_path, broken)[0] == "there is none"
    proof = replace(GOOD, unexplained=(CALL,), told={CALL: told(tmp_path, broken)})
    assert proof.as_json()["told"] == {CALL: ["there is none", f"recorder-a: begun {CALL}"]}
