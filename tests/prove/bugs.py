"""The bugs that may be planted in an edge, each by replacing one function of it.

A function that is no longer there is an error: a mutant that does nothing would count as one that
was missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

import edge.acd.eligibility
import edge.acd.granting
import edge.acd.heirs
import edge.acd.index.callers
import edge.acd.line
import edge.acd.reservation as plans
import edge.acd.silence
import edge.acd.transfer
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
from edge.acd import transferring
from edge.acd.eligibility import Reason
from edge.acd.ending import Holds
from edge.acd.needs import Needs
from edge.acd.plan import Held, Plan, put_ticket, rewritten
from edge.acd.relaxation import Effective
from edge.acd.token import Token
from edge.alone.merging import Merged
from edge.calls.journal import Left
from state import keys
from state.codec import encode
from state.model import ANYBODY, Now, Scope, Ticket
from state.store import Absent, Delete, Put

_OFFER, _RECORD = f"{keys.STATE}offer/", keys.ENDED
_PRESENCE = f"{keys.STATE}presence/"
_BEHIND_ALL = 1 << 40


def _of(where: Any, name: str) -> Any:  # noqa: ANN401 - of a module or class
    return getattr(where, name)


def put_in(where: Any, name: str, what: object) -> None:  # noqa: ANN401 - a module or class
    """Replace a function that is there."""
    _of(where, name)
    setattr(where, name, what)


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
    original = _of(module, name)

    def mutated(*arguments: Any, **named: Any) -> Plan:  # noqa: ANN401 - as the original
        return change(original(*arguments, **named))

    put_in(module, name, mutated)


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
    standing = _of(edge.acd.index.callers, "standing_of")

    def turned(entry: Any) -> tuple[int, str]:  # noqa: ANN401 - as the edge calls it
        place, call = standing(entry)
        return (-place, call)

    put_in(edge.acd.index.callers, "standing_of", turned)


def priority_ignored() -> None:
    """Let all calls stand at one level."""

    def same(_priority: int, _waits_s: float, _queue: Any) -> int:  # noqa: ANN401 - as it is
        return 0

    put_in(edge.acd.line, "level_of", same)


def aging_ignored() -> None:
    """Leave all calls at the level at which they came, or to which a step has raised them."""

    def same(priority: int, _waits_s: float, _queue: Any) -> int:  # noqa: ANN401 - as it is
        return priority

    put_in(edge.acd.line, "level_of", same)


def raise_ignored() -> None:
    """Leave a call at its priority, whatever steps say."""
    in_force = _of(edge.acd.line, "in_force")

    def mutated(queue: Any, ticket: Any, *arguments: Any, **named: Any) -> Effective:  # noqa: ANN401
        effective: Effective = in_force(queue, ticket, *arguments, **named)
        return replace(effective, priority=ticket.priority)

    put_in(edge.acd.line, "in_force", mutated)


def overflow_ignored() -> None:
    """Hand callers to no other queue."""
    in_force = _of(edge.acd.line, "in_force")

    def mutated(*arguments: Any, **_named: Any) -> Effective:  # noqa: ANN401 - as the original
        effective: Effective = in_force(*arguments, queues=None)
        return effective

    put_in(edge.acd.line, "in_force", mutated)


def place_lost_by_overflow() -> None:
    """Let who overflows stand behind all who do not."""
    stand = _of(edge.acd.index.callers.Callers, "_stand")

    def mutated(callers: Any, snapshot: Any, waiting: Any) -> Any:  # noqa: ANN401 - as it is
        caller = stand(callers, snapshot, waiting)
        if waiting.effective.queue != waiting.entry.value.queue:
            place, call = caller.standing
            caller.standing = (place + _BEHIND_ALL, call)
        return caller

    put_in(edge.acd.index.callers.Callers, "_stand", mutated)


def _asks_less(change: Callable[[Needs], Needs]) -> None:
    """Let calls ask for something else than their queue says."""
    in_force = _of(edge.acd.line, "in_force")

    @lru_cache
    def changed(needs: Needs) -> Needs:
        """Return the same object for needs that are alike, as the original does."""
        return change(needs)

    def mutated(*arguments: Any, **named: Any) -> Effective:  # noqa: ANN401 - as the original
        effective: Effective = in_force(*arguments, **named)
        return replace(effective, needs=changed(effective.needs))

    put_in(edge.acd.line, "in_force", mutated)


def level_ignored() -> None:
    """Take whoever has a skill, however little."""
    _asks_less(
        lambda needs: replace(needs, all_of=tuple(replace(each, level=1) for each in needs.all_of))
    )


def attributes_ignored() -> None:
    """Take whoever has the skills, whatever they speak."""
    _asks_less(lambda needs: replace(needs, attributes=()))


def group_ignored() -> None:
    """Ask for none of a group of skills."""
    _asks_less(lambda needs: replace(needs, any_of=()))


def scope_ignored() -> None:
    """Turn to anybody."""
    _asks_less(lambda needs: replace(needs, scope=ANYBODY))


def scope_never_widened() -> None:
    """Turn for ever to those to whom the queue turns at first."""
    in_force = _of(edge.acd.line, "in_force")

    @lru_cache
    def within(needs: Needs, scope: Scope) -> Needs:
        """Return the same object for needs that are alike, as the original does."""
        return replace(needs, scope=scope)

    def mutated(queue: Any, *arguments: Any, **named: Any) -> Effective:  # noqa: ANN401 - as it is
        effective: Effective = in_force(queue, *arguments, **named)
        scope = ANYBODY if queue is None else queue.scope
        return replace(effective, needs=within(effective.needs, scope))

    put_in(edge.acd.line, "in_force", mutated)


def capacity_ignored() -> None:
    """Take everybody for one who takes calls."""

    def one(_agent: Any, _channel: Any) -> int:  # noqa: ANN401 - as it is
        return 1

    put_in(edge.acd.eligibility, "capacity", one)


def capacity_ignored_by_transfers() -> None:
    """Let agents pass callers on to, and ask, colleagues who take no calls."""
    because = _of(edge.acd.transfer, "unavailable_because")

    def mutated(*arguments: Any, **named: Any) -> Reason | None:  # noqa: ANN401 - as the original
        reason: Reason | None = because(*arguments, **named)
        return None if reason is Reason.NO_CAPACITY else reason

    put_in(edge.acd.transfer, "unavailable_because", mutated)


def steps_too_soon() -> None:
    """Take all callers for ones who have waited for a minute."""
    waited_s = _of(edge.acd.line, "waited_s")

    def mutated(entry: Any, now: Now) -> float:  # noqa: ANN401 - as it is
        waits_s: float = waited_s(entry, now)
        return waits_s + 60.0

    put_in(edge.acd.line, "waited_s", mutated)


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

    put_in(edge.calls.call.CallShell, "on_reserved", mutated)


def life_without_lease() -> None:
    """Write the edge's life so that it outlives the edge."""

    async def publish(life: Any, _lease: int) -> None:  # noqa: ANN401 - as it is
        life._dirty.clear()  # noqa: SLF001 - the function stands in for one of its own
        put = Put(key=keys.edge(life._edge), value=encode(life._life))  # noqa: SLF001 - as above
        await life._store.txn((), (put,))  # noqa: SLF001 - as above

    put_in(edge.duties.life.Life, "_publish", publish)


def dead_left_alone() -> None:
    """Close nothing for anybody."""
    due = _of(edge.duties.janitor.Janitor, "_due")

    def mutated(janitor: Any, snapshot: Any, _dead: Any, now: Now) -> Iterator[Any]:  # noqa: ANN401
        plans: Iterator[Any] = due(janitor, snapshot, frozenset(), now)
        return plans

    put_in(edge.duties.janitor.Janitor, "_due", mutated)


def living_passed_over() -> None:
    """Take every edge for silent at the next look."""
    put_in(edge.acd.silence, "SILENT_S", 0.0)
    put_in(edge.acd.silence.Silence, "hears", lambda *_: None)


def newest_place() -> None:
    """Leave whoever inherits a place at their own."""

    def same(ticket: Ticket, _left: Any, _told_s: float) -> Ticket:  # noqa: ANN401 - as it is
        return ticket

    for module in (edge.acd.heirs, edge.acd.granting):
        put_in(module, "inheriting", same)


def wait_not_inherited() -> None:
    """Leave whoever inherits a place with what they have waited themselves."""
    inheriting = _of(edge.acd.heirs, "inheriting")

    def mutated(ticket: Ticket, left: Any, told_s: float) -> Ticket:  # noqa: ANN401 - as it is
        inherited: Ticket = inheriting(ticket, left, told_s)
        return replace(inherited, waited_s=ticket.waited_s)

    for module in (edge.acd.heirs, edge.acd.granting):
        put_in(module, "inheriting", mutated)


def place_had_twice() -> None:
    """Let everybody who comes again have the place, whoever has had it."""
    left, inherited = _of(edge.acd.heirs.Heirs, "_left"), _of(edge.acd.granting, "_inherited")

    def anybodys(heirs: Any, snapshot: Any, *arguments: Any) -> Any:  # noqa: ANN401 - as it is
        return left(heirs, replace(snapshot, heirs=type(snapshot.heirs)()), *arguments)

    def unasked(*arguments: Any) -> Any:  # noqa: ANN401 - as it is
        found = inherited(*arguments)
        rests_on = (each for each in found.rests_on if not isinstance(each, Absent))
        return replace(found, rests_on=tuple(rests_on))

    put_in(edge.acd.heirs.Heirs, "_left", anybodys)
    put_in(edge.acd.granting, "_inherited", unasked)


def callers_not_known_again() -> None:
    """Find none of the calls of a number that wait at other edges."""

    def none(_numbers: Any, _caller: str, _did: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as it is
        return ()

    put_in(edge.acd.heirs.Numbers, "waiting", none)


def living_closed() -> None:
    """Take all others for dead, without asking the store."""

    def dead(janitor: Any, snapshot: Any, _now: Now) -> frozenset[Any]:  # noqa: ANN401 - as it is
        named = {ticket.value.holder for ticket in snapshot.tickets.values()}
        others = frozenset(named - {janitor._edge})  # noqa: SLF001 - as it does
        # For so long that it is everybody's turn.
        janitor._absent_since.update(dict.fromkeys(others, float("-inf")))  # noqa: SLF001 - as above
        return others

    def absent(_edge: str) -> Absent:
        return Absent(key=f"{keys.STATE}edge/nobody")

    put_in(edge.duties.janitor.Janitor, "_dead", dead)
    put_in(edge.duties.janitor, "edge_is_dead", absent)


def journal_forgotten() -> None:
    """Read nothing of what the former life has left."""

    def nothing(_journal: Any) -> Left:  # noqa: ANN401 - as it is
        return Left()

    put_in(edge.calls.journal.Journal, "load", nothing)


def held_back_for_good() -> None:
    """Decide no call again that was decided once."""

    def never(_held_back: Any, _snapshot: Any, _now: Now) -> bool:  # noqa: ANN401 - as it is
        return False

    put_in(edge.waiting.HeldBack, "is_over", never)


def gates_left_alone() -> None:
    """Say nothing to the proxy of gates that are stuck."""

    async def nothing(_proxy: Any, _agent: Any, _token: Any) -> None:  # noqa: ANN401 - as it is
        return

    put_in(edge.proxy.proxy.Proxy, "free_gate", nothing)


def never_alone() -> None:
    """Take every snapshot for current."""

    def waiting(standing: Any, _seen: Any, _now_s: float) -> Any:  # noqa: ANN401 - as it is
        return standing

    put_in(edge.alone.alone, "next_standing", waiting)


def merge_left_out() -> None:
    """Forget what was done without a quorum."""

    async def nothing(*_: Any) -> Merged:  # noqa: ANN401 - as the original
        return Merged(revisions={})

    put_in(edge.alone.alone, "merge", nothing)


def alone_token_of_store() -> None:
    """Make a token without a quorum by the epoch of the store's."""

    def token(highest: Token | None, presence_epoch: int) -> Token:
        return Token(epoch=presence_epoch, revision=(highest.revision if highest else 0) + 1)

    put_in(edge.alone.alone, "alone_token", token)


def transferor_kept() -> None:
    """Leave the agent held who has passed the caller on."""
    _wrap(
        transferring,
        "transferor_freed",
        lambda plan: _without(plan, prefixes=("-",), deletes=(_OFFER,)),
    )


def transfer_untold() -> None:
    """Leave the ticket as it is when the agent passes the caller on."""
    passed_on = _of(transferring, "passed_on")

    def mutated(held: Held, talk: Holds, site: Any, at: Now) -> Plan:  # noqa: ANN401 - as it is
        put = put_ticket(held.ticket.value)
        after = replace(held, ticket=rewritten(held.ticket, held.ticket.value, at))
        plan: Plan = passed_on(held, talk, site, at)
        return replace(plan, success=(put,), proof=put, after=after)

    put_in(transferring, "passed_on", mutated)


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

    put_in(edge.calls.consultation.ConsultationShell, "follow", nothing)


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        offer_not_compared,
        presence_not_compared,
        arrival_not_compared,
        record_not_compared,
        last_come_first,
        priority_ignored,
        aging_ignored,
        raise_ignored,
        overflow_ignored,
        place_lost_by_overflow,
        level_ignored,
        attributes_ignored,
        group_ignored,
        scope_ignored,
        scope_never_widened,
        capacity_ignored,
        capacity_ignored_by_transfers,
        steps_too_soon,
        offer_kept_at_end,
        offer_kept_at_refusal,
        record_left_out,
        token_of_snapshot,
        life_without_lease,
        dead_left_alone,
        living_passed_over,
        newest_place,
        wait_not_inherited,
        place_had_twice,
        callers_not_known_again,
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
