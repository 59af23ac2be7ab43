"""Carries the demo out: lab up, people in their places, calls, the kill, the count.

The only place where the plan, the lab, the people and the judgement meet. Decides nothing: what was
claimed and whether it held is in `claims`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from drills.demo import center, history
from drills.demo.failover import Kill, Sighting
from drills.demo.figures import Run, Stock
from drills.demo.history import Seen
from drills.demo.ledger import join
from drills.demo.manager import Manager
from drills.demo.observer import Observer, await_carrier, await_leader
from drills.demo.people import People
from drills.demo.recorded import Listening
from drills.demo.scenario import Scenario
from drills.demo.screen import Screen
from drills.demo.stock import settle
from drills.lab.lab import Lab
from drills.lab.logs import own_log
from drills.lab.plan import Part, plan_lab
from drills.lab.process import EventKind
from state import keys
from state.clock import SystemClock
from state.codec import decode, encode
from state.errors import CodecError
from state.etcd import EtcdStore, Tls
from state.listing import read_all
from state.model import CallRecord, EdgeId, SiteId
from state.publishing import publish
from state.store import Put

CALLS_BEGIN_IN_S = 1.0
"""Time for the callers' program to start, so that the first call is not late."""
READY_TIMEOUT_S = 30.0
LOOK_EVERY_S = 0.05
QUIET_S, QUIET_WITHIN_S = 0.1, 3.0


class DemoError(Exception):
    """The demo cannot go on. The text is one line that names the thing and the way out."""


@dataclass(slots=True)
class Stage:
    """A lab with a center in it, its people and those who watch."""

    lab: Lab
    store: EtcdStore
    scenario: Scenario
    people: People
    observer: Observer
    screen: Screen
    setup_s: float = 0.0
    clock: SystemClock = field(default_factory=SystemClock)


async def play(stage: Stage) -> Run:
    """Play the scenario on a stage that is ready; return what was seen."""
    screen, people, scenario = stage.screen, stage.people, stage.scenario
    loop = asyncio.get_running_loop()
    screen.began_s = loop.time() + CALLS_BEGIN_IN_S
    screen.say(f"{len(scenario.calls)} calls to {len(scenario.queues)} numbers")
    calling = asyncio.create_task(people.let_call(screen.began_s))
    counting = asyncio.create_task(count(stage))
    manager = Manager(stage.lab, scenario.queues[0].id)
    managing = [asyncio.create_task(manager.before_the_kill())]
    looking: list[asyncio.Task[None]] = []
    try:
        await calling
        await asyncio.sleep(max(0.0, screen.began_s + scenario.kill_at_s - loop.time()))
        await managing[0]
        kill = await _kill_leader(stage)
        screen.killed = kill.site
        screen.say(f"site {kill.site}, with the etcd leader, is dead; the calls go on")
        sightings: list[Sighting] = []
        looking = [asyncio.create_task(each) for each in _looks(stage, kill, sightings)]
        managing.append(asyncio.create_task(manager.after_the_kill(kill.site)))
        everybody_over = await people.callers_over()
        screen.say(
            "all callers have hung up; looking for what is left"
            if everybody_over
            else "some callers never came to an end and were stopped"
        )
        stocks, silent = await settle(living_edges(stage, kill.site), stage.store)
        await people.send_home()
        await managing[1]
        run = await _run(stage, kill, sightings, stocks, silent)
        listening = Listening(stage.lab, kill.site)
        screen.say("listening to what was recorded")
        recordings = await listening.listen(run.ledger.rows)
        copies = await listening.copies(run.ledger.rows, kill.at_ms)
        sought, plaintext = await listening.plaintext()
        if listening.sample is not None:
            await manager.listen(*listening.sample)
        run = replace(
            run, recordings=recordings, copies=copies, sounds_sought=sought, plaintext=plaintext
        )
        return replace(run, managed=manager.managed)
    finally:
        for task in (calling, counting, *managing, *looking):
            task.cancel()


@contextlib.asynccontextmanager
async def staged(  # noqa: PLR0913 - in what labs differ
    screen: Screen,
    database: str = "",
    *,
    has_movable_clocks: bool = False,
    has_slow_syncs: bool = False,
    outlives_site: bool = False,
    calls_back: bool = False,
) -> AsyncIterator[Stage]:
    """Bring the lab up with the scenario's center in it and all agents ready; then take it down.

    `outlives_site`: with a database of its own that does, a member at every site. `calls_back`:
    with queues that call back who was cut off.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    scenario = screen.scenario
    screen.say(f"bringing {len(scenario.sites)} sites up")
    async with contextlib.AsyncExitStack() as stack:
        plan = plan_lab(
            sites=len(scenario.sites),
            parts=frozenset(Part),
            has_movable_clocks=has_movable_clocks,
            has_slow_syncs=has_slow_syncs,
        )
        lab = await stack.enter_async_context(Lab(plan))
        stack.enter_context(own_log(lab.paths.run / "log" / "lab.log"))
        store = EtcdStore(
            lab.etcd_endpoints,
            tls=Tls(ca=lab.operator.ca, cert=lab.operator.cert, key=lab.operator.key),
        )
        people = People(lab=lab, scenario=scenario)
        observer = Observer(store=store, clock=SystemClock(), on_seen=screen.wall.take)
        watching = observer.begin()
        try:
            stage = Stage(
                lab=lab,
                store=store,
                scenario=scenario,
                people=people,
                observer=observer,
                screen=screen,
            )
            if outlives_site:
                screen.say("the database's members become one")
                database = (await lab.start_database()).url
            await _open(stage, database, calls_back=calls_back)
            stage.setup_s = loop.time() - began_s
            yield stage
        finally:
            watching.cancel()
            people.kill()
            await asyncio.wait([watching])
            await store.close()


async def _open(stage: Stage, database: str, *, calls_back: bool) -> None:
    """Publish the center, which the control planes take for theirs; seat the agents.

    Then wait until all of them can be rung.
    """
    scenario, lab = stage.scenario, stage.lab
    stage.screen.say(f"{len(scenario.agents)} agents sign in")
    passwords = {agent.id: secrets.token_urlsafe(12) for agent in scenario.agents}
    await publish(
        stage.store,
        center.configuration(scenario, lab.addresses, passwords, calls_back=calls_back),
    )
    for wish in center.wishes(scenario):
        await stage.store.txn((), (Put(key=keys.wish(wish.agent), value=encode(wish)),))
    starting = asyncio.create_task(lab.start_control_planes(database))
    await stage.people.seat_agents(passwords)
    deadline_s = asyncio.get_running_loop().time() + READY_TIMEOUT_S
    while missing := {agent.id for agent in scenario.agents} - stage.screen.wall.ready.keys():
        _check_agents(stage)
        if asyncio.get_running_loop().time() > deadline_s:
            raise DemoError(
                f"{len(missing)} agents are not ready after {READY_TIMEOUT_S:g} s, among them"
                f" {min(missing)}: see the logs of their phones, their Kamailio and its edges"
            )
        await asyncio.sleep(LOOK_EVERY_S)
    await starting
    await _until_released(stage.store, deadline_s)


async def _until_released(store: EtcdStore, deadline_s: float) -> None:
    """Wait until the control planes have made the center's configuration their first version."""
    while not (await read_all(store, keys.release(), keys_only=True)).records:
        if asyncio.get_running_loop().time() > deadline_s:
            raise DemoError("no control plane has taken the configuration: see their logs")
        await asyncio.sleep(LOOK_EVERY_S)


def _check_agents(stage: Stage) -> None:
    for program in stage.people.agents:
        if program.is_over:
            raise DemoError(f"the {program.task.name} ended at once: see {program.task.log}")


async def count(stage: Stage) -> None:
    """Keep the screen's counts."""
    while True:
        reports = stage.people.caller_reports()
        stage.screen.placed = len(reports)
        stage.screen.over = sum(1 for report in reports if report.ended_ms is not None)
        await asyncio.sleep(0.5)


async def _kill_leader(stage: Stage) -> Kill:
    """Kill the site whose etcd member leads. DemoError when none does."""
    leader = await stage.lab.etcd_leader_site()
    if leader is None:
        raise DemoError("etcd has no leader half-way through the calls: see the members' logs")
    await quiet_instant(stage)
    at_ms = stage.clock.now().wall_ms
    stage.lab.kill_site(leader)
    return Kill(site=leader, at_ms=at_ms)


async def quiet_instant(stage: Stage) -> None:
    """Wait for a moment, if there is one, in which no call is just beginning or ending.

    An edge answers a goodbye once the end of the call is written down. If its site dies between the
    two, the survivors read of an end of which nobody was told. And it writes a call down as it
    answers: of one whose site dies in between, one side knows and the other not. Nobody can know
    better, and the ledger would say so.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + QUIET_WITHIN_S
    while (now_s := loop.time()) < deadline_s:
        quiet_s = now_s - stage.people.last_turn_s
        if quiet_s >= QUIET_S and not stage.people.is_anybody_unanswered():
            return
        await asyncio.sleep(max(0.01, QUIET_S - quiet_s))


def _looks(
    stage: Stage, kill: Kill, found: list[Sighting]
) -> tuple[Coroutine[None, None, None], ...]:
    """Return one look for each party that has to be asked; each adds what it sees to `found`."""
    lab, clock = stage.lab, stage.clock
    rpc = lab.paths.of("carrier") / "kamailio.rpc"

    async def note(sighting: Coroutine[None, None, Sighting]) -> None:
        found.append(await sighting)

    return (
        note(await_leader(lab, clock, kill.site)),
        note(await_carrier(rpc, clock, lab.addresses[kill.site])),
    )


def living_edges(stage: Stage, dead: SiteId) -> list[tuple[EdgeId, Path]]:
    """Return the edges of all sites but the dead one, and their command sockets."""
    lab = stage.lab
    return [
        (edge, lab.paths.of(site) / f"edge-{edge}.sock")
        for site in lab.plan.sites
        if site != dead
        for edge in lab.plan.edges(site)
    ]


async def _run(
    stage: Stage,
    kill: Kill,
    sightings: Iterable[Sighting],
    stocks: tuple[Stock, ...],
    silent: tuple[EdgeId, ...],
) -> Run:
    """Gather what everybody has said."""
    seen: list[Seen] = stage.observer.seen
    agents = stage.people.agent_reports()
    return Run(
        scenario=stage.scenario,
        ledger=join(
            stage.scenario, stage.people.caller_reports(), agents, await read_records(stage.store)
        ),
        agents=agents,
        offers=history.offers(seen),
        back=history.came_back(seen, kill.site, kill.at_ms),
        kill=kill,
        leader=kill.site,
        successor=await stage.lab.etcd_leader_site(),
        sightings=(
            *sightings,
            *history.sightings(seen, kill, edge_homes(stage.lab)),
            *_supervisor(stage.lab, stage.clock, kill),
        ),
        stocks=stocks,
        unanswered_stock=silent,
        setup_s=stage.setup_s,
        edges=edge_homes(stage.lab),
    )


async def read_records(store: EtcdStore, *, after: int = 0) -> list[CallRecord]:
    """Return the edges' ledger since a revision. DemoError when a record cannot be read."""
    listing = await read_all(store, keys.ENDED)
    try:
        return [
            decode(CallRecord, each.value, each.key)
            for each in listing.records
            if each.create_revision > after
        ]
    except CodecError as error:
        raise DemoError(f"the ledger cannot be read: {error}") from error


def edge_homes(lab: Lab) -> dict[EdgeId, SiteId]:
    """Return each edge's site."""
    return {edge: site for site in lab.plan.sites for edge in lab.plan.edges(site)}


def _supervisor(lab: Lab, clock: SystemClock, kill: Kill) -> list[Sighting]:
    """Tell when the supervisor had seen the last of the site's processes die."""
    deaths = [
        event for event in lab.events if event.kind is EventKind.DIED and event.host == kill.site
    ]
    if not deaths:
        return []
    now = clock.now()
    at_ms = now.wall_ms - round((now.mono_s - max(event.at_s for event in deaths)) * 1000)
    what = f"all {len(deaths)} processes of {kill.site} are dead, and stay so"
    return [Sighting(at_ms=at_ms, who="supervisor", what=what)]
