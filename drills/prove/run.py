"""One run after another in one lab: traffic, faults, peace, and the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from drills.lab.lab import PROJECT, Lab, default_paths
from drills.lab.plan import Part, plan_lab
from drills.prove.asking import Edges
from drills.prove.breaker import Breaker
from drills.prove.center import DIALLED, QUEUES, agents, configuration
from drills.prove.checker import check
from drills.prove.faults import EDGES, SITES, Fault
from drills.prove.figures import Outcome
from drills.prove.habits import USUAL, Habits
from drills.prove.history import History
from drills.prove.laws_silence import count_passed_over
from drills.prove.mutants_of_gates import GATE_FAULTS
from drills.prove.peace import Peace
from drills.prove.people import Crowd
from drills.prove.people import World as PeopleWorld
from drills.prove.proxy import Proxy
from drills.prove.violations import Law, Violation
from drills.prove.watcher import Watcher
from drills.prove.wishes import wish
from state import keys
from state.clock import SystemClock
from state.codec import encode
from state.errors import StoreError
from state.etcd import EtcdStore, Tls
from state.listing import read_all
from state.model import EdgeId, Readiness, TransferWish
from state.publishing import OPERATIONS_IN_TXN, publish
from state.store import Delete, Put

LAUNCHER = PROJECT / "tests" / "prove" / "planted.py"
RUSH, LULL = 14, 6
"""So many callers each site has at a time: more than agents, and fewer, so that some are free to
whom callers can be passed on..."""
RUSH_S, LULL_S = 6.0, 3.0
"""... for so long each."""
AWAY_S = 1.5
"""How often a telephone goes away."""
PASSED_ON_S = 0.3
"""How often somebody passes a caller on over the API."""
READY_S = 25.0
LOOK_S = 2.0
_OF_CALLS = tuple(f"{keys.STATE}{kind}/" for kind in ("ticket", "offer", "work", "presence"))


class Order(Struct, frozen=True, kw_only=True):
    """What a run is to be."""

    seed: int
    faults: tuple[Fault, ...]
    seconds: float
    """Of traffic."""
    habits: Habits = USUAL
    plant: str | None = None
    stop_at: frozenset[Law] = frozenset()
    """The run is over as soon as one of these is seen to be broken."""


class Ground:
    """The lab in which runs are made: members and proxies stay up, edges get new lives."""

    def __init__(self, lab: Lab, proxies: dict[str, Proxy], store: EtcdStore) -> None:
        self._lab = lab
        self._proxies = proxies
        self._store = store
        self._clock = SystemClock()
        self._edges = Edges(lab.paths, self._clock)
        self._peace = Peace(store=store, clock=self._clock, edges=self._edges, proxies=proxies)
        self._runs = 0

    def keep_logs(self, directory: Path) -> Path:
        """Copy the logs of all processes to a directory; return it."""
        return self._lab.keep_logs(directory)

    async def run(self, order: Order, tell: Callable[[int], None]) -> Outcome:
        """Make one run. `tell` hears now and then how many operations are done."""
        self._runs += 1
        history = History()
        crowd = self._crowd(order, history)
        breaker = Breaker(
            lab=self._lab,
            proxies=self._proxies,
            crowd=crowd,
            history=history,
            clock=self._clock,
            plant=None if order.plant in GATE_FAULTS else order.plant,
        )
        began_s = self._now()
        await self._begin_anew(order, crowd, breaker)
        watcher = Watcher(self._store, self._clock, history)
        await watcher.start()
        ready_s = self._now()
        found = await self._traffic(order, history, crowd, breaker, tell)
        over_s = self._now()
        if not found:
            await self._peace.make(crowd, history, watcher, is_planted=order.plant is not None)
            found = check(history.events)
        else:
            crowd.close()
            with contextlib.suppress(TimeoutError, StoreError):
                await watcher.stop()
        return Outcome(
            operations=history.operations,
            seconds=over_s - ready_s,
            ready_s=ready_s - began_s,
            peace_s=self._now() - over_s,
            violations=found,
            passed_over=count_passed_over(history.events),
            events=tuple(history.events) if found else (),
        )

    # -- a run's beginning

    def _crowd(self, order: Order, history: History) -> Crowd:
        loop, run = asyncio.get_running_loop(), self._runs

        def later(delay_s: float, do: Callable[[], object]) -> None:
            # People of a run that is over do nothing more.
            loop.call_later(delay_s, lambda: do() if self._runs == run else None)

        world = PeopleWorld(
            ways=self._proxies,
            note=history.note,
            later=later,
            now=self._now,
            chance=random.Random(order.seed),  # noqa: S311 - no secret: a seed is to repeat it
            run=f"r{self._runs}x{order.seed}",
            habits=order.habits,
        )
        crowd = Crowd(world, agents(SITES), DIALLED, [queue.id for queue in QUEUES])
        for proxy in self._proxies.values():
            proxy.people = crowd
            proxy.away.clear()
        return crowd

    async def _begin_anew(self, order: Order, crowd: Crowd, breaker: Breaker) -> None:
        """Give the edges new lives in a center that has seen no call yet."""
        for edge in EDGES:
            breaker.say(edge, not_before_s=self._now() + 60.0)
            if self._lab.supervisor.pid(f"edge-{edge}") is not None:
                self._lab.supervisor.kill(f"edge-{edge}")
        await asyncio.sleep(0.1)
        for edge in EDGES:
            kept = ("journal-{}", "snapshot-{}.json", "alone-{}", "past-{}")
            for file in (name.format(edge) for name in kept):
                (self._lab.paths.of(edge[0]) / file).unlink(missing_ok=True)
        await self._clear()
        for proxy in self._proxies.values():
            proxy.bug = GATE_FAULTS.get(order.plant or "")
            proxy.restart()
        for edge in EDGES:
            breaker.say(edge, not_before_s=0.0)
        await wish(self._store, crowd.phones, Readiness.READY)
        await self._until_serving()

    async def _clear(self) -> None:
        more = (
            f"{keys.STATE}{kind}/"
            for kind in ("place", "heir", "claim", "edge", "probe", "transfer", "transfer_wish")
        )
        doomed = [keys.ENDED, *_OF_CALLS, *more]
        for prefix in doomed:
            listing = await read_all(self._store, prefix, keys_only=True)
            deletes = [Delete(key=record.key) for record in listing.records]
            for start in range(0, len(deletes), OPERATIONS_IN_TXN):
                await self._store.txn((), deletes[start : start + OPERATIONS_IN_TXN])

    async def _until_serving(self) -> None:
        async with asyncio.timeout(READY_S):
            for edge in EDGES:
                while not await self._serves(edge):  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.1)

    async def _serves(self, edge: str) -> bool:
        status = await self._edges.ask(EdgeId(edge), "status")
        listing = await read_all(self._store, f"{keys.STATE}presence/", keys_only=True)
        return (
            status.get("snapshot") == "live"
            and bool(status.get("proxy_is_in_step"))
            and len(listing.records) == len(agents(SITES))
        )

    # -- traffic

    async def _traffic(
        self,
        order: Order,
        history: History,
        crowd: Crowd,
        breaker: Breaker,
        tell: Callable[[int], None],
    ) -> tuple[Violation, ...]:
        """Let everybody call, and break things; return what was seen on the way."""
        helpers = [
            asyncio.create_task(breaker.run(order.faults)),
            asyncio.create_task(self._tide(crowd)),
            asyncio.create_task(self._passing_on(crowd)),
            asyncio.create_task(self._pauses(order.seed, crowd)),
            asyncio.create_task(self._late_copies(crowd)),
            asyncio.create_task(self._goings(crowd)),
            asyncio.create_task(self._edges.watch_modes(history)),
            asyncio.create_task(self._edges.watch_mirrors(history)),
        ]
        began_s = self._now()
        try:
            while self._now() - began_s < order.seconds:
                await asyncio.sleep(LOOK_S)
                tell(history.operations)
                if order.stop_at and (found := _of(order.stop_at, check(history.events))):
                    return found
                for helper in helpers:
                    if helper.done():
                        helper.result()
            await helpers[0]
        finally:
            for helper in helpers:
                helper.cancel()
            for result in await asyncio.gather(*helpers, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result
            self._mend()
        return ()

    async def _pauses(self, seed: int, crowd: Crowd) -> None:
        """Let agents pause for a moment, again and again."""
        chance = random.Random(seed + 1)  # noqa: S311 - no secret
        while True:
            agent = chance.choice(list(crowd.phones))
            for readiness in (Readiness.PAUSED, Readiness.READY):
                with contextlib.suppress(StoreError):
                    await wish(self._store, (agent,), readiness)
                await asyncio.sleep(chance.uniform(0.05, 0.4))

    async def _tide(self, crowd: Crowd) -> None:
        """Let there be many callers, and then fewer."""
        while True:
            for crowd.wanted, for_s in ((RUSH, RUSH_S), (LULL, LULL_S)):
                crowd.fill()
                await asyncio.sleep(for_s)

    async def _passing_on(self, crowd: Crowd) -> None:
        """Let control planes wish that callers be passed on."""
        while True:
            await asyncio.sleep(PASSED_ON_S)
            if (passed := crowd.pass_somebody_on()) is not None:
                agent, call, to = passed
                put = Put(
                    key=keys.transfer_wish(call),
                    value=encode(TransferWish(call=call, agent=agent, to=to)),
                )
                with contextlib.suppress(StoreError):
                    await self._store.txn((), (put,))

    async def _late_copies(self, crowd: Crowd) -> None:
        while True:
            await asyncio.sleep(0.15)
            crowd.deliver_late_copy()

    async def _goings(self, crowd: Crowd) -> None:
        while True:
            await asyncio.sleep(AWAY_S)
            crowd.somebody_goes_away()

    def _mend(self) -> None:
        self._lab.wan.heal_all()
        for name in self._lab.supervisor.names():
            if self._lab.supervisor.pid(name) is not None:
                self._lab.supervisor.thaw(name)

    def _now(self) -> float:
        return self._clock.now().mono_s


def _of(laws: frozenset[Law], found: Sequence[Violation]) -> tuple[Violation, ...]:
    return tuple(each for each in found if each.law in laws)


@contextlib.asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Bring up three members, three proxies and three edges, in the lab's namespaces."""
    paths = default_paths()
    commands = {
        f"edge-{edge}": (
            str(paths.python),
            str(LAUNCHER),
            "--config",
            str(paths.of(edge[0]) / f"edge-{edge}.toml"),
        )
        for edge in EDGES
    }
    parts = frozenset({Part.ETCD, Part.EDGE})
    async with Lab(plan_lab(edges=1, parts=parts, commands=commands), paths) as lab:
        proxies = {site: _proxy(lab, site, paths.of(site)) for site in SITES}
        own = lab.operator
        store = EtcdStore(lab.etcd_endpoints, tls=Tls(ca=own.ca, cert=own.cert, key=own.key))
        try:
            for proxy in proxies.values():
                await proxy.start()
            await publish(store, configuration({s: p.address for s, p in proxies.items()}))
            yield Ground(lab, proxies, store)
        finally:
            for proxy in proxies.values():
                proxy.close()
            await store.close()


def _proxy(lab: Lab, site: str, run_dir: Path) -> Proxy:
    homes = agents(SITES)
    return Proxy(
        site=site,
        address=lab.addresses[site],
        run_dir=run_dir,
        registered=lambda: [agent for agent, home in homes.items() if home == site],
    )
