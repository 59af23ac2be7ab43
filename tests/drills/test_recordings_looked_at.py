"""What a lab's desk tells of a recording that is there and is not as it was written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from custody.library import Library
from drills.desk import recordings
from drills.desk.recordings import NOT_THERE
from drills.lab.plan import Part
from state.model import (
    AgentId,
    CallId,
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    QueueId,
    SiteId,
)
from state.snapshot import Snapshot
from tests.recorder.made import PUBLIC, Archive
from tests.recorder.test_copying import CALLS, SpoiltStore

CALL = CALLS[0]
RECORD = CallRecord(
    call=CallId(CALL), did=DidNumber("1"), queue=QueueId("sales"), outcome=Outcome.ANSWERED,
    cause="caller_hung_up", edge=EdgeId("a1"), site=SiteId("a"), via=SiteId("a"), sip_call_id=CALL,
    arrived_ms=1_000, queued_ms=1_000, connected_ms=2_000, ended_ms=9_000,
)  # fmt: skip


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_talk_that_a_fault_cut_off_is_listed_with_what_there_is_of_it(
    tmp_path: Path, *, is_there: bool
) -> None:
    archive = Archive(tmp_path)
    await archive.make_key()
    if is_there:
        archive.record(CALL, 1.2)
        archive.end()
        await archive.ship()
    lab = SimpleNamespace(
        plan=SimpleNamespace(parts={Part.RECORDER}, sites=()),
        library=lambda *_, **__: archive.library(),
    )
    cut = replace(RECORD, outcome=Outcome.LOST, cause="edge_died", agent=AgentId("ann"))
    waited = replace(RECORD, outcome=Outcome.ABANDONED)
    found = await recordings.look(
        lab,  # type: ignore[arg-type]  # what it uses of one
        7,
        [cut, waited],
        Snapshot(revision=1),
        thoroughly=False,
    )
    (row,) = found.recordings
    assert (row.cut_off, row.is_kept, row.faults) == ("edge_died", is_there, ())


@pytest.mark.parametrize("how", ["changed", "not given", "gone"])
async def test_a_manifest_that_cannot_be_read_is_a_fault_of_a_recording_that_is_there(
    tmp_path: Path, how: str
) -> None:
    archive = Archive(tmp_path)
    await archive.make_key()
    archive.record(CALL, 1.2)
    archive.end()
    await archive.ship()
    (manifest,) = archive.store.glob("main/manifests/*")
    opened = SpoiltStore.open(str(archive.store))
    store = SpoiltStore(opened._store, [archive.store])  # noqa: SLF001 - a folder's
    if how == "changed":
        manifest.write_bytes(manifest.read_bytes().replace(b"sales", b"other"))
    elif how == "gone":
        manifest.unlink()
    else:
        store.what, store.spoilt = "/manifests/", frozenset([CALL])
    library = Library(store, archive.ring, providers=archive.providers, recorders={"a": PUBLIC})
    lab = SimpleNamespace(
        plan=SimpleNamespace(parts={Part.RECORDER}, sites=("a", "b")),
        library=lambda _, keys_of: library if keys_of == "b" else None,
    )
    row = await recordings._row(lab, RECORD, "main", thoroughly=True)  # type: ignore[arg-type]  # noqa: SLF001 - what it uses of one
    assert len(row.faults) == 1
    assert row.is_kept is (how != "gone"), "as verify looks at what there is"
    assert (row.faults == (NOT_THERE,)) is (how == "gone")
