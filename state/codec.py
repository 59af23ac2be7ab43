"""Records as JSON bytes and back. PURE.

A record is a JSON object: `"v": 1` and the fields of its class in `state.model`, whose type
hints are the schema. Fields that this version does not know are ignored when read, and kept when a
record that was read with `decode_with_extras` is written again with its extras.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Generic, TypeAlias, TypeVar, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from state.errors import CodecError, FutureVersionError
from state.keys import Kind, parse
from state.model import (
    Agent,
    Barred,
    Calendar,
    CallRecord,
    Claim,
    Clearance,
    Coding,
    Contingency,
    Did,
    EdgeLife,
    Heir,
    Move,
    Offer,
    PauseCode,
    Place,
    Presence,
    Probe,
    Queue,
    RecordingStatus,
    RecordingWish,
    Release,
    Rest,
    Rested,
    Site,
    Ticket,
    TransferStatus,
    TransferWish,
    Trunk,
    Unreplicated,
    Wish,
    Work,
    WrapUpCode,
)

VERSION: Final = 1
_BEGINNING: Final = b'{"v":%d,' % VERSION

Record: TypeAlias = (
    Site
    | Trunk
    | Did
    | Queue
    | Agent
    | Calendar
    | PauseCode
    | WrapUpCode
    | Contingency
    | Release
    | Wish
    | Rest
    | Presence
    | Move
    | EdgeLife
    | Probe
    | Ticket
    | Barred
    | Unreplicated
    | Place
    | Clearance
    | Heir
    | Claim
    | RecordingWish
    | RecordingStatus
    | TransferWish
    | TransferStatus
    | Offer
    | Work
    | CallRecord
    | Coding
    | Rested
)
R = TypeVar("R", bound=Record)

Extras: TypeAlias = Mapping[str, Any]
"""Unknown fields by name; under a nested record's field, that record's own unknown fields.

Those of records inside lists are not kept: an element of a list has no name to keep them under.
"""

RECORD_TYPES: Final[Mapping[Kind, type[Record]]] = {
    Kind.SITE: Site,
    Kind.TRUNK: Trunk,
    Kind.DID: Did,
    Kind.QUEUE: Queue,
    Kind.AGENT: Agent,
    Kind.CALENDAR: Calendar,
    Kind.PAUSE_CODE: PauseCode,
    Kind.WRAP_UP_CODE: WrapUpCode,
    Kind.CONTINGENCY: Contingency,
    Kind.RELEASE: Release,
    Kind.WISH: Wish,
    Kind.REST: Rest,
    Kind.PRESENCE: Presence,
    Kind.MOVE: Move,
    Kind.EDGE: EdgeLife,
    Kind.PROBE: Probe,
    Kind.BARRED: Barred,
    Kind.UNREPLICATED: Unreplicated,
    Kind.TICKET: Ticket,
    Kind.PLACE: Place,
    Kind.CLEARANCE: Clearance,
    Kind.HEIR: Heir,
    Kind.CLAIM: Claim,
    Kind.RECORDING_WISH: RecordingWish,
    Kind.RECORDING: RecordingStatus,
    Kind.TRANSFER_WISH: TransferWish,
    Kind.TRANSFER: TransferStatus,
    Kind.OFFER: Offer,
    Kind.WORK: Work,
    Kind.ENDED: CallRecord,
    Kind.CODED: Coding,
    Kind.RESTED: Rested,
}

_ID_FIELDS: Final[Mapping[Kind, str]] = {
    Kind.SITE: "id",
    Kind.TRUNK: "id",
    Kind.DID: "number",
    Kind.QUEUE: "id",
    Kind.AGENT: "id",
    Kind.CALENDAR: "id",
    Kind.PAUSE_CODE: "id",
    Kind.WRAP_UP_CODE: "id",
    Kind.CONTINGENCY: "id",
    Kind.RELEASE: "id",
    Kind.WISH: "agent",
    Kind.REST: "agent",
    Kind.PRESENCE: "agent",
    Kind.MOVE: "agent",
    Kind.EDGE: "edge",
    Kind.PROBE: "edge",
    Kind.BARRED: "agent",
    Kind.UNREPLICATED: "site",
    Kind.TICKET: "call",
    Kind.PLACE: "call",
    Kind.CLEARANCE: "call",
    Kind.HEIR: "call",
    Kind.CLAIM: "call",
    Kind.RECORDING_WISH: "call",
    Kind.RECORDING: "call",
    Kind.TRANSFER_WISH: "call",
    Kind.TRANSFER: "call",
    Kind.OFFER: "agent",
    Kind.WORK: "agent",
    Kind.ENDED: "call",
    Kind.CODED: "call",
    Kind.RESTED: "call",
}


class _Version(msgspec.Struct):
    """The one field that every version has."""

    v: int


_version: Final = msgspec.json.Decoder(_Version)
_builtins: Final = msgspec.json.Decoder(dict[str, Any])


class Decoded(Struct, Generic[R], frozen=True, kw_only=True):
    """A record with the fields that this version does not know."""

    value: R
    extras: Extras


def encode(value: Record, extras: Extras | None = None) -> bytes:
    """Return the record's bytes, with `extras` of an earlier read kept beside its fields.

    What it returns can be read again: a value that cannot (a NaN, a lone surrogate, a wrong type)
    is a CodecError here, at its writer, and not at every reader.
    """
    try:
        if extras:
            known = msgspec.to_builtins(value, enc_hook=_as_dict)
            data = _encoder.encode({"v": VERSION} | _merge(known, extras))
        else:
            data = _BEGINNING + _encoder.encode(value)[1:]
        _decoders[type(value)].decode(data)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        name = type(value).__name__
        raise CodecError(name, f"cannot be written as JSON: {error}") from error
    return data


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises for bytes that are none of ours, whatever they are."""


def _unreadable(cls: type, key: str, error: Exception) -> CodecError:
    problem = f"no readable {cls.__name__} ({error}): write it anew or delete the key"
    return CodecError(key, problem)


def decode(cls: type[R], data: bytes, key: str) -> R:
    """Return the record of type `cls` that `data` holds; `key` is only for the error.

    Raises CodecError when the bytes are no such record, or of a later version than this one reads.
    """
    try:
        # Ours begin so; what others wrote is read through for its version first.
        version = VERSION if data.startswith(_BEGINNING) else _version.decode(data).v
        if version == VERSION:
            value: R = _decoders[cls].decode(data)
            return value
    except UNREADABLE as error:
        raise _unreadable(cls, key, error) from error
    problem = (
        f"version {version} of {cls.__name__}, and this program reads only {VERSION}: "
        "update it, or delete the key"
    )
    raise (FutureVersionError if version > VERSION else CodecError)(key, problem)


def decode_with_extras(cls: type[R], data: bytes, key: str) -> Decoded[R]:
    """Return the record with what `encode` needs to keep unknown fields when it is rewritten."""
    value = decode(cls, data, key)
    try:
        raw = _builtins.decode(data)
    except UNREADABLE as error:
        # What `decode` passes over has to be read to be kept.
        raise _unreadable(cls, key, error) from error
    del raw["v"]
    return Decoded(value=value, extras=_extras(cls, raw))


def decode_at(key: str, data: bytes) -> Record:
    """Return the record at `key`, of the type that the key says and with the id that it says.

    Raises BadKeyError for a key that is none of ours, CodecError as `decode` does.
    """
    parsed = parse(key)
    value: Record = decode(RECORD_TYPES[parsed.kind], data, key)
    field = _ID_FIELDS[parsed.kind]
    if getattr(value, field) != parsed.id:
        raise CodecError(key, f"its field {field!r} names another record: delete the key")
    return value


def _as_dict(value: object) -> object:
    """Let any Mapping stand where JSON has an object."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a record")


_encoder: Final = msgspec.json.Encoder(enc_hook=_as_dict)


_decoders: Final[Mapping[type, Any]] = {
    cls: msgspec.json.Decoder(cls) for cls in RECORD_TYPES.values()
}


@cache
def _nested(cls: type) -> Mapping[str, type | None]:
    """Return the fields of a record; with each, the record type nested there, or None."""
    hints = get_type_hints(cls)
    return {field.name: _record_type(hints[field.name]) for field in fields(cls)}


def _record_type(hint: object) -> type | None:
    """Return the record type that a hint (`X` or `X | None`) allows."""
    options = getattr(hint, "__args__", ()) if not isinstance(hint, type) else (hint,)
    return next(
        (each for each in options if isinstance(each, type) and issubclass(each, msgspec.Struct)),
        None,
    )


def _extras(cls: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `raw` holds beyond the fields of `cls`, nested records included."""
    known = _nested(cls)
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if name not in known:
            found[name] = value
            continue
        inner = known[name]
        if inner is not None and isinstance(value, dict) and (below := _extras(inner, value)):
            found[name] = below
    return found


def _merge(known: Mapping[str, Any], extras: Extras) -> dict[str, Any]:
    """Return `known` with the unknown fields put back where they stood."""
    merged = dict(known)
    for name, value in extras.items():
        if name not in merged:
            merged[name] = value
        elif isinstance(merged[name], dict) and isinstance(value, Mapping):
            merged[name] = _merge(merged[name], value)
    return merged
