"""From what a change did to the shared state to news of calls, agents, queues, sites and versions.

Owns what was told last of agents, queues and sites, so that only what differs is told. Knows no
listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final, assert_never

from msgspec.structs import replace

from control_plane.approvals import http as approvals
from control_plane.approvals.request import Request
from control_plane.events.ring import News, event
from control_plane.live import look, views
from control_plane.live.call_schemas import CallerView
from control_plane.live.look import AgentFacts, CallFacts, QueueFacts, SiteFacts
from control_plane.live.places import queue_thing
from control_plane.permissions import Permission
from control_plane.readiness.schemas import ReadinessView
from control_plane.readiness.watch import Standing
from control_plane.subjects import Thing
from edge.acd.agent_state import AgentState
from state.keys import Kind
from state.model import MAIN, AgentId, Now, Release, Ticket
from state.snapshot import Delta, Snapshot

TOPICS: Final = frozenset(
    {"agents", "approvals", "calls", "configuration", "customers", "queues", "readiness", "sites"}
)
_OF_AGENTS: Final = frozenset({Kind.AGENT, Kind.OFFER, Kind.PRESENCE, Kind.WISH, Kind.WORK})
_OF_QUEUES: Final = _OF_AGENTS | {Kind.QUEUE, Kind.TICKET, Kind.PLACE, Kind.CLEARANCE}
_OF_SITES: Final = frozenset({Kind.SITE, Kind.EDGE, Kind.PROBE})
Knows = Callable[[str, str], frozenset[str] | None]


class Newsroom:
    """Makes news, and remembers what was told."""

    def __init__(self, knows: Knows) -> None:
        self._knows = knows
        self._agents: dict[str, AgentFacts] = {}
        self._queues: dict[str, QueueFacts] = {}
        self._sites: dict[str, SiteFacts] = {}
        self._readiness: dict[str, ReadinessView] = {}
        self._resting: set[AgentId] = set()
        self.queues_are_old = False
        """Something has changed since they were told."""

    def begin(self, snapshot: Snapshot, now: Now) -> None:
        """Take how things stand as told."""
        self._agents = {each.id: each for each in look.agents(snapshot, now)}
        self._queues = {each.id: each for each in look.queues(snapshot, now)}
        self._sites = {each.id: each for each in look.sites(snapshot)}
        self._resting = {
            AgentId(each.id) for each in self._agents.values() if each.state is AgentState.WRAP_UP
        }
        self.queues_are_old = False

    def of_change(
        self,
        snapshot: Snapshot,
        deltas: Iterable[Delta],
        now: Now,
        ended: Mapping[str, CallFacts],
    ) -> tuple[News, ...]:
        """Return the news of a change. That of queues waits for `of_queues`: it looks at all.

        `ended`: how the calls ended that it ends, by id, as far as that is known.
        """
        agents: set[AgentId] | None = set()
        found: list[News] = []
        sites = False
        for delta in deltas:
            if delta.kind is Kind.TICKET:
                found.append(self._call(snapshot, delta, now, ended.get(delta.id)))
                if agents is not None:
                    agents.update(_callers_in(delta))
            elif delta.kind in _OF_AGENTS and agents is not None:
                agents.add(AgentId(delta.id))
            elif delta.kind in _OF_SITES:
                # Whether somebody can be reached follows from all of these.
                sites, agents = True, None
            elif delta.kind is Kind.RELEASE:
                found += _release(delta)
            if delta.kind in _OF_QUEUES:
                self.queues_are_old = True
        found += self._agents_news(snapshot, agents, now)
        if sites:
            self.queues_are_old = True
            found += self._sites_news(snapshot)
        return tuple(found)

    def of_time(self, snapshot: Snapshot, now: Now) -> tuple[News, ...]:
        """Return what time has changed: rests that are over."""
        if not self._resting:
            return ()
        found = tuple(self._agents_news(snapshot, set(self._resting), now))
        self.queues_are_old |= bool(found)
        return found

    def of_queues(self, standing: Iterable[QueueFacts]) -> tuple[News, ...]:
        """Return how queues differ from what was told last."""
        return tuple(self._queues_news({each.id: each for each in standing}))

    def of_readiness(self, standing: Standing) -> tuple[News, ...]:
        """Return, for each tenant that something has changed for, what a site's death would do."""
        found: list[News] = []
        for tenant in sorted({str(MAIN), *map(str, standing.owners.values())}):
            told = standing.told(tenant)
            before = self._readiness.get(tenant)
            if before is None or _unmoved(before) != _unmoved(told):
                self._readiness[tenant] = told
                found.append(_readiness_news(tenant, told))
        return tuple(found)

    # ---- calls -----------------------------------------------------------------------------------

    def _call(self, snapshot: Snapshot, delta: Delta, now: Now, ended: CallFacts | None) -> News:
        before = None if delta.before is None else _ticket(delta.before.value)
        after = None if delta.after is None else _ticket(delta.after.value)
        held = None if before is None else look.call_of(snapshot, before, now)
        facts = ended if after is None else look.call_of(snapshot, after, now)
        return News(
            topic="calls",
            id=delta.id,
            permission=Permission.CALL_READ,
            thing=None if facts is None else views.call_thing(facts),
            before=None if held is None else views.call_thing(held),
            contact=None if facts is None else self._contact(facts),
            render=None if facts is None else lambda mask: _call_event(facts, mask),
        )

    def of_codes(self, calls: Iterable[CallFacts]) -> tuple[News, ...]:
        """Return the news of calls that are over, and of which more is known since."""
        return tuple(
            News(
                topic="calls",
                id=each.id,
                permission=Permission.CALL_READ,
                thing=views.call_thing(each),
                contact=self._contact(each),
                render=partial(_call_event, each, what=b"changed"),
            )
            for each in calls
        )

    def _contact(self, call: CallFacts) -> Thing | None:
        return views.contact_thing(call.tenant, call.caller, self._knows) if call.caller else None

    # ---- agents ----------------------------------------------------------------------------------

    def _agents_news(
        self, snapshot: Snapshot, which: set[AgentId] | None, now: Now
    ) -> Iterator[News]:
        """Yield news of these agents, or of all."""
        if which is not None and not which:
            return
        names = set(map(AgentId, self._agents)) | set(snapshot.agents) if which is None else which
        standing = {each.id: each for each in look.agents(snapshot, now, frozenset(names))}
        for name in sorted(names):
            before, after = self._agents.get(name), standing.get(name)
            if after is None:
                self._agents.pop(name, None)
            else:
                self._agents[name] = after
            (self._resting.add if _rests(after) else self._resting.discard)(name)
            if _told(before) != _told(after):
                yield _agent_news(name, before, after)

    # ---- queues and sites ------------------------------------------------------------------------

    def _queues_news(self, standing: dict[str, QueueFacts]) -> Iterator[News]:
        for name in sorted(self._queues.keys() | standing.keys()):
            before, after = self._queues.get(name), standing.get(name)
            if _quiet(before) != _quiet(after):
                yield _queue_news(name, before, after)
        self._queues = standing

    def _sites_news(self, snapshot: Snapshot) -> Iterator[News]:
        standing = {each.id: each for each in look.sites(snapshot)}
        for name in sorted(self._sites.keys() | standing.keys()):
            before, after = self._sites.get(name), standing.get(name)
            if before != after:
                yield _site_news(name, before, after)
        self._sites = standing


def customer_news(tenant: str, customer: str, act: str, talks: frozenset[str] | None) -> News:
    """Return the news that a customer was changed: whose, and nothing of them.

    That a court asks for them is the business of those alone who see them in full, as in what the
    endpoint tells of them.
    """
    is_of_court = act == Permission.CUSTOMER_HOLD.act
    thing = Thing(kind="customer", tenant=tenant, id=customer, on_call_with=talks)
    data = b'{"act":"%b"}' % act.encode()
    return News(
        topic="customers",
        id=customer,
        permission=Permission.CUSTOMER_BASIC_READ_FULL
        if is_of_court
        else Permission.CUSTOMER_BASIC_READ_MASKED,
        thing=thing,
        render=lambda _mask: event("customers", customer, data),
    )


def request_news(request: Request, now_ms: int) -> News:
    """Return the news of a request for approval, for those who see all of them.

    Not for who has asked: what listeners of the same roles are told is made once for them all.
    """
    told = approvals.view(request, now_ms).model_dump_json().encode()
    return News(
        topic="approvals",
        id=request.id,
        permission=Permission.APPROVAL_READ,
        thing=Thing(kind="approval", tenant=request.tenant, id=request.id, by=""),
        render=lambda _mask: event("approvals", request.id, told),
    )


def _unmoved(told: ReadinessView) -> ReadinessView:
    """Return what is worth telling: not the moments, which pass by themselves."""
    return told.model_copy(update={"as_of": "", "since": ""})


def _readiness_news(tenant: str, told: ReadinessView) -> News:
    data = told.model_dump_json().encode()
    return News(
        topic="readiness",
        id="center",
        permission=Permission.READINESS_READ,
        thing=Thing(kind="readiness", tenant=tenant, id=""),
        render=lambda _mask: event("readiness", "center", data),
    )


def _callers_in(delta: Delta) -> Iterator[AgentId]:
    """Yield the agent who makes a call from their own telephone, as it begins and as it ends."""
    if delta.before is None or delta.after is None:
        for entry in (delta.before, delta.after):
            ticket = None if entry is None else _ticket(entry.value)
            if ticket is not None and ticket.by is not None:
                yield ticket.by


def _ticket(value: object) -> Ticket | None:
    return value if isinstance(value, Ticket) else None


def _call_event(call: CallFacts, mask: bool | None, *, what: bytes = b"") -> bytes:  # noqa: FBT001 - three-valued
    match mask:
        case None:
            who = None
        case True:
            who = CallerView(number=call.caller, is_masked=False)
        case False:
            who = CallerView(number=views.masked(call.caller), is_masked=True)
        case _:
            assert_never(mask)
    told = views.call(call, who).model_dump_json().encode()
    usual = b"ended" if call.state == "ended" else b"changed"
    return event("calls", call.id, told, what=what or usual)


def _release(delta: Delta) -> Iterator[News]:
    value = None if delta.after is None else delta.after.value
    if isinstance(value, Release) and value.is_whole:
        version = str(value.version)
        data = b'{"version":%d}' % value.version
        yield News(
            topic="configuration",
            id=version,
            permission=Permission.CONFIGURATION_READ,
            thing=Thing(kind="configuration", tenant="", id=version),
            is_everybodys=True,
            render=lambda _mask: event("configuration", version, data),
        )


def _rests(agent: AgentFacts | None) -> bool:
    return agent is not None and agent.state is AgentState.WRAP_UP


def _told(agent: AgentFacts | None) -> AgentFacts | None:
    """Return what is worth telling: not how much of the rest is left, which passes by itself."""
    return None if agent is None else replace(agent, rest_left_s=0.0)


def _quiet(queue: QueueFacts | None) -> QueueFacts | None:
    """Return what is worth telling: since when the first waits, and not for how long by now."""
    return None if queue is None else replace(queue, longest_s=None, estimate_s=None)


def _agent_news(name: str, before: AgentFacts | None, after: AgentFacts | None) -> News:
    return News(
        topic="agents",
        id=name,
        permission=Permission.AGENT_READ,
        thing=None if after is None else views.agent_thing(after),
        before=None if before is None else views.agent_thing(before),
        render=None if after is None else lambda _mask: _agent_event(after),
    )


def _agent_event(agent: AgentFacts) -> bytes:
    return event("agents", agent.id, views.agent(agent).model_dump_json(exclude={"may"}).encode())


def _queue_news(name: str, before: QueueFacts | None, after: QueueFacts | None) -> News:
    return News(
        topic="queues",
        id=name,
        permission=Permission.QUEUE_READ,
        thing=None if after is None else queue_thing(after),
        before=None if before is None else queue_thing(before),
        render=None if after is None else lambda _mask: _queue_event(after),
    )


def _queue_event(queue: QueueFacts) -> bytes:
    told = views.queue(queue, None).model_dump_json(exclude={"service"})
    return event("queues", queue.id, told.encode())


def _site_news(name: str, before: SiteFacts | None, after: SiteFacts | None) -> News:
    def thing(facts: SiteFacts | None) -> Thing | None:
        return None if facts is None else Thing(kind="site", tenant="", id=name, site=name)

    return News(
        topic="sites",
        id=name,
        permission=Permission.SITE_READ,
        thing=thing(after),
        before=thing(before),
        is_everybodys=True,
        render=None if after is None else lambda _mask: _site_event(after),
    )


def _site_event(site: SiteFacts) -> bytes:
    told = views.site(site, 0, is_current=True).model_dump_json(
        exclude={"calls", "alone_since", "alone_because", "may"}
    )
    return event("sites", site.id, told.encode())
