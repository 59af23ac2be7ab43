"""What a sample of copies finds: also what the store's disk does not give any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.library import Library
from custody.sampling import sample
from tests.recorder.made import PUBLIC, Archive
from tests.recorder.test_copying import CALLS, SpoiltStore


@pytest.mark.parametrize("what", ["/manifests/", "/keys/", "/audio/"])
async def test_a_copy_that_the_disk_does_not_give_is_found_and_hides_no_other(
    tmp_path: Path, what: str
) -> None:
    archive = Archive(tmp_path)
    await archive.make_key()
    for call in CALLS:
        archive.record(call, 1.2)
        archive.end()
    await archive.ship()
    opened = SpoiltStore.open(str(archive.store))
    store = SpoiltStore(opened._store, [archive.store])  # noqa: SLF001 - a folder's
    store.what, store.spoilt = what, frozenset(CALLS[:1])
    library = Library(
        store,
        archive.ring,
        providers={"b": archive.providers["b"]},
        recorders={"a": PUBLIC},
    )
    found = await sample(store, library, "b", at_ms=1)
    assert (found.tried, found.opened) == (len(CALLS), len(CALLS) - 1)
    (fault,) = found.faults
    assert fault.startswith(f"main/{CALLS[0]}: the store does not give it")
