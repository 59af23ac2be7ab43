"""The shared state as one edge has it: the store, the mirror of it, and this site's own copy."""

from __future__ import annotations

from collections.abc import Mapping

from edge.alone.kept import Kept
from edge.alone.past import Past
from edge.alone.space import SpaceWatch
from edge.alone.store import SiteStore
from edge.settings import Settings
from state.clock import Clock
from state.etcd import EtcdStore, Tls
from state.eventlog.log import EventLog
from state.mirror import DiskCopy, Mirror, MirrorState
from state.model import EdgeId, EdgeLife, Site, SiteId
from state.snapshot import Snapshot


class SharedState:
    """Everything that an edge reads and writes of it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        run_dir, edge = settings.run_dir, settings.edge
        tls = Tls.of(settings.etcd_ca, settings.etcd_cert, settings.etcd_key)
        self.store = EtcdStore(settings.etcd, tls=tls)
        """That of all sites."""
        self.space = SpaceWatch(self.store, clock)
        self.event_log = EventLog(run_dir / f"events-{edge}", reader=edge, clock=clock)
        disk = DiskCopy(run_dir / f"snapshot-{edge}.json")
        self.mirror = Mirror(self.store, clock, disk=disk, recorder=self.event_log)
        self.kept = Kept(run_dir / f"alone-{edge}")
        self.here = SiteStore(self.store, self.mirror, clock, self.kept)
        """The same, or this site's own copy while it serves alone."""
        self.past = Past(
            edge=edge,
            store=self.store,
            mirror=self.mirror,
            kept=Kept(run_dir / f"past-{edge}"),
            has_room=lambda: self.space.full_s is None,
        )

    def snapshot(self) -> Snapshot:
        """Return the state as this edge is to see it."""
        return self.here.snapshot

    def is_live(self) -> bool:
        """Tell whether the mirror may be taken for the present."""
        return self.mirror.state is MirrorState.LIVE

    def sites(self) -> Mapping[SiteId, Site]:
        """Return the sites, as the mirror has them."""
        return {key: entry.value for key, entry in self.mirror.snapshot.sites.items()}

    def lives(self) -> Mapping[EdgeId, EdgeLife]:
        """Return the edges that live, as the mirror has them."""
        return {key: entry.value for key, entry in self.mirror.snapshot.edges.items()}
