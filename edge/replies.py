"""What an edge replies to each command that comes over its socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from edge.acd.attendance import RestChange
from edge.alone.alone import Alone
from edge.calls.callbacks import Callbacks
from edge.calls.switchboard import Switchboard
from edge.calls.telephony import Telephony
from edge.commands import Command
from edge.duties.headroom import HeadroomKeeper
from edge.duties.life import Life
from edge.duties.media_probe import MediaProbe
from edge.duties.presence import PresenceKeeper
from edge.duties.probes import Prober
from edge.duties.steward import Steward
from edge.errors import CommandError
from edge.media.errors import MediaError
from edge.media.relay import Relay
from edge.reserve import Reserver
from edge.settings import Settings
from edge.sip.endpoint import SipEndpoint
from state.clock import Clock
from state.mirror import Mirror
from state.model import AgentId, CallId, EdgeState
from state.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """The parts of an edge that are asked."""

    settings: Settings
    clock: Clock
    snapshot: Callable[[], Snapshot]
    mirror: Mirror
    endpoint: SipEndpoint
    telephony: Telephony
    media: Relay
    life: Life
    alone: Alone
    prober: Prober
    media_probe: MediaProbe
    switchboard: Switchboard
    callbacks: Callbacks
    reserver: Reserver
    keeper: PresenceKeeper
    steward: Steward
    headroom: HeadroomKeeper

    def commands(self) -> Mapping[str, Command]:
        """Return them by the names under which they are asked for."""
        return {
            "stock": self.stock,
            "status": self.status,
            "mirror": self.mirrored,
            "drain": self.drain,
            "undrain": self.undrain,
            "wrap_up": self.wrap_up,
            "cancel_callback": self.cancel_callback,
            "alone": self.tell_sister,
        }

    async def stock(self, _: Mapping[str, object]) -> Mapping[str, object]:
        """Count what this edge holds."""
        try:
            media_calls: int | None = len(await self.media.calls())
        except MediaError:
            media_calls = None
        return {
            "edge": self.settings.edge,
            "calls": sum(self.switchboard.states().values()),
            "legs": self.telephony.legs,
            "transactions": self.telephony.transactions,
            "media_calls": media_calls,
        }

    async def status(self, _: Mapping[str, object]) -> Mapping[str, object]:
        """Say how this edge stands and what it knows."""
        return {
            "edge": self.settings.edge,
            "site": self.settings.site,
            "wall_ms": self.clock.now().wall_ms,
            "state": self.life.state,
            "revision": self.snapshot().revision,
            "snapshot_age_s": round(self.mirror.age_s, 3),
            "snapshot": self.mirror.state,
            "proxy_is_in_step": self.steward.is_in_step,
            "serving": self.alone.status(),
            "unreachable": sorted(self.prober.unreachable),
            "lossy": sorted(self.media_probe.lossy),
            "out": {
                site: standing.illness
                for site, standing in sorted(self.steward.standings.sites.items())
                if standing.illness
            },
            "calls": self.switchboard.states(),
            "calls_taken": self.switchboard.taken,
            "headroom": {
                "calls_at_once": self.headroom.headroom.calls,
                "is_limiting": self.headroom.headroom.is_limiting,
                "is_crowded": self.headroom.crowding.is_crowded,
            },
            "callbacks": self.callbacks.stages(),
            "forwarded_by_site": dict(self.steward.forwarded),
            "reservations": {"landed": self.reserver.landed, "refused": self.reserver.refused},
            "sip": {
                "received": self.endpoint.received,
                "sent": self.endpoint.sent,
                "unsent": self.endpoint.unsent,
                "stale_invites": self.endpoint.stack.stale_invites,
            },
            "mirror": asdict(self.mirror.counters),
            "bad_records": dict(self.mirror.snapshot.bad),
        }

    async def mirrored(self, _: Mapping[str, object]) -> Mapping[str, object]:
        """Say what this edge's mirror of the store holds, as one number, and at which revision.

        Two edges that say different things at one revision do not know the same.
        """
        revision, digest = await self.mirror.digest()
        return {"edge": self.settings.edge, "revision": revision, "digest": digest}

    async def tell_sister(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """Return what was written without a quorum, `since` a revision of the copy or in all.

        And what stands at the keys `again`, as far as this edge has written it.
        """
        since, again = request.get("since"), request.get("again")
        named = [key for key in again if isinstance(key, str)] if isinstance(again, list) else []
        return self.alone.telling(since if isinstance(since, int) else 0, named)

    async def drain(self, _: Mapping[str, object]) -> Mapping[str, object]:
        """Take no new calls."""
        self.switchboard.is_draining = True
        self.life.set_state(EdgeState.DRAINING)
        return {"state": self.life.state}

    async def wrap_up(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """End or extend an agent's rest: `agent`, `do`, `s`. Raises CommandError."""
        agent, by_s = request.get("agent"), request.get("s", 0)
        try:
            change = RestChange(str(request.get("do")))
        except ValueError:
            raise CommandError(f"do should be one of {', '.join(RestChange)}") from None
        if not isinstance(agent, str) or not isinstance(by_s, int | float) or by_s < 0:
            raise CommandError("name the agent, and to extend the seconds: agent, s")
        left_s = await self.keeper.change_rest(AgentId(agent), change, float(by_s))
        return {"agent": agent, "left_s": round(left_s, 3)}

    async def cancel_callback(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """Call nobody back for a lost call: `call`. Raises CommandError."""
        call = str(request.get("call"))
        await self.callbacks.cancel(CallId(call))
        return {"call": call}

    async def undrain(self, _: Mapping[str, object]) -> Mapping[str, object]:
        """Take new calls again."""
        self.switchboard.is_draining = False
        self.life.set_state(EdgeState.SERVING)
        return {"state": self.life.state}
