"""One edge process: has its parts made, runs them until told to stop, and lets go of its calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

import structlog

from edge import former_life
from edge.assembly import Assembly
from edge.calls.journal import Left
from edge.calls.takeover import Takeover
from edge.duties.debts import Debts
from edge.parts import Parts
from edge.settings import Settings
from state import start
from state.model import EdgeState

log = structlog.get_logger()


class EdgeProcess:
    """The life of one edge."""

    def __init__(self, settings: Settings) -> None:
        self._parts = Assembly(settings)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then let go of the calls and leave."""
        parts = self._parts
        # Before anything is read from the network: who says goodbye now is answered by what is
        # known of their call.
        left = former_life.read(parts.journal, parts.telephony)
        takeover, debts = self._takeover(left), self._debts(left)
        parts.owes = debts.owes
        await parts.media.start()
        await former_life.release_media(parts.media, takeover.calls)
        await parts.commands.start()
        has_recorder = parts.recorder is not None
        log.info("edge_started", sip=parts.settings.sip, has_recorder=has_recorder)
        running: dict[str, Coroutine[None, None, None]] = {
            "mirror": parts.shared.mirror.run(),
            "space": parts.shared.space.run(),
            "alone": parts.alone.run(),
            "past": parts.shared.past.run(),
            "sisters": parts.sisters.run(),
            "life": parts.life.run(on_lease=parts.reserver.wake),
            "prober": parts.prober.run(parts.shared.sites),
            "media_probe": parts.media_probe.run(),
            "keeper": parts.duties.keeper.run(),
            "reserver": parts.reserver.run(),
            "janitor": parts.duties.janitor.run(),
            "places": parts.places.run(),
            "callbacks": parts.callbacks.run(),
            "steward": parts.duties.steward.run(),
            "headroom": parts.duties.headroom.run(),
            "event_log": parts.shared.event_log.run(),
            "recording_wishes": parts.recording_wishes.run(),
            "transfer_wishes": parts.transfer_wishes.run(),
            "media_watch": parts.media_watch.run(),
            "leg_watch": parts.leg_watch.run(),
            "line_watch": parts.line_watch.run(),
            "takeover": self._take_over(takeover),
            "debts": debts.run(),
            "memory": self._keep_memory(),
        }
        if parts.recorder is not None:
            running["recorder"] = parts.recorder.run()
            running["keyed_tones"] = parts.keyed_tones.run()
        if parts.duties.replication is not None:
            running["replication"] = parts.duties.replication.run()
        try:
            await Parts(running, may_end=_MAY_END).run(stop, self._leave)
        finally:
            await self._close()
        log.info("edge_stopped")

    def _takeover(self, left: Left) -> Takeover:
        parts = self._parts
        return Takeover(
            edge=parts.settings.edge,
            clock=parts.clock,
            snapshot=parts.shared.snapshot,
            is_current=parts.is_current,
            is_alone=lambda: parts.shared.here.is_alone,
            switchboard=parts.switchboard,
            relay=parts.media,
            notes=left.calls,
        )

    def _debts(self, left: Left) -> Debts:
        parts = self._parts
        return Debts(
            edge=parts.settings.edge,
            clock=parts.clock,
            store=parts.shared.here,
            snapshot=parts.shared.snapshot,
            is_current=parts.is_current,
            journal=parts.journal,
            owed=left.owed,
        )

    async def _close(self) -> None:
        await self._parts.commands.close()
        self._parts.endpoint.close()
        self._parts.media.close()
        await self._parts.shared.store.close()

    async def _leave(self) -> None:
        """Let go of the calls, and give the lease back so that nobody waits for it to run out."""
        log.info("edge_leaves", calls=sum(self._parts.switchboard.states().values()))
        self._parts.switchboard.is_draining = True
        self._parts.life.set_state(EdgeState.DRAINING)
        self._parts.switchboard.stop()
        self._parts.callbacks.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                while self._holds_any():  # noqa: ASYNC110 - once, at the end of a life
                    await asyncio.sleep(_LOOK_S)
        await self._parts.life.end()

    def _holds_any(self) -> bool:
        return bool(self._parts.switchboard.states()) or self._parts.callbacks.is_busy

    async def _keep_memory(self) -> None:
        await self._parts.shared.mirror.wait_for_list()
        start.keep()

    async def _take_over(self, takeover: Takeover) -> None:
        await takeover.run()
        if takeover.calls:
            # Agents who were being rung are free again, and only we can tell their gate.
            await asyncio.sleep(_TOLD_S)
            await self._parts.duties.steward.settle()
        await takeover.look_again()


_MAY_END = frozenset({"takeover", "debts", "memory"})
_LEAVE_S = 1.5
"""How long the calls may take to end; giving the lease back may take another second."""
_TOLD_S = 0.5
"""By then this edge's own mirror shows what the takeover has written."""
_LOOK_S = 0.05
