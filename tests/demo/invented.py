"""A run of the demo in which all went well, invented; the tests break it in one place each."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from drills.demo.failover import Detector, Kill, Sighting
from drills.demo.figures import Run, Stock
from drills.demo.hearing import Copies, Recorded
from drills.demo.ledger import join
from drills.demo.management import Edit, Managed
from drills.demo.reports import AgentReport, CallerReport, End, OfferChange, OfferEvent
from drills.demo.scenario import Behaviour, Dialler, PlannedAgent, PlannedCall, plan
from state.model import AgentId, CallId, CallRecord, Decision, EdgeId, Outcome, SiteId

START_MS = 1_800_000_000_000
DEAD = SiteId("b")
SCENARIO = plan(seed=1, calls=72)
KILL_MS = START_MS + round(SCENARIO.kill_at_s * 1000)
Told = TypeVar("Told", bound=Struct)
LEAVING = {Behaviour.IMPATIENT, Behaviour.LEAVES_GREETING}


ALIVE = tuple(site for site in SCENARIO.sites if site != DEAD)


def edit(site: str, *sites: SiteId) -> Edit:
    """Return a change that has come to all edges of these sites."""
    edges = tuple(EdgeId(f"{each}{number}") for each in sites for number in (1, 2))
    return Edit(site=SiteId(site), version=2, edges=edges, missing=(), took_s=0.2)


MANAGED = Managed(
    signed_in_at=SiteId("a"),
    edit=edit("b", *SCENARIO.sites),
    went_on_at=ALIVE,
    renewed_at=ALIVE[0],
    later_edit=edit("c", *ALIVE),
    heard_at=SiteId("a"),
    is_heard_right=True,
    first_sound_ms=20.0,
)


def call_id(index: int) -> CallId:
    return CallId(f"{index:024x}")


def sip_call_id(index: int) -> str:
    return f"caller-{index}@callers"


def agent_for(call: PlannedCall) -> PlannedAgent:
    """Return an agent who can take it, at a living site, each in turn."""
    needs = SCENARIO.queue(call.queue).needs
    able = [
        agent
        for agent in SCENARIO.agents
        if agent.site != DEAD
        and all(agent.skills.get(need.skill, 0) >= need.level for need in needs)
    ]
    return able[call.index % len(able)]


def invite_ms(call: PlannedCall) -> int:
    return START_MS + round(call.at_s * 1000)


def joined_ms(call: PlannedCall) -> int:
    """One a ten seconds: slow, but then no two calls of one agent can meet by accident."""
    return START_MS + 2000 + call.index * 10_000


def caller(call: PlannedCall) -> CallerReport:
    left = call.behaviour in LEAVING
    by_agent = call.behaviour is Behaviour.AGENT_ENDS
    phone = call.dialler is Dialler.PHONE
    return CallerReport(
        number=call.number,
        sip_call_id=sip_call_id(call.index),
        call=call_id(call.index),
        dialler=call.dialler,
        invite_ms=invite_ms(call),
        ok_ms=invite_ms(call) + 20,
        joined_ms=None if left else joined_ms(call),
        ended_ms=invite_ms(call) + 1000 if left else joined_ms(call) + 5000,
        end=End.FAR_END if by_agent else End.HUNG_UP,
        sent=f"caller-chord-{call.index}" if phone else None,
        heard=frozenset({f"agent-chord-{call.index}"}) if phone and not left else frozenset(),
    )


def agent(call: PlannedCall) -> AgentReport:
    phone = call.dialler is Dialler.PHONE
    return AgentReport(
        agent=agent_for(call).id,
        sip_call_id=f"agent-{call.index}@edge",
        call=call_id(call.index),
        invite_ms=joined_ms(call) - 300,
        answered_ms=joined_ms(call) - 100,
        ended_ms=joined_ms(call) + 5000,
        end=End.HUNG_UP if call.behaviour is Behaviour.AGENT_ENDS else End.FAR_END,
        sent=f"agent-chord-{call.index}",
        heard=frozenset({f"{'caller' if phone else 'agent'}-chord-{call.index}"}),
    )


def record(call: PlannedCall) -> CallRecord:
    left = call.behaviour in LEAVING
    who = None if left else agent_for(call)
    return CallRecord(
        call=call_id(call.index),
        did=call.did,
        queue=call.queue,
        outcome=Outcome.ABANDONED if left else Outcome.ANSWERED,
        cause="caller_hung_up",
        edge=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id=sip_call_id(call.index),
        arrived_ms=invite_ms(call),
        queued_ms=invite_ms(call) + 900,
        connected_ms=None if left else joined_ms(call),
        ended_ms=invite_ms(call) + 1000 if left else joined_ms(call) + 5000,
        agent=who.id if who else None,
        agent_site=who.site if who else None,
        agent_sip_call_id=None if left else f"agent-{call.index}@edge",
        decision=None if who is None else decision(who.id),
    )


def decision(winner: AgentId) -> Decision:
    return Decision(
        revision=42,
        wall_ms=START_MS,
        winner=winner,
        score=1.5,
        parts={"skill_fit": 0.9, "load": 0.4, "idle": 0.2},
        runners_up=((AgentId("chen"), 1.25), (AgentId("arto"), 0.75)),
        excluded={"lacks_skill": 6, "busy": 4},
    )


def offers(call: PlannedCall) -> list[OfferEvent]:
    who = agent_for(call).id
    return [
        OfferEvent(
            revision=100 + 10 * call.index,
            at_ms=joined_ms(call) - 400,
            change=OfferChange.PUT,
            agent=who,
            call=call_id(call.index),
        ),
        OfferEvent(
            revision=101 + 10 * call.index,
            at_ms=joined_ms(call) - 100,
            change=OfferChange.PUT,
            agent=who,
            call=call_id(call.index),
        ),
        OfferEvent(
            revision=102 + 10 * call.index,
            at_ms=joined_ms(call) + 5000,
            change=OfferChange.DELETED,
            agent=who,
        ),
    ]


ANSWERED = tuple(call for call in SCENARIO.calls if call.behaviour not in LEAVING)
CALLERS = tuple(caller(call) for call in SCENARIO.calls)
AGENTS = tuple(agent(call) for call in ANSWERED)
RECORDS = tuple(record(call) for call in SCENARIO.calls)
OFFERS = tuple(event for call in ANSWERED for event in offers(call))


def recording(call: PlannedCall) -> Recorded:
    left, right = f"caller-chord-{call.index}", f"agent-chord-{call.index}"
    return Recorded(
        call=call_id(call.index),
        is_complete=True,
        seconds=5.0,
        caller=frozenset({left}),
        agent=frozenset({right}),
        due_left=left,
        due_right=right,
        allowed=frozenset({left, right}),
    )


RECORDINGS = tuple(recording(call) for call in ANSWERED)


def sighting(after_ms: int, who: Detector) -> Sighting:
    return Sighting(at_ms=KILL_MS + after_ms, who=who, what=f"{who} knows", detected_by=who)


def run(
    *,
    callers: tuple[CallerReport, ...] = CALLERS,
    agents: tuple[AgentReport, ...] = AGENTS,
    records: tuple[CallRecord, ...] = RECORDS,
    offers: tuple[OfferEvent, ...] = OFFERS,
) -> Run:
    """Return the good run, or one that differs from it where told."""
    return Run(
        scenario=SCENARIO,
        ledger=join(SCENARIO, callers, agents, records),
        agents=agents,
        offers=offers,
        kill=Kill(site=DEAD, at_ms=KILL_MS),
        leader=DEAD,
        successor=SiteId("c"),
        sightings=(
            sighting(1800, Detector.ETCD),
            sighting(900, Detector.CARRIER),
            sighting(2500, Detector.EDGES),
        ),
        stocks=(Stock(place="a1"), Stock(place="etcd")),
        unanswered_stock=(),
        setup_s=9.5,
        edges={EdgeId(f"{site}{number}"): site for site in SCENARIO.sites for number in (1, 2)},
        recordings=RECORDINGS,
        copies=Copies(counted=2, played=2, due=9, copied=9),
        sounds_sought=2 * len(RECORDINGS),
        managed=MANAGED,
        back={agent.id: KILL_MS + 9000 for agent in SCENARIO.agents if agent.site == DEAD},
    )


def swap(items: tuple[Told, ...], index: int, **changes: object) -> tuple[Told, ...]:
    """Return the reports or records, with one that tells it otherwise."""
    changed = replace(items[index], **changes)
    return (*items[:index], changed, *items[index + 1 :])
