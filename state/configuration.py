"""What the operator writes: a TOML file of sites, trunks, queues, DIDs and agents. PURE.

    [sites.a]
    name = "Alpha"
    sip = "198.18.1.10:5060"
    distance_ms = { b = 8, c = 20 }
    shares = { a = 3, b = 1 }        # of four calls that come here, b serves one
    room = 400                       # calls at once that its lines carry; left out: nobody knows

    [trunks.carrier]
    addresses = ["198.18.10.10"]
    sip = "198.18.10.10:5060"        # takes calls from us, to numbers that begin so:
    dial_out = ["+49", "1555"]       # left out: nobody is dialled
    region = "DE"                    # how its calls write numbers; left out: with + only

    [queues.sales]
    needs = { sales = 3 }            # skill = least level, 1 to 10
    any_of = [{ german = 2, dutch = 4 }]
    attributes = { tier = "gold" }
    scope = { teams = ["red"] }      # whom it turns to at first
    strategy = "longest_idle"
    aging_s = 60                     # so long a wait raises the priority by one
    employer = "acme"                # whose people may look at it; left out: ours
    longest_queue = { most = 50, overflow = "help" }
    longest_wait_s = { most = 900, turn_away = "callback" }
    call_back = { trunk = "carrier", tries = 3, after_lost_s = 60 }
                                     # needs_clearance = false: where no customers are kept
                                     # offer = "callback": callers are asked, and press a key

    [[queues.sales.steps]]           # what it gives up for those who wait
    after_s = 30
    lower = { sales = 1 }
    drop_attributes = ["tier"]
    scope = {}                       # everybody

    [queues.help]
    needs = {}

    [dids.4930100]
    queue = "sales"
    calendar = "office"              # left out: always open
    closed_queue = "help"            # left out: turned away, as `closed` says

    [calendars.office]               # see state.calendar_tables
    zone = "Europe/Berlin"
    week = { mon = ["08:00-17:00"] }

    [agents.anna]
    name = "Anna"
    site = "a"
    skills = { sales = 7 }
    attributes = { language = ["de", "en"], tier = "gold" }
    team = "red"
    channels = { voice = 1, chat = 3 }   # conversations at a time
    password = "..."                 # or ha1 = "..."

    [pause_codes.lunch]              # where there are any, agents pause for no other reason
    name = "Lunch break"

    [wrap_up_codes.complaint]        # what a call was about

Owns what makes the file whole. `state.configuration_tables` owns the spelling of its tables;
`state.publishing` writes it to a store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from state import keys
from state.calendar_tables import CalendarTable, calendar_of
from state.codec import Record
from state.configuration_findings import Finding, dangling
from state.configuration_tables import (
    REALM,
    AgentTable,
    CodeTable,
    DidTable,
    SiteTable,
    TrunkTable,
    agent_of,
    did_of,
    ha1_of,
    pause_code_of,
    site_of,
    trunk_of,
    wrap_up_code_of,
)
from state.errors import ConfigurationError
from state.model import (
    Agent,
    Calendar,
    Contingency,
    Did,
    PauseCode,
    Queue,
    Release,
    Site,
    Trunk,
    WrapUpCode,
)
from state.queue_tables import QueueTable, queue_of
from state.table import check_agent_id, check_id

__all__ = [
    "REALM",
    "SECTIONS",
    "Configuration",
    "Section",
    "configuration_of",
    "ha1_of",
    "noun_of",
    "parse_configuration",
]


class Configuration(Struct, frozen=True, kw_only=True):
    """Everything under `/everline/state/config/`, whole: what is not in it is not there."""

    sites: tuple[Site, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    queues: tuple[Queue, ...] = ()
    dids: tuple[Did, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    agents: tuple[Agent, ...] = ()
    pause_codes: tuple[PauseCode, ...] = ()
    wrap_up_codes: tuple[WrapUpCode, ...] = ()
    contingencies: tuple[Contingency, ...] = ()
    """The plans that are active; what they change has been changed."""
    release: Release | None = None
    """None: it came from a file."""

    def by_key(self) -> dict[str, Record]:
        """Return every record under its key, but for the release."""
        records: dict[str, Record] = {keys.site(each.id): each for each in self.sites}
        records |= {keys.trunk(each.id): each for each in self.trunks}
        records |= {keys.queue(each.id): each for each in self.queues}
        records |= {keys.did(each.number): each for each in self.dids}
        records |= {keys.calendar(each.id): each for each in self.calendars}
        records |= {keys.agent(each.id): each for each in self.agents}
        records |= {keys.pause_code(each.id): each for each in self.pause_codes}
        records |= {keys.wrap_up_code(each.id): each for each in self.wrap_up_codes}
        records |= {keys.contingency(each.id): each for each in self.contingencies}
        return records


class Section(Struct, frozen=True):
    """How the tables of one section are read."""

    shape: type[Any]
    make: Callable[[str, Any], Any]
    check_new: Callable[[str], None] | None = None
    """Raises ValueError if none may be added under this id. One that is there already harms nobody,
    and must not keep a whole configuration from being published."""


SECTIONS: Final[Mapping[str, Section]] = {
    "sites": Section(SiteTable, site_of),
    "trunks": Section(TrunkTable, trunk_of),
    "queues": Section(QueueTable, queue_of),
    "dids": Section(DidTable, did_of),
    "calendars": Section(CalendarTable, calendar_of),
    "agents": Section(AgentTable, agent_of, check_agent_id),
    "pause_codes": Section(CodeTable, pause_code_of),
    "wrap_up_codes": Section(CodeTable, wrap_up_code_of),
}


def parse_configuration(text: str, source: str = "configuration") -> Configuration:
    """Return what the TOML `text` says; raise ConfigurationError with every problem found.

    `source` names the text in the error, usually by its path. Passwords become HA1 here and go no
    further; no error quotes one.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(source, (f"no TOML: {error}",)) from error
    configuration, problems = configuration_of(tables)
    if problems:
        raise ConfigurationError(source, tuple(map(str, problems)))
    return configuration


def configuration_of(
    tables: Mapping[str, Any],
) -> tuple[Configuration, tuple[Finding | str, ...]]:
    """Return the configuration that the tables make, and all that is wrong with it.

    If a table cannot be read, only such problems are returned: what hangs on a record that did not
    come through would only repeat its problem.
    """
    reader = _Reader(tables)
    nouns: dict[str, Any] = {name: reader.read(name, each) for name, each in SECTIONS.items()}
    configuration = Configuration(**nouns)
    problems = (*reader.problems, *reader.unknown_tables())
    return configuration, problems or tuple(dangling(configuration))


def noun_of(
    name: str,
    section: Section,
    identifier: str,
    table: Any,  # noqa: ANN401 - of any section
    *,
    is_new: bool = False,
) -> Any:  # noqa: ANN401 - any noun
    """Return the noun of one table of the section `name`, or what is wrong with the table."""
    try:
        check_id(identifier, name)
        if is_new and section.check_new is not None:
            section.check_new(identifier)
        return section.make(identifier, msgspec.convert(table, section.shape))
    except ValueError as error:
        return Finding.error(name, identifier, "", str(error))


# ---- reading -------------------------------------------------------------------------------------


class _Reader:
    """Reads the tables of one file and gathers what is wrong with them."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._tables = tables
        self._known: list[str] = []
        self.problems: list[Finding | str] = []

    def read(self, name: str, section: Section) -> tuple[Any, ...]:
        """Return the nouns of a section; note a problem for each that cannot be made."""
        self._known.append(name)
        tables = self._tables.get(name, {})
        if not isinstance(tables, dict):
            self.problems.append(f"{name} is no table of tables: write [{name}.ID]")
            return ()
        made = []
        for identifier, table in tables.items():
            noun = noun_of(name, section, identifier, table, is_new=True)
            if isinstance(noun, Finding):
                self.problems.append(noun)
            else:
                made.append(noun)
        return tuple(made)

    def unknown_tables(self) -> list[str]:
        """Return a problem for each section that nobody reads."""
        known = ", ".join(self._known)
        return [
            f"[{section}] is not known here: use {known}"
            for section in self._tables
            if section not in self._known
        ]
