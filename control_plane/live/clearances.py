"""Says who may be called back: nobody who is a customer and said no to that (`consent` `callback`).

Edges dial by rules of queues and trunks, and know of a caller the number alone. Who a customer is
stands in the database: so as soon as somebody is to be called back their number is looked up here,
at every site, and whoever is first writes what was found (`state.model.Clearance`). Without that no
edge dials. A number of several customers is called if none of them has said no, and so is one that
is nobody's. One that cannot be understood cannot be looked up, and is not called.

It is never given up: while the database, or the shared state, is away, all of it is tried again
after a pause, and the callers wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from control_plane.api.metrics import Metrics
from control_plane.customers import store as customers
from control_plane.customers.numbers import dialled
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.live.talks import tenant_of
from edge.acd.callback import clearance_of, is_over, is_unlooked, waits_for_clearance
from edge.acd.region import region_of
from state import keys
from state.clock import Clock
from state.codec import encode
from state.discreet import fault
from state.errors import StoreError
from state.keys import Kind
from state.mirror import Mirror
from state.model import CallId, Clearance, Entry, Now, Place
from state.snapshot import Delta, Snapshot
from state.store import Absent, Compare, ModIs, Put, Store
from state.wake import Wake

log = structlog.get_logger()

CALLBACK: Final = "callback"
"""The name under which a customer's consent says so."""
LOOK_S: Final = 2.0
LONGEST_S: Final = 30.0
"""A pause after a look that failed; the first is as long as LOOK_S."""
AGAIN_S: Final = 60.0
"""Who may be called and has not been since is looked up again: they may have said no by now."""
ANSWER_S: Final = 10.0
"""So long the database and the shared state may take for one caller."""
REMEDY: Final = "give the number, or its trunk, the region in whose form callers' numbers come"


class Clearances:
    """Looks up who is to be called back."""

    def __init__(
        self, mirror: Mirror, store: Store, database: Database, clock: Clock, metrics: Metrics
    ) -> None:
        self._mirror = mirror
        self._store = store
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._wake = Wake()
        self._pause_s = 0.0
        self._again_s = 0.0
        self._unintelligible: frozenset[CallId] = frozenset()
        self._looked_s: dict[CallId, float] = {}
        """When those were looked up here last who may be called."""
        mirror.subscribe(self._take)

    def _take(self, _snapshot: Snapshot, deltas: Iterable[Delta]) -> None:
        if any(delta.kind in {Kind.PLACE, Kind.CLEARANCE} for delta in deltas):
            self._wake.set()

    async def run(self) -> None:
        """Look whenever a place is new, and again and again, until cancelled."""
        while True:
            await self.look()
            await self._wake.wait(LOOK_S)

    async def look(self) -> None:
        """Look up everybody of whom nobody has looked; not within the pause after a failure."""
        snapshot, now = self._mirror.snapshot, self._clock.now()
        due = [each for each in snapshot.places.values() if is_unlooked(snapshot, each, now)]
        waiting = sum(waits_for_clearance(snapshot, each, now) for each in due)
        self._metrics.callbacks_not_cleared.set(waiting)
        due += self._cleared_long_ago(snapshot, now)
        if due and now.mono_s >= self._again_s:
            self._pause(0.0 if await self._see_to_all(snapshot, due) else self._longer_s())

    def _cleared_long_ago(self, snapshot: Snapshot, now: Now) -> list[Entry[Place]]:
        found = []
        cleared = {call: each for call, each in snapshot.clearances.items() if each.value.may_call}
        self._looked_s = {call: at_s for call, at_s in self._looked_s.items() if call in cleared}
        for call, each in cleared.items():
            place = snapshot.places.get(call)
            if place is None or clearance_of(snapshot, place) is None or is_over(place, now):
                continue
            if now.mono_s - self._looked_s.get(call, each.seen_s) >= AGAIN_S:
                found.append(place)
        return found

    def _longer_s(self) -> float:
        return min(max(LOOK_S, 2 * self._pause_s), LONGEST_S)

    def _pause(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._again_s = self._clock.now().mono_s + pause_s

    async def _see_to_all(self, snapshot: Snapshot, due: Sequence[Entry[Place]]) -> bool:
        """Return whether it could be looked: what one cannot be asked, none can."""
        numbers = {each.value.call: _number(snapshot, each.value) for each in due}
        unintelligible = frozenset(call for call, number in numbers.items() if number is None)
        for call in unintelligible - self._unintelligible:
            log.warning("callback_number_not_understood", call=call, remedy=REMEDY)
        self._unintelligible = unintelligible
        is_whole = True
        for each in sorted(due, key=lambda entry: entry.create_revision):
            number = numbers[each.value.call]
            if number is None:
                continue
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._see_to(snapshot, each, number)
            except (DatabaseUnavailableError, StoreError, TimeoutError) as error:
                log.warning("consent_not_looked_up", callers=len(due), error=type(error).__name__)
                return False
            except Exception as error:  # noqa: BLE001 - one who cannot be seen to holds up nobody
                log.error("clearance_failed", call=each.value.call, **fault(error))  # noqa: TRY400
                is_whole = False
        return is_whole

    async def _see_to(self, snapshot: Snapshot, place: Entry[Place], number: str) -> None:
        value = place.value
        tenant = tenant_of(snapshot, value.did, value.queue or "")
        async with self._database.read() as connection:
            consents = await customers.consents(connection, tenant, number, CALLBACK)
        clearance = Clearance(
            call=value.call,
            place=place.mod_revision,
            may_call=False not in consents,
            customers=len(consents),
            looked_ms=self._clock.now().wall_ms,
        )
        before = clearance_of(snapshot, place)
        if before is not None and before.value.may_call and clearance.may_call:
            self._looked_s[value.call] = self._clock.now().mono_s
            return
        key, at = keys.clearance(value.call), keys.place(value.call)
        # Of the snapshot by which they were due: what has come since is the answer of somebody
        # quicker, and is not written once more.
        held = snapshot.raw.get(key)
        unseen: Compare = (
            Absent(key=key) if held is None else ModIs(key=key, mod_revision=held.mod_revision)
        )
        same = ModIs(key=at, mod_revision=place.mod_revision)
        written = await self._store.txn((same, unseen), (Put(key=key, value=encode(clearance)),))
        if written.succeeded:
            # Refused: another site was quicker, or the place is another by now.
            log.info(
                "callback_cleared" if clearance.may_call else "callback_not_wanted",
                call=value.call,
                customers=clearance.customers,
            )


def _number(snapshot: Snapshot, place: Place) -> str | None:
    """Return the caller's number as E.164, as customers have theirs; None: it tells no such."""
    tenant = tenant_of(snapshot, place.did, place.queue or "")
    try:
        return dialled(place.caller, region_of(snapshot, tenant, place.did) or None)
    except ValueError:
        return None
