"""What one recording's trouble is to the copies of the others; no peer is really asked."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from obstore.exceptions import GenericError
from structlog.testing import capture_logs

from custody.store import RecordingStore
from edge.recorder import replication
from edge.recorder.ledger import Ledger
from edge.recorder.peers import NotKeptError, Peers
from edge.recorder.receiving import Kept
from edge.recorder.replication import Replicator
from tests.recorder.made import PUBLIC, Archive

CALLS = tuple(letter * 24 for letter in "abcdef")


class SpoiltStore(RecordingStore):
    """A store whose disk does not give some recordings any more."""

    spoilt: frozenset[str] = frozenset()
    what = "/audio/"
    """Of them."""
    gone: frozenset[str] = frozenset()
    """What is deleted once it has been looked at: of manifests."""
    looked_at: tuple[str, ...] = ()
    asked = 0

    async def get(self, name: str) -> bytes:
        """Return an object, if the disk gives it."""
        if self.what in name and any(call in name for call in self.spoilt):
            self.asked += 1
            raise GenericError("Input/output error")
        if "/manifests/" in name and any(call in name for call in self.gone):
            if name in self.looked_at:
                raise FileNotFoundError(name)
            self.looked_at += (name,)
        return await super().get(name)


class Site:
    """A site with recordings to copy, and a peer that takes all."""

    def __init__(self, archive: Archive, folder: Path, patching: pytest.MonkeyPatch) -> None:
        self.archive = archive
        opened = RecordingStore.open(str(archive.store))
        self.store = SpoiltStore(opened._store, [archive.store])  # noqa: SLF001 - a folder's
        self.replicator = Replicator(
            store=self.store,
            recorder="a",
            recorders={"a": PUBLIC},
            peers=("198.18.2.10:5090",),
            tls=ssl.create_default_context(),
            ledger=Ledger(folder / "counted"),
        )
        self.replicator._peers.told["198.18.2.10:5090"] = Kept(site="b", store="0" * 32)  # noqa: SLF001 - as it would say
        self.replicator._ledger.learn("b", "0" * 32)  # noqa: SLF001 - likewise

        self.refused: frozenset[str] = frozenset()
        """Calls of which the peer's disk takes nothing."""
        self.brought: list[str] = []
        """What was sent there."""

        async def take(_: object, __: object, peer: str, name: str, *___: object) -> None:
            self.brought.append(name)
            if any(call in name for call in self.refused):
                raise NotKeptError(f"{peer} did not keep it: 503")

        async def has(*_: object) -> bool:
            return False

        patching.setattr(Peers, "put", take)
        patching.setattr(Peers, "has", has)

    async def turn(self) -> None:
        """Let it send what is due, once."""
        async with aiohttp.ClientSession() as session:
            await self.replicator._send_new(session)  # noqa: SLF001 - one turn of its loop


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    archive = Archive(tmp_path)
    await archive.make_key()
    for call in CALLS:
        archive.record(call, 1.2)
        archive.end()
    await archive.ship()
    return Site(archive, tmp_path, monkeypatch)


@pytest.mark.parametrize("what", ["/audio/", "/manifests/"])
@pytest.mark.parametrize("spoilt", [1, 2, 4])
async def test_what_the_stores_disk_does_not_give_keeps_no_other_from_being_copied(
    site: Site, spoilt: int, what: str
) -> None:
    site.store.what = what
    site.store.spoilt = frozenset(CALLS[:spoilt])
    for _ in range(3):
        with pytest.raises(GenericError):
            await site.turn()
    assert site.replicator.count == len(CALLS) - spoilt
    assert set(site.replicator.uncounted) == set(CALLS[:spoilt])


@pytest.mark.parametrize("refused", [1, 2, 4])
async def test_what_another_sites_disk_does_not_take_keeps_no_other_from_being_copied(
    site: Site, refused: int
) -> None:
    site.refused = frozenset(CALLS[:refused])
    for _ in range(3):
        with pytest.raises(NotKeptError):
            await site.turn()
    assert site.replicator.count == len(CALLS) - refused
    assert set(site.replicator.uncounted) == set(CALLS[:refused])


async def test_another_sites_store_that_is_away_is_not_given_every_recording(site: Site) -> None:
    site.refused = frozenset(CALLS)
    with pytest.raises(NotKeptError):
        await site.turn()
    assert len(site.brought) <= 3
    site.refused = frozenset()
    await site.turn()
    assert site.replicator.count == len(CALLS)


async def test_a_recording_that_is_deleted_as_it_is_to_be_sent_keeps_no_other_from_it(
    site: Site,
) -> None:
    site.store.gone = frozenset(CALLS[:1])
    await site.turn()
    assert site.replicator.count == len(CALLS) - 1


@pytest.mark.parametrize(("what", "most"), [("/audio/", 3), ("/manifests/", 6)])
async def test_a_store_that_is_away_is_not_asked_for_every_recording(
    site: Site, what: str, most: int
) -> None:
    site.store.what = what
    site.store.spoilt = frozenset(CALLS)
    with pytest.raises(GenericError):
        await site.turn()
    assert site.store.asked <= most
    site.store.spoilt = frozenset()
    await site.turn()
    assert site.replicator.count == len(CALLS)


async def test_a_manifest_that_was_put_right_is_copied_after_all(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(replication, "time", SimpleNamespace(monotonic=lambda: now_s))
    manifest = site.archive.store / "main" / "manifests" / f"{CALLS[0]}.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[: len(whole) // 2])
    with capture_logs() as told:
        for now_s in (0.0, replication.LOOK_AGAIN_S):  # noqa: B007 - read by the clock
            await site.turn()
        manifest.write_bytes(whole)
        await site.turn()
        assert site.replicator.count == len(CALLS) - 1, "it is not read in every turn"
        now_s = 2 * replication.LOOK_AGAIN_S
        await site.turn()
    assert site.replicator.count == len(CALLS)
    assert [each["event"] for each in told].count("manifest_not_sent") == 1, "said once"
