"""Recordings in a real S3 server: once by their hash, spooled while it is away, locked, erased."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.exceptions import BaseError

from custody.errors import ConflictError, NoKeyError
from custody.frame import SAMPLES
from custody.library import Library
from custody.store import RecordingStore, manifest_name
from edge.recorder.shipping import Shipper
from tests.custody.s3 import S3
from tests.recorder.made import PUBLIC, SIGNING, Archive

pytestmark = pytest.mark.parts
ONE, TWO = "1" * 24, "2" * 24
AUDIO, KEYS = "s3://locked/recordings", "s3://free/keys"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3"))
    patch = pytest.MonkeyPatch()
    for name, value in server.environment.items():
        patch.setenv(name, value)
    server.start()
    try:
        server.bucket("locked", is_locked=True)
        server.bucket("free")
        yield server
    finally:
        server.stop()
        patch.undo()


@pytest.fixture
async def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    await archive.make_key()
    return archive


def shipper(archive: Archive) -> Shipper:
    """Return a new life of what ships to S3."""
    store = RecordingStore.open(AUDIO, KEYS)
    return Shipper(spool=archive.spool, store=store, key=SIGNING, recorder="a")


async def heard(archive: Archive, call: str) -> int:
    """Count the samples that open from S3."""
    library = Library(
        RecordingStore.open(AUDIO, KEYS),
        archive.ring,
        providers={"b": archive.providers["b"]},
        recorders={"a": PUBLIC},
    )
    account = await library.manifest("main", call)
    assert await library.verify("main", call) == []
    return sum([frame.samples async for frame in library.frames(account)])


async def test_a_recording_is_spooled_while_the_store_is_away_and_put_there_once(
    s3: S3, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.record(ONE, 61.5)
    await shipper(archive).ship()  # its first minute goes while the call runs
    archive.end()
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody is there
        with pytest.raises((BaseError, OSError)):
            await shipper(archive).ship()
    assert (archive.spool / ONE).is_dir()
    # Another life of the recorder, which does not know what had been sent.
    again = shipper(archive)
    await again.ship()
    await again.ship()
    assert list(archive.spool.iterdir()) == []
    assert await heard(archive, ONE) == 61.5 * SAMPLES
    mine = [key for key, _ in s3.versions("locked") if ONE in key]
    assert len(mine) == len(set(mine)) == 3, "two segments and a manifest, each once"
    assert len([key for key, _ in s3.versions("free") if ONE in key]) == 2


async def test_nothing_is_written_over_in_the_store(s3: S3, archive: Archive) -> None:
    store = RecordingStore.open(AUDIO, KEYS)
    name = manifest_name("main", "3" * 24)
    assert await store.put(name, b"one") is True
    assert await store.put(name, b"one") is False
    with pytest.raises(ConflictError):
        await store.put(name, b"two")
    assert await store.get(name) == b"one"
    assert await store.get_range(name, 1, 2) == b"n"
    with pytest.raises(FileNotFoundError):
        await store.get(manifest_name("main", "4" * 24))
    assert archive.ring.newest("main").tenant == "main"
    assert len([key for key, _ in s3.versions("locked") if "3" * 24 in key]) == 1


async def test_locked_audio_outlives_its_deletion_and_is_unreadable_without_its_key(
    s3: S3, archive: Archive
) -> None:
    archive.record(TWO, 2.5)
    archive.end()
    await shipper(archive).ship()
    assert await heard(archive, TWO) == 2.5 * SAMPLES
    ((audio, version),) = [each for each in s3.versions("locked") if f"audio/{TWO}" in each[0]]
    status, _ = s3.ask("DELETE", f"/locked/{audio}", f"versionId={version}")
    assert status == 403, "the lock holds"

    store = RecordingStore.open(AUDIO, KEYS)
    for name in (names := await store.of_recording("main", TWO)):
        await store.delete(name)
    assert len(names) == 3
    assert await store.of_recording("main", TWO) == []
    assert [key for key, _ in s3.versions("free") if TWO in key] == [], "the sealed key is gone"
    status, _ = s3.ask("GET", f"/locked/{audio}", f"versionId={version}")
    assert status == 200, "the audio is still there, sealed"
    with pytest.raises(FileNotFoundError):
        await heard(archive, TWO)
    library = Library(store, archive.ring, providers=archive.providers, recorders={"a": PUBLIC})
    ((name, held),) = [e for e in s3.versions("locked") if f"manifests/{TWO}" in e[0]]
    text = s3.ask("GET", f"/locked/{name}", f"versionId={held}")[1]
    again = RecordingStore.open(str(archive.store))
    await again.put(manifest_name("main", TWO), text.encode())
    account = await Library(
        again, archive.ring, providers=archive.providers, recorders={"a": PUBLIC}
    ).manifest("main", TWO)
    with pytest.raises(NoKeyError):
        await library.open_segment(account, account.segments[0])
