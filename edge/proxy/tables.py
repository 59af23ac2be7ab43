"""What an edge tells its site's Kamailio: rows of htables, and how two sets differ. PURE.

Rows are idempotent: every edge of a site may write the same ones.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import ClassVar

import msgspec
from msgspec import Struct, field

from edge.acd.token import NO_TOKEN, Token
from edge.proxy.errors import TablesFileError
from state.discreet import Discreet
from state.model import FIRST_EPOCH, Agent, AgentId, SiteId, Trunk
from state.snapshot import Snapshot

FILE_VERSION = 1
EDGE = "edge"
NO_PASSWORD = "-"  # noqa: S105 - the very word for there being none

Key = tuple[str, str]
"""htable, key."""


class Tables(Discreet, frozen=True, kw_only=True):
    """Everything that a Kamailio is told, except its gate."""

    UNTOLD: ClassVar = frozenset({"ha1", "sip_secret", "forward"})

    steer: Mapping[str, str] = field(default_factory=dict)
    """DID (or `*`) -> groups of `host:port`, `|` between groups, `,` within. A number that exists
    and that nobody can serve has a row without targets: it gets 503, not 404."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """`ip` -> `trunk:ID`, `ip:port` -> `edge`."""
    ha1: Mapping[AgentId, str] = field(default_factory=dict)
    """For the agents who are not barred, whatever their home: any site takes them in when that is
    dead. `-`: they have no password of their own."""
    home: Mapping[AgentId, str] = field(default_factory=dict)
    """For the agents homed here: `epoch.revision`, the token up to which none is new here."""
    sip_secret: Mapping[str, str] = field(default_factory=dict)
    """By name: what phones' ephemeral credentials are checked with."""
    dial: Mapping[str, str] = field(default_factory=dict)
    """Trunk -> `host:port PREFIX,PREFIX`: where edges may dial out, and to what numbers."""
    forward: Mapping[str, str] = field(default_factory=dict)
    """DID -> `TRUNK NUMBER`: a contingency plan hands its calls on to that number outside."""
    epoch: int = 0
    """Tokens of an older epoch are refused whatever their revision."""
    draining: bool = False
    """Keepalives are answered 503, so that carriers and sites send no more calls."""


class Put(Discreet, frozen=True, kw_only=True):
    """Set one row."""

    UNTOLD: ClassVar = frozenset({"value"})

    table: str
    key: str
    value: str


class Drop(Struct, frozen=True, kw_only=True):
    """Remove one row."""

    table: str
    key: str


def rows(tables: Tables) -> dict[Key, str]:
    """Return the rows that `tables` stands for.

    An empty row of `steer` is written as `|`: an htable value must not be empty.
    """
    told = {
        (table, key): value for table, of in _owned(tables).items() for key, value in of.items()
    }
    told["meta", "tables"] = "1"
    told["meta", "epoch"] = str(tables.epoch)
    if tables.draining:
        told["meta", "draining"] = "1"
    return told


def _owned(tables: Tables) -> Mapping[str, Mapping[str, str]]:
    """Return the rows of each table that holds nothing but what edges told, in order of `OWNED`."""
    return {
        "steer": {did: row or "|" for did, row in tables.steer.items()},
        "peers": tables.peers,
        "ha1": tables.ha1,  # type: ignore[dict-item]  # an AgentId is a str; a key is invariant
        "home": tables.home,  # type: ignore[dict-item]  # as above
        "sip_secret": tables.sip_secret,
        "dial": tables.dial,
        "forward": tables.forward,
    }


OWNED = ("steer", "peers", "ha1", "home", "sip_secret", "dial", "forward")
"""Tables that hold nothing but what edges told."""


def changes(before: Mapping[Key, str], after: Mapping[Key, str]) -> tuple[Put | Drop, ...]:
    """Return what turns `before` into `after`: additions first, so that no call meets a gap."""
    puts = tuple(
        Put(table=table, key=key, value=value)
        for (table, key), value in after.items()
        if before.get((table, key)) != value
    )
    drops = tuple(Drop(table=table, key=key) for table, key in before if (table, key) not in after)
    return puts + drops


def dumped(table: str, dump: list[dict[str, list[dict[str, str]]]]) -> dict[Key, str]:
    """Return the rows of a table, from what Kamailio's htable.dump says."""
    return {(table, cell["name"]): str(cell["value"]) for slot in dump for cell in slot["slot"]}


def peers(trunks: Iterable[Trunk], edges: Iterable[str]) -> dict[str, str]:
    """Return who may speak, from the trunks' addresses and the edges' `host:port`."""
    known = {address: f"trunk:{trunk.id}" for trunk in trunks for address in trunk.addresses}
    return known | dict.fromkeys(edges, EDGE)


def dial(trunks: Iterable[Trunk]) -> dict[str, str]:
    """Return where edges may dial out; a trunk without prefixes has no row, and takes no call."""
    return {
        str(trunk.id): f"{trunk.sip} {','.join(trunk.dial_out)}"
        for trunk in trunks
        if trunk.sip and trunk.dial_out
    }


def ha1(agents: Iterable[Agent], barred: Container[AgentId] = ()) -> dict[AgentId, str]:
    """Return the secrets of agents; who is not named cannot register."""
    return {agent.id: agent.ha1 or NO_PASSWORD for agent in agents if agent.id not in barred}


def homes(snapshot: Snapshot, site: SiteId) -> dict[AgentId, str]:
    """Return who is homed at `site`, with the token up to which none is new there.

    That is the move that made it their home. Its epoch is that of the store's next tokens of them:
    one that was made at their home of before has that epoch at most, and an older revision.
    """
    return {
        agent: str(_floor(snapshot, agent))
        for agent, entry in snapshot.agents.items()
        if entry.value.site == site
    }


def _floor(snapshot: Snapshot, agent: AgentId) -> Token:
    move, presence = snapshot.moves.get(agent), snapshot.presences.get(agent)
    if move is None:
        return NO_TOKEN
    epoch = FIRST_EPOCH if presence is None else presence.value.epoch
    return Token(epoch=epoch, revision=move.mod_revision)


class AgentRows:
    """The rows of all agents of a site, made anew when something has changed of what they say.

    Calls change none of it, and there may be a hundred thousand: the same objects are returned.
    """

    def __init__(self, site: SiteId) -> None:
        self._site = site
        self._seen: Snapshot | None = None
        self._ha1: Mapping[AgentId, str] = {}
        self._home: Mapping[AgentId, str] = {}

    def of(self, snapshot: Snapshot) -> tuple[Mapping[AgentId, str], Mapping[AgentId, str]]:
        """Return what `ha1` and `homes` do."""
        seen, self._seen = self._seen, snapshot
        is_same = seen is not None and snapshot.agents is seen.agents
        if seen is None or not is_same or snapshot.barred is not seen.barred:
            agents = (entry.value for entry in snapshot.agents.values())
            self._ha1 = ha1(agents, snapshot.barred)
        # What is said of agents matters to the floor of those who were moved.
        if seen is None or not is_same or _floors(snapshot) != _floors(seen):
            self._home = homes(snapshot, self._site)
        return self._ha1, self._home


def _floors(snapshot: Snapshot) -> Mapping[AgentId, Token]:
    return {agent: _floor(snapshot, agent) for agent in snapshot.moves}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    steer: dict[str, str]
    peers: dict[str, str]
    ha1: dict[str, str]
    home: dict[str, str] = {}
    sip_secret: dict[str, str] = {}
    dial: dict[str, str] = {}
    forward: dict[str, str] = {}


def encode_file(tables: Tables) -> bytes:
    """Return what tables.json holds: the rows with which a restarted Kamailio begins."""
    return msgspec.json.encode({"v": FILE_VERSION, **_owned(tables)})


def decode_file(content: bytes) -> dict[Key, str]:
    """Return the rows in a tables.json. Raises TablesFileError."""
    try:
        file = msgspec.json.decode(content, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TablesFileError(f"tables.json is unreadable: {error}") from error
    if file.v != FILE_VERSION:
        raise TablesFileError(f"tables.json has version {file.v}, this is {FILE_VERSION}")
    named = {
        "steer": file.steer,
        "peers": file.peers,
        "ha1": file.ha1,
        "home": file.home,
        "sip_secret": file.sip_secret,
        "dial": file.dial,
        "forward": file.forward,
    }
    return {
        (table, key): value for table, entries in named.items() for key, value in entries.items()
    }
