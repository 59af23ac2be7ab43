"""The tables of the operator's file, and the nouns that they become. PURE.

Owns the spelling of each table and what is wrong within one; what one table says of another is
`state.configuration`'s to check. Queues (`queue_tables`) and calendars (`calendar_tables`) have
modules of their own.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from state.hosts import check_address
from state.model import (
    Agent,
    AgentId,
    CalendarId,
    Channel,
    Did,
    DidNumber,
    PauseCode,
    QueueId,
    Site,
    SiteId,
    SkillId,
    TenantId,
    Trunk,
    TrunkId,
    TurnAway,
    WrapUpCode,
)
from state.patterns import whole
from state.table import (
    Employer,
    Level,
    Prompt,
    Region,
    Table,
    Values,
    Word,
    check_skills,
    words_of,
)

REALM: Final = "everline"

_HA1 = re.compile(r"[0-9a-f]{32}")


def ha1_of(agent: str, password: str) -> str:
    """Return MD5(agent:everline:password), RFC 2617 §3.2.2.2."""
    text = f"{agent}:{REALM}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


# ---- the file's tables ---------------------------------------------------------------------------


class SiteTable(Table):
    """`[sites.ID]`."""

    sip: str
    name: str = ""
    distance_ms: dict[str, Annotated[int, Meta(ge=0, le=60_000)]] = msgspec.field(
        default_factory=dict
    )
    draining: bool = False
    backups: list[Word] = msgspec.field(default_factory=list)
    shares: dict[Word, Annotated[int, Meta(ge=0, le=100)]] = msgspec.field(default_factory=dict)
    room: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class TrunkTable(Table):
    """`[trunks.ID]`."""

    addresses: Annotated[list[str], Meta(min_length=1)]
    sip: str = ""
    dial_out: list[Annotated[str, whole(r"\+?[0-9]{1,15}")]] = msgspec.field(default_factory=list)
    tenants: list[Word] = msgspec.field(default_factory=lambda: ["main"])
    region: Region = ""


class DidTable(Table):
    """`[dids.NUMBER]`."""

    queue: str
    greeting: Prompt | None = None
    tenant: Word = "main"
    sites: list[Word] = msgspec.field(default_factory=list)
    calendar: Word | None = None
    closed_queue: Word | None = None
    closed: TurnAway = TurnAway.REFUSE
    region: Region = ""


class AgentTable(Table):
    """`[agents.ID]`."""

    site: str
    skills: dict[str, Level]
    name: str = ""
    password: str | None = None
    ha1: str | None = None
    attributes: dict[Word, Values] = msgspec.field(default_factory=dict)
    team: Employer = ""
    employer: Employer = ""
    pause_after: Annotated[int, Meta(ge=0, le=100)] = 0
    channels: dict[Channel, Annotated[int, Meta(ge=0, le=20)]] = msgspec.field(default_factory=dict)
    recorded: bool = True
    tenant: Word = "main"


class CodeTable(Table):
    """`[pause_codes.ID]`, `[wrap_up_codes.ID]`."""

    name: Annotated[str, Meta(max_length=200)] = ""
    tenant: Word = "main"


# ---- a table becomes a noun ----------------------------------------------------------------------


def site_of(identifier: str, table: SiteTable) -> Site:
    """Return the site that a table describes; ValueError: why it is none."""
    _check_address(table.sip)
    return Site(
        id=SiteId(identifier),
        name=table.name or identifier,
        sip=table.sip,
        distance_ms={SiteId(other): ms for other, ms in table.distance_ms.items()},
        draining=table.draining,
        backups=tuple(SiteId(site) for site in table.backups),
        shares={SiteId(other): parts for other, parts in table.shares.items()},
        room=table.room,
    )


def trunk_of(identifier: str, table: TrunkTable) -> Trunk:
    """Return the trunk that a table describes; ValueError: why it is none."""
    addresses = tuple(map(_ip_address, table.addresses))
    if table.sip:
        _check_address(table.sip)
    elif table.dial_out:
        raise ValueError("dial_out without sip: give the host:port that takes calls from us")
    return Trunk(
        id=TrunkId(identifier),
        addresses=addresses,
        sip=table.sip,
        dial_out=tuple(table.dial_out),
        tenants=tuple(TenantId(tenant) for tenant in table.tenants),
        region=table.region,
    )


def _ip_address(text: str) -> str:
    if not text.isprintable():  # an IPv6 zone may be anything
        raise ValueError(f"{text!r} is no address")
    return str(ipaddress.ip_address(text))


def _check_address(sip: str) -> None:
    try:
        check_address(sip)
    except ValueError as error:
        raise ValueError(f"sip = {error}") from error


def did_of(number: str, table: DidTable) -> Did:
    """Return the DID that a table describes; ValueError: why it is none."""
    return Did(
        number=DidNumber(number),
        queue=QueueId(table.queue),
        greeting=table.greeting,
        tenant=TenantId(table.tenant),
        sites=tuple(SiteId(site) for site in table.sites),
        calendar=None if table.calendar is None else CalendarId(table.calendar),
        closed_queue=None if table.closed_queue is None else QueueId(table.closed_queue),
        closed=table.closed,
        region=table.region,
    )


def agent_of(identifier: str, table: AgentTable) -> Agent:
    """Return the agent that a table describes; ValueError: why it is none."""
    check_skills(table.skills)
    if table.password is not None and table.ha1 is not None:
        raise ValueError("give password or ha1, one of the two, or neither")
    ha1 = table.ha1 or ""
    if table.password is not None:
        ha1 = ha1_of(identifier, table.password)
    elif table.ha1 is not None and _HA1.fullmatch(ha1) is None:
        raise ValueError("ha1 is not 32 lower-case hex digits")
    return Agent(
        id=AgentId(identifier),
        name=table.name or identifier,
        site=SiteId(table.site),
        skills={SkillId(skill): level for skill, level in table.skills.items()},
        ha1=ha1,
        attributes={name: words_of(name, values) for name, values in table.attributes.items()},
        team=table.team,
        employer=table.employer,
        pause_after=table.pause_after,
        channels=_channels(table.channels),
        recorded=table.recorded,
        tenant=TenantId(table.tenant),
    )


def pause_code_of(identifier: str, table: CodeTable) -> PauseCode:
    """Return the pause code that a table describes."""
    return PauseCode(id=identifier, name=table.name, tenant=TenantId(table.tenant))


def wrap_up_code_of(identifier: str, table: CodeTable) -> WrapUpCode:
    """Return the wrap-up code that a table describes."""
    return WrapUpCode(id=identifier, name=table.name, tenant=TenantId(table.tenant))


def _channels(channels: Mapping[Channel, int]) -> Mapping[Channel, int]:
    if channels.get(Channel.VOICE, 0) > 1:
        raise ValueError("channels: voice is 0 or 1; nobody talks in two calls")
    return dict(channels)
