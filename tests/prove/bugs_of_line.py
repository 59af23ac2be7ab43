"""Bugs of the line: who goes first in it, and who is given to whom."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

import edge.acd.eligibility
import edge.acd.index.callers
import edge.acd.line
import edge.acd.relaxation
import edge.acd.transfer
from edge.acd.eligibility import Reason
from edge.acd.needs import Needs
from edge.acd.relaxation import Effective
from state.model import ANYBODY, Now, Scope
from tests.prove import replacing
from tests.prove.replacing import of

_BEHIND_ALL = 1 << 40


def last_come_first() -> None:
    """Turn the order of the calls around."""
    standing = of(edge.acd.index.callers, "standing_of")

    def turned(entry: Any) -> tuple[int, str]:  # noqa: ANN401 - as the edge calls it
        place, call = standing(entry)
        return (-place, call)

    replacing.put_in(edge.acd.index.callers, "standing_of", turned)


def priority_ignored() -> None:
    """Let all calls stand at one level."""

    def same(_priority: int, _waits_s: float, _queue: Any) -> int:  # noqa: ANN401 - as it is
        return 0

    replacing.put_in(edge.acd.line, "level_of", same)


def aging_ignored() -> None:
    """Leave all calls at the level at which they came, or to which a step has raised them."""

    def same(priority: int, _waits_s: float, _queue: Any) -> int:  # noqa: ANN401 - as it is
        return priority

    replacing.put_in(edge.acd.line, "level_of", same)


def raise_ignored() -> None:
    """Leave a call at its priority, whatever steps say."""
    in_force = of(edge.acd.line, "in_force")

    def mutated(queue: Any, ticket: Any, *arguments: Any, **named: Any) -> Effective:  # noqa: ANN401
        effective: Effective = in_force(queue, ticket, *arguments, **named)
        return replace(effective, priority=ticket.priority)

    replacing.put_in(edge.acd.line, "in_force", mutated)


def overflow_ignored() -> None:
    """Hand callers to no other queue."""
    in_force = of(edge.acd.line, "in_force")

    def mutated(*arguments: Any, **_named: Any) -> Effective:  # noqa: ANN401 - as the original
        effective: Effective = in_force(*arguments, queues=None)
        return effective

    replacing.put_in(edge.acd.line, "in_force", mutated)


def place_lost_by_overflow() -> None:
    """Let who overflows stand behind all who do not."""
    stand = of(edge.acd.index.callers.Callers, "_stand")

    def mutated(callers: Any, snapshot: Any, waiting: Any) -> Any:  # noqa: ANN401 - as it is
        caller = stand(callers, snapshot, waiting)
        if waiting.effective.queue != waiting.entry.value.queue:
            place, call = caller.standing
            caller.standing = (place + _BEHIND_ALL, call)
        return caller

    replacing.put_in(edge.acd.index.callers.Callers, "_stand", mutated)


def _asks_less(change: Callable[[Needs], Needs]) -> None:
    """Let calls ask for something else than their queue says."""
    in_force = of(edge.acd.line, "in_force")

    @lru_cache
    def changed(needs: Needs) -> Needs:
        """Return the same object for needs that are alike, as the original does."""
        return change(needs)

    def mutated(*arguments: Any, **named: Any) -> Effective:  # noqa: ANN401 - as the original
        effective: Effective = in_force(*arguments, **named)
        return replace(effective, needs=changed(effective.needs))

    replacing.put_in(edge.acd.line, "in_force", mutated)


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
    in_force = of(edge.acd.line, "in_force")

    @lru_cache
    def within(needs: Needs, scope: Scope) -> Needs:
        """Return the same object for needs that are alike, as the original does."""
        return replace(needs, scope=scope)

    def mutated(queue: Any, *arguments: Any, **named: Any) -> Effective:  # noqa: ANN401 - as it is
        effective: Effective = in_force(queue, *arguments, **named)
        scope = ANYBODY if queue is None else queue.scope
        return replace(effective, needs=within(effective.needs, scope))

    replacing.put_in(edge.acd.line, "in_force", mutated)


def drop_ignored() -> None:
    """Ask for ever for each skill for which the queue asks at first."""
    after = of(edge.acd.relaxation, "_after")

    def mutated(effective: Any, step: Any, queues: Any) -> Effective:  # noqa: ANN401 - as it is
        stepped: Effective = after(effective, replace(step, drop=()), queues)
        return stepped

    replacing.put_in(edge.acd.relaxation, "_after", mutated)


def capacity_ignored() -> None:
    """Take everybody for one who takes calls."""

    def one(_agent: Any, _channel: Any) -> int:  # noqa: ANN401 - as it is
        return 1

    replacing.put_in(edge.acd.eligibility, "capacity", one)


def capacity_ignored_by_transfers() -> None:
    """Let agents pass callers on to, and ask, colleagues who take no calls."""
    because = of(edge.acd.transfer, "unavailable_because")

    def mutated(*arguments: Any, **named: Any) -> Reason | None:  # noqa: ANN401 - as the original
        reason: Reason | None = because(*arguments, **named)
        return None if reason is Reason.NO_CAPACITY else reason

    replacing.put_in(edge.acd.transfer, "unavailable_because", mutated)


def steps_too_soon() -> None:
    """Take all callers for ones who have waited for a minute."""
    waited_s = of(edge.acd.line, "waited_s")

    def mutated(entry: Any, now: Now) -> float:  # noqa: ANN401 - as it is
        waits_s: float = waited_s(entry, now)
        return waits_s + 60.0

    replacing.put_in(edge.acd.line, "waited_s", mutated)


OF_LINE = (
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
    drop_ignored,
    capacity_ignored,
    capacity_ignored_by_transfers,
    steps_too_soon,
)
