"""The bugs that may be planted in an edge, each by replacing one function of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

import edge.acd.reservation as plans
import edge.alone.alone
import edge.calls.call
import edge.calls.consultation
import edge.calls.journal
import edge.calls.records
import edge.duties.janitor
import edge.duties.life
import edge.duties.presence
import edge.proxy.proxy
import edge.reserve
import edge.waiting
import state.mirror.mirror
from edge.acd import transferring
from edge.acd.ending import Holds
from edge.acd.plan import Held, Plan, put_ticket, rewritten
from edge.acd.token import Token
from edge.alone.merging import Merged
from edge.calls.journal import Left
from state import keys
from state.codec import encode
from state.model import Now
from state.store import Absent, Delete, Put
from tests.prove import replacing
from tests.prove.bugs_of_line import OF_LINE
from tests.prove.bugs_of_places import OF_PLACES
from tests.prove.bugs_of_tenants import OF_TENANTS
from tests.prove.replacing import of, without, wrap

_OFFER, _RECORD = f"{keys.STATE}offer/", keys.ENDED
_PRESENCE = f"{keys.STATE}presence/"
_GRANTS = ("reserved", "created_with_agent")
"""The plans by which an agent is given."""


def offer_not_compared() -> None:
    """Reserve although an offer stands."""
    for grant in _GRANTS:
        wrap(edge.reserve, grant, lambda plan: without(plan, prefixes=(_OFFER,)))


def presence_not_compared() -> None:
    """Reserve although the agent may have paused."""
    for grant in _GRANTS:
        wrap(edge.reserve, grant, lambda plan: without(plan, prefixes=(_PRESENCE,)))


def arrival_not_compared() -> None:
    """Create the ticket whether or not another edge has the call."""
    wrap(edge.calls.records, "created", lambda plan: replace(plan, compares=()))


def record_not_compared() -> None:
    """Write the record whether or not there is one, and whoever has the ticket."""
    wrap(plans, "ended", lambda plan: replace(plan, compares=()))


def offer_kept_at_end() -> None:
    """Leave the agent held when the call ends."""
    wrap(plans, "ended", lambda plan: without(plan, prefixes=("-",), deletes=(_OFFER,)))


def offer_kept_at_refusal() -> None:
    """Leave the agent held when they have declined."""
    wrap(plans, "offer_failed", lambda plan: without(plan, prefixes=("-",), deletes=(_OFFER,)))


def record_left_out() -> None:
    """Delete the ticket and write nothing."""

    def without_record(plan: Plan) -> Plan:
        kept = (each for each in plan.success if not _is_record(each))
        return replace(plan, success=tuple(kept))

    wrap(plans, "ended", without_record)


def _is_record(operation: Put | Delete) -> bool:
    return isinstance(operation, Put) and operation.key.startswith(_RECORD)


def token_of_snapshot() -> None:
    """Take the token from the decision instead of from the offer."""
    on_reserved = edge.calls.call.CallShell.on_reserved

    def mutated(call: Any, decision: Any, token: Any) -> None:  # noqa: ANN401 - as it is
        on_reserved(call, decision, replace(token, revision=decision.revision))

    replacing.put_in(edge.calls.call.CallShell, "on_reserved", mutated)


def life_without_lease() -> None:
    """Write the edge's life so that it outlives the edge."""

    async def publish(life: Any, _lease: int) -> None:  # noqa: ANN401 - as it is
        life._dirty.clear()  # noqa: SLF001 - the function stands in for one of its own
        put = Put(key=keys.edge(life._edge), value=encode(life._life))  # noqa: SLF001 - as above
        await life._store.txn((), (put,))  # noqa: SLF001 - as above

    replacing.put_in(edge.duties.life.Life, "_publish", publish)


def dead_left_alone() -> None:
    """Close nothing for anybody."""
    due = of(edge.duties.janitor.Janitor, "_due")

    def mutated(janitor: Any, snapshot: Any, _dead: Any, now: Now) -> Iterator[Any]:  # noqa: ANN401
        plans: Iterator[Any] = due(janitor, snapshot, frozenset(), now)
        return plans

    replacing.put_in(edge.duties.janitor.Janitor, "_due", mutated)


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

    replacing.put_in(edge.duties.janitor.Janitor, "_dead", dead)
    replacing.put_in(edge.duties.janitor, "edge_is_dead", absent)


def journal_forgotten() -> None:
    """Read nothing of what the former life has left."""

    def nothing(_journal: Any) -> Left:  # noqa: ANN401 - as it is
        return Left()

    replacing.put_in(edge.calls.journal.Journal, "load", nothing)


def held_back_for_good() -> None:
    """Decide no call again that was decided once."""

    def never(_held_back: Any, _snapshot: Any, _now: Now) -> bool:  # noqa: ANN401 - as it is
        return False

    replacing.put_in(edge.waiting.HeldBack, "is_over", never)


def gates_left_alone() -> None:
    """Say nothing to the proxy of gates that are stuck."""

    async def nothing(_proxy: Any, _agent: Any, _token: Any) -> None:  # noqa: ANN401 - as it is
        return

    replacing.put_in(edge.proxy.proxy.Proxy, "free_gate", nothing)


def goings_unheard() -> None:
    """Take in who comes alone."""
    keeper = edge.duties.presence.PresenceKeeper
    note, set_registered = of(keeper, "note"), of(keeper, "set_registered")

    def noted(own: Any, agent: Any, *, registered: bool) -> None:  # noqa: ANN401 - as it is
        if registered:
            note(own, agent, registered=True)

    def had(own: Any, agents: Any) -> None:  # noqa: ANN401 - as it is
        set_registered(own, agents | (own._registered or frozenset()))  # noqa: SLF001 - as it does

    replacing.put_in(keeper, "note", noted)
    replacing.put_in(keeper, "set_registered", had)


def check_forgotten() -> None:
    """Never compare the mirror with the store, and list nothing anew for a watch that is late.

    A listing that lateness asks for, on a busy machine, would put right what no check does.
    """

    async def nothing(_mirror: Any) -> None:  # noqa: ANN401 - as it is
        return

    def never(_mirror: Any, _now_s: float) -> None:  # noqa: ANN401 - as it is
        return

    replacing.put_in(state.mirror.mirror.Mirror, "_check", nothing)
    replacing.put_in(state.mirror.mirror.Mirror, "_give_up_if_late", never)


def never_alone() -> None:
    """Take every snapshot for current."""

    def waiting(standing: Any, _seen: Any, _now_s: float) -> Any:  # noqa: ANN401 - as it is
        return standing

    replacing.put_in(edge.alone.alone, "next_standing", waiting)


def merge_left_out() -> None:
    """Forget what was done without a quorum."""

    async def nothing(*_: Any) -> Merged:  # noqa: ANN401 - as the original
        return Merged(revisions={})

    replacing.put_in(edge.alone.alone, "merge", nothing)


def alone_token_of_store() -> None:
    """Make a token without a quorum by the epoch of the store's."""

    def token(highest: Token | None, presence_epoch: int) -> Token:
        return Token(epoch=presence_epoch, revision=(highest.revision if highest else 0) + 1)

    replacing.put_in(edge.alone.alone, "alone_token", token)


def transferor_kept() -> None:
    """Leave the agent held who has passed the caller on."""
    wrap(
        transferring,
        "transferor_freed",
        lambda plan: without(plan, prefixes=("-",), deletes=(_OFFER,)),
    )


def transfer_untold() -> None:
    """Leave the ticket as it is when the agent passes the caller on."""
    passed_on = of(transferring, "passed_on")

    def mutated(held: Held, talk: Holds, site: Any, at: Now) -> Plan:  # noqa: ANN401 - as it is
        put = put_ticket(held.ticket.value)
        after = replace(held, ticket=rewritten(held.ticket, held.ticket.value, at))
        plan: Plan = passed_on(held, talk, site, at)
        return replace(plan, success=(put,), proof=put, after=after)

    replacing.put_in(transferring, "passed_on", mutated)


def colleague_kept() -> None:
    """Leave a colleague held who was asked about a caller."""
    wrap(
        transferring,
        "consulted_freed",
        lambda plan: without(plan, prefixes=("-",), deletes=(_OFFER,)),
    )


def consultation_outlives_call() -> None:
    """Let two agents talk on when the caller is gone."""

    def nothing(_shell: Any, _call: Any) -> None:  # noqa: ANN401 - as it is
        return

    replacing.put_in(edge.calls.consultation.ConsultationShell, "follow", nothing)


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        *OF_LINE,
        *OF_PLACES,
        *OF_TENANTS,
        offer_not_compared,
        presence_not_compared,
        arrival_not_compared,
        record_not_compared,
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
        goings_unheard,
        check_forgotten,
        never_alone,
        merge_left_out,
        alone_token_of_store,
        transferor_kept,
        transfer_untold,
        colleague_kept,
        consultation_outlives_call,
    )
}
