"""Starts an edge that can be disturbed, and in which a bug may be planted. Run by path.

    python tests/prove/planted.py --config EDGE.toml

It is `python -m edge`, with what `EDGE.disturb` beside its configuration says: a bug to plant, an
instant before which it does not start, and, looked at again and again, a wrong wall clock and watch
events that come late or never. So the product has no switch for any of it. A function that is no
longer there is an error: a mutant that does nothing would count as one that was missed.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[2]))

import edge.acd.index.callers
import edge.acd.reservation as plans
import edge.alone.alone
import edge.calls.call
import edge.calls.consultation
import edge.calls.journal
import edge.calls.records
import edge.duties.janitor
import edge.duties.life
import edge.proxy.proxy
import edge.reserve
import edge.waiting
from edge.__main__ import main
from edge.acd import transferring
from edge.acd.ending import Holds
from edge.acd.plan import Held, Plan, put_ticket, rewritten
from edge.acd.rivals import Rivals
from edge.acd.token import Token
from edge.alone.merging import Merged
from edge.calls.journal import Left
from edge.media.direct import DirectMedia
from edge.media.plan import AGENT, Party
from state import keys
from state.clock import SystemClock
from state.codec import encode
from state.etcd import EtcdStore
from state.model import Now
from state.store import Absent, Delete, Put, WatchBatch

Join = Callable[..., Coroutine[Any, Any, bytes]]
LOOK_S = 0.2
_OFFER, _RECORD = f"{keys.STATE}offer/", keys.ENDED
_PRESENCE = f"{keys.STATE}presence/"
_AT_ONCE = 0.5
"""Of so many who come, the edge tries to reserve an agent before anybody has seen them."""


class Disturbance:
    """What the file says, never older than LOOK_S."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_s = 0.0
        self._said: dict[str, Any] = {}

    def get(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return what is said under a name; None: nothing."""
        now_s = time.monotonic()
        if now_s - self._looked_s > LOOK_S:
            self._looked_s = now_s
            try:
                self._said = json.loads(self._path.read_text())
            except (OSError, ValueError):
                self._said = {}
        return self._said.get(name)

    def plant(self) -> None:
        """Disturb this process from now on."""
        chance = random.Random(time.monotonic_ns())  # noqa: S311 - no secret
        now, watch = SystemClock.now, EtcdStore.watch

        def wrong_now(clock: SystemClock) -> Now:
            true = now(clock)
            return replace(true, wall_ms=true.wall_ms + int(self.get("skew_ms") or 0))

        async def bad_watch(
            store: EtcdStore, prefix: str, from_revision: int
        ) -> AsyncGenerator[WatchBatch, None]:
            async for batch in watch(store, prefix, from_revision):
                late_s = self.get("late_s")
                if late_s and batch.changes:
                    await asyncio.sleep(chance.uniform(0.0, late_s))
                share = self.get("lose") or 0.0
                kept = tuple(each for each in batch.changes if chance.random() >= share)
                yield replace(batch, changes=kept)

        def few_at_times(_rivals: Rivals, _now_s: float) -> bool:
            # A proof's edges have many rivals, and both ways to an agent are to be proved.
            return chance.random() < _AT_ONCE

        _put(Rivals, "are_few", few_at_times)
        _put(DirectMedia, "join", joining_known(DirectMedia.join))
        _put(DirectMedia, "has", always)
        _put(SystemClock, "now", wrong_now)
        _put(EtcdStore, "watch", bad_watch)


def _get(where: Any, name: str) -> Any:  # noqa: ANN401 - of a module or class
    return getattr(where, name)


def _put(where: Any, name: str, what: object) -> None:  # noqa: ANN401 - a module or class
    """Replace a function that is there."""
    _get(where, name)
    setattr(where, name, what)


# -- a relay that outlives the edge, as rtpengine does


def joining_known(join: Join) -> Join:
    """Let a call that the former life of this edge has answered be known."""

    async def mutated(
        media: DirectMedia, call: str, agent_sdp: bytes, *, agent: Party = AGENT
    ) -> bytes:
        media._callers.setdefault(call, agent_sdp)  # noqa: SLF001 - the former life's, lost with it
        return await join(media, call, agent_sdp, agent=agent)

    return mutated


async def always(_media: DirectMedia, _call: str) -> bool:
    """Have every call."""
    return True


# -- bugs


def _without(plan: Plan, *, prefixes: tuple[str, ...], deletes: tuple[str, ...] = ()) -> Plan:
    """Return the plan without its compares of these keys, and without deleting those."""
    return replace(
        plan,
        compares=tuple(each for each in plan.compares if not each.key.startswith(prefixes)),
        success=tuple(
            each
            for each in plan.success
            if not (isinstance(each, Delete) and each.key.startswith(deletes or ("-",)))
        ),
    )


def _wrap(module: Any, name: str, change: Callable[[Plan], Plan]) -> None:  # noqa: ANN401 - a module
    original = _get(module, name)

    def mutated(*arguments: Any, **named: Any) -> Plan:  # noqa: ANN401 - as the original
        return change(original(*arguments, **named))

    _put(module, name, mutated)


_GRANTS = ("reserved", "created_with_agent")
"""The plans by which an agent is given."""


def offer_not_compared() -> None:
    """Reserve although an offer stands."""
    for grant in _GRANTS:
        _wrap(edge.reserve, grant, lambda plan: _without(plan, prefixes=(_OFFER,)))


def presence_not_compared() -> None:
    """Reserve although the agent may have paused."""
    for grant in _GRANTS:
        _wrap(edge.reserve, grant, lambda plan: _without(plan, prefixes=(_PRESENCE,)))


def arrival_not_compared() -> None:
    """Create the ticket whether or not another edge has the call."""
    _wrap(edge.calls.records, "created", lambda plan: replace(plan, compares=()))


def record_not_compared() -> None:
    """Write the record whether or not there is one, and whoever has the ticket."""
    _wrap(plans, "ended", lambda plan: replace(plan, compares=()))


def last_come_first() -> None:
    """Turn the order of the calls around."""
    standing = _get(edge.acd.index.callers, "standing_of")

    def turned(entry: Any) -> tuple[int, str]:  # noqa: ANN401 - as the edge calls it
        place, call = standing(entry)
        return (-place, call)

    _put(edge.acd.index.callers, "standing_of", turned)


def offer_kept_at_end() -> None:
    """Leave the agent held when the call ends."""
    _wrap(plans, "ended", lambda plan: _without(plan, prefixes=("-",), deletes=(_OFFER,)))


def offer_kept_at_refusal() -> None:
    """Leave the agent held when they have declined."""
    _wrap(plans, "offer_failed", lambda plan: _without(plan, prefixes=("-",), deletes=(_OFFER,)))


def record_left_out() -> None:
    """Delete the ticket and write nothing."""

    def without_record(plan: Plan) -> Plan:
        kept = (each for each in plan.success if not _is_record(each))
        return replace(plan, success=tuple(kept))

    _wrap(plans, "ended", without_record)


def _is_record(operation: Put | Delete) -> bool:
    return isinstance(operation, Put) and operation.key.startswith(_RECORD)


def token_of_snapshot() -> None:
    """Take the token from the decision instead of from the offer."""
    on_reserved = edge.calls.call.CallShell.on_reserved

    def mutated(call: Any, decision: Any, token: Any) -> None:  # noqa: ANN401 - as it is
        on_reserved(call, decision, replace(token, revision=decision.revision))

    _put(edge.calls.call.CallShell, "on_reserved", mutated)


def life_without_lease() -> None:
    """Write the edge's life so that it outlives the edge."""

    async def publish(life: Any, _lease: int) -> None:  # noqa: ANN401 - as it is
        life._dirty.clear()  # noqa: SLF001 - the function stands in for one of its own
        put = Put(key=keys.edge(life._edge), value=encode(life._life))  # noqa: SLF001 - as above
        await life._store.txn((), (put,))  # noqa: SLF001 - as above

    _put(edge.duties.life.Life, "_publish", publish)


def dead_left_alone() -> None:
    """Close nothing for anybody."""
    due = _get(edge.duties.janitor.Janitor, "_due")

    def mutated(janitor: Any, snapshot: Any, _dead: Any, now: Now) -> Iterator[Any]:  # noqa: ANN401
        plans: Iterator[Any] = due(janitor, snapshot, frozenset(), now)
        return plans

    _put(edge.duties.janitor.Janitor, "_due", mutated)


def living_closed() -> None:
    """Take all others for dead, without asking the store."""

    def dead(janitor: Any, snapshot: Any, _now: Now) -> frozenset[Any]:  # noqa: ANN401 - as it is
        named = {ticket.value.holder for ticket in snapshot.tickets.values()}
        return frozenset(named - {janitor._edge})  # noqa: SLF001 - as it does

    def absent(_edge: str) -> Absent:
        return Absent(key=f"{keys.STATE}edge/nobody")

    _put(edge.duties.janitor.Janitor, "_dead", dead)
    _put(edge.duties.janitor, "edge_is_dead", absent)


def journal_forgotten() -> None:
    """Read nothing of what the former life has left."""

    def nothing(_journal: Any) -> Left:  # noqa: ANN401 - as it is
        return Left()

    _put(edge.calls.journal.Journal, "load", nothing)


def held_back_for_good() -> None:
    """Decide no call again that was decided once."""

    def never(_held_back: Any, _snapshot: Any, _now: Now) -> bool:  # noqa: ANN401 - as it is
        return False

    _put(edge.waiting.HeldBack, "is_over", never)


def gates_left_alone() -> None:
    """Say nothing to the proxy of gates that are stuck."""

    async def nothing(_proxy: Any, _agent: Any, _token: Any) -> None:  # noqa: ANN401 - as it is
        return

    _put(edge.proxy.proxy.Proxy, "free_gate", nothing)


def never_alone() -> None:
    """Take every snapshot for current."""

    def waiting(standing: Any, _seen: Any, _now_s: float) -> Any:  # noqa: ANN401 - as it is
        return standing

    _put(edge.alone.alone, "next_standing", waiting)


def merge_left_out() -> None:
    """Forget what was done without a quorum."""

    async def nothing(*_: Any) -> Merged:  # noqa: ANN401 - as the original
        return Merged(revisions={})

    _put(edge.alone.alone, "merge", nothing)


def alone_token_of_store() -> None:
    """Make a token without a quorum by the epoch of the store's."""

    def token(highest: Token | None, presence_epoch: int) -> Token:
        return Token(epoch=presence_epoch, revision=(highest.revision if highest else 0) + 1)

    _put(edge.alone.alone, "alone_token", token)


def transferor_kept() -> None:
    """Leave the agent held who has passed the caller on."""
    _wrap(
        transferring,
        "transferor_freed",
        lambda plan: _without(plan, prefixes=("-",), deletes=(_OFFER,)),
    )


def transfer_untold() -> None:
    """Leave the ticket as it is when the agent passes the caller on."""
    passed_on = _get(transferring, "passed_on")

    def mutated(held: Held, talk: Holds, site: Any, at: Now) -> Plan:  # noqa: ANN401 - as it is
        put = put_ticket(held.ticket.value)
        after = replace(held, ticket=rewritten(held.ticket, held.ticket.value, at))
        plan: Plan = passed_on(held, talk, site, at)
        return replace(plan, success=(put,), proof=put, after=after)

    _put(transferring, "passed_on", mutated)


def colleague_kept() -> None:
    """Leave a colleague held who was asked about a caller."""
    _wrap(
        transferring,
        "consulted_freed",
        lambda plan: _without(plan, prefixes=("-",), deletes=(_OFFER,)),
    )


def consultation_outlives_call() -> None:
    """Let two agents talk on when the caller is gone."""

    def nothing(_shell: Any, _call: Any) -> None:  # noqa: ANN401 - as it is
        return

    _put(edge.calls.consultation.ConsultationShell, "follow", nothing)


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        offer_not_compared,
        presence_not_compared,
        arrival_not_compared,
        record_not_compared,
        last_come_first,
        offer_kept_at_end,
        offer_kept_at_refusal,
        record_left_out,
        token_of_snapshot,
        life_without_lease,
        dead_left_alone,
        living_closed,
        journal_forgotten,
        held_back_for_good,
        gates_left_alone,
        never_alone,
        merge_left_out,
        alone_token_of_store,
        transferor_kept,
        transfer_untold,
        colleague_kept,
        consultation_outlives_call,
    )
}


def begin() -> int:
    """Wait until it is time, plant, and be the edge."""
    config = Path(sys.argv[sys.argv.index("--config") + 1])
    disturbance = Disturbance(config.with_suffix(".disturb"))
    while (disturbance.get("not_before_s") or 0.0) > time.monotonic():
        time.sleep(LOOK_S / 4)
    bug = disturbance.get("plant")
    if bug:
        BUGS[bug]()
    disturbance.plant()
    return main()


if __name__ == "__main__":
    sys.exit(begin())
