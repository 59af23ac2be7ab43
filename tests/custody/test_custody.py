"""From a sealed segment to a listener: keys, manifests, stores, and what is found of tampering."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from custody import keyfile, keyring, manifest, seal, segment, stream
from custody.errors import (
    ConflictError,
    FormatError,
    KeyFileError,
    NoKeyError,
    TamperedError,
)
from custody.frame import BLOCK, BLOCKS, LAYOUT, Frame, State, pack
from custody.keyring import Keyring, RecordingKey
from custody.library import Library
from custody.manifest import Manifest, Segment, Span
from custody.place import Place
from custody.providers import LocalFile
from custody.store import RecordingStore, audio_name, key_name, manifest_name
from tests.custody.whole import seal_all

PLACE = Place(tenant="main", call="c" * 24, recording="r1", segment=1, key_id="k1")
KEY = bytes(range(32))
WRITER = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
KNOWN = {"a": WRITER.public_key().public_bytes_raw()}
PROVIDERS = {name: LocalFile(name.encode() * 32) for name in ("a", "b")}


def second(start: int, blocks: int = BLOCKS) -> Frame:
    return Frame(
        start=start,
        codecs=(0, 0),
        states=(bytes([State.AUDIO] * blocks), bytes(blocks)),
        left=hashlib.sha256(b"%d" % start).digest() * (blocks * BLOCK // 32),
        right=b"\xff" * (blocks * BLOCK),
    )


def sealed_segment() -> tuple[bytes, list[Frame]]:
    frames = [second(0), second(8000), second(16_000, 7)]
    head = stream.header(b"s" * 32, b"p" * 7)
    packed = [pack(each, index) for index, each in enumerate(frames)]
    return seal_all(KEY, PLACE.bound(), head, packed), frames


def listed(sealed: bytes, samples: int = 17_120) -> Segment:
    return Segment(
        number=1,
        start=0,
        samples=samples,
        frames=3,
        size=len(sealed),
        sha256=hashlib.sha256(sealed).hexdigest(),
        key_id="k1",
        sealed_key=hashlib.sha256(b"key").hexdigest(),
    )


def a_manifest() -> Manifest:
    return Manifest(
        recording="r1",
        tenant="main",
        call="c" * 24,
        queue="orders",
        agents=("alba",),
        site="a",
        recorder="a",
        started_ms=1,
        segments=(listed(sealed_segment()[0]),),
        gaps=(Span(start=0, end=1, because="recorder_restarted"),),
    )


def test_a_segment_opens_whole() -> None:
    sealed, frames = sealed_segment()
    found = segment.read_checked(listed(sealed), PLACE, KEY, sealed)
    assert [each.left for each in found] == [each.left for each in frames]


def test_an_unclosed_segment_opens_up_to_its_last_whole_frame_and_says_so() -> None:
    sealed, frames = sealed_segment()
    for size in (len(sealed) - 1, 2 * LAYOUT.frame_bytes + 9, 2 * LAYOUT.frame_bytes):
        found, is_closed = segment.read_all(KEY, PLACE, sealed[:size])
        assert [each.left for each in found] == [each.left for each in frames[:2]]
        assert not is_closed
    assert segment.read_all(KEY, PLACE, sealed[:50]) == ([], False)


def test_a_segment_that_the_manifest_calls_complete_is_not_taken_for_it_when_cut() -> None:
    sealed, _ = sealed_segment()
    cut = sealed[: 2 * LAYOUT.frame_bytes]
    with pytest.raises(TamperedError, match="cut off"):
        segment.read_checked(listed(cut), PLACE, KEY, cut)


def test_a_segment_opens_in_no_other_place() -> None:
    sealed, _ = sealed_segment()
    for change in (
        {"tenant": "other"},
        {"call": "d" * 24},
        {"recording": "r2"},
        {"segment": 2},
        {"key_id": "k2"},
    ):
        with pytest.raises(TamperedError):
            segment.read_all(KEY, replace(PLACE, **change), sealed)


def test_a_data_key_opens_with_the_private_half_and_in_its_place_only() -> None:
    private, public = seal.new_pair()
    sealed = seal.seal(KEY, public, PLACE)
    assert seal.unseal(sealed, private, PLACE) == KEY
    with pytest.raises(TamperedError):
        seal.unseal(sealed, private, replace(PLACE, segment=2))
    with pytest.raises(TamperedError):
        seal.unseal(sealed, seal.new_pair()[0], PLACE)
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises(TamperedError):
            seal.unseal(bytes(changed), private, PLACE)


def test_every_byte_of_a_manifest_is_signed() -> None:
    signed = manifest.sign(a_manifest(), WRITER)
    assert manifest.read(signed, KNOWN) == a_manifest()
    for index in range(len(signed)):
        for bit in (0x01, 0x20):
            changed = bytearray(signed)
            changed[index] ^= bit
            with pytest.raises((TamperedError, FormatError)):
                manifest.read(bytes(changed), KNOWN)


def test_a_manifest_of_an_unknown_recorder_is_not_believed() -> None:
    signed = manifest.sign(a_manifest(), Ed25519PrivateKey.generate())
    with pytest.raises(TamperedError, match="changed"):
        manifest.read(signed, KNOWN)
    with pytest.raises(TamperedError, match="not known"):
        manifest.read(signed, {"b": KNOWN["a"]})


def test_what_differs_from_the_manifest_is_named() -> None:
    sealed, _ = sealed_segment()
    assert list(segment.check(listed(sealed), sealed, b"key")) == []
    assert len(list(segment.check(listed(sealed), sealed[:-1], b"other"))) == 3


async def test_one_site_of_two_can_open_a_recording_key() -> None:
    one, two, stranger = (LocalFile(bytes([each]) * 32) for each in (1, 2, 3))
    key = keyring.make("main", keyring.recipients({"a": one, "b": two}), 5)
    private = await keyring.open_private(key, {"b": two})
    assert private == await keyring.open_private(key, {"a": one})
    assert seal.unseal(seal.seal(KEY, key.public, PLACE), private, PLACE) == KEY
    with pytest.raises(NoKeyError, match="none of them opens it"):
        await keyring.open_private(key, {"a": stranger})
    with pytest.raises(NoKeyError, match="here are none"):
        await keyring.open_private(key, {})


def test_a_key_that_one_provider_alone_could_open_is_not_made() -> None:
    with pytest.raises(NoKeyError, match="2 providers"):
        keyring.make("main", keyring.recipients({"a": LocalFile(KEY)}), 5)


def test_the_newest_key_of_a_tenant_is_sealed_with(tmp_path: Path) -> None:
    providers = {"a": LocalFile(KEY), "b": LocalFile(bytes(32))}
    ring = Keyring(tmp_path)
    with pytest.raises(NoKeyError):
        ring.newest("main")
    for made_ms in (7, 9, 8):
        ring.add(keyring.make("main", keyring.recipients(providers), made_ms))
    newest = ring.newest("main")
    assert newest.made_ms == 9
    assert ring.get("main", newest.id) == newest
    with pytest.raises(NoKeyError):
        ring.get("other", newest.id)
    for name in ("..", "../main", "", "a/b"):
        with pytest.raises(FormatError):
            ring.get(name, newest.id)


def test_a_key_file_with_another_public_half_is_refused(tmp_path: Path) -> None:
    providers = {"a": LocalFile(KEY), "b": LocalFile(bytes(32))}
    ring, key = Keyring(tmp_path), keyring.make("main", keyring.recipients(providers), 1)
    ring.add(key)
    planted = replace(key, public=seal.new_pair()[1])
    (tmp_path / "main" / f"{key.id}.json").write_bytes(msgspec.json.encode(planted))
    with pytest.raises(FormatError, match="another key"):
        ring.newest("main")


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    secret = keyfile.make(path)
    assert keyfile.load(path) == secret
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        keyfile.load(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(KeyFileError):
        keyfile.load(link)
    with pytest.raises(FileExistsError):
        keyfile.make(path)


def test_a_key_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "provider.key"
    seen: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(path.exists()))
    secret = keyfile.make(path)
    assert seen == [False], "nobody can read it before all of it is there"
    assert keyfile.load(path) == secret
    with pytest.raises(FileExistsError):
        keyfile.make(path)
    assert [each.name for each in tmp_path.iterdir()] == ["provider.key"]
    assert keyfile.load(path) == secret


@pytest.mark.parametrize("spoilt", [b"", b"{", b"\xff", b'{"v":9}'], ids=str)
def test_a_key_file_that_cannot_be_read_keeps_nobody_from_sealing_to_another(
    tmp_path: Path, spoilt: bytes
) -> None:
    ring = Keyring(tmp_path)
    providers = {name: LocalFile(bytes([number]) * 32) for number, name in enumerate("ab")}
    key = keyring.make("main", keyring.recipients(providers), 1)
    ring.add(key)
    (tmp_path / "main" / "0123456789abcdef.json").write_bytes(spoilt)
    assert ring.newest("main") == key
    (tmp_path / "main" / f"{key.id}.json").unlink()
    with pytest.raises(FormatError):
        ring.newest("main")


async def test_an_object_is_made_once(tmp_path: Path) -> None:
    store = RecordingStore.open(str(tmp_path / "store"))
    assert await store.put("main/keys/r1/0001", b"one") is True
    assert await store.put("main/keys/r1/0001", b"one") is False
    with pytest.raises(ConflictError):
        await store.put("main/keys/r1/0001", b"two")
    assert await store.get("main/keys/r1/0001") == b"one"
    assert await store.get_range("main/keys/r1/0001", 1, 2) == b"n"
    with pytest.raises(FileNotFoundError):
        await store.get("main/keys/r1/0002")
    await store.put("main/manifests/r1.json", b"{}")
    assert [each async for each in store.manifests("main")] == ["r1"]
    assert await store.tenants() == ["main"]


@pytest.mark.parametrize("left", [b"", b"sealed k", b"sealed k\0\0", b"\0" * 10], ids=str)
async def test_an_object_that_the_disk_had_not_whole_when_the_power_went_is_made_again(
    tmp_path: Path, left: bytes
) -> None:
    store = RecordingStore.open(str(tmp_path))
    name, content = "main/keys/r1/0001", b"sealed key"
    await store.put(name, content)
    (tmp_path / name).write_bytes(left)
    assert await store.put(name, content) is True
    assert await store.get(name) == content
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == ["0001"]


@pytest.mark.parametrize(
    "other", [b"sealed kez", b"sealed key and more", b"x", b"\0" * 11], ids=str
)
async def test_another_object_is_not_taken_for_a_torn_one(tmp_path: Path, other: bytes) -> None:
    store = RecordingStore.open(str(tmp_path))
    await store.put("main/keys/r1/0001", other)
    with pytest.raises(ConflictError):
        await store.put("main/keys/r1/0001", b"sealed key")
    assert await store.get("main/keys/r1/0001") == other


async def _kept(
    tmp_path: Path, key: RecordingKey, data_key: bytes, *, forged: bytes | None
) -> Library:
    """Keep a signed recording, and in the place of its sealed key and audio those of `forged`."""
    place = replace(PLACE, key_id=key.id)
    frames = [pack(second(0, 7), 0)]
    sealed = seal_all(data_key, place.bound(), stream.header(b"s" * 32, b"p" * 7), frames)
    sealed_key = seal.seal(data_key, key.public, place)
    told = replace(
        listed(sealed, 7 * BLOCK),
        frames=1,
        key_id=key.id,
        sealed_key=hashlib.sha256(sealed_key).hexdigest(),
    )
    account = replace(a_manifest(), segments=(told,))
    if forged is not None:
        sealed = seal_all(forged, place.bound(), stream.header(b"t" * 32, b"q" * 7), frames)
        sealed_key = seal.seal(forged, key.public, place)
    store = RecordingStore.open(str(tmp_path / "store"))
    await store.put(manifest_name("main", "r1"), manifest.sign(account, WRITER))
    await store.put(key_name("main", "r1", 1), sealed_key)
    await store.put(audio_name("main", "r1", told), sealed)
    ring = Keyring(tmp_path / "keys")
    ring.add(key)
    return Library(store, ring, providers=PROVIDERS, recorders=KNOWN)


async def test_nothing_of_a_deleted_object_is_left_beside_it(tmp_path: Path) -> None:
    # A folder's object is written under another name, linked, and unlinked there: a kill before the
    # last step leaves all of it behind, in no listing.
    store = RecordingStore.open(str(tmp_path))
    for name in ("main/keys/r1/0001", "main/keys/r1/00011"):
        await store.put(name, b"a sealed key")
        path = tmp_path / name
        path.with_name(f"{path.name}#1").hardlink_to(path)
    await store.delete("main/keys/r1/0001")
    await store.delete("main/keys/r1/0001")
    found = sorted(each.name for each in (tmp_path / "main/keys/r1").iterdir())
    assert found == ["00011", "00011#1"]


async def test_of_many_customers_keys_few_private_halves_are_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custody.library.KEPT", 2)
    ring, to = Keyring(tmp_path / "keys"), keyring.recipients(PROVIDERS)
    made = [keyring.make("main", to, 1, customer=name) for name in ("ann", "bob", "cleo")]
    for each in made:
        ring.add(each)
    store = RecordingStore.open(str(tmp_path / "store"))
    library = Library(store, ring, providers=PROVIDERS, recorders=KNOWN)
    first, second_, third = made
    for each in (first, second_, first, third, second_):
        private = await library._open_private("main", each.id)  # noqa: SLF001 - what it keeps
        assert private == await keyring.open_private(each, PROVIDERS)
        assert len(library._private) <= 2  # noqa: SLF001 - likewise
    assert [key for _, key in library._private] == [third.id, second_.id]  # noqa: SLF001 - likewise


@pytest.mark.parametrize("forged", [None, b"f" * 32])
async def test_audio_under_another_data_key_than_the_manifest_signs_does_not_open(
    tmp_path: Path, forged: bytes | None
) -> None:
    # Whoever writes to the store can seal a data key of their own: the public half is enough.
    key = keyring.make("main", keyring.recipients(PROVIDERS), 1)
    library = await _kept(tmp_path, key, KEY, forged=forged)
    account = await library.manifest("main", "r1")

    async def all_of_it() -> None:
        assert [each.start async for each in library.frames(account)] == [0]

    async def one_second() -> None:
        assert (
            await (await library.open_segment(account, account.segments[0])).frame(0)
        ).start == 0

    for opening in (all_of_it, one_second):
        if forged is None:
            await opening()
        else:
            with pytest.raises(TamperedError, match="key of segment 1"):
                await opening()
