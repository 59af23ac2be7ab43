"""Goodbyes: BYEs that are answered when their user has taken in what they mean.

Whoever says BYE and gets 200 takes the call for ended by them. A user who keeps books of that says
so once it is written down; one that says nothing for `hold_s` has it said for them.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from edge.sip.escapes import clean

if TYPE_CHECKING:
    from edge.sip.core import Core
    from edge.sip.events import TransactionId
    from edge.sip.transaction import ServerTransaction


class Held:
    """A BYE that waits for its 200."""

    __slots__ = ("due", "queued", "transaction")

    def __init__(self, transaction: ServerTransaction, due: float) -> None:
        self.transaction = transaction
        self.due = due
        self.queued = inf


class Goodbyes:
    """One stack's. `hold_s`: how long their answer waits for the user; None: not at all."""

    def __init__(self, core: Core, hold_s: float | None) -> None:
        self._core = core
        self._hold_s = hold_s
        self._held: dict[str, Held] = {}
        self.of_old: frozenset[str] = frozenset()
        """The Call-IDs, `clean`, of calls that a former life has seen end."""

    def take(self, transaction: ServerTransaction) -> TransactionId | None:
        """Answer a BYE now, or return by which name its user is to have it answered."""
        if self._hold_s is None:
            self._core.respond(transaction, 200)
            return None
        held = Held(transaction, self._core.now + self._hold_s)
        self._held[transaction.id] = held
        self._core.timers.schedule(held)
        return transaction.id

    def answer(self, goodbye: TransactionId) -> None:
        """Answer it, unless it is answered already."""
        held = self._held.get(goodbye)
        if held is not None:
            self.fire(held)

    def fire(self, held: Held) -> None:
        """Answer a BYE that has waited long enough."""
        del self._held[held.transaction.id]
        held.due = inf
        self._core.respond(held.transaction, 200)

    def is_known(self, transaction: ServerTransaction) -> bool:
        """Answer a BYE that comes again to whom nobody has answered it; tell whether it was one."""
        request = transaction.request
        if request.method != "BYE" or clean(request.call_id) not in self.of_old:
            return False
        self._core.respond(transaction, 200)
        return True
