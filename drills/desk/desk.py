"""Answers what is asked of a lab that is up. It runs in the lab's own process.

Owns a mirror of the shared state, which is what the edges see too: so it can tell how long an agent
has rested, and asks etcd for the ledger alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from control_plane.audit.source import Source
from custody.findings import Rotation
from drills.course import FaultError, Made
from drills.desk import (
    audit,
    coding,
    ledger,
    look,
    machines,
    past,
    peak,
    readiness,
    recordings,
    reports,
    wishes,
)
from drills.desk.answers import Agents, Faults, Readiness, Stakes, Status, Wished, WishRow, WrapUp
from drills.desk.asks import (
    AgentsAsk,
    Ask,
    AuditAsk,
    CallbacksAsk,
    CallsAsk,
    CancelCallbackAsk,
    CodeAsk,
    ExplainAsk,
    ExportAsk,
    FaultAsk,
    FaultDo,
    LoadAsk,
    PlaceAsk,
    ReadinessAsk,
    RecordingsAsk,
    ReportAsk,
    RoomAsk,
    RotateAsk,
    SampleAsk,
    StakesAsk,
    StatusAsk,
    WishAsk,
    WrapUpAsk,
)
from drills.desk.call_answers import Callbacks, Calls, Coded, Explained, Report
from drills.desk.errors import RefusedError
from drills.desk.explainer import Explainer
from drills.desk.recording_answers import Recordings, Samples
from drills.desk.rooms import Rooms
from drills.fault import Fault
from drills.lab import replicas
from drills.lab.lab import Lab
from state.clock import SystemClock
from state.errors import StateError
from state.mirror import Mirror
from state.model import SiteId
from state.snapshot import Snapshot
from state.store import Store

Answer = (
    Callbacks
    | Coded
    | Status
    | Agents
    | Wished
    | Calls
    | Explained
    | Report
    | WrapUp
    | Readiness
    | Stakes
    | Recordings
    | Source
    | Samples
    | Rotation
    | Faults
    | Rooms
)
FIRST_LIST_S = 5.0
LEDGER_S = 1.0
"""How long `status` waits for the ledger."""
LEDGER_EVERY_S = 10.0
"""It may have grown long, and somebody may look every second."""
STAKES_LEDGER_S = 5.0
"""How long the question what a drill would put at stake waits for it: without it nobody knows."""
LATELY_S = 30.0
"""What was read longer ago does not tell the load of now."""


class FaultMaker(Protocol):
    """Makes faults here, and undoes each when its time is over."""

    @property
    def made(self) -> tuple[Made, ...]:
        """All faults so far."""
        ...

    async def make(self, fault: Fault, /) -> Made:
        """Make one. FaultError when it cannot be made."""
        ...

    async def heal_all(self, by: str, /) -> None:
        """Undo all."""
        ...


class Place(Struct, frozen=True, kw_only=True):
    """Whose desk it is."""

    launcher: int
    """PID of `./everline ...` outside: the lab's name."""
    kind: str
    """Which command brought it up."""
    apis: Mapping[SiteId, str] = field(default_factory=dict)
    """The URLs of the sites' APIs, outside the lab."""


class Desk:
    """Answers one question after the other."""

    def __init__(
        self,
        place: Place,
        lab: Lab,
        store: Store,
        *,
        faults: FaultMaker | None = None,
    ) -> None:
        self._place = place
        self._lab = lab
        self._store = store
        self._faults = faults
        self._clock = SystemClock()
        self._mirror = Mirror(store, self._clock)
        self._explainer = Explainer(place.launcher, lab, store, self._mirror, self._clock)
        self._began_s = self._clock.now().mono_s
        self._over = ledger.NOTHING
        self._read_s = -math.inf
        """When it was last tried to read the ledger."""
        self._over_s = -math.inf
        """When that was last done."""

    async def follow(self) -> None:
        """Keep the mirror current until cancelled."""
        await self._mirror.run()

    async def answer(self, ask: Ask) -> Answer:  # noqa: C901, PLR0911, PLR0912  one a question
        """Answer a question. LabError or StateError when that is not to be had."""
        await self._first_list()
        match ask:
            case StatusAsk():
                return await self._status()
            case AgentsAsk():
                return self._agents()
            case WishAsk():
                return await self._wish(ask)
            case CallsAsk():
                return await self._calls(ask.last, is_live=ask.is_live)
            case ExplainAsk(call=call):
                return await self._explainer.explain(call)
            case ReportAsk():
                return await self._report(ask)
            case WrapUpAsk():
                return await self._wrap_up(ask)
            case ReadinessAsk():
                return await self._readiness()
            case StakesAsk():
                return await self._stakes()
            case CodeAsk():
                return await self._code(ask)
            case CallbacksAsk():
                return self._callbacks()
            case CancelCallbackAsk(call=call):
                return await self._cancel_callback(call)
            case FaultAsk():
                return await self._fault(ask)
            case RecordingsAsk():
                return await self._recordings(ask)
            case AuditAsk():
                return await audit.look(self._lab)
            case SampleAsk(most=most):
                return await recordings.sampled(self._lab, most, self._clock.now().wall_ms)
            case RotateAsk():
                return await recordings.rotation(self._lab, ask.site, is_to_begin=ask.is_to_begin)
            case RoomAsk(is_to_make=is_to_make):
                return await machines.rooms(self._place.launcher, self._lab, make=is_to_make)
            case PlaceAsk() | LoadAsk() | ExportAsk():
                raise RefusedError("this is answered line by line")

    async def _first_list(self) -> None:
        try:
            await self._mirror.wait_until(lambda snapshot: snapshot.revision > 0, FIRST_LIST_S)
        except TimeoutError:
            raise RefusedError("etcd has not answered yet: try again in a moment") from None

    # -- the answers

    async def _status(self) -> Status:
        snapshot = self._mirror.snapshot
        words, roles, over = await asyncio.gather(
            machines.ask_edges(self._lab, snapshot),
            machines.ask_etcd(self._lab),
            self._ledger(),
        )
        snapshot, now = self._mirror.snapshot, self._clock.now()
        agents = look.agent_rows(snapshot, now)
        queues = look.queue_rows(snapshot, agents, now)
        age_s = self._mirror.age_s
        bad = dict(snapshot.bad)
        for word in words:
            bad |= word.bad_records
        return Status(
            lab=self._place.launcher,
            kind=self._place.kind,
            up_s=round(now.mono_s - self._began_s, 1),
            now_ms=now.wall_ms,
            revision=snapshot.revision,
            snapshot=self._mirror.state,
            snapshot_age_s=round(age_s, 3) if math.isfinite(age_s) else None,
            sites=machines.site_rows(self._lab, snapshot, roles, self._place.apis),
            edges=tuple(word.row for word in words),
            queues=reports.with_accuracy(queues, over),
            agents=look.states_by_site(agents),
            alone=machines.alone_since(word.row for word in words),
            bad_records=bad,
            full=machines.full_at(word.row for word in words),
        )

    async def _ledger(self) -> ledger.Ledger:
        """Return the ledger as it was lately; status has to answer without etcd, too."""
        if self._clock.now().mono_s - self._read_s >= LEDGER_EVERY_S:
            await self._read_ledger(LEDGER_S)
        return self._over

    async def _ledger_of_late(self) -> ledger.Ledger | None:
        """Return the ledger as it was lately for certain; None: it cannot be read."""
        if self._clock.now().mono_s - self._over_s >= LEDGER_EVERY_S:
            await self._read_ledger(STAKES_LEDGER_S)
        is_of_late = self._clock.now().mono_s - self._over_s < LATELY_S
        return self._over if is_of_late else None

    async def _read_ledger(self, within_s: float) -> None:
        self._read_s = self._clock.now().mono_s
        with contextlib.suppress(StateError, TimeoutError):
            async with asyncio.timeout(within_s):
                self._over = await ledger.read_ledger(self._store)
                self._over_s = self._clock.now().mono_s

    def _agents(self) -> Agents:
        now = self._clock.now()
        snapshot = self._mirror.snapshot
        return Agents(
            lab=self._place.launcher,
            now_ms=now.wall_ms,
            agents=look.agent_rows(snapshot, now),
            revision=snapshot.revision,
        )

    async def _wish(self, ask: WishAsk) -> Wished:
        wishes.check_agents(self._mirror.snapshot, ask.agents)
        wishes.check_reason(self._mirror.snapshot, ask)
        began_s = self._clock.now().mono_s
        await wishes.write(self._store, self._mirror.snapshot, ask)
        snapshot = await wishes.until_taken(self._mirror, ask)
        now = self._clock.now()
        rows = {row.agent: row for row in look.agent_rows(snapshot, now)}
        return Wished(
            lab=self._place.launcher,
            now_ms=now.wall_ms,
            took_s=round(now.mono_s - began_s, 3),
            wishes=tuple(
                WishRow(agent=rows[agent], missing=wishes.missing(snapshot, agent, ask.readiness))
                for agent in dict.fromkeys(ask.agents)
            ),
        )

    async def _calls(self, last: int, *, is_live: bool) -> Calls:
        over = ledger.NOTHING if is_live else await ledger.read_ledger(self._store)
        now = self._clock.now()
        running = look.running(self._mirror.snapshot, now)
        ended = {record.call for record in over.records}
        rows = (
            *(row for row in running if row.call not in ended),
            *(
                replace(look.ended_row(record), code=over.codes.get(record.call, ""))
                for record in over.records[:last]
            ),
        )
        return Calls(
            lab=self._place.launcher,
            now_ms=now.wall_ms,
            calls=rows[:last],
            total=over.total,
            bad_records=over.bad,
        )

    async def _recordings(self, ask: RecordingsAsk) -> Recordings:
        begins = ledger.check_prefix(ask.call) if ask.call else ""
        over = await ledger.read_ledger(self._store, begins)
        kept = list(filter(recordings.has_talk, over.records))[: ask.last]
        lab = self._place.launcher
        return await recordings.look(
            self._lab, lab, kept, self._mirror.snapshot, thoroughly=ask.is_thorough
        )

    async def _report(self, ask: ReportAsk) -> Report:
        over, now = await ledger.read_ledger(self._store), self._clock.now()
        snapshot, lab = self._mirror.snapshot, self._place.launcher
        return reports.report(lab, snapshot, over, now, ask)

    async def _readiness(self) -> Readiness:
        over, now = await self._ledger(), self._clock.now()
        members, space = await asyncio.gather(
            machines.etcd_members(self._store), machines.etcd_space(self._store)
        )
        # It plays minutes of calls: not on the loop that the lab's own people live on.
        return await asyncio.to_thread(
            readiness.readiness,
            self._place.launcher,
            self._mirror.snapshot,
            over.records,
            now,
            members,
            space,
        )

    async def _stakes(self) -> Stakes:
        over, lags = await self._ledger_of_late(), await replicas.raft_lags(self._lab)
        now_ms, snapshot = self._clock.now().wall_ms, self._mirror.snapshot
        most = None
        if over is not None:
            most = await asyncio.to_thread(peak.peak_erlangs, snapshot, over.records, now_ms)
        first = (entry.value.sites[:1] or (SiteId(""),) for entry in snapshot.dids.values())
        return Stakes(
            etcd=lags,
            numbers=Counter(site for sites in first for site in sites),
            peak_erlangs=None if most is None else round(most, 2),
        )

    async def _fault(self, ask: FaultAsk) -> Faults:
        if self._faults is None:
            raise RefusedError("this lab is broken by its own command alone; use ./everline up")
        try:
            if ask.do is FaultDo.BREAK and ask.fault is not None:
                await self._faults.make(ask.fault)
            elif ask.do is FaultDo.HEAL:
                await self._faults.heal_all(ask.by)
        except FaultError as error:
            raise RefusedError(str(error)) from error
        return Faults(made=self._faults.made)

    async def _wrap_up(self, ask: WrapUpAsk) -> WrapUp:
        wishes.check_agents(self._mirror.snapshot, (ask.agent,))
        left_s = await machines.change_rest(self._lab, self._mirror.snapshot, ask)
        return WrapUp(lab=self._place.launcher, agent=ask.agent, left_s=left_s)

    async def _code(self, ask: CodeAsk) -> Coded:
        wishes.check_agents(self._mirror.snapshot, (ask.agent,))
        begins = ledger.check_prefix(ask.call) if ask.call else ""
        over = await ledger.read_ledger(self._store, begins)
        at_ms = self._clock.now().wall_ms
        coded = await coding.code(self._store, self._mirror.snapshot, over, ask, at_ms)
        return Coded(lab=self._place.launcher, agent=ask.agent, call=coded, code=ask.code)

    def _callbacks(self) -> Callbacks:
        now = self._clock.now()
        rows = look.callback_rows(self._mirror.snapshot, now)
        return Callbacks(lab=self._place.launcher, now_ms=now.wall_ms, callbacks=rows)

    async def _cancel_callback(self, begins: str) -> Callbacks:
        begins = ledger.check_prefix(begins)
        calls = [row.call for row in self._callbacks().callbacks if row.call.startswith(begins)]
        if len(calls) != 1:
            which = "no callback" if not calls else f"{len(calls)} callbacks"
            raise RefusedError(f"{which} of a call {begins!r}: ./everline callback list names all")
        await machines.cancel_callback(self._lab, self._mirror.snapshot, calls[0])

        def is_gone(snapshot: Snapshot) -> bool:
            rows = look.callback_rows(snapshot, self._clock.now())
            return all(row.call != calls[0] for row in rows)

        with contextlib.suppress(TimeoutError):
            await self._mirror.wait_until(is_gone, FIRST_LIST_S)
        return self._callbacks()

    async def day(self) -> AsyncIterator[bytes]:
        """Yield the recorded day, line by line."""
        await self._first_list()
        over = await ledger.read_ledger(self._store)
        for text in await asyncio.to_thread(past.day_lines, self._lab, over.records):
            yield text
