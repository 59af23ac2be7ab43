"""Carries out at this site what was ordered to be deleted, and says so, signed.

Sealed data keys go first: what dies between two objects is unreadable all the same. What the store
and the folder of keys have is looked at again and again, since a restored backup may bring back
what is gone: that takes as long as there is much here, however much was ever deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from obstore.exceptions import BaseError

from control_plane.db.database import Database
from control_plane.recording_keys import deletions
from control_plane.recording_keys.deletions import KEY, Order
from custody import statement
from custody.keyring import Keyring
from custody.statement import Gone, Statement
from custody.store import RecordingStore

log = structlog.get_logger()
AWAY: Final = 20
"""Failures in a row, after which it is taken to be the store; the next look goes on behind them."""
TOGETHER: Final = 200
"""What is here is asked about so many at a time."""
LATE_MS: Final = 3_600_000
"""So much later than its time an order may be seen: clocks are wrong, and commits take a while."""


class Archive:
    """One site's store and keys, and the orders of all."""

    def __init__(  # noqa: PLR0913 - what there is to delete from, and who signs
        self,
        *,
        site: str,
        store: RecordingStore,
        ring: Keyring,
        database: Database,
        key: Ed25519PrivateKey | None,
        keepers: dict[str, bytes],
    ) -> None:
        """Sign with `key`; without one nothing is deleted. `keepers`: public keys by site."""
        self.site = site
        self.store = store
        self.database = database
        self.keepers = keepers
        self._ring = ring
        self._key = key
        self._since_ms = 0
        """This site has said of all older orders that they are carried out."""
        self._after: tuple[int, str] | None = None
        """Where the last look was given up: an order's time and subject. None: it was not."""

    @property
    def deletes(self) -> bool:
        """Tell whether this site can say what it has deleted."""
        return self._key is not None

    async def carry_out(self, now_ms: int) -> int:
        """Carry out what this site has not yet; return how many orders that was.

        What the store does not let go of stays ordered, and the others are carried out: then raise
        what it said to the first of these, OSError or obstore's. Where it lets go of nothing this
        is given up until the next time, which goes on with the orders behind: that the oldest
        cannot be carried out keeps nobody else's from it.
        """
        if self._key is None:
            return 0
        count, in_a_row = 0, 0
        failure: OSError | BaseError | None = None
        after, self._after = self._after, None
        orders = await deletions.undone(self.database, self.site, self._since_ms, after)
        for order in orders:
            try:
                done = await self._done(order, now_ms)
            except (OSError, BaseError) as error:
                failure, in_a_row = failure or error, in_a_row + 1
                if in_a_row == AWAY:
                    self._after = (order.ordered_ms, order.subject)
                    break
                continue
            in_a_row = 0
            signed = statement.sign(done, self._key)
            await deletions.tell(self.database, order, self.site, signed, now_ms)
            log.info("deleted", tenant=order.tenant, subject=order.subject, rule=order.rule.value)
            count += 1
        if failure is not None:
            raise failure
        if not orders and after is None:
            self._since_ms = max(self._since_ms, now_ms - LATE_MS)
        return count

    async def delete_again(self) -> int:
        """Delete what has come back of what is gone; return how many objects and keys that was.

        What the store does not let go of keeps nothing else: then raise what it said to the first.
        The next time orders are carried out, all of them are looked at: one may have come from a
        clock that is hours behind, or this site's word may be gone with a restored key store.
        """
        if self._key is None:
            return 0
        self._since_ms = 0
        count = 0
        failure: OSError | BaseError | None = None
        async for tenant, subjects in self._here():
            for order in await deletions.done_among(self.database, self.site, tenant, subjects):
                try:
                    count += len(await self._objects(order))
                    if order.kind == KEY:
                        count += self._ring.remove(order.tenant, order.id)
                except (OSError, BaseError) as error:
                    failure = failure or error
        if count:
            log.warning("deleted_again", count=count)
        if failure is not None:
            raise failure
        return count

    async def _here(self) -> AsyncIterator[tuple[str, list[str]]]:
        """Yield what is here, named as orders do, some at a time, with the tenant."""
        for tenant in await self.store.tenants():
            some: list[str] = []
            async for recording in self.store.recordings(tenant):
                some.append(deletions.recording(recording))
                if len(some) == TOGETHER:
                    yield tenant, some
                    some = []
            yield tenant, some
        keys: dict[str, list[str]] = {}
        for tenant, key_id in await asyncio.to_thread(list, self._ring.names()):
            keys.setdefault(tenant, []).append(deletions.key(key_id))
        for tenant, named in keys.items():
            for start in range(0, len(named), TOGETHER):
                yield tenant, named[start : start + TOGETHER]

    async def _done(self, order: Order, now_ms: int) -> Statement:
        return Statement(
            tenant=order.tenant,
            subject=order.subject,
            rule=order.rule,
            detail=order.detail,
            site=self.site,
            ordered_ms=order.ordered_ms,
            done_ms=now_ms,
            objects=await self._gone(order),
            is_key_gone=order.kind == KEY and self._is_key_gone(order),
        )

    def _is_key_gone(self, order: Order) -> bool:
        """Unlink a key, and look whether it is gone: who keeps the folder may have been faster."""
        self._ring.remove(order.tenant, order.id)
        return (order.tenant, order.id) not in set(self._ring.names())

    async def _gone(self, order: Order) -> tuple[Gone, ...]:
        """Delete what there is; return it, with what was deleted when this was cut off before.

        It is written down first: what is gone is found in no store, and has to be stated.
        """
        if order.kind == KEY:
            return ()
        names = await self.store.of_recording(order.tenant, order.id)
        found = [Gone(name=name, sha256=await self._hash(name)) for name in names]
        before = await deletions.begun(self.database, order, self.site)
        # The first hash counts: an object may not be readable at the second try.
        gone = tuple({each.name: each for each in (*found, *before)}.values())
        if len(gone) > len(before):
            await deletions.note(self.database, order, self.site, gone)
        await self._delete(names)
        return gone

    async def _objects(self, order: Order) -> list[str]:
        if order.kind == KEY:
            return []
        names = await self.store.of_recording(order.tenant, order.id)
        await self._delete(names)
        return names

    async def _delete(self, names: list[str]) -> None:
        for name in names:
            await self.store.delete(name)
        if names:
            await self.store.settle()

    async def _hash(self, name: str) -> str:
        """Return an object's hash; audio bears it in its name.

        Empty: the store does not give it any more, and it has to go all the same.
        """
        if "/audio/" in name:
            return name.rpartition("-")[2]
        try:
            return hashlib.sha256(await self.store.get(name)).hexdigest()
        except (OSError, BaseError):
            return ""


def recordings(calls: Iterable[str]) -> list[str]:
    """Name recordings as orders do."""
    return [deletions.recording(call) for call in calls]
