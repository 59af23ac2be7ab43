"""Passes callers on whom a control plane wishes to be passed on, and says what becomes of it.

A wish stands in the shared state, since whoever asks may be at another site than the call. It is
obeyed once in a life of this edge; what is said of it is said again until it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import structlog

from state import keys
from state.codec import encode
from state.discreet import fault
from state.errors import StoreError
from state.keys import Kind
from state.model import AgentId, CallId, EdgeId, Entry, TransferStatus, TransferWish
from state.snapshot import Snapshot
from state.store import Absent, Compare, ModIs, Put, Store
from state.wake import Wake

log = structlog.get_logger()

PERIOD_S: Final = 1.0
"""A wish may come before the edge holds the call, and a write may fail."""

Tell = Callable[[int, str], None]
"""(status, reason)"""


class PassesOn(Protocol):
    """What it needs of a call."""

    def obey(self, agent: AgentId, to: str, tell: Tell) -> None:
        """Pass the caller on, if that agent talks with them; `tell` how that gets on."""
        ...


class TransferWishes:
    """The wishes of one edge's calls."""

    def __init__(
        self,
        *,
        edge: EdgeId,
        store: Store,
        snapshot: Callable[[], Snapshot],
        call: Callable[[CallId], PassesOn | None],
    ) -> None:
        self._edge = edge
        self._store = store
        self._snapshot = snapshot
        self._call = call
        self._wake = Wake()
        self._obeyed: dict[CallId, int] = {}
        """The last wish of a call that was carried out."""
        self._unsaid: dict[CallId, TransferStatus] = {}

    def take(self, kinds: AbstractSet[Kind]) -> None:
        """See whether somebody has asked for something: records of these kinds have changed."""
        if Kind.TRANSFER_WISH in kinds:
            self._wake.set()

    async def run(self) -> None:
        """Carry out, and tell, until cancelled."""
        while True:
            self._look()
            await self._say()
            await self._wake.wait(PERIOD_S)

    def _look(self) -> None:
        snapshot = self._snapshot()
        for gone in [call for call in self._obeyed if self._call(call) is None]:
            del self._obeyed[gone]
        for call_id, wish in snapshot.transfer_wishes.items():
            call = self._call(call_id)
            if call is not None and not self._is_answered(snapshot, wish):
                self._obeyed[call_id] = wish.mod_revision
                call.obey(wish.value.agent, wish.value.to, self._teller(wish))

    def _is_answered(self, snapshot: Snapshot, wish: Entry[TransferWish]) -> bool:
        call = wish.value.call
        status = snapshot.transfers.get(call)
        said = 0 if status is None else status.value.wish
        return max(said, self._obeyed.get(call, 0)) >= wish.mod_revision

    def _teller(self, wish: Entry[TransferWish]) -> Tell:
        def tell(status: int, reason: str) -> None:
            self._unsaid[wish.value.call] = TransferStatus(
                call=wish.value.call,
                edge=self._edge,
                wish=wish.mod_revision,
                status=status,
                reason=reason,
            )
            self._wake.set()

        return tell

    async def _say(self) -> None:
        for call, status in list(self._unsaid.items()):
            try:
                is_said = await self._write(status)
            except StoreError as error:
                log.warning("transfer_status_not_written", call=call, **fault(error))
                return
            if is_said and self._unsaid.get(call) is status:
                del self._unsaid[call]

    async def _write(self, status: TransferStatus) -> bool:
        key = keys.transfer(status.call)
        held = self._snapshot().raw.get(key)
        compare: Compare = (
            Absent(key=key) if held is None else ModIs(key=key, mod_revision=held.mod_revision)
        )
        put = Put(key=key, value=encode(status))
        done = await self._store.txn((compare,), (put,))
        # Refused: the last one is not in the snapshot yet. It will be in a moment.
        return done.succeeded or status.call not in self._snapshot().tickets
