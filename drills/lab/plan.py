"""PURE. What a lab consists of: sites, hosts and their addresses, and which parts run.

The addresses are the table in docs/architecture.md. Knows nothing of namespaces or processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from drills.lab.errors import PlanError
from state.model import EdgeId, SiteId

MOST_SITES = 9
MOST_EDGES = 9


class HostKind(StrEnum):
    """What a host is for."""

    SITE = "site"
    CARRIER = "carrier"
    CALLERS = "callers"
    AGENTS = "agents"


class Part(StrEnum):
    """A kind of process that the lab can run."""

    ETCD = "etcd"
    RTPENGINE = "rtpengine"
    KAMAILIO = "kamailio"
    EDGE = "edge"
    RECORDER = "recorder"
    CARRIER = "carrier"
    CONTROL_PLANE = "control_plane"
    """Started by `Lab.start_control_planes`, once the center's configuration is there."""


CALLS: Final = frozenset(Part) - {Part.CONTROL_PLANE}
"""What calls need."""


class Host(Struct, frozen=True, kw_only=True):
    """A machine of the lab: one network namespace with one address."""

    name: str
    kind: HostKind
    subnet: int
    """Third octet: the host is 198.18.SUBNET.10, its router 198.18.SUBNET.1."""
    site: SiteId | None = None
    """The site it is, or for agents the site they are registered at."""

    @property
    def address(self) -> str:
        """Its address."""
        return f"198.18.{self.subnet}.10"

    @property
    def router(self) -> str:
        """Its next hop, which is the lab's own address as the host sees it."""
        return f"198.18.{self.subnet}.1"

    @property
    def interface(self) -> str:
        """Name of its link's end in the router (at most 15 characters)."""
        return f"w-{self.name}"


class LabPlan(Struct, frozen=True, kw_only=True):
    """Everything that is decided before the first namespace is made. Built by `plan_lab`."""

    sites: tuple[SiteId, ...]
    edges_per_site: int
    hosts: tuple[Host, ...]
    parts: frozenset[Part]
    has_movable_clocks: bool = False
    """Whether the clocks of our own processes can be set, site by site."""
    has_slow_syncs: bool = False
    """Whether the disks of etcd's members can be made slow, site by site."""
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Process name -> the command to run instead of the usual one."""

    def host(self, name: str) -> Host:
        """Return the host of that name; PlanError when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise PlanError(f"there is no host {name!r} in this lab; there are: {known}")

    def hosts_of(self, kind: HostKind) -> tuple[Host, ...]:
        """Return the hosts of that kind, in order."""
        return tuple(host for host in self.hosts if host.kind is kind)

    def edges(self, site: SiteId) -> tuple[EdgeId, ...]:
        """Return the site's edges: a1, a2, ..."""
        return tuple(EdgeId(f"{site}{number}") for number in range(1, self.edges_per_site + 1))


def edge_port(edge: EdgeId) -> int:
    """Return an edge's SIP port: 5081 for a1, 5082 for a2."""
    return 5080 + int(edge[1:])


def plan_lab(  # noqa: PLR0913 - in what labs differ
    *,
    sites: int = 3,
    edges: int = 2,
    parts: frozenset[Part] = CALLS,
    has_movable_clocks: bool = False,
    has_slow_syncs: bool = False,
    commands: Mapping[str, tuple[str, ...]] | None = None,
) -> LabPlan:
    """Return the plan of a lab with that many sites, and so many edges in each of them.

    PlanError for more than there can be.
    """
    if not 1 <= sites <= MOST_SITES:
        raise PlanError(f"a lab has 1 to {MOST_SITES} sites, not {sites}")
    if not 0 <= edges <= MOST_EDGES:
        raise PlanError(f"a site has 0 to {MOST_EDGES} edges, not {edges}")
    letters = tuple(SiteId(letter) for letter in "abcdefghi"[:sites])
    hosts = (
        *(
            Host(name=site, kind=HostKind.SITE, subnet=number, site=site)
            for number, site in enumerate(letters, start=1)
        ),
        Host(name="carrier", kind=HostKind.CARRIER, subnet=10),
        Host(name="callers", kind=HostKind.CALLERS, subnet=11),
        *(
            Host(name=f"agents-{site}", kind=HostKind.AGENTS, subnet=20 + number, site=site)
            for number, site in enumerate(letters, start=1)
        ),
    )
    return LabPlan(
        sites=letters,
        edges_per_site=edges,
        hosts=hosts,
        parts=parts,
        has_movable_clocks=has_movable_clocks,
        has_slow_syncs=has_slow_syncs,
        commands=dict(commands or {}),
    )
