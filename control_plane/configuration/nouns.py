"""PURE. The sections of the configuration: the shape of each one's tables, and who may change it.

Those that edges need are of `state.configuration`; the others are known to the control plane alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from control_plane.permissions import Permission
from state.configuration import SECTIONS as STATE_SECTIONS
from state.patterns import whole
from state.table import Table, Word

Number = Annotated[str, whole(r"\+[1-9][0-9]{5,14}")]
"""E.164."""
Text = Annotated[str, Meta(max_length=200)]


class SkillTable(Table):
    """`skills`: what agents can be good at."""

    name: Text = ""
    tenant: Word = "main"


class TeamTable(Table):
    """`teams`: people who work together under a supervisor, at one site."""

    name: Text = ""
    site: Text = ""
    """Where its supervisor is; empty: none sees to it."""
    tenant: Word = "main"


class PromptTable(Table):
    """`prompts`: what callers can be told; the sound is a file of that name at each site."""

    name: Text = ""
    tenant: Word = "main"


class DidChange(Table):
    """What a plan makes of a DID; what is left out stays."""

    queue: Word | None = None
    """The backup queue."""
    greeting: Word | None = None
    """The announcement."""
    sites: Annotated[list[Word], Meta(max_length=20)] = msgspec.field(default_factory=list)
    """The backup sites, in this order."""
    calendar: Word | None = None
    """Other opening hours."""
    closed_queue: Word | None = None
    """Where callers go while it is closed."""
    number: Number | None = None
    """The backup number outside: new calls go out to it at any hour, and are neither queued nor
    recorded, nor in the ledger of calls. Those who wait stay."""


class QueueChange(Table):
    """What a plan makes of a queue: its callers, also those who wait, are served by another.

    Or new calls of the DIDs that lead to it go out to a number, or both.
    """

    backup: Word | None = None
    """The queue that serves them."""
    number: Number | None = None
    """The backup number outside for the DIDs that lead to it, as for a DID."""


class SiteChange(Table):
    """What a plan makes of a site: it shares its calls; without shares, it drains."""

    backups: Annotated[list[Word], Meta(max_length=20)] = msgspec.field(default_factory=list)
    """These take its calls while it drains, in this order."""
    shares: Annotated[dict[Word, Annotated[int, Meta(ge=1, le=100)]], Meta(max_length=20)] = (
        msgspec.field(default_factory=dict)
    )
    """Percent of its calls by site, 100 in all."""
    number: Number | None = None
    """The backup number outside, as for a DID, for the plan's tenant's DIDs whose only site it
    is."""


class AgentChange(Table):
    """What a plan makes of an agent: their home is another site."""

    site: Word
    """Their home while the plan is active."""


class PlanTable(Table):
    """`plans`: contingency plans."""

    name: Text = ""
    dids: Annotated[dict[Word, DidChange], Meta(max_length=1000)] = msgspec.field(
        default_factory=dict
    )
    """By number: backup queue or number outside, sites, announcement, hours."""
    queues: Annotated[dict[Word, QueueChange], Meta(max_length=1000)] = msgspec.field(
        default_factory=dict
    )
    """By id: the backup queue, or a number outside."""
    sites: Annotated[dict[Word, SiteChange], Meta(max_length=50)] = msgspec.field(
        default_factory=dict
    )
    """By id: it drains, shares its calls, or has a number outside."""
    agents: Annotated[dict[Word, AgentChange], Meta(max_length=10_000)] = msgspec.field(
        default_factory=dict
    )
    """By id: another home."""
    tenant: Word = "main"


class ActivationTable(Table):
    """`activations`: a plan that is active, under the plan's id."""

    since_ms: int
    by: str = ""
    why: str = ""
    tenant: Word = "main"


class Noun(Struct, frozen=True, kw_only=True):
    """A section as the API serves it."""

    section: str
    shape: type[Any]
    one: str
    """One of them, in words."""
    read: Permission
    update: Permission
    is_platform: bool = False
    """Of no tenant: changed where the center's own tenant acts."""


def _word(section: str, shape: type[Any], one: str) -> Noun:
    read, update = Permission.VOCABULARY_READ, Permission.VOCABULARY_UPDATE
    return Noun(section=section, shape=shape, one=one, read=read, update=update)


_ALL: Final = (
    Noun(
        section="sites",
        shape=STATE_SECTIONS["sites"].shape,
        one="site",
        read=Permission.SITE_READ,
        update=Permission.SITE_UPDATE,
        is_platform=True,
    ),
    Noun(
        section="trunks",
        shape=STATE_SECTIONS["trunks"].shape,
        one="trunk",
        read=Permission.TRUNK_READ,
        update=Permission.TRUNK_UPDATE,
        is_platform=True,
    ),
    Noun(
        section="dids",
        shape=STATE_SECTIONS["dids"].shape,
        one="DID",
        read=Permission.DID_READ,
        update=Permission.DID_UPDATE,
    ),
    Noun(
        section="queues",
        shape=STATE_SECTIONS["queues"].shape,
        one="queue",
        read=Permission.QUEUE_READ,
        update=Permission.QUEUE_UPDATE,
    ),
    Noun(
        section="calendars",
        shape=STATE_SECTIONS["calendars"].shape,
        one="calendar",
        read=Permission.CALENDAR_READ,
        update=Permission.CALENDAR_UPDATE,
    ),
    Noun(
        section="agents",
        shape=STATE_SECTIONS["agents"].shape,
        one="agent",
        read=Permission.AGENT_READ,
        update=Permission.AGENT_UPDATE,
    ),
    Noun(
        section="teams",
        shape=TeamTable,
        one="team",
        read=Permission.TEAM_READ,
        update=Permission.TEAM_UPDATE,
    ),
    _word("skills", SkillTable, "skill"),
    _word("prompts", PromptTable, "prompt"),
    _word("pause_codes", STATE_SECTIONS["pause_codes"].shape, "pause code"),
    _word("wrap_up_codes", STATE_SECTIONS["wrap_up_codes"].shape, "wrap-up code"),
    Noun(
        section="plans",
        shape=PlanTable,
        one="contingency plan",
        read=Permission.PLAN_READ,
        update=Permission.PLAN_UPDATE,
    ),
)
NOUNS: Final = {noun.section: noun for noun in _ALL}
ACTIVATIONS: Final = "activations"
OWN_SHAPES: Final[dict[str, type[Any]]] = {
    "skills": SkillTable,
    "teams": TeamTable,
    "prompts": PromptTable,
    "plans": PlanTable,
    ACTIVATIONS: ActivationTable,
}
"""What no edge reads."""
PLATFORM: Final = frozenset(noun.section for noun in _ALL if noun.is_platform)
