"""What the operator writes: a TOML file of sites, trunks, queues, DIDs and agents. PURE.

    [sites.a]
    name = "Alpha"
    sip = "198.18.1.10:5060"
    distance_ms = { b = 8, c = 20 }

    [trunks.carrier]
    addresses = ["198.18.10.10"]

    [queues.sales]
    needs = { sales = 3 }            # skill = least level, 1 to 10
    any_of = [{ german = 2, dutch = 4 }]
    attributes = { tier = "gold" }
    scope = { teams = ["red"] }      # whom it turns to at first
    strategy = "longest_idle"
    aging_s = 60                     # so long a wait raises the priority by one
    longest_queue = { most = 50, overflow = "help" }
    longest_wait_s = { most = 900, turn_away = "callback" }

    [[queues.sales.steps]]           # what it gives up for those who wait
    after_s = 30
    lower = { sales = 1 }
    drop_attributes = ["tier"]
    scope = {}                       # everybody

    [queues.help]
    needs = {}

    [dids.4930100]
    queue = "sales"

    [agents.anna]
    name = "Anna"
    site = "a"
    skills = { sales = 7 }
    attributes = { language = ["de", "en"], tier = "gold" }
    team = "red"
    password = "..."                 # or ha1 = "..."

Owns what makes the file whole. `state.configuration_tables` owns the spelling of its tables;
`state.publishing` writes it to a store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from state import keys
from state.codec import Record
from state.configuration_tables import (
    REALM,
    AgentTable,
    DidTable,
    QueueTable,
    SiteTable,
    Table,
    TrunkTable,
    agent_of,
    check_id,
    did_of,
    ha1_of,
    queue_of,
    site_of,
    trunk_of,
)
from state.errors import ConfigurationError
from state.model import (
    Agent,
    Did,
    Queue,
    QueueId,
    Site,
    SiteId,
    Trunk,
    TrunkId,
)

__all__ = ["REALM", "Configuration", "ha1_of", "parse_configuration"]


class Configuration(Struct, frozen=True, kw_only=True):
    """Everything under `/everline/state/config/`, whole: what is not in it is not there."""

    sites: tuple[Site, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    queues: tuple[Queue, ...] = ()
    dids: tuple[Did, ...] = ()
    agents: tuple[Agent, ...] = ()

    def by_key(self) -> dict[str, Record]:
        """Return every record under its key."""
        records: dict[str, Record] = {keys.site(each.id): each for each in self.sites}
        records |= {keys.trunk(each.id): each for each in self.trunks}
        records |= {keys.queue(each.id): each for each in self.queues}
        records |= {keys.did(each.number): each for each in self.dids}
        records |= {keys.agent(each.id): each for each in self.agents}
        return records


def parse_configuration(text: str, source: str = "configuration") -> Configuration:
    """Return what the TOML `text` says; raise ConfigurationError with every problem found.

    `source` names the text in the error, usually by its path. Passwords become HA1 here and go no
    further; no error quotes one.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(source, (f"no TOML: {error}",)) from error
    reader = _Reader(tables)
    configuration = Configuration(
        sites=reader.read("sites", SiteTable, site_of),
        trunks=reader.read("trunks", TrunkTable, trunk_of),
        queues=reader.read("queues", QueueTable, queue_of),
        dids=reader.read("dids", DidTable, did_of),
        agents=reader.read("agents", AgentTable, agent_of),
    )
    problems = (*reader.problems, *reader.unknown_tables())
    # What hangs on a record that did not come through would only repeat its problem.
    if problems := problems or tuple(_dangling(configuration)):
        raise ConfigurationError(source, problems)
    return configuration


# ---- reading -------------------------------------------------------------------------------------

_TableT = TypeVar("_TableT", bound=Table)
_NounT = TypeVar("_NounT")


class _Reader:
    """Reads the tables of one file and gathers what is wrong with them."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._tables = tables
        self._known: list[str] = []
        self.problems: list[str] = []

    def read(
        self, section: str, shape: type[_TableT], make: Callable[[str, _TableT], _NounT]
    ) -> tuple[_NounT, ...]:
        """Return the nouns of a section; note a problem for each that cannot be made."""
        self._known.append(section)
        tables = self._tables.get(section, {})
        if not isinstance(tables, dict):
            self.problems.append(f"{section} is no table of tables: write [{section}.ID]")
            return ()
        made = []
        for identifier, table in tables.items():
            try:
                check_id(identifier, section)
                made.append(make(identifier, msgspec.convert(table, shape)))
            except ValueError as error:
                self.problems.append(f"[{section}.{identifier}] {error}")
        return tuple(made)

    def unknown_tables(self) -> list[str]:
        """Return a problem for each section that nobody reads."""
        known = ", ".join(self._known)
        return [
            f"[{section}] is not known here: use {known}"
            for section in self._tables
            if section not in self._known
        ]


def _dangling(configuration: Configuration) -> Iterable[str]:
    """Yield a problem for each reference to something that is not there."""
    sites = {site.id for site in configuration.sites}
    queues = {queue.id for queue in configuration.queues}
    for site in configuration.sites:
        for other in site.distance_ms:
            if other not in sites:
                yield f"[sites.{site.id}] distance_ms names the site {other!r}, which is not there"
    for did in configuration.dids:
        if did.queue not in queues:
            yield f"[dids.{did.number}] queue {did.queue!r} is not there"
    for queue in configuration.queues:
        yield from _dangling_of(queue, configuration, queues, sites)
    for agent in configuration.agents:
        if agent.site not in sites:
            yield f"[agents.{agent.id}] site {agent.site!r} is not there"
    yield from _shared_addresses(configuration.trunks)


def _dangling_of(
    queue: Queue,
    configuration: Configuration,
    queues: AbstractSet[QueueId],
    sites: AbstractSet[SiteId],
) -> Iterable[str]:
    """Yield a problem for each reference of a queue's rules that leads nowhere."""
    limits = (queue.longest_queue, queue.longest_wait_s, queue.longest_estimate_s)
    targets = [each.overflow for each in (*queue.steps, *limits) if each is not None]
    for target in dict.fromkeys(target for target in targets if target is not None):
        if target == queue.id:
            yield f"[queues.{queue.id}] overflow leads to the queue itself"
        elif target not in queues:
            yield f"[queues.{queue.id}] overflow names the queue {target!r}, which is not there"
    named = (queue.scope, *(step.scope for step in queue.steps))
    scopes = [scope for scope in named if scope is not None]
    known: dict[str, AbstractSet[str]] = {
        "site": sites,
        "team": {agent.team for agent in configuration.agents},
        "employer": {agent.employer for agent in configuration.agents},
    }
    for kind, words in (
        ("site", [site for scope in scopes for site in scope.sites]),
        ("team", [team for scope in scopes for team in scope.teams]),
        ("employer", [employer for scope in scopes for employer in scope.employers]),
    ):
        for word in dict.fromkeys(words):
            if word not in known[kind]:
                yield f"[queues.{queue.id}] scope names the {kind} {word!r}, which nobody is of"


def _shared_addresses(trunks: Iterable[Trunk]) -> Iterable[str]:
    """Yield a problem for each address that two trunks claim."""
    owners: dict[str, TrunkId] = {}
    for trunk in trunks:
        for address in trunk.addresses:
            owner = owners.setdefault(address, trunk.id)
            if owner != trunk.id:
                yield f"[trunks.{trunk.id}] address {address} belongs to trunk {owner!r} already"
