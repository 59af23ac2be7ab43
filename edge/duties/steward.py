"""Keeps this site's Kamailio told, and hears from it who is registered.

The shell of `edge.steering` on one side and of `edge.proxy` on the other: snapshot -> rows ->
htables; registrations -> presence. Both edges of a site do it; what they tell is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet

import structlog

from edge.alone.sister import Lone
from edge.duties.doubted_gates import DoubtedGates
from edge.duties.lost_phones import LostPhones
from edge.duties.presence import PresenceKeeper
from edge.media.errors import MediaError
from edge.media.relay import Relay
from edge.proxy.errors import ProxyError
from edge.proxy.events import (
    Connected,
    Event,
    Forwarded,
    GateChanged,
    GoodbyeUnheard,
    Refused,
    Registered,
    Unregistered,
)
from edge.proxy.gate import GateEntry, GateLoad, epoch_alone, gate_load
from edge.proxy.proxy import Proxy
from edge.proxy.secrets_file import SecretsFile
from edge.proxy.tables import AgentRows, Tables, dial, peers
from edge.settings import Settings, address
from edge.steering import NOBODY, Standings, encode, forwards, ill_sites, rows
from state import keys
from state.clock import Clock
from state.errors import StoreError
from state.keys import Kind
from state.listing import read_all
from state.mirror import Mirror, MirrorState
from state.model import FIRST_EPOCH, AgentId, EdgeId, SiteId
from state.pace import Pace
from state.snapshot import Snapshot, replace, version_of
from state.store import Store

log = structlog.get_logger()

RECONCILE_S = 10.0
"""How often the location table is compared, since events may be lost."""
MERGED_S = 5.0
"""So long after a sister has merged what she did alone this edge's mirror surely shows it."""
_SOON_S = 0.01
_LATER_S = 0.3
"""Whether agents are free changes with every call, and moves a row only now and then."""
_AGAIN_S = 1.0
_JUDGE_S = 1.0
_URGENT = frozenset(
    {
        Kind.EDGE,
        Kind.SITE,
        Kind.TRUNK,
        Kind.DID,
        Kind.QUEUE,
        Kind.AGENT,
        Kind.RELEASE,
        Kind.PROBE,
        Kind.BARRED,
    }
)
_CALM = frozenset({Kind.OFFER, Kind.WORK, Kind.PRESENCE})


class Steward:
    """One edge's care for the Kamailio of its site."""

    def __init__(  # noqa: PLR0913 - both sides of what it joins
        self,
        *,
        settings: Settings,
        clock: Clock,
        store: Store,
        mirror: Mirror,
        snapshot: Callable[[], Snapshot],
        is_alone: Callable[[], bool],
        lone_sisters: Callable[[], Awaitable[Lone]],
        media: Relay,
        unreachable: Callable[[], frozenset[SiteId]],
        keeper: PresenceKeeper,
        on_applied: Callable[[int], None],
    ) -> None:
        """`on_applied` is told which version of the configuration Kamailio goes by."""
        self._site = settings.site
        self._sip = settings.sip
        self._clock = clock
        self._store = store
        self._mirror = mirror
        self._snapshot = snapshot
        self._is_alone = is_alone
        self._lone_sisters = lone_sisters
        self._media = media
        self._unreachable = unreachable
        self._keeper = keeper
        self._on_applied = on_applied
        self._edges_known = {settings.sip}
        """Every edge address seen in this life: one whose lease has just run out may still live."""
        self._epoch_seen = FIRST_EPOCH
        """The highest of a token that a gate of this site has let through, or was loaded with."""
        self._dead: set[EdgeId] = set()
        self._signed_out: set[AgentId] = set()
        """Who is barred, and has had their phone taken away."""
        self._phone_secrets = SecretsFile(settings.phone_secrets)
        self._agent_rows = AgentRows(settings.site)
        self.standings: Standings = NOBODY
        """How the sites stand with steering."""
        self.forwarded: dict[str, int] = {}
        """By outcome: calls that this site's proxy handed on outside, since its own start."""
        self._soon = asyncio.Event()
        self._later = asyncio.Event()
        self._proxy = Proxy(
            edge=settings.edge,
            rpc_socket=settings.kamailio_rpc,
            evapi=address(settings.evapi),
            tables_file=settings.run_dir / "tables.json",
            standing=self._standing,
            to_load=self._to_load,
        )
        self._doubted = DoubtedGates(self._proxy, snapshot, site=settings.site, is_alone=is_alone)
        self._lost_phones = LostPhones(self._proxy, keeper)

    @property
    def is_in_step(self) -> bool:
        """Whether Kamailio has what follows from the snapshot."""
        return not self._soon.is_set() and self._proxy.is_in_step

    def wake(self) -> None:
        """Look again soon: what this edge can reach, or the mode, has changed."""
        if not self._is_alone():
            self._keeper.note_epoch(self._epoch_seen)
        self._doubted.note_offers()
        self._soon.set()

    def note_alone_before(self) -> None:
        """Take it that the gate let tokens through that a former life of this edge made alone.

        Kamailio may have been restarted since, and then nobody knows: the next tokens of the store
        stand above them all the same.
        """
        made = epoch_alone(self._snapshot(), self._site)
        self._epoch_seen = max(self._epoch_seen, made)

    def take(self, kinds: AbstractSet[Kind]) -> None:
        """See whether news of records of these kinds concerns Kamailio."""
        if kinds & _URGENT:
            self._soon.set()
        elif kinds & _CALM:
            self._later.set()
        if Kind.OFFER in kinds:
            self._doubted.note_offers()
        if Kind.EDGE in kinds:
            self._dead.difference_update(self._snapshot().edges)

    async def settle(self) -> None:
        """Free the gates of agents whose offers are gone."""
        try:
            await self._proxy.settle_gate()
        except ProxyError as error:
            log.warning("gates_not_settled", error=str(error))

    async def edge_died(self, edge: EdgeId) -> None:
        """Free what a dead edge left here: its media if it was of this site, and agents' gates.

        Told again and again, it does what it could not do before: what stands may not be known yet,
        if that edge served alone.
        """
        if edge in self._dead:
            return
        self._dead.add(edge)
        try:
            released = await self._media.release_all_of(edge)
            freed = await self._proxy.settle_gate()
        except (MediaError, ProxyError) as error:
            log.warning("dead_edge_not_cleared", edge=edge, error=str(error))
            self._dead.discard(edge)
            return
        if freed is None:
            self._dead.discard(edge)
            return
        # If it was of this site, it may have told Kamailio of sites as it alone saw them.
        self._proxy.doubt()
        log.warning("dead_edge_cleared", edge=edge, media_calls=released, gates=len(freed))

    async def run(self) -> None:
        """Keep Kamailio told and listened to, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._proxy.run())
            group.create_task(self._listen())
            group.create_task(self._reconcile())
            group.create_task(self._judge())
            group.create_task(self._tell())
            group.create_task(self._doubted.run())
            group.create_task(self._lost_phones.run())

    async def _judge(self) -> None:
        """Look once a second whether a site's standing changes: it may by the passing of time."""
        while True:
            await asyncio.sleep(_JUDGE_S)
            before = self.standings
            self._note_standings()
            if self._phone_secrets.has_changed():
                self._soon.set()
            if self._words_of(before) != self._words_of(self.standings):
                self._soon.set()

    def _words_of(self, standings: Standings) -> tuple[object, ...]:
        """Return what Kamailio is told of how the sites stand."""
        drains = self._drains(self._snapshot(), standings)
        return standings.left_out, standings.last, drains

    def _drains(self, snapshot: Snapshot, standings: Standings) -> bool:
        drained = {name for name, site in snapshot.sites.items() if site.value.draining}
        return standings.drains(self._site, drained)

    def _note_standings(self) -> None:
        snapshot, before = self._snapshot(), self.standings
        found = ill_sites(snapshot, self._site, unreachable=self._unreachable())
        self.standings = before.after(snapshot.sites, found, self._clock.now().mono_s)
        for site, standing in self.standings.sites.items():
            was = before.sites.get(site)
            if was is not None and was.illness is not standing.illness:
                log.warning("site_standing", of=site, illness=standing.illness, was=was.illness)

    async def _tell(self) -> None:
        pace = Pace(_LATER_S)
        while True:
            await self._until_due(pace.pause_s)
            snapshot, began_s = self._snapshot(), self._clock.now().mono_s
            tables = self._tables(snapshot)
            pace.took(self._clock.now().mono_s - began_s)
            if tables is not None:
                await self._proxy.apply(tables)
                await self._sign_out_the_barred(snapshot)
                await self._report(snapshot)

    async def _sign_out_the_barred(self, snapshot: Snapshot) -> None:
        """Take away the phones of agents who are barred; Kamailio takes none of theirs any more."""
        barred = {agent for agent in snapshot.barred if agent in snapshot.agents}
        for agent in barred - self._signed_out:
            try:
                await self._proxy.sign_out(agent)
            except ProxyError as error:
                log.warning("barred_agent_not_signed_out", agent=agent, error=str(error))
                asyncio.get_running_loop().call_later(_AGAIN_S, self._later.set)
            else:
                self._signed_out.add(agent)
                self._keeper.note(agent, registered=False)
        self._signed_out.intersection_update(snapshot.barred)

    async def _report(self, snapshot: Snapshot) -> None:
        """Say which version Kamailio goes by, once it is in step; if it is not, look again."""
        release = version_of(snapshot)
        if release is None:
            return
        if self._proxy.is_in_step:
            self._on_applied(release)
            return
        # Looking again costs a whole table: not at once, while Kamailio is away.
        asyncio.get_running_loop().call_later(_AGAIN_S, self._later.set)

    async def _until_due(self, later_s: float) -> None:
        """Wait for something urgent, or for a while after something that is not."""
        soon = asyncio.create_task(self._soon.wait())
        later = asyncio.create_task(self._later.wait())
        try:
            await asyncio.wait((soon, later), return_when=asyncio.FIRST_COMPLETED)
            if not soon.done():
                await asyncio.wait((soon,), timeout=later_s)
            # Changes come in bursts: at a start, each edge of each site.
            await asyncio.sleep(_SOON_S)
        finally:
            soon.cancel()
            later.cancel()
        self._soon.clear()
        self._later.clear()

    def _tables(self, snapshot: Snapshot) -> Tables | None:
        self._note_standings()
        standings = self.standings
        steer = rows(
            snapshot,
            self._site,
            self._clock.now(),
            unreachable=standings.left_out,
            last=standings.last,
        )
        site = snapshot.sites.get(self._site)
        if not steer or site is None:
            return None
        self._edges_known.update(life.value.sip for life in snapshot.edges.values())
        trunks = [trunk.value for trunk in snapshot.trunks.values()]
        ha1, home = self._agent_rows.of(snapshot)
        return Tables(
            steer={number: encode(groups) for number, groups in steer.items()},
            peers=peers(trunks, self._edges_known),
            ha1=ha1,
            home=home,
            sip_secret=self._phone_secrets.by_name,
            dial=dial(trunks),
            forward=forwards(snapshot),
            epoch=FIRST_EPOCH,
            draining=self._drains(snapshot, standings),
        )

    def _is_fresh(self) -> bool:
        return self._mirror.state is MirrorState.LIVE and not self._is_alone()

    async def _standing(self) -> GateLoad | None:
        """Return the offers that stand; None: some may, of which this edge does not know.

        Of whom a sister has given to calls alone the store says nothing, or that they are lost.
        """
        lone = await self._lone_sisters() if self._is_fresh() else None
        if lone is None or lone.merged_ago_s < MERGED_S or not self._is_fresh():
            return None
        snapshot = self._mirror.snapshot
        return None if lone.is_unclear else gate_load(snapshot, self._site, by_word=lone.agents)

    async def _to_load(self) -> GateLoad:
        """Return what a gate that was shut has to know, as the store has it now.

        A mirror may be seconds behind the tokens that the gate let through before, and may have
        missed something.
        """
        if self._is_fresh():
            if (await self._lone_sisters()).are_some:
                raise ProxyError("the gate stays shut: another edge of the site serves alone")
            try:
                listing = await read_all(self._store, keys.STATE)
            except StoreError as error:
                raise ProxyError(f"the gate stays shut: {error}") from error
            if self._is_fresh():
                known, seen_s = self._mirror.snapshot, self._clock.now().mono_s
                there, _ = replace(known, listing.records, listing.revision, seen_s)
                load = gate_load(there, self._site, let_through=self._epoch_seen)
                self._note_epoch(load.epoch_seen)
                return load
        raise ProxyError("the gate stays shut until this edge has a fresh snapshot")

    async def _listen(self) -> None:
        async for event in self._proxy.events():
            await self._hear(event)

    async def _hear(self, event: Event) -> None:
        match event:
            case Registered(agent=agent):
                self._keeper.note(agent, registered=True)
            case Unregistered(agent=agent):
                self._keeper.note(agent, registered=False)
            case Connected():
                await self._read_registered()
            case GateChanged(token=token):
                self._note_epoch(token.epoch)
            case Refused(agent=agent):
                self._doubted.refused(agent)
            case GoodbyeUnheard(agent=agent):
                self._doubted.goodbye_unheard(agent)
            case Forwarded(trunk=trunk, outcome=outcome, count=count):
                self.forwarded[outcome] = count
                log.info("call_forwarded", trunk=trunk, outcome=outcome, count=count)
            case _:
                pass

    def _note_epoch(self, epoch: int) -> None:
        """Take in that the gates have seen a token of that epoch: the store's go above it."""
        self._epoch_seen = max(self._epoch_seen, epoch)
        if not self._is_alone():
            self._keeper.note_epoch(self._epoch_seen)

    def say_room(self, calls: int) -> None:
        """Say how many calls this edge may have unanswered at once."""
        self._proxy.say_room(self._sip, calls)

    async def gate_of(self, agent: AgentId) -> GateEntry | None:
        """Return what the gate of an agent of this site holds. Raises ProxyError."""
        return await self._proxy.gate_of(agent)

    async def _reconcile(self) -> None:
        pace = Pace(RECONCILE_S)
        while True:
            await asyncio.sleep(pace.pause_s)
            began_s = self._clock.now().mono_s
            await self._read_registered()
            pace.took(self._clock.now().mono_s - began_s)

    async def _read_registered(self) -> None:
        self._keeper.reading()
        try:
            self._keeper.set_registered(await self._proxy.registered())
        except ProxyError as error:
            log.warning("registrations_not_read", error=str(error))
