"""Keeps one site's folder of recording keys as the key store has it, and rotates its provider.

A turn is a few looks; it is repeated every few seconds, and whatever stops it between two steps,
the next turn goes on from what stands in the store, the folder and the provider. A rotation
rewraps keys and never touches audio: the older secret is let go of when no key needs it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from control_plane.recording_keys.store import RecordingKeys
from custody.errors import CustodyError, NoKeyError, TamperedError
from custody.keyring import Keyring, RecordingKey
from custody.providers import WrappingProvider
from custody.wrapping import Recipient, Wrapped, id_of

log = structlog.get_logger()

AT_ONCE: Final = 50
OVERLAP_MS: Final = 60_000
"""Transactions end in another order than they begin."""
WHOLE_EVERY: Final = 300
"""Turns after which the whole folder is compared."""
_FIRST: Final = ("", "")
TRIES: Final = 2
_TRIAL: Final = bytes(32)
"""What is wrapped to see whether a provider opens anything; it is no key of anybody's."""


class NotWrittenDownError(CustodyError):
    """The audit log does not take what is to be done with keys."""


class Ringkeeper:
    """One site's folder, its provider, and the store that all sites share."""

    def __init__(
        self,
        keys: RecordingKeys,
        ring: Keyring,
        name: str,
        provider: WrappingProvider,
        write_down: Callable[[str], Awaitable[None]],
    ) -> None:
        """Keep it. `write_down` puts a rotation to a secret of this id into the audit log.

        It raises `NotWrittenDownError`: then nothing is rewrapped, and it is tried again.
        """
        self._write_down = write_down
        self._written_down = ""
        """The secret to which a rotation is in the log."""
        self._keys = keys
        self._ring = ring
        self._name = name
        self._provider = provider
        self._published = ""
        self._seen_ms: int | None = None
        """Up to when changes have been taken, by the store's count; None: look at the folder."""
        self._turns = 0
        self._said = ""

    async def turn(self, tenants: Iterable[str], now_ms: int) -> None:
        """Publish, make what is missing, copy, rotate. Raise `DatabaseUnavailableError`."""
        self._turns += 1
        if self._turns % WHOLE_EVERY == 0:
            self._seen_ms = None
        await self.publish()
        if self._seen_ms is None:
            await self.adopt(now_ms)
        await self.make_missing(tenants, now_ms)
        await self.copy()
        if await asyncio.to_thread(lambda: self._provider.is_rotating):
            await self.rotate(now_ms)
            await self.copy()

    async def publish(self) -> Recipient:
        """Let others wrap for our provider's newest generation, and return that."""
        recipient = await asyncio.to_thread(self._provider.recipient)
        if recipient.text != self._published:
            await self._keys.publish(self._name, recipient.text)
            self._published = recipient.text
        return recipient

    async def adopt(self, now_ms: int) -> None:
        """Take in keys that were laid into the folder, as when a center is set up."""
        found = []
        for tenant, key_id in list(self._ring.names()):
            try:
                found.append(self._ring.get(tenant, key_id))
            except CustodyError as error:
                self._say(str(error))
        for first in range(0, len(found), AT_ONCE):
            await self._keys.adopt(found[first : first + AT_ONCE], now_ms)

    async def make_missing(self, tenants: Iterable[str], now_ms: int) -> None:
        """Make a key for every tenant that has none."""
        for tenant in sorted(set(tenants) - await self._keys.tenants()):
            try:
                made = await self._keys.make(tenant, now_ms)
            except NoKeyError as error:
                # The other site has not said yet what to wrap for.
                self._say(str(error))
                return
            log.info("recording_key_made", tenant=tenant, key=made.id)

    async def copy(self) -> None:
        """Write what has changed into the folder, and unlink what was destroyed."""
        since_ms = 0 if self._seen_ms is None else self._seen_ms - OVERLAP_MS
        changes = await self._keys.changes(since_ms)
        await asyncio.to_thread(self._write, changes.living, changes.destroyed)
        self._seen_ms = max(self._seen_ms or 0, changes.reached_ms)

    def _write(
        self, living: tuple[RecordingKey, ...], destroyed: tuple[tuple[str, str], ...]
    ) -> None:
        for key in living:
            if not self._is_as(key):
                self._ring.add(key)
        for tenant, key_id in destroyed:
            if self._ring.remove(tenant, key_id):
                log.info("recording_key_removed", tenant=tenant, key=key_id)

    def _is_as(self, key: RecordingKey) -> bool:
        try:
            return self._ring.get(key.tenant, key.id) == key
        except CustodyError:
            return False

    async def rotate(self, now_ms: int) -> int:
        """Rewrap every key that an older generation holds, then let go of that; return how many.

        Raise `NoKeyError`: the provider opens nothing now, and keeps what it has.
        """
        # Before keys are looked for: from now on nobody wraps for what is let go of at the end.
        recipient = await self.publish()
        if self._written_down != (newest := id_of(recipient.text)):
            await self._write_down(newest)
            self._written_down = newest
        count, lost, after = 0, 0, _FIRST
        while some := await self._keys.stale(self._name, newest, after, AT_ONCE):
            opened: list[tuple[str, str, Wrapped]] = []
            for tenant, key_id, wrapped in some:
                private = await self._private(tenant, key_id, wrapped, recipient)
                if private is None:
                    lost += 1  # nor did it open before
                else:
                    opened.append((tenant, key_id, recipient.wrap(tenant, key_id, private)))
            await self._keys.rewrap(self._name, opened, now_ms)
            count, after = count + len(opened), some[-1][:2]
        await asyncio.to_thread(self._provider.end_rotation)
        log.info("recording_keys_rotated", provider=self._name, rewrapped=count, unreadable=lost)
        return count

    async def _private(
        self, tenant: str, key_id: str, wrapped: Wrapped, recipient: Recipient
    ) -> bytes | None:
        """Return a key; None: it is damaged. Raise `NoKeyError`: the provider opens nothing now.

        A token that fails says the same of a key as of one that is damaged; but at the end of the
        rotation what was not rewrapped is lost for ever. So it counts as damaged only if it does
        not open a second time, with one between that does.
        """
        for _ in range(TRIES):
            try:
                return await self._provider.unwrap(tenant, key_id, wrapped)
            except TamperedError:
                await self._check_opens(tenant, key_id, recipient)
        return None

    async def _check_opens(self, tenant: str, key_id: str, recipient: Recipient) -> None:
        try:
            await self._provider.unwrap(tenant, key_id, recipient.wrap(tenant, key_id, _TRIAL))
        except TamperedError as error:
            raise NoKeyError(f"provider {self._name} opens no key at all now") from error

    def _say(self, problem: str) -> None:
        if problem != self._said:
            log.warning("recording_keys", problem=problem)
            self._said = problem
