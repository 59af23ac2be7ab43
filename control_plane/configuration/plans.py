"""PURE. Contingency plans: what an active one makes of the configuration, and why one does not fit.

The laws:

- A plan changes nothing but what it names, and reverting it leaves nothing behind: what is
  published is always worked out anew from the configuration and the plans that are active.
- Callers who wait in a queue keep their places: its backup's agents are asked for them at once, and
  what the queue itself gives up for them later counts no more.
- Of two active plans no two may change the same record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from msgspec.structs import replace

from control_plane.configuration import numbers
from control_plane.configuration.nouns import (
    AgentChange,
    DidChange,
    PlanTable,
    QueueChange,
    SiteChange,
)
from state.configuration import Configuration
from state.configuration_findings import Finding, Severity
from state.model import MAIN, Agent, CalendarId, Did, Queue, QueueId, Site, SiteId, Step

ValueT = TypeVar("ValueT")
WHOLE: Final = 100


def overlaid(configuration: Configuration, plans: Iterable[PlanTable]) -> Configuration:
    """Return the configuration as it is while these plans are active. They fit, and do not meet."""
    plans = tuple(plans)
    for plan in plans:
        configuration = replace(
            configuration,
            dids=tuple(_did(did, plan.dids.get(did.number)) for did in configuration.dids),
            queues=tuple(
                _queue(queue, plan.queues.get(queue.id)) for queue in configuration.queues
            ),
            sites=tuple(_site(site, plan.sites.get(site.id)) for site in configuration.sites),
            agents=tuple(
                _agent(agent, plan.agents.get(agent.id)) for agent in configuration.agents
            ),
        )
    return numbers.forwarded(configuration, plans)


def misfits(identifier: str, plan: PlanTable, configuration: Configuration) -> Iterator[Finding]:
    """Yield why the plan could not be activated on this configuration."""

    def fault(field: str, text: str, remedy: str) -> Finding:
        return Finding(
            severity=Severity.WARNING,
            section="plans",
            id=identifier,
            field=field,
            fault=text,
            remedy=remedy,
        )

    known = _Known(configuration, plan.tenant)
    if not (plan.dids or plan.queues or plan.sites or plan.agents):
        yield fault("", "it changes nothing", "name DIDs, queues, sites or agents")
    for field, kind, name in (*known.targets(plan), *known.references(plan)):
        if name not in known.names[kind]:
            yield fault(field, f"names the {kind} {name!r}, which is not there", f"name a {kind}")
    for each in (*_of_queues(plan), *numbers.unusable(plan, configuration)):
        yield fault(*each)
    for site, share in plan.sites.items():
        if share.shares and sum(share.shares.values()) != WHOLE:
            told = f"makes {sum(share.shares.values())} % of its calls"
            yield fault(f"sites.{site}.shares", told, "share 100 % in all")
    drained = {name for name, change in plan.sites.items() if not change.shares}
    if drained and drained >= set(known.names["site"]):
        yield fault("sites", "it drains every site", "leave one that serves")


def _of_queues(plan: PlanTable) -> Iterator[numbers.Fault]:
    for queue, change in plan.queues.items():
        if change.backup is None and change.number is None:
            text = "names neither a backup nor a number"
            yield f"queues.{queue}", text, "name a queue that serves it, or a number"
        if change.backup == queue:
            yield f"queues.{queue}.backup", "leads to the queue itself", "name another one"


def meeting(plans: Mapping[str, PlanTable]) -> Iterator[Finding]:
    """Yield an error for each record that two of these plans change."""
    owners: dict[tuple[str, str], str] = {}
    for identifier, plan in plans.items():
        for section in ("dids", "queues", "sites", "agents"):
            for name in getattr(plan, section):
                owner = owners.setdefault((section, name), identifier)
                if owner != identifier:
                    yield Finding.error(
                        "plans",
                        identifier,
                        f"{section}.{name}",
                        f"the active plan {owner!r} changes it too",
                        f"revert {owner!r} first",
                    )


class _Known:
    """What a tenant's plan may name."""

    def __init__(self, configuration: Configuration, tenant: str) -> None:
        own_sites = [site.id for site in configuration.sites if tenant == MAIN]
        self.names: dict[str, frozenset[str]] = {
            "DID": frozenset(did.number for did in configuration.dids if did.tenant == tenant),
            "queue": frozenset(each.id for each in configuration.queues if each.tenant == tenant),
            "calendar": frozenset(
                each.id for each in configuration.calendars if each.tenant == tenant
            ),
            "agent": frozenset(each.id for each in configuration.agents if each.tenant == tenant),
            "site": frozenset(site.id for site in configuration.sites),
            "site of yours": frozenset(own_sites),
        }

    @staticmethod
    def targets(plan: PlanTable) -> Iterator[tuple[str, str, str]]:
        """Yield field, kind and name of each record that is to change."""
        yield from ((f"dids.{name}", "DID", name) for name in plan.dids)
        yield from ((f"queues.{name}", "queue", name) for name in plan.queues)
        yield from ((f"sites.{name}", "site of yours", name) for name in plan.sites)
        yield from ((f"agents.{name}", "agent", name) for name in plan.agents)

    @staticmethod
    def references(plan: PlanTable) -> Iterator[tuple[str, str, str]]:
        """Yield field, kind and name of each record that a change leads to."""
        for number, did in plan.dids.items():
            at = f"dids.{number}"
            for field in ("queue", "closed_queue"):
                if (queue := getattr(did, field)) is not None:
                    yield f"{at}.{field}", "queue", queue
            if did.calendar is not None:
                yield f"{at}.calendar", "calendar", did.calendar
            yield from ((f"{at}.sites", "site", site) for site in did.sites)
        for name, queue_change in plan.queues.items():
            if queue_change.backup is not None:
                yield f"queues.{name}.backup", "queue", queue_change.backup
        for name, site in plan.sites.items():
            yield from ((f"sites.{name}.backups", "site", each) for each in site.backups)
            yield from ((f"sites.{name}.shares", "site", each) for each in site.shares)
        for name, agent in plan.agents.items():
            yield f"agents.{name}.site", "site", agent.site


def _did(did: Did, change: DidChange | None) -> Did:
    if change is None:
        return did
    closed = None if change.closed_queue is None else QueueId(change.closed_queue)
    return replace(
        did,
        queue=_or(None if change.queue is None else QueueId(change.queue), did.queue),
        greeting=_or(change.greeting, did.greeting),
        sites=tuple(map(SiteId, change.sites)) or did.sites,
        calendar=_or(
            None if change.calendar is None else CalendarId(change.calendar), did.calendar
        ),
        closed_queue=_or(closed, did.closed_queue),
    )


def _queue(queue: Queue, change: QueueChange | None) -> Queue:
    if change is None or change.backup is None:
        return queue
    at_once = Step(after_s=0.0, overflow=QueueId(change.backup))
    later = tuple(replace(step, overflow=None) for step in queue.steps)
    return replace(queue, steps=(at_once, *later))


def _site(site: Site, change: SiteChange | None) -> Site:
    if change is None:
        return site
    if change.shares:
        return replace(site, shares={SiteId(each): part for each, part in change.shares.items()})
    return replace(site, draining=True, backups=tuple(map(SiteId, change.backups)) or site.backups)


def _agent(agent: Agent, change: AgentChange | None) -> Agent:
    return agent if change is None else replace(agent, site=SiteId(change.site))


def _or(value: ValueT | None, other: ValueT) -> ValueT:
    return other if value is None else value
