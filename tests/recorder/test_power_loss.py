"""The power goes: what the disk had at the last flush is there, and what came later may be torn.

Of a file that was made, written or renamed since, a disk may have the state before, the name with
nothing in it, a piece, or all of it, each file by itself. Whatever it is, the next life takes it
up, and what comes out opens, says its gaps, and has every second that was flushed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custody.frame import LAYOUT, SAMPLES
from custody.manifest import Manifest
from tests.recorder.made import Archive

CALL = "c" * 24
ADDED_TO = (".seg", ".jsonl")
"""What was flushed of them stays; of every other file only what was made since is in doubt."""
FATES = ("before", "nothing", "piece", "all")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def torn(
    durable: dict[str, bytes], latest: dict[str, bytes], draw: st.DataObject
) -> dict[str, bytes]:
    """Return what the disk has after the power has gone."""
    found = {}
    for name in sorted(durable.keys() | latest.keys()):
        before, after = durable.get(name), latest.get(name)
        fate = "all" if before == after else draw.draw(st.sampled_from(FATES), label=name)
        match fate:
            case "before":
                content = before
            case "nothing":
                content = before if name.endswith(ADDED_TO) and before else b""
            case "piece":
                least = len(before or b"") if name.endswith(ADDED_TO) else 0
                content = (after or b"")[
                    : draw.draw(st.integers(least, max(least, len(after or b""))))
                ]
            case _:
                content = after
        if content is not None:
            found[name] = content
    return found


@given(draw=st.data(), flushed_s=st.integers(1, 2), more_s=st.integers(0, 2))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_what_was_flushed_is_heard_after_the_power_has_gone(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject, flushed_s: int, more_s: int
) -> None:
    archive = Archive(tmp_path_factory.mktemp("power"))
    await archive.make_key()
    archive.record(CALL, flushed_s + 0.5)
    folder = archive.spool / CALL
    durable = files(folder)
    # What happens until the power goes: more seconds, another agent, a pause, an end.
    if more_s:
        archive.last.tick((flushed_s + more_s) * SAMPLES + SAMPLES // 2)
    if draw.draw(st.booleans(), label="another agent"):
        archive.last.leave(flushed_s * SAMPLES)
        archive.last.join("ben", flushed_s * SAMPLES)
    if draw.draw(st.booleans(), label="is over"):
        archive.now = (flushed_s + more_s) * SAMPLES + SAMPLES // 2
        archive.end()
    archive.last.abandon()
    left = torn(durable, files(folder), draw)
    shutil.rmtree(folder)
    folder.mkdir()
    for name, content in left.items():
        (folder / name).write_bytes(content)

    archive.record(CALL, 1.5, take_up_s=flushed_s + more_s + 5.0)
    archive.end()
    await archive.ship()
    library = archive.library()
    account: Manifest = await library.manifest("main", CALL)
    assert await library.verify("main", CALL) == []
    heard = [frame async for frame in library.frames(account)]
    assert {frame.start for frame in heard} >= {n * SAMPLES for n in range(flushed_s)}
    starts = [frame.start for frame in heard]
    assert starts == sorted(set(starts))
    assert account.gaps, "the time without power is told"
    assert not list(archive.spool.iterdir())
    assert LAYOUT.whole(len(left.get("0001.seg", b""))) >= flushed_s


@pytest.mark.parametrize("kept_bytes", [0, 17])
async def test_what_the_stores_disk_had_not_taken_yet_is_sent_again(
    tmp_path: Path, kept_bytes: int
) -> None:
    archive = Archive(tmp_path)
    await archive.make_key()
    archive.record(CALL, 62.0)
    await archive.ship()  # the first segment, of a call that goes on
    sent = [path for path in archive.store.rglob("*") if path.is_file()]
    assert len(sent) == 2
    for path in sent:
        path.write_bytes(path.read_bytes()[:kept_bytes])
    archive.end()
    await archive.ship()
    library = archive.library()
    assert await library.verify("main", CALL) == []
    assert (await library.manifest("main", CALL)).is_complete
    assert not list(archive.spool.iterdir())
