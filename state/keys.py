"""Build and parse every key of the shared state. PURE.

Owns the spelling of keys (`docs/architecture.md`, "The shared state") and of ids; knows nothing of
what stands under them.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from state.errors import BadKeyError
from state.model import (
    AgentId,
    CalendarId,
    CallId,
    DidNumber,
    EdgeId,
    QueueId,
    SiteId,
    TrunkId,
)

ROOT: Final = "/everline/"
STATE: Final = "/everline/state/"
"""What every mirror holds."""
CONFIG: Final = "/everline/state/config/"
ENDED: Final = "/everline/ended/"
"""The ledger: written, not watched."""
CODED: Final = "/everline/coded/"
"""Beside it: what calls were about, as their agents say."""
RESTED: Final = "/everline/rested/"
"""And how long agents wrapped up, where they did not for as long as they were to."""
NEVER: Final = "/everline/never"
"""Nothing ever stands there; see `state.space`."""
OFFER: Final = "/everline/state/offer/"
WORK: Final = "/everline/state/work/"
PRESENCE: Final = "/everline/state/presence/"
TICKET: Final = "/everline/state/ticket/"
PLACE: Final = "/everline/state/place/"

_ID = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_CALL_ID = re.compile(r"[0-9a-f]{24}")
_CALL_ID_CHARS = 24


class Kind(StrEnum):
    """The kinds of record; the value is the path between `/everline/` and the id."""

    SITE = "state/config/site"
    TRUNK = "state/config/trunk"
    DID = "state/config/did"
    QUEUE = "state/config/queue"
    AGENT = "state/config/agent"
    CALENDAR = "state/config/calendar"
    PAUSE_CODE = "state/config/pause_code"
    WRAP_UP_CODE = "state/config/wrap_up_code"
    CONTINGENCY = "state/config/contingency"
    RELEASE = "state/config/release"
    WISH = "state/wish"
    REST = "state/rest"
    PRESENCE = "state/presence"
    MOVE = "state/move"
    EDGE = "state/edge"
    PROBE = "state/probe"
    BARRED = "state/barred"
    UNREPLICATED = "state/unreplicated"
    TICKET = "state/ticket"
    PLACE = "state/place"
    CLEARANCE = "state/clearance"
    HEIR = "state/heir"
    CLAIM = "state/claim"
    RECORDING_WISH = "state/recording_wish"
    RECORDING = "state/recording"
    TRANSFER_WISH = "state/transfer_wish"
    TRANSFER = "state/transfer"
    OFFER = "state/offer"
    WORK = "state/work"
    ENDED = "ended"
    CODED = "coded"
    RESTED = "rested"


_KINDS: Final = {f"{ROOT}{kind.value}": kind for kind in Kind}
_OF_CALLS: Final = frozenset(
    {
        Kind.TICKET,
        Kind.PLACE,
        Kind.CLEARANCE,
        Kind.HEIR,
        Kind.CLAIM,
        Kind.RECORDING_WISH,
        Kind.RECORDING,
        Kind.TRANSFER_WISH,
        Kind.TRANSFER,
        Kind.ENDED,
        Kind.CODED,
        Kind.RESTED,
    }
)


class Key(Struct, frozen=True, kw_only=True):
    """A parsed key."""

    kind: Kind
    id: str


@lru_cache(maxsize=16_384)
def build(kind: Kind, identifier: str) -> str:
    """Return the key of the record `identifier` of this kind; raise BadKeyError if it is no id."""
    pattern = _CALL_ID if kind in _OF_CALLS else _ID
    if pattern.fullmatch(identifier) is None:
        wanted = "24 hex digits" if kind in _OF_CALLS else "1 to 64 of A-Z a-z 0-9 _ . + -"
        raise BadKeyError(f"{identifier[:80]!r} is no id for {kind.name.lower()}: use {wanted}")
    return f"{ROOT}{kind.value}/{identifier}"


@lru_cache(maxsize=16_384)
def parse(key: str) -> Key:
    """Return the kind and id that `key` names; raise BadKeyError if it is none of ours."""
    path, _, identifier = key.rpartition("/")
    kind = _KINDS.get(path)
    if kind is None:
        raise BadKeyError(f"{key[:160]!r} is no key of ours: no kind of record is kept there")
    build(kind, identifier)
    return Key(kind=kind, id=identifier)


def is_id(text: str) -> bool:
    """Say whether `text` may be the id of a site, trunk, DID, queue, skill, agent or edge."""
    return _ID.fullmatch(text) is not None


def call_id_for(sip_call_id: str, from_tag: str) -> CallId:
    """Return our name for the call that a dialog-forming INVITE with these two makes.

    The same two always give the same CallId, on every edge; that is what lets "create the ticket
    only if absent" decide between two edges that hold the same INVITE.
    """
    text = f"{sip_call_id}\0{from_tag}".encode("utf-8", "surrogateescape")
    return CallId(hashlib.sha256(text).hexdigest()[:_CALL_ID_CHARS])


def site(identifier: SiteId) -> str:
    """Return the key of a site's configuration."""
    return build(Kind.SITE, identifier)


def trunk(identifier: TrunkId) -> str:
    """Return the key of a trunk's configuration."""
    return build(Kind.TRUNK, identifier)


def did(number: DidNumber) -> str:
    """Return the key of a DID's configuration."""
    return build(Kind.DID, number)


def queue(identifier: QueueId) -> str:
    """Return the key of a queue's configuration."""
    return build(Kind.QUEUE, identifier)


def agent(identifier: AgentId) -> str:
    """Return the key of an agent's configuration."""
    return build(Kind.AGENT, identifier)


def calendar(identifier: CalendarId) -> str:
    """Return the key of a calendar's configuration."""
    return build(Kind.CALENDAR, identifier)


def pause_code(identifier: str) -> str:
    """Return the key of a reason for which agents pause."""
    return build(Kind.PAUSE_CODE, identifier)


def wrap_up_code(identifier: str) -> str:
    """Return the key of what a call may have been about."""
    return build(Kind.WRAP_UP_CODE, identifier)


def contingency(identifier: str) -> str:
    """Return the key of a contingency plan that is active."""
    return build(Kind.CONTINGENCY, identifier)


def release() -> str:
    """Return the key of the record that says which configuration stands there."""
    return build(Kind.RELEASE, "current")


def wish(identifier: AgentId) -> str:
    """Return the key of what an agent asked to be."""
    return build(Kind.WISH, identifier)


def rest(identifier: AgentId) -> str:
    """Return the key of how long an agent asked to rest."""
    return build(Kind.REST, identifier)


def move(identifier: AgentId) -> str:
    """Return the key of where an agent was moved last."""
    return build(Kind.MOVE, identifier)


def presence(identifier: AgentId) -> str:
    """Return the key of what an agent's home site says of them."""
    return build(Kind.PRESENCE, identifier)


def edge(identifier: EdgeId) -> str:
    """Return the key of an edge's life."""
    return build(Kind.EDGE, identifier)


def probe(identifier: EdgeId) -> str:
    """Return the key of an edge's probe results."""
    return build(Kind.PROBE, identifier)


def barred(identifier: AgentId) -> str:
    """Return the key that says that an agent is barred."""
    return build(Kind.BARRED, identifier)


def unreplicated(identifier: SiteId) -> str:
    """Return the key of what recordings a site alone has."""
    return build(Kind.UNREPLICATED, identifier)


def ticket(call: CallId) -> str:
    """Return the key of a caller's place."""
    return build(Kind.TICKET, call)


def place(call: CallId) -> str:
    """Return the key of the place that a lost call had."""
    return build(Kind.PLACE, call)


def clearance(call: CallId) -> str:
    """Return the key that says whether the caller of a place may be called back."""
    return build(Kind.CLEARANCE, call)


def heir(call: CallId) -> str:
    """Return the key that says who has had the place of a call."""
    return build(Kind.HEIR, call)


def claim(call: CallId) -> str:
    """Return the key that says whom the caller of a call has acknowledged."""
    return build(Kind.CLAIM, call)


def recording_wish(call: CallId) -> str:
    """Return the key of whether a call's recording is to pause."""
    return build(Kind.RECORDING_WISH, call)


def recording(call: CallId) -> str:
    """Return the key of what the recorder does with a call."""
    return build(Kind.RECORDING, call)


def transfer_wish(call: CallId) -> str:
    """Return the key of where a call is to be passed on to."""
    return build(Kind.TRANSFER_WISH, call)


def transfer(call: CallId) -> str:
    """Return the key of what has become of that."""
    return build(Kind.TRANSFER, call)


def offer(identifier: AgentId) -> str:
    """Return the key of the offer of an agent."""
    return build(Kind.OFFER, identifier)


def work(identifier: AgentId) -> str:
    """Return the key of what an agent has done."""
    return build(Kind.WORK, identifier)


def call_of_ended(key: str) -> CallId:
    """Return the call whose record stands at a key of the ledger; raise BadKeyError if none."""
    return CallId(parse(key).id)


def ended(call: CallId) -> str:
    """Return the key of a call's record in the ledger."""
    return build(Kind.ENDED, call)


def coded(call: CallId) -> str:
    """Return the key of what a call was about."""
    return build(Kind.CODED, call)


def rested(call: CallId) -> str:
    """Return the key of the wrap-ups of a call that were ended early, or prolonged."""
    return build(Kind.RESTED, call)
