"""The recorder of a site: what edges ask of it, and the clock that seals and ships.

An edge says `record` when an agent has answered, and whenever something about that changes: all of
it each time, so that it may be said again whenever either of the two has been started anew. It says
`stop` when the call is over. A call whose edge has died is recorded on for as long as the relay has
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import scandir
from pathlib import Path
from typing import Final, TypeVar

import structlog
from msgspec.structs import asdict

from custody.errors import CustodyError
from custody.frame import RATE_HZ
from custody.keyring import Keyring, RecordingKey
from edge.acd.recorded import NO_KEY, NOT_COPIED, NOT_WRITTEN
from edge.errors import CommandError, NotRecordedError
from edge.media.errors import MediaError
from edge.media.plan import AGENT, CALLER, Party
from edge.recorder.asked import Asked, asked_of, word
from edge.recorder.backlog import Backlog
from edge.recorder.folder import Facts, finish_left, folders, is_over, read_facts
from edge.recorder.forks import Forks, soon
from edge.recorder.hushing import Hushing
from edge.recorder.intake import Intake, Stream
from edge.recorder.keying import Keying
from edge.recorder.parting import Parting
from edge.recorder.recording import Recording
from edge.recorder.session import SIDES, Session
from edge.recorder.settling import Settler
from edge.recorder.shipping import Shipper
from state.discreet import fault

TICK_S: Final = 0.02
_SEAL_EVERY: Final = 5
"""Ticks between looks at what is to be sealed."""
_BUNCH: Final = 4000
_QUIET_S: Final = 4.0
"""A call of which nothing comes for so long may be gone without a word."""
TAKE_UP_S: Final = 10.0
"""So long an edge has to say, after a start of ours, that a call of the former life goes on."""
KEPT_S: Final = 0.05
"""So long whoever asks waits for the disk; if it takes longer they ask again."""
REMEMBERED: Final = 20_000
"""So many calls that are over are known, the latest."""
T = TypeVar("T")

log = structlog.get_logger()


class Recorder:
    """All recordings of a site."""

    def __init__(  # noqa: PLR0913 - everything that it joins
        self,
        *,
        site: str,
        spool: Path,
        keyring: Keyring,
        intake: Intake,
        forks: Forks,
        shipper: Shipper,
        settler: Settler,
    ) -> None:
        self._site = site
        self._spool = spool
        self._keyring = keyring
        self._intake = intake
        self._forks = forks
        self._shipper = shipper
        self._settler = settler
        self._disk = ThreadPoolExecutor(1, "disk")
        """One thread, so that all is written in the order in which it was said."""
        self._sessions: dict[str, Session] = {}
        self._of_media: dict[str, Session] = {}
        self._parting = Parting(forks)
        self.keying = Keying(self._of_media, self._parting)
        self._hushing = Hushing()
        self._asking: set[asyncio.Task[None]] = set()
        self.replicated: Callable[[], int] = int
        """How many recordings another site has, as far as that is counted."""
        self.backlog: Backlog | None = None
        """What no other site has; None: none takes copies."""
        self._is_finishing = False
        self._over: dict[str, None] = {}
        """Calls that will not be recorded again: their recordings may be in the store by now."""
        self._keys: dict[str, str] = {}
        """By call: the id of its caller's key, where the control plane knows who calls."""
        self.commands = {
            "record": self._record,
            "stop": self._stop,
            "await_key": self.keying.await_key,
            "key": self.keying.key,
            "keyed_tones": self._hushing.changes,
            "seal_to": self._seal_to,
            "status": self._status,
            "unreplicated": self._unreplicated,
        }

    # -- what edges ask

    async def _record(self, request: Mapping[str, object]) -> Mapping[str, object]:
        asked = asked_of(request)
        if asked.call in self._over:
            raise CommandError("this call's recording is over")
        session = self._sessions.get(asked.call)
        if session is None:
            session = self._begin(asked)
        session.parts_keyed = asked.part_keyed
        async with session.turn:
            if self._sessions.get(asked.call) is not session:
                raise CommandError("this call's recording has just ended")
            # Before the relay is asked for copies: that may take, and a party's flow at once.
            session.note(asked)
            await self._copy(session, asked)
            is_apart = await self._parting.follow(session)
            is_kept = await self._is_kept(asked.call, session)
        marks = session.recording.marks
        return {
            "call": asked.call,
            "is_kept": is_kept,
            "is_paused": marks.is_paused,
            "is_apart": is_apart,
            "copied": session.copied,
            "wish": marks.wish,
        }

    async def _is_kept(self, call: str, session: Session) -> bool:
        """Tell whether the disk has all that was said, which may take longer than anybody waits.

        Raise `NotRecordedError`: it has not taken it.
        """
        try:
            async with asyncio.timeout(KEPT_S):
                await session.recording.kept()
        except TimeoutError:
            return False
        except OSError as error:
            if not session.recording.is_made:
                await self._let_go(call, session)
            raise NotRecordedError(
                f"cannot be written down: {error.strerror}", NOT_WRITTEN
            ) from error
        return True

    async def _let_go(self, call: str, session: Session) -> None:
        """Forget a recording, and have nothing more copied."""
        del self._sessions[call]
        self._of_media.pop(session.recording.facts.media, None)
        for party, fork in session.forks.items():
            self._intake.remove(fork.source, session.streams[party])
        for fork in session.forks.values():
            await self._forks.close(session.recording.facts.media, fork)

    async def _copy(self, session: Session, asked: Asked) -> None:
        """Have those copied who are in the call now, if they are others than before."""
        if asked.agent and session.joined != (asked.agent, asked.attempt):
            session.recording.miss(session.now())
            copying = (self._fork(session, party) for party in (CALLER, AGENT))
            # Side by side, and both to their end: one that is refused leaves the other as it is.
            for refused in await asyncio.gather(*copying, return_exceptions=True):
                if isinstance(refused, BaseException):
                    raise refused
            session.joined = (asked.agent, asked.attempt)
            session.copied = time.time_ns()
            session.recording.catch_up(session.now())

    def _begin(self, asked: Asked) -> Session:
        folder = self._spool / asked.call
        known = read_facts(folder)
        if known is None and not asked.agent:
            raise CommandError("this call is not recorded here")
        now_s = time.monotonic()
        facts = known or Facts(
            call=asked.call,
            tenant=asked.tenant,
            queue=asked.queue,
            agents=(asked.agent,),
            media=asked.media,
            site=self._site,
            started_ms=time.time_ns() // 1_000_000 - int(asked.age_s * 1000),
            started_s=now_s - asked.age_s,
        )
        try:
            key = self._key_for(facts)
            now = int((now_s - facts.started_s) * RATE_HZ)
            recording = Recording(folder, facts, key, now, self._disk)
        except (CustodyError, OSError) as error:
            log.error("not_recorded", call=facts.call, because=str(error))  # noqa: TRY400 - one line
            because = NO_KEY if isinstance(error, CustodyError) else NOT_WRITTEN
            raise NotRecordedError(f"cannot be recorded: {error}", because) from error
        session = self._sessions[facts.call] = self._of_media[facts.media] = Session(recording)
        if known is None:
            session.is_silenced = False
        log.info("recording_begun", call=facts.call, is_taken_up=known is not None)
        return session

    def _key_for(self, facts: Facts) -> RecordingKey:
        """Return the caller's key if one is known, else the tenant's. Raise `NoKeyError`.

        A caller's key that is gone was destroyed: nothing of theirs is sealed to another instead.
        """
        key_id = self._keys.get(facts.call) or facts.key
        if key_id:
            return self._keyring.get(facts.tenant, key_id)
        return self._keyring.newest(facts.tenant)

    async def _seal_to(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """Take in to whose key a call is to be sealed, from its next segment on."""
        call, tenant, key_id = (word(request, name) for name in ("call", "tenant", "key"))
        try:
            key = self._keyring.get(tenant, key_id)
        except CustodyError as error:
            raise CommandError(f"cannot be sealed to: {error}") from error
        _remember(self._keys, call, key_id)
        session = self._sessions.get(call)
        if session is not None and session.recording.facts.tenant == tenant:
            session.recording.seal_to(key)
        return {"call": call, "is_recorded": session is not None}

    async def _fork(self, session: Session, party: Party) -> None:
        """Have a party copied, in place of an earlier copy: its leg may be another by now."""
        media = session.recording.facts.media
        earlier = session.forks.pop(party, None)
        if earlier is not None:
            self._intake.remove(earlier.source, session.streams[party])
            await self._forks.close(media, earlier)
        try:
            fork = await soon(self._forks, media, party)
        except MediaError as error:
            log.warning("fork_refused", call=session.recording.facts.call, because=str(error))
            raise NotRecordedError(
                f"the relay does not copy the {party}: {error}", NOT_COPIED
            ) from error
        channel = session.recording.timeline.sides[SIDES[party]]
        channel.event_clocks = fork.event_clocks
        channel.speaks_opus(fork.opus_types)
        stream = Stream(channel, session.started_s)
        session.forks[party], session.streams[party] = fork, stream
        self._intake.add(fork.source, stream)

    async def _stop(self, request: Mapping[str, object]) -> Mapping[str, object]:
        call = word(request, "call")
        session = self._sessions.get(call)
        self._note_over(call)
        if session is not None:
            await self._end(call, session)
        elif (self._spool / call).is_dir() and not is_over(self._spool / call):
            await self._finish_former(self._spool / call, ends_s=time.monotonic())
            self._shipper.wake()
        return {"call": call, "was_recorded": session is not None}

    async def _end(self, call: str, session: Session) -> None:
        """End a recording with what has arrived by now."""
        async with session.turn:
            if self._sessions.get(call) is not session:
                return
            self._intake.drain(_BUNCH)
            self._note_over(call)
            try:
                await asyncio.wrap_future(session.recording.end(session.now()))
            except OSError as error:
                log.error("recording_not_ended", call=call, reason=error.strerror)  # noqa: TRY400 - one line
                self._disk.submit(session.recording.abandon)
            self._settler.mark()
            await self._let_go(call, session)
            self._shipper.wake()

    def _note_over(self, call: str) -> None:
        """Remember it for as long as anybody could still ask."""
        _remember(self._over, call, None)
        self._keys.pop(call, None)

    async def _status(self, _: Mapping[str, object]) -> Mapping[str, object]:
        return {
            "site": self._site,
            "recording": len(self._sessions),
            "kept": self._shipper.kept,
            "replicated": self.replicated(),
            "spooled": sum(each.is_dir() for each in scandir(self._spool)),
            "packets": self._intake.packets,
            "strays": self._intake.strays,
            "store": "away" if self._shipper.is_failing else "up",
            "slowest_flush_ms": round(self._settler.slowest_s * 1000, 1),
        }

    async def _unreplicated(self, _: Mapping[str, object]) -> Mapping[str, object]:
        if self.backlog is None:
            return {"replicates": False}
        under_way = {call: session.now() for call, session in self._sessions.items()}
        found = await self.backlog.count(under_way, time.monotonic())
        return {"replicates": True, **asdict(found)}

    # -- time

    async def run(self) -> None:
        """Read and seal until cancelled."""
        began_s = time.monotonic()
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            self._intake.drain(_BUNCH)
            self._hushing.look(self._sessions.values())
            ticks += 1
            if ticks % _SEAL_EVERY == 0:
                self._seal()
            if ticks % 50 == 0:
                self._look_after(began_s)

    def _seal(self) -> None:
        if self._sessions:
            self._settler.mark()
        for call, session in self._sessions.items():
            try:
                session.recording.tick(session.now())
            except Exception as error:  # noqa: BLE001 - a fault in one recording must not reach the others
                log.error("recording_fault", call=call, **fault(error))  # noqa: TRY400 - one line
            if session.recording.closed:
                session.recording.closed.clear()
                self._shipper.wake()

    def _look_after(self, began_s: float) -> None:
        """End what nobody else will: calls that the relay has forgotten, and a former life's."""
        now_s = time.monotonic()
        for call, session in self._sessions.items():
            if self._parting.is_due(session):
                self._spawn(self._follow(session))
            quiet_s = now_s - max(session.last_s, session.asked_s)
            if quiet_s > _QUIET_S:
                session.asked_s = now_s
                self._spawn(self._ask_after(call, session))
        if now_s - began_s > TAKE_UP_S and not self._is_finishing:
            self._is_finishing = True
            self._spawn(self._finish_left())

    async def _follow(self, session: Session) -> None:
        await self._parting.follow(session)

    async def _ask_after(self, call: str, session: Session) -> None:
        if not await self._forks.has(session.recording.facts.media):
            log.warning("call_gone", call=call)
            await self._end(call, session)

    async def _finish_left(self) -> None:
        """Finish what a former life left and nobody has taken up, when its call is over."""
        try:
            for folder in folders(self._spool):
                facts = read_facts(folder)
                if facts is None or folder.name in self._sessions or is_over(folder):
                    continue
                if await self._forks.has(facts.media) or folder.name in self._sessions:
                    continue
                log.warning("recording_finished_for_former_life", call=folder.name)
                self._note_over(folder.name)
                with contextlib.suppress(OSError):
                    await self._finish_former(folder)
                self._shipper.wake()
        finally:
            self._is_finishing = False

    async def _finish_former(self, folder: Path, ends_s: float | None = None) -> None:
        """Finish what a former life has recorded of a call, and has not seen the end of."""
        facts = read_facts(folder)
        until = None
        if facts is not None and ends_s is not None:
            until = int((ends_s - facts.started_s) * RATE_HZ)
        await asyncio.wrap_future(self._disk.submit(finish_left, folder, until))

    def _spawn(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def abandon(self) -> None:
        """Let go of all files, to be taken up by the next life."""
        self._disk.shutdown()
        for session in self._sessions.values():
            session.recording.abandon()


def _remember(known: dict[str, T], call: str, what: T) -> None:
    """Note something of a call, and forget the oldest."""
    known[call] = what
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
