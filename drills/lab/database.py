"""Brings up the database of a lab that outlives a site, and says how its members stand."""

from __future__ import annotations

import asyncio
import pwd
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.conninfo import make_conninfo

from drills.lab import patroni
from drills.lab.certs import Authority, write_secret
from drills.lab.errors import LabError
from drills.lab.patroni import Passwords
from drills.lab.plan import LabPlan
from drills.lab.probes import http_get
from drills.lab.process import Identity, ProcessSpec
from drills.lab.supervisor import Supervisor
from state.codec import UNREADABLE
from state.model import SiteId

PROGRAMS: Final = Path("/usr/lib/postgresql")
ShapeT = TypeVar("ShapeT")
ASK_S: Final = 2.0
SETTLED_S: Final = 90.0
LOOK_EVERY_S: Final = 0.25


class Member(Struct, frozen=True, kw_only=True):
    """A member, as Patroni's cluster says."""

    name: str
    role: str
    """`leader`, `sync_standby`, `replica`."""
    state: str
    timeline: int = 0
    lag: int | str = 0
    """Bytes behind the leader; `unknown` while it does not say."""

    @property
    def is_running(self) -> bool:
        """Whether it serves, or follows the leader."""
        return self.state in {"running", "streaming"}

    @property
    def lag_bytes(self) -> int | None:
        """How far it is behind; None: it does not say."""
        return self.lag if isinstance(self.lag, int) else None


class Cluster(Struct, frozen=True, kw_only=True):
    """All members."""

    members: tuple[Member, ...]

    @property
    def primary(self) -> SiteId | None:
        """The site whose member takes writes; None: none does."""
        leads = (m.name for m in self.members if m.role == "leader" and m.is_running)
        found = next(leads, None)
        return None if found is None else SiteId(found)

    def told(self) -> str:
        """Return how all stand, in a line."""
        return ", ".join(
            f"{each.name} {each.role} {each.state} (timeline {each.timeline})"
            for each in sorted(self.members, key=lambda each: each.name)
        )

    @property
    def is_whole(self) -> bool:
        """Whether all run on one timeline, one of them as the standby that writes wait for."""
        timelines = {member.timeline for member in self.members}
        has_standby = any(member.role == "sync_standby" for member in self.members)
        are_running = all(member.is_running for member in self.members)
        return self.primary is not None and has_standby and are_running and len(timelines) == 1


class _Position(Struct, frozen=True, kw_only=True):
    location: int | None = None
    """Of a primary: what it has written."""
    received_location: int | None = None


class _Told(Struct, frozen=True, kw_only=True):
    """What a member says of itself."""

    xlog: _Position = _Position()

    @property
    def lsn(self) -> int | None:
        where = self.xlog
        return where.location if where.location is not None else where.received_location


class LabDatabase:
    """The database of one lab."""

    def __init__(self, plan: LabPlan, passwords: Passwords, ca: Path) -> None:
        self._plan = plan
        self._passwords = passwords
        self._ca = ca

    @property
    def url(self) -> str:
        """The URL by which a control plane finds whichever member takes writes."""
        return patroni.url(self._plan, self._ca, self._passwords)

    async def connect(self, database: str) -> psycopg.AsyncConnection:
        """Connect to whichever member takes writes."""
        words = patroni.connection(self._plan, self._ca, self._passwords) | {"dbname": database}
        return await psycopg.AsyncConnection.connect(make_conninfo(**words), autocommit=True)

    async def cluster(self) -> Cluster | None:
        """Return how the members stand, by the first that answers; None: none does."""
        for site in self._plan.sites:
            if (found := await self._told(site, "/cluster", Cluster)) is not None:
                return found
        return None

    async def _told(self, site: SiteId, path: str, shape: type[ShapeT]) -> ShapeT | None:
        address = self._plan.host(site).address
        try:
            async with asyncio.timeout(ASK_S):
                body = await http_get(None, address, patroni.API_PORT, path, ca=self._ca)
            return msgspec.json.decode(body.partition(b"\r\n\r\n")[2], type=shape)
        except (OSError, *UNREADABLE):
            return None

    async def positions(self) -> dict[str, str]:
        """Return each member's position in the log of writes (LSN), of those that answer."""
        found: dict[str, str] = {}
        for site in self._plan.sites:
            told = await self._told(site, "/patroni", _Told)
            if told is not None and told.lsn is not None:
                found[site] = f"{told.lsn >> 32:X}/{told.lsn & 0xFFFFFFFF:X}"
        return found

    async def until_whole(self, within_s: float = SETTLED_S) -> Cluster:
        """Wait until all members are one cluster. LabError: how they stand instead."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        while True:
            found = await self.cluster()
            if found is not None and len(found.members) == len(self._plan.sites) and found.is_whole:
                return found
            if asyncio.get_running_loop().time() > deadline_s:
                raise LabError(f"the database's members are not one after {within_s:g} s: {found}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def create(self) -> None:
        """Make the center's database."""
        async with await self.connect(patroni.SUPERUSER) as connection:
            name = sql.Identifier(patroni.DATABASE)
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


async def start(plan: LabPlan, authority: Authority, supervisor: Supervisor) -> LabDatabase:
    """Start a member at every site of a lab whose etcd runs, and wait until they are one."""
    programs = sorted(PROGRAMS.glob("*/bin"))
    if not programs or shutil.which(patroni.PROGRAM) is None:
        raise LabError("PostgreSQL or Patroni is not installed: ./everline setup installs them")
    passwords = Passwords(
        **{name: secrets.token_urlsafe(18) for name in Passwords.__struct_fields__}
    )
    identities = {patroni.process_name(site): _room(plan, authority, site) for site in plan.sites}
    work = patroni.compose(plan, identities, passwords, programs[-1])
    for path, content in work.files.items():
        write_secret(path, content.encode())
        _give(path)
    made = LabDatabase(plan, passwords, authority.ca)
    await _one_after_the_other(supervisor, work.processes)
    await made.until_whole()
    await made.create()
    return made


async def _one_after_the_other(supervisor: Supervisor, processes: Sequence[ProcessSpec]) -> None:
    # The first makes the cluster: all at once would race for that, and two would start over.
    first, *others = processes
    await supervisor.start([first])
    await supervisor.start(others)


def _room(plan: LabPlan, authority: Authority, site: SiteId) -> Identity:
    """Make a site's room, which is `postgres`'s alone, with its certificate in it."""
    try:
        pwd.getpwnam(patroni.OWNER)
    except KeyError as error:
        raise LabError(f"there is no user {patroni.OWNER}: ./everline setup brings one") from error
    patroni.ROOM.mkdir(mode=0o711, exist_ok=True)
    room = patroni.room_of(site)
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(mode=0o700)
    local = msgspec.structs.replace(authority, directory=room)
    shutil.copy(authority.ca, local.ca)
    made = local.issue("member", addresses=(plan.host(site).address, "127.0.0.1"))
    for path in (room, made.ca, made.cert, made.key):
        _give(path)
    return made


def _give(path: Path) -> None:
    try:
        shutil.chown(path, patroni.OWNER, patroni.OWNER)
    except OSError as error:
        raise LabError(
            "the lab's database needs root: PostgreSQL does not run as the one user of an "
            "unprivileged lab"
        ) from error
