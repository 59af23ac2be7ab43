"""What is wrong with a configuration as a whole: references that lead nowhere. PURE.

An error would harm calls, and nothing with one is published. A warning is for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from state.model import Did, Limit, Queue, QueueId, Scope, TenantId, Trunk, TrunkId

if TYPE_CHECKING:
    from state.configuration import Configuration


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with one record."""

    severity: Severity
    section: str
    """`queues`, `dids`, ..."""
    id: str
    field: str
    """Empty: the record as a whole."""
    fault: str
    remedy: str = ""

    @classmethod
    def error(cls, section: str, id: str, field: str, fault: str, remedy: str = "") -> Finding:  # noqa: A002 - as the field
        """Return what nothing is published with."""
        return cls(
            severity=Severity.ERROR,
            section=section,
            id=id,
            field=field,
            fault=fault,
            remedy=remedy,
        )

    def __str__(self) -> str:
        return f"[{self.section}.{self.id}] {self.fault}"


def dangling(configuration: Configuration) -> Iterator[Finding]:
    """Yield an error for each reference to something that is not there, or is another tenant's."""
    known = _Known(configuration)
    for site in configuration.sites:
        for other in site.distance_ms:
            yield from known.site("sites", site.id, "distance_ms", other)
        for other in site.shares:
            yield from known.site("sites", site.id, "shares", other)
        for other in site.backups:
            yield from known.site("sites", site.id, "backups", other)
            if other == site.id:
                yield Finding.error(
                    "sites", site.id, "backups", "backups names the site itself", "name others"
                )
    for did in configuration.dids:
        yield from _of_did(did, known)
    for queue in configuration.queues:
        yield from _of_queue(queue, known)
    for agent in configuration.agents:
        if agent.site not in known.sites:
            yield Finding.error(
                "agents",
                agent.id,
                "site",
                f"site {agent.site!r} is not there",
                "name a site of the configuration, or add it",
            )
    yield from _shared_addresses(configuration.trunks)


class _Known:
    """What there is to refer to."""

    def __init__(self, configuration: Configuration) -> None:
        self.sites = {site.id for site in configuration.sites}
        self.queues = {queue.id: queue.tenant for queue in configuration.queues}
        self.trunks = {trunk.id: trunk for trunk in configuration.trunks}
        self.calendars = {each.id: each.tenant for each in configuration.calendars}
        self.teams = {(agent.tenant, agent.team) for agent in configuration.agents}
        self.employers = {(agent.tenant, agent.employer) for agent in configuration.agents}

    def site(self, section: str, identifier: str, field: str, site: str) -> Iterator[Finding]:
        if site not in self.sites:
            fault = f"{field} names the site {site!r}, which is not there"
            yield Finding.error(section, identifier, field, fault, "name a site that is there")


def _of_did(did: Did, known: _Known) -> Iterator[Finding]:
    def missing(field: str, fault: str, remedy: str) -> Finding:
        return Finding.error("dids", did.number, field, fault, remedy)

    # What is another tenant's is told as if it were not there.
    if known.queues.get(did.queue) != did.tenant:
        yield missing("queue", f"queue {did.queue!r} is not there", "name a queue, or add it first")
    if did.closed_queue is not None and known.queues.get(did.closed_queue) != did.tenant:
        fault = f"closed_queue {did.closed_queue!r} is not there"
        yield missing("closed_queue", fault, "name a queue, or leave it out")
    if did.calendar is not None and known.calendars.get(did.calendar) != did.tenant:
        fault = f"calendar {did.calendar!r} is not there"
        yield missing("calendar", fault, "name a calendar, or leave it out: always open")
    for site in did.sites:
        yield from known.site("dids", did.number, "sites", site)


def _of_queue(queue: Queue, known: _Known) -> Iterator[Finding]:
    """Yield an error for each reference of a queue's rules that leads nowhere."""

    def missing(field: str, fault: str, remedy: str) -> Finding:
        return Finding.error("queues", queue.id, field, fault, remedy)

    for field, target in dict.fromkeys(_overflows(queue)):
        if target == queue.id:
            yield missing(field, "overflow leads to the queue itself", "name another queue")
        elif known.queues.get(target) != queue.tenant:
            fault = f"overflow names the queue {target!r}, which is not there"
            yield missing(field, fault, "name a queue, or add it first")
    if queue.call_back is not None:
        trunk = known.trunks.get(queue.call_back.trunk)
        if trunk is None or queue.tenant not in trunk.tenants:
            fault = f"call_back names the trunk {queue.call_back.trunk!r}, which is not there"
            yield missing("call_back", fault, "name a trunk that this tenant may use")
        elif not trunk.dial_out:
            fault = f"nobody may be called back through the trunk {trunk.id!r}"
            yield missing("call_back", fault, "give the trunk dial_out, the prefixes it may dial")
    scopes = [("scope", queue.scope)]
    scopes += [("steps", step.scope) for step in queue.steps if step.scope is not None]
    for field, kind, word in dict.fromkeys(_words(queue.tenant, scopes, known)):
        fault = f"scope names the {kind} {word!r}, which nobody is of"
        yield missing(field, fault, f"name a {kind} that an agent is of")


def _overflows(queue: Queue) -> Iterator[tuple[str, QueueId]]:
    limits: Mapping[str, Limit | None] = {
        "longest_queue": queue.longest_queue,
        "longest_wait_s": queue.longest_wait_s,
        "longest_estimate_s": queue.longest_estimate_s,
    }
    for step in queue.steps:
        if step.overflow is not None:
            yield "steps", step.overflow
    for name, limit in limits.items():
        if limit is not None and limit.overflow is not None:
            yield name, limit.overflow


def _words(
    tenant: TenantId, scopes: Iterable[tuple[str, Scope]], known: _Known
) -> Iterator[tuple[str, str, str]]:
    """Yield what no agent of the tenant is of: another's serve its callers in no case."""
    for field, scope in scopes:
        of_people = (
            ("team", scope.teams, known.teams),
            ("employer", scope.employers, known.employers),
        )
        yield from ((field, "site", each) for each in scope.sites if each not in known.sites)
        for kind, words, of in of_people:
            yield from ((field, kind, each) for each in words if (tenant, each) not in of)


def _shared_addresses(trunks: Iterable[Trunk]) -> Iterator[Finding]:
    """Yield an error for each address that two trunks claim."""
    owners: dict[str, TrunkId] = {}
    for trunk in trunks:
        for address in trunk.addresses:
            owner = owners.setdefault(address, trunk.id)
            if owner != trunk.id:
                yield Finding.error(
                    "trunks",
                    trunk.id,
                    "addresses",
                    f"address {address} belongs to trunk {owner!r} already",
                    "take it out of one of the two",
                )
