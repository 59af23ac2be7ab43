"""Tells listeners what changes, each what it may see; rendered once for all with the same eyes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from control_plane.calls import store as calls
from control_plane.errors import DatabaseUnavailableError
from control_plane.events import logged
from control_plane.events.endings import Ended, Endings
from control_plane.events.listener import Listener, Over
from control_plane.events.newsroom import Newsroom
from control_plane.events.ring import Batch, News, Ring, in_turns, told, told_together
from control_plane.live import look
from control_plane.live.calls import past
from control_plane.live.follower import Follower
from control_plane.readiness.watch import Standing
from control_plane.service_tokens import store as service_tokens
from control_plane.services import Services
from control_plane.sign_in.store import load_subjects
from control_plane.subjects import counts
from control_plane.tokens import SERVICE
from control_plane.who import STALE_S
from state.mirror import MirrorState
from state.model import Now
from state.snapshot import Delta, Snapshot

TICK_S: Final = 0.5
"""How often it is seen what time has changed; queues are told no oftener."""
CHECK_S: Final = 2.0
"""How often listeners are looked up anew: who was disabled is let go within twice that."""
HEARTBEAT_S: Final = 10.0
REST: Final = 9
"""How many times as long as it took nothing is told of queues again."""
LOOK_S: Final = 1.0
"""How often changed customers are looked for, while somebody listens for them."""


class Hub:
    """All streams of one control plane."""

    def __init__(self, services: Services, follower: Follower) -> None:
        self._services = services
        self._follower = follower
        self._admitted: set[Listener] = set()
        """Who has a place: those who listen, and those who are about to."""
        self._listeners: set[Listener] = set()
        self._ring = Ring()
        self._newsroom = Newsroom(follower.to)
        self._endings = Endings(follower, self._tell)
        self._revision = 0
        self._log = logged.LogNews(services.database)
        self._is_closing = False
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        snapshot = follower.mirror.snapshot
        if snapshot.revision:
            self._begin(snapshot)
        self._unsubscribe = follower.mirror.subscribe(self.take)
        self._coded: set[str] = set()
        self._has_coded = asyncio.Event()
        follower.on_coded = self.take_code

    # ---- news ------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Return up to which revision all has been told."""
        return self._revision

    @property
    def count(self) -> int:
        """Return how many have a place."""
        return len(self._admitted)

    def count_of(self, subject: str) -> int:
        """Return how many places somebody has."""
        return sum(each.subject.id == subject for each in self._admitted)

    def _begin(self, snapshot: Snapshot) -> None:
        self._newsroom.begin(snapshot, self._follower.clock.now())
        self._ring.begin(snapshot.revision)
        self._revision = snapshot.revision
        self._log.begin_anew(self._revision)

    def take(self, snapshot: Snapshot, deltas: Iterable[Delta]) -> None:
        """Hear of a new snapshot."""
        if self._revision == 0 or snapshot.revision < self._revision:
            # The first one; or the shared state was put back, and what was told is not true.
            self._begin_anew(snapshot)
            return
        self._endings.take(snapshot, tuple(deltas))

    def _begin_anew(self, snapshot: Snapshot) -> None:
        is_first = self._revision == 0
        self._endings.forget()
        self._begin(snapshot)
        if not is_first:
            self._say_to_all(b'{"type":"list_anew","revision":%d}' % self._revision)

    def take_code(self, call: str) -> None:
        """Hear that somebody has said what a call was about that is over."""
        if self._is_wanted("calls"):
            self._coded.add(call)
            self._has_coded.set()

    def take_readiness(self, standing: Standing) -> None:
        """Hear what a site's death would come to now."""
        if self._revision:
            self._publish(self._newsroom.of_readiness(standing), is_of_change=False)

    def _tell(self, snapshot: Snapshot, deltas: tuple[Delta, ...], ended: Ended) -> None:
        news = self._newsroom.of_change(snapshot, deltas, self._follower.clock.now(), ended)
        self._revision = snapshot.revision
        self._publish(news, is_of_change=True)

    def _publish(self, news: tuple[News, ...], *, is_of_change: bool) -> None:
        if not news:
            return
        now = self._follower.clock.now()
        batch = Batch(
            revision=self._revision, news=news, at_s=now.mono_s, is_of_change=is_of_change
        )
        self._ring.add(batch)
        made: dict[tuple[object, ...], bytes | None] = {}
        for listener in tuple(self._listeners):
            eyes = listener.eyes
            if eyes not in made:
                made[eyes] = self._told(batch, listener, now.wall_ms)
            message = made[eyes]
            if message is not None:
                listener.put(message)

    def _told(self, batch: Batch, listener: Listener, now_ms: int) -> bytes | None:
        sees = listener.sees(self._services.authz, now_ms)
        return told(batch, listener.topics, listener.tenant, sees)

    def _say_to_all(self, message: bytes) -> None:
        for listener in tuple(self._listeners):
            listener.put(message)

    # ---- listeners -------------------------------------------------------------------------------

    def admit(self, listener: Listener) -> None:
        """Give somebody a place, until `forget`: before anything is waited for on their behalf.

        Else all who come at once would be let in by the same count.
        """
        self._admitted.add(listener)

    async def welcome(self, listener: Listener, cursor: int | None) -> None:
        """Let somebody listen, from `cursor` on where that can still be."""
        await self._hear_of_the_log(listener)
        missed = None if cursor is None else await self._missed(cursor, listener.topics)
        is_resumed = missed is not None
        topics = b",".join(b'"%b"' % each.encode() for each in sorted(listener.topics))
        listener.put(
            b'{"type":"hello","revision":%d,"topics":[%b],"heartbeat_s":%d,"resumed":%b,'
            b'"is_current":%b}'
            % (self._revision, topics, HEARTBEAT_S, _word(is_resumed), _word(self._is_current))
        )
        if cursor is not None and not is_resumed:
            listener.put(b'{"type":"list_anew","revision":%d}' % self._revision)
        await self._tell_missed(listener, missed or ())
        self._listeners.add(listener)
        self._is_empty.clear()
        if self._is_closing:
            listener.end(Over.GOING_AWAY)

    async def _tell_missed(self, listener: Listener, missed: tuple[Batch, ...]) -> None:
        """Tell what somebody has missed, and what came while it was told.

        With a full ring the policy is asked tens of thousands of times: others have their turn in
        between.
        """
        sees = listener.sees(self._services.authz, self._follower.clock.now().wall_ms)
        while missed:
            for some in in_turns(missed):
                for message in told_together(some, listener.topics, listener.tenant, sees):
                    listener.put(message)
                await asyncio.sleep(0)
            later = self._ring.since(missed[-1])
            if later is None:  # more came than is kept, or the shared state was put back
                listener.put(b'{"type":"list_anew","revision":%d}' % self._revision)
            missed = later or ()

    async def _hear_of_the_log(self, listener: Listener) -> None:
        """Follow the log from before the greeting on: what a list shows was written by then."""
        if listener.topics.isdisjoint(logged.TOPICS):
            return
        self._log.want(self._follower.clock.now().mono_s)
        with contextlib.suppress(DatabaseUnavailableError):
            await self._log.begin(self._revision)

    async def _missed(self, cursor: int, topics: frozenset[str]) -> tuple[Batch, ...] | None:
        """Return what came after `cursor`; None: that can no longer be told."""
        if not (topics.isdisjoint(logged.TOPICS) or self._log.has_after(cursor)):
            return None
        if cursor > self._revision:
            # Of another control plane, which was ahead; or of a shared state that is no more.
            try:
                await self._follower.mirror.wait_until(lambda s: s.revision >= cursor, 2.0)
            except TimeoutError:
                return None
        return self._ring.after(cursor)

    def forget(self, listener: Listener) -> None:
        """Let somebody listen no longer; their place is free."""
        self._admitted.discard(listener)
        self._listeners.discard(listener)
        if not self._listeners:
            self._is_empty.set()

    async def close(self) -> None:
        """Let all go."""
        self._is_closing = True
        for listener in tuple(self._listeners):
            listener.end(Over.GOING_AWAY)
        await self._is_empty.wait()

    # ---- what passes by itself -------------------------------------------------------------------

    async def run(self) -> None:
        """See to what no change tells, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._endings.run())
                tasks.create_task(self._tell_codes())
                tasks.create_task(self._tick())
                tasks.create_task(self._beat())
                tasks.create_task(self._look_for_ever())
        except Exception:
            # What was about to be told is gone with the fault.
            self._begin_anew(self._follower.mirror.snapshot)
            raise

    def leave(self) -> None:
        """Hear of changes no longer."""
        self._unsubscribe()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            snapshot, now = self._follower.mirror.snapshot, self._follower.clock.now()
            if snapshot.revision:
                self._publish(self._newsroom.of_time(snapshot, now), is_of_change=False)
                await self._tell_queues(snapshot, now)

    async def _tell_queues(self, snapshot: Snapshot, now: Now) -> None:
        """Tell how queues stand, if somebody listens: that takes a look at everybody.

        In a thread, and no oftener than a tenth of the time.
        """
        room = self._newsroom
        if not room.queues_are_old or not self._is_wanted("queues"):
            return
        room.queues_are_old = False
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        standing = await asyncio.to_thread(lambda: tuple(look.queues(snapshot, now)))
        took_s = loop.time() - began_s
        self._publish(room.of_queues(standing), is_of_change=False)
        await asyncio.sleep(REST * took_s)

    def _is_wanted(self, topic: str) -> bool:
        return any(topic in each.topics for each in self._listeners)

    async def _tell_codes(self) -> None:
        while True:
            await self._has_coded.wait()
            self._has_coded.clear()
            said, self._coded = self._coded, set()
            try:
                async with self._services.database.read() as connection:
                    found = await calls.find_all(connection, said)
            except DatabaseUnavailableError:
                self._coded |= said
                await asyncio.sleep(LOOK_S)
                self._has_coded.set()
                continue
            news = self._newsroom.of_codes(map(past, found))
            self._publish(news, is_of_change=False)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self.beat()

    def beat(self) -> None:
        """Tell all how far this has come: a cursor also for who hears nothing else."""
        word = _word(self._is_current)
        self._say_to_all(
            b'{"type":"heartbeat","revision":%d,"is_current":%b}' % (self._revision, word)
        )

    @property
    def _is_current(self) -> bool:
        """Whether there is news of the shared state."""
        return self._follower.mirror.state is MirrorState.LIVE

    async def check_for_ever(self) -> None:
        """Look all listeners up again and again, until cancelled.

        Apart from `run`: who may listen no longer is let go whatever news cannot be told.
        """
        while True:
            await asyncio.sleep(CHECK_S)
            await self.check()

    async def check(self) -> None:
        """Look all listeners up anew: roles change, sessions end, people are disabled.

        And the policy changes, which is what is told from then on, and nothing of what is shown.
        """
        listeners, now = tuple(self._listeners), self._follower.clock.now()
        if not listeners:
            return
        wanted = {(each.subject.id, each.subject.session) for each in listeners}
        machines = {who for who, session in wanted if session == SERVICE}
        try:
            async with self._services.database.read() as connection:
                found = await load_subjects(connection, wanted, now.wall_ms)
                tokens = await service_tokens.load_subjects(connection, machines)
        except DatabaseUnavailableError:
            for each in listeners:
                each.is_fresh = False
                if now.mono_s - each.known_s > STALE_S:
                    each.end(Over.UNSURE)
            return
        for each in listeners:
            who = each.subject
            is_machine = who.session == SERVICE
            subject = tokens.get(who.id) if is_machine else found.get((who.id, who.session))
            if subject is None or not counts(subject, now.wall_ms):
                each.end(Over.SIGNED_OUT)
                continue
            before = each.eyes
            each.subject, each.is_fresh, each.known_s = subject, True, now.mono_s
            each.policy = self._services.authz.policy_of(each.tenant).version
            if each.eyes != before:
                each.put(b'{"type":"list_anew","revision":%d}' % self._revision)

    async def _look_for_ever(self) -> None:
        """Find changed customers, and what waits for a second person, in the audit log."""
        while True:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(DatabaseUnavailableError):
                await self._look_into_the_log(self._follower.clock.now())

    async def _look_into_the_log(self, now: Now) -> None:
        wanting = tuple(each for each in self._listeners if each.topics & logged.TOPICS)
        if wanting:
            self._log.want(now.mono_s)
        self._log.rest(now.mono_s)
        if wanting and self._log.since is None:  # the database was away as they came
            await self._log.begin(self._revision)
            for each in wanting:
                each.put(b'{"type":"list_anew","revision":%d}' % self._revision)
        self._publish(await self._log.more(now.wall_ms), is_of_change=False)


def _word(is_so: bool) -> bytes:  # noqa: FBT001 - of JSON
    return b"true" if is_so else b"false"


HUB = web.AppKey("hub", Hub)
