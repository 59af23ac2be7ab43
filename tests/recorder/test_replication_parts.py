"""Copies at another site: counted when that site has rehashed them, and not before."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from custody import keyring
from custody.errors import NoKeyError
from custody.keyring import Keyring
from custody.library import Library
from custody.store import RecordingStore, manifest_name
from drills.lab.certs import Authority, make_authority
from edge.recorder.ledger import Ledger
from edge.recorder.peers import client_tls
from edge.recorder.receiving import Receiver, server_tls
from edge.recorder.replication import Replicator
from tests.recorder.made import PUBLIC, Archive

pytestmark = pytest.mark.parts
CALL = "c" * 24
OTHER = "b" * 24


class TwoSites:
    """Site a with a recording, site b that takes copies, and the way between them."""

    def __init__(self, folder: Path) -> None:
        now = dt.datetime.now(dt.UTC)  # noqa: TID251 - certificates are checked by the real clock
        self.folder = folder
        self.authority = make_authority(folder / "certs", now=now)
        (folder / "a").mkdir()
        self.a = Archive(folder / "a")
        self.b = RecordingStore.open(str(folder / "b"))
        self.ring_b = Keyring(folder / "keyring-b")
        self.receiver = self.receiving()
        self.port = 0

    def receiving(self) -> Receiver:
        """Return a life of b's receiver."""
        return Receiver(
            site="b",
            store=self.b,
            recorders={"a": PUBLIC},
            ring=self.ring_b,
            ledger=Ledger(self.folder / "counted-b"),
        )

    def give_key(self) -> None:
        """Let b's folder have the keys of a's, as its control plane sees to."""
        for tenant, key_id in self.a.ring.names():
            self.ring_b.add(self.a.ring.get(tenant, key_id))

    def tls(self, authority: Authority | None = None) -> tuple[Path, Path, Path]:
        """Return a certificate for both ends."""
        name = hashlib.sha256(str(id(authority)).encode()).hexdigest()[:8]
        identity = (authority or self.authority).issue(name, addresses=("127.0.0.1",))
        return identity.ca, identity.cert, identity.key

    async def start(self) -> None:
        """Let b listen, where it did before."""
        self.port = await self.receiver.start("127.0.0.1", self.port, server_tls(*self.tls()))

    def replicator(self) -> Replicator:
        """Return a life of a's sender."""
        return Replicator(
            store=RecordingStore.open(str(self.a.store)),
            recorder="a",
            recorders={"a": PUBLIC},
            peers=(f"127.0.0.1:{self.port}",),
            tls=client_tls(*self.tls()),
            ledger=Ledger(self.folder / "counted"),
        )

    def counted(self) -> list[str]:
        """Return of which recordings a has noted where they are."""
        return sorted(Ledger(self.folder / "counted").copies)

    def at_b(self) -> Library:
        """Open what b has, with b's own keys alone."""
        return Library(
            self.b,
            self.ring_b,
            providers={"b": self.a.providers["b"]},
            recorders={"a": PUBLIC},
        )


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[TwoSites]:
    sites = TwoSites(tmp_path)
    await sites.a.make_key()
    sites.a.record(CALL, 3.5)
    sites.a.end()
    await sites.a.ship()
    sites.give_key()
    await sites.start()
    yield sites
    await sites.receiver.close()


async def until_counted(
    sites: TwoSites, replicator: Replicator, within_s: float = 10, what: str = f"main/{CALL}"
) -> None:
    running = asyncio.create_task(replicator.run())
    try:
        async with asyncio.timeout(within_s):
            while what not in sites.counted():  # noqa: ASYNC110 - a test waits
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_what_was_counted_is_heard_at_the_other_site_with_its_own_keys(
    sites: TwoSites,
) -> None:
    await until_counted(sites, sites.replicator())
    assert sites.counted() == [f"main/{CALL}"]
    library = sites.at_b()
    account = await library.manifest("main", CALL)
    frames = [frame async for frame in library.frames(account)]
    assert sum(frame.samples for frame in frames) == 3.5 * 8000
    assert await library.verify("main", CALL) == []


async def test_a_site_without_a_provider_of_the_key_says_so(sites: TwoSites) -> None:
    await until_counted(sites, sites.replicator())
    stranger = Library(sites.b, sites.ring_b, providers={}, recorders={"a": PUBLIC})
    account = await stranger.manifest("main", CALL)
    with pytest.raises(NoKeyError, match="wrapped under a, b"):
        [frame async for frame in stranger.frames(account)]


async def test_nothing_is_counted_that_the_other_site_has_no_key_of(sites: TwoSites) -> None:
    theirs = keyring.make("main", keyring.recipients(sites.a.providers), 2, customer="cus_1")
    sites.a.ring.add(theirs)
    sites.a.record(OTHER, 2.5, key=theirs)
    sites.a.end()
    await sites.a.ship()
    replicator = sites.replicator()
    with pytest.raises(TimeoutError):
        await until_counted(sites, replicator, 3.5, f"main/{OTHER}")
    assert sites.counted() == [f"main/{CALL}"], "the others go on"
    with pytest.raises(FileNotFoundError):
        await sites.at_b().manifest("main", OTHER)
    sites.give_key()
    await until_counted(sites, replicator, 10, f"main/{OTHER}")
    library = sites.at_b()
    account = await library.manifest("main", OTHER)
    assert [frame async for frame in library.frames(account)]


async def test_a_recording_that_no_site_takes_keeps_no_other_from_being_copied(
    sites: TwoSites,
) -> None:
    for call in ("a" * 24, OTHER):
        sites.a.record(call, 2.5)
        sites.a.end()
    await sites.a.ship()
    (sealed,) = (sites.a.store / "main" / "audio" / OTHER).iterdir()
    sealed.write_bytes(b"rotten")  # and so refused by whoever hashes it
    (sites.a.store / "main" / "keys" / ("a" * 24) / "0001").unlink()
    replicator = sites.replicator()
    await until_counted(sites, replicator)
    assert sites.counted() == [f"main/{CALL}"]
    assert set(replicator.uncounted) == {"a" * 24, OTHER}, "nobody else has it"


async def test_a_recording_whose_manifest_nobody_can_read_does_not_count_as_copied(
    sites: TwoSites,
) -> None:
    (sites.a.store / "main" / "manifests" / f"{OTHER}.json").write_bytes(b"{}")
    replicator = sites.replicator()
    await until_counted(sites, replicator)
    assert replicator.count == 1


async def test_nothing_is_counted_while_the_other_site_is_away(sites: TwoSites) -> None:
    await sites.receiver.close()
    replicator = sites.replicator()
    with pytest.raises(TimeoutError):
        await until_counted(sites, replicator, within_s=0.5)
    assert replicator.uncounted == {CALL: 3.5 * 8000}
    sites.receiver = sites.receiving()
    await sites.start()
    await until_counted(sites, replicator)
    assert replicator.uncounted == {}


async def test_a_store_that_gives_back_something_else_is_not_counted(
    sites: TwoSites, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rotten(_: RecordingStore, name: str) -> bytes:
        return b"rotten " + name.encode()

    reading = RecordingStore.get
    ours = RecordingStore.open(str(sites.a.store))

    async def get(self: RecordingStore, name: str) -> bytes:
        return await (rotten(self, name) if self is sites.b else reading(ours, name))

    monkeypatch.setattr(RecordingStore, "get", get)
    with pytest.raises(TimeoutError):
        await until_counted(sites, sites.replicator(), within_s=0.7)
    assert sites.counted() == []


async def test_a_sender_that_died_after_sending_sends_again_for_nothing(sites: TwoSites) -> None:
    await until_counted(sites, sites.replicator())
    (sites.folder / "counted").unlink()
    await until_counted(sites, sites.replicator())
    assert sites.counted() == [f"main/{CALL}"]


async def put(sites: TwoSites, name: str, content: bytes, tls: ssl.SSLContext) -> int:
    async with aiohttp.ClientSession() as session:
        url = f"https://127.0.0.1:{sites.port}/objects/{name}"
        async with session.put(url, data=content, ssl=tls) as answer:
            return answer.status


async def test_nothing_is_taken_that_no_recorder_would_send(sites: TwoSites) -> None:
    tls = client_tls(*sites.tls())
    await until_counted(sites, sites.replicator())
    signed = await sites.b.get(manifest_name("main", CALL))
    some = hashlib.sha256(b"x").hexdigest()
    for name, content in (
        ("main/audio/r1/0001-" + some, b"y"),
        ("main/keys/r1/0001", bytes(500)),
        ("main/manifests/r1.json", signed),
        (f"main/manifests/{CALL}.json", signed.replace(b'"orders"', b'"order2"') + b" "),
        ("main/elsewhere/r1", b"x"),
        ("../x/keys/r1/0001", b"x"),
        ("main/keys/..%2F..%2Fr1/0001", b"x"),
        ("notes.txt", b"x"),
    ):
        assert await put(sites, name, content, tls) in {404, 422}, name
    assert await put(sites, f"main/keys/{CALL}/0001", b"another", tls) == 409
    assert await put(sites, "main/audio/r1/0001-" + some, b"x", tls) == 200


async def test_a_stranger_is_not_let_in(sites: TwoSites, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - as above
    other = make_authority(tmp_path / "other" / "certs", now=now)
    _, cert, key = sites.tls(other)
    strange = client_tls(sites.authority.ca, cert, key)
    nobody = ssl.create_default_context(cafile=sites.authority.ca)
    for tls in (strange, nobody):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await put(sites, "main/keys/r1/0001", b"x", tls)
    with pytest.raises(FileNotFoundError):
        await sites.b.get("main/keys/r1/0001")
