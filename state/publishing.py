"""Writes a whole configuration to a store, and takes away what it no longer names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from state import keys
from state.codec import RECORD_TYPES, Record, decode_with_extras, encode
from state.errors import (
    BadKeyError,
    CodecError,
    FutureVersionError,
    OutcomeUnknownError,
    UnavailableError,
)
from state.listing import read_all
from state.store import Delete, ModIs, Operation, Put

if TYPE_CHECKING:
    from state.configuration import Configuration
    from state.raw import KeyValue
    from state.store import Store

OPERATIONS_IN_TXN: Final = 100
"""etcd takes 128 by default (`--max-txn-ops`)."""
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


async def publish(store: Store, configuration: Configuration) -> Published:
    """Make `/everline/state/config/` what `configuration` says.

    Writes only what differs, in transactions of at most 100 keys: each is done wholly or not at
    all, and only if nobody else has written those keys since they were read. After a conflict or an
    unknown outcome it reads again and goes on from there, so it may be repeated at will. Fields
    that this version does not know are kept.

    Raises FutureVersionError, having written nothing, rather than overwrite or delete a record of a
    later version; UnavailableError when others keep writing or the store is away.
    """
    written: set[str] = set()
    deleted: set[str] = set()
    wanted = configuration.by_key()
    for _ in range(_ATTEMPTS):
        listing = await read_all(store, keys.CONFIG)
        steps = _plan(wanted, listing.records)
        if not steps:
            unchanged = len(wanted) - len(written)
            return Published(
                written=len(written),
                deleted=len(deleted),
                unchanged=unchanged,
                revision=listing.revision,
            )
        written |= {step.guard.key for step in steps if isinstance(step.operation, Put)}
        deleted |= {step.guard.key for step in steps if isinstance(step.operation, Delete)}
        await _carry_out(store, steps)
    raise UnavailableError(
        f"the configuration was not published in {_ATTEMPTS} attempts: is somebody else publishing?"
    )


async def _carry_out(store: Store, steps: list[_Step]) -> None:
    """Do the steps until one transaction does not go through; the caller reads again anyway."""
    for start in range(0, len(steps), OPERATIONS_IN_TXN):
        chunk = steps[start : start + OPERATIONS_IN_TXN]
        try:
            done = await store.txn(
                [step.guard for step in chunk], [step.operation for step in chunk]
            )
        except OutcomeUnknownError:
            return
        if not done.succeeded:
            return


def _plan(wanted: dict[str, Record], stored: tuple[KeyValue, ...]) -> list[_Step]:
    """Return what is to be done, writing before deleting."""
    held = {record.key: record for record in stored}
    steps = []
    for key, value in wanted.items():
        data = _bytes_to_write(key, value, held.get(key))
        if data is not None:
            revision = held[key].mod_revision if key in held else 0
            guard = ModIs(key=key, mod_revision=revision)
            steps.append(_Step(guard=guard, operation=Put(key=key, value=data)))
    for key, record in held.items():
        if key not in wanted:
            _refuse_future(record)
            guard = ModIs(key=key, mod_revision=record.mod_revision)
            steps.append(_Step(guard=guard, operation=Delete(key=key)))
    return steps


def _bytes_to_write(key: str, value: Record, held: KeyValue | None) -> bytes | None:
    """Return the new bytes for a key, or None if it holds the value already."""
    if held is None:
        return encode(value)
    try:
        old = decode_with_extras(type(value), held.value, key)
    except FutureVersionError:
        raise
    except CodecError:
        return encode(value)
    return None if old.value == value else encode(value, old.extras)


def _refuse_future(record: KeyValue) -> None:
    """Raise FutureVersionError if a later version wrote this; what nobody can read may go."""
    try:
        decode_with_extras(RECORD_TYPES[keys.parse(record.key).kind], record.value, record.key)
    except FutureVersionError:
        raise
    except (BadKeyError, CodecError):
        return
