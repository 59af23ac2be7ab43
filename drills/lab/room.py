"""The room in the databases of a lab's etcd members: how much there is, its making, its lack."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from drills.lab.errors import LabError
from drills.lab.probes import http_get
from drills.lab.site import ETCD_HEALTH_PORT
from drills.only_one import only_one
from state.errors import UnavailableError
from state.etcd import Tls
from state.etcd.upkeep import Upkeep
from state.model import SiteId
from state.space import Space

if TYPE_CHECKING:
    from drills.lab.lab import Lab

ANSWER_TIMEOUT_S: Final = 1.0
BACK_S: Final = 10.0
"""So long a member may take to answer again once it is defragmented."""
_AGAIN_S: Final = 0.1
_LOCK: Final = "room.lock"


class MemberRoom(Struct, frozen=True, kw_only=True):
    """How full one member is."""

    space: Space
    leads: bool


@asynccontextmanager
async def upkeep(lab: Lab) -> AsyncIterator[Upkeep]:
    """Go to the members one by one."""
    own = lab.operator
    made = Upkeep(lab.etcd_endpoints, tls=Tls(ca=own.ca, cert=own.cert, key=own.key))
    try:
        yield made
    finally:
        await made.close()


async def look(lab: Lab) -> Mapping[SiteId, MemberRoom | None]:
    """Return how full each member is; None: it is silent."""
    async with upkeep(lab) as members:
        sites = dict(zip(lab.plan.sites, members.addresses, strict=True))
        told = await asyncio.gather(*(_look(members, *each) for each in sites.items()))
    return dict(zip(sites, told, strict=True))


async def _look(members: Upkeep, site: SiteId, address: str) -> MemberRoom | None:
    try:
        space, leads = await members.space(address), await members.leads(address)
    except UnavailableError:
        return None
    quota = space.quota_bytes or await _quota(site)
    return MemberRoom(space=replace(space, quota_bytes=quota), leads=leads)


async def _quota(site: SiteId) -> int:
    """Return a member's quota; 0: it does not tell. etcd 3.4 says it in its metrics alone."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return quota(await http_get(site, "127.0.0.1", ETCD_HEALTH_PORT, "/metrics"))
    except OSError:
        return 0


def quota(metrics: bytes) -> int:
    """Return the quota that a member's metrics tell; 0: none."""
    found = re.search(rb"^etcd_server_quota_backend_bytes (\S+)$", metrics, re.MULTILINE)
    return int(float(found[1])) if found else 0


def in_turn(rooms: Mapping[SiteId, MemberRoom | None]) -> tuple[SiteId, ...]:
    """Return the members in the order in which to defragment them: who leads comes last.

    By then it can hand that over to one that is done.

    LabError when one is silent and the others take writes: with another one away they would not.
    """
    known = {site: room for site, room in rooms.items() if room is not None}
    silent = sorted(rooms.keys() - known.keys())
    is_full = any(room.space.is_full for room in known.values())
    if not known or (silent and not is_full):
        raise LabError(f"etcd is silent at {', '.join(silent)}: bring it back first")
    return tuple(sorted(known, key=lambda site: (known[site].leads, site)))


async def mend(lab: Lab) -> None:
    """Compact, defragment one member after the other, none while it leads, and end the alarm.

    LabError when room is being made already.
    """
    with alone(lab.paths.run):
        sites = in_turn(await look(lab))
        async with upkeep(lab) as members:
            addresses = dict(zip(lab.plan.sites, members.addresses, strict=True))
            await make_room(members, {site: addresses[site] for site in sites})


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Be the only one in a lab who makes room: two would have two members away at a time."""
    with only_one(run / _LOCK) as is_only:
        if not is_only:
            raise LabError("room is being made already: ./everline state show tells how far it is")
        yield


async def make_room(members: Upkeep, addresses: Mapping[SiteId, str]) -> None:
    """Make it at these members, in this order."""
    first, *others = addresses.values()
    try:
        await members.compact(await members.revision(first))
        for site, address in addresses.items():
            # It may have changed since the order was made.
            if others and await members.leads(address):
                # While one that leads is busy nobody's lease is kept: with 312 MB for 6.9 s.
                await members.hand_over(address, first if address != first else others[-1])
            await members.defragment(address)
            await _until_back(members, site, address)
        await members.disarm()
    except UnavailableError as error:
        raise LabError(f"no room was made: {error}") from error


async def _until_back(members: Upkeep, site: SiteId, address: str) -> None:
    """Wait until a member reads with a quorum again: only then the next may be away."""
    try:
        async with asyncio.timeout(BACK_S):
            while not await _reads(members, address):  # noqa: ASYNC110 - a member tells nobody
                await asyncio.sleep(_AGAIN_S)
    except TimeoutError as error:
        raise LabError(
            f"etcd at {site} does not read {BACK_S:g} s after it was defragmented: "
            "no further member was, and an alarm stands as before"
        ) from error


async def _reads(members: Upkeep, address: str) -> bool:
    try:
        await members.revision(address)
    except UnavailableError:
        return False
    return True


async def set_full(lab: Lab, *, is_full: bool) -> None:
    """Have etcd refuse writes as one whose space is used up, or take them again."""
    try:
        async with upkeep(lab) as members:
            await (members.arm() if is_full else members.disarm())
    except UnavailableError as error:
        raise LabError(f"etcd was not {'filled' if is_full else 'emptied'}: {error}") from error
