"""Writes a whole configuration to a store, and takes away what it no longer names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from state import keys
from state.codec import RECORD_TYPES, Record, decode, decode_with_extras, encode
from state.errors import (
    BadKeyError,
    CodecError,
    FutureVersionError,
    OutcomeUnknownError,
    StoreError,
    UnavailableError,
)
from state.listing import Listing, read_all
from state.model import Release
from state.store import Delete, ModIs, Operation, Put

if TYPE_CHECKING:
    from state.configuration import Configuration
    from state.raw import KeyValue
    from state.store import Store

OPERATIONS_IN_TXN: Final = 100
"""etcd takes 128 by default (`--max-txn-ops`). A release's own record comes on top."""
_ATTEMPTS: Final = 5


class Published(Struct, frozen=True, kw_only=True):
    """What publishing did."""

    written: int
    deleted: int
    unchanged: int
    revision: int
    """The store then holds exactly the configuration, at this revision or before."""


class _Step(Struct, frozen=True, kw_only=True):
    """One key to write or delete, if it is still as it was read."""

    guard: ModIs
    operation: Operation


class Encoded:
    """Records as bytes: one that is the very object of last time is not encoded again.

    For who publishes again and again what differs in a record or two.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Record, bytes]] = {}

    def of(self, key: str, value: Record) -> bytes:
        """Return a record as it is written."""
        kept = self._kept.get(key)
        if kept is None or kept[0] is not value:
            kept = self._kept[key] = (value, encode(value))
        return kept[1]

    def forget(self, key: str) -> None:
        """Let go of a record that is no more."""
        self._kept.pop(key, None)


class SupersededError(StoreError):
    """A newer release stands in the store: this one must not replace it."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} of the configuration stands there already")
        self.version = version


async def publish(
    store: Store,
    configuration: Configuration,
    seen: Listing | None = None,
    encoded: Encoded | None = None,
) -> Published:
    """Make `/everline/state/config/` what `configuration` says.

    `seen`: what stood there lately, as somebody knows who follows the store. With a release in it,
    that is tried before all is read: whoever else has published since has written or deleted the
    release's record, which every transaction compares.

    Writes only what differs, in transactions of at most 100 keys: each is done wholly or not at
    all, and only if nobody else has written those keys since they were read. After a conflict or an
    unknown outcome it reads again and goes on from there, so it may be repeated at will. Fields
    that this version does not know are kept.

    With a release, every transaction also writes its record and compares the one that was read: of
    two that publish at once the newer wins, and the older stops with SupersededError. Up to 100
    changes then come to the readers at one revision. Without one, the record of a release goes:
    what stands there is no longer what any version says.

    Raises FutureVersionError, having written nothing, rather than overwrite or delete a record of a
    later version; UnavailableError when others keep writing or the store is away.
    """
    written: set[str] = set()
    deleted: set[str] = set()
    wanted = configuration.by_key()
    release = configuration.release
    encoded = encoded or Encoded()
    listing = seen if release is not None else None
    for _ in range(_ATTEMPTS):
        held = None if listing is None else _Held.of(listing.records)
        if listing is None or held is None or (listing is seen and not held.revision):
            listing = await read_all(store, keys.CONFIG)
            held = _Held.of(listing.records)
        _refuse_older(release, held.release)
        steps = _plan(wanted, held.others, encoded)
        if not steps and held.says(release):
            unchanged = len(wanted) - len(written)
            return Published(
                written=len(written),
                deleted=len(deleted),
                unchanged=unchanged,
                revision=listing.revision,
            )
        written |= {step.guard.key for step in steps if isinstance(step.operation, Put)}
        deleted |= {step.guard.key for step in steps if isinstance(step.operation, Delete)}
        revision = await _carry_out(store, steps, release, held.revision)
        if revision and release is not None and held.revision:
            # Whoever else publishes writes or deletes the release's record, which was compared.
            return Published(
                written=len(written),
                deleted=len(deleted),
                unchanged=len(wanted) - len(written),
                revision=revision,
            )
        listing = None
    raise UnavailableError(
        f"the configuration was not published in {_ATTEMPTS} attempts: is somebody else publishing?"
    )


class _Held(Struct, frozen=True, kw_only=True):
    """What the store holds: the release's record apart from the others."""

    others: tuple[KeyValue, ...]
    release: Release | None = None
    revision: int = 0
    """The release record's mod_revision; 0: there is none."""

    def says(self, release: Release | None) -> bool:
        """Tell whether just this release stands there, or none where there should be none."""
        return self.revision == 0 if release is None else self.release == release

    @classmethod
    def of(cls, records: tuple[KeyValue, ...]) -> _Held:
        key = keys.release()
        found = next((each for each in records if each.key == key), None)
        others = tuple(each for each in records if each.key != key)
        if found is None:
            return cls(others=others)
        release = _readable_release(found)
        return cls(others=others, release=release, revision=found.mod_revision)


def _readable_release(record: KeyValue) -> Release | None:
    try:
        return decode(Release, record.value, record.key)
    except FutureVersionError:
        raise
    except CodecError:
        return None


def _refuse_older(ours: Release | None, held: Release | None) -> None:
    if ours is not None and held is not None and held.version > ours.version:
        raise SupersededError(held.version)


async def _carry_out(
    store: Store, steps: list[_Step], release: Release | None, revision: int
) -> int:
    """Do the steps until one transaction does not go through.

    Return the revision at which all stood; 0: not all went through, as far as is known.
    """
    key, key_revision = keys.release(), revision
    chunks = [steps[at : at + OPERATIONS_IN_TXN] for at in range(0, len(steps), OPERATIONS_IN_TXN)]
    for number, chunk in enumerate(chunks or [[]], 1):
        guards = [ModIs(key=key, mod_revision=key_revision), *(step.guard for step in chunk)]
        operations = [step.operation for step in chunk]
        if release is not None:
            told = replace(release, is_whole=number >= len(chunks))
            operations.append(Put(key=key, value=encode(told)))
        elif key_revision:
            operations.append(Delete(key=key))
        try:
            done = await store.txn(guards, operations)
        except OutcomeUnknownError:
            return 0
        if not done.succeeded:
            return 0
        revision = done.revision
        key_revision = 0 if release is None else revision
    return revision


def _plan(wanted: dict[str, Record], stored: tuple[KeyValue, ...], encoded: Encoded) -> list[_Step]:
    """Return what is to be done, writing before deleting."""
    held = {record.key: record for record in stored}
    steps = []
    for key, value in wanted.items():
        data = _bytes_to_write(encoded.of(key, value), value, held.get(key))
        if data is not None:
            revision = held[key].mod_revision if key in held else 0
            guard = ModIs(key=key, mod_revision=revision)
            steps.append(_Step(guard=guard, operation=Put(key=key, value=data)))
    for key, record in held.items():
        if key not in wanted:
            _refuse_future(record)
            encoded.forget(key)
            guard = ModIs(key=key, mod_revision=record.mod_revision)
            steps.append(_Step(guard=guard, operation=Delete(key=key)))
    return steps


def _bytes_to_write(data: bytes, value: Record, held: KeyValue | None) -> bytes | None:
    """Return the new bytes for a key, or None if it holds the value already.

    `data`: the value as it would be written.
    """
    if held is None:
        return data
    if data == held.value:
        return None  # as nearly all are, and much quicker than to read it
    try:
        old = decode_with_extras(type(value), held.value, held.key)
    except FutureVersionError:
        raise
    except CodecError:
        return data
    return None if old.value == value else encode(value, old.extras)


def _refuse_future(record: KeyValue) -> None:
    """Raise FutureVersionError if a later version wrote this; what nobody can read may go."""
    try:
        decode_with_extras(RECORD_TYPES[keys.parse(record.key).kind], record.value, record.key)
    except FutureVersionError:
        raise
    except (BadKeyError, CodecError):
        return
