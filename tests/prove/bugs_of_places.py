"""Bugs of callers who wait at a silent edge, and who dial again: whose place is whose."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

import edge.acd.granting
import edge.acd.heirs
import edge.acd.silence
from state.model import Ticket
from state.store import Absent
from tests.prove import replacing
from tests.prove.replacing import of


def living_passed_over() -> None:
    """Take every edge for silent at the next look."""
    replacing.put_in(edge.acd.silence, "SILENT_S", 0.0)
    replacing.put_in(edge.acd.silence.Silence, "hears", lambda *_: None)


def newest_place() -> None:
    """Leave whoever inherits a place at their own."""

    def same(ticket: Ticket, _left: Any, _told_s: float) -> Ticket:  # noqa: ANN401 - as it is
        return ticket

    for module in (edge.acd.heirs, edge.acd.granting):
        replacing.put_in(module, "inheriting", same)


def wait_not_inherited() -> None:
    """Leave whoever inherits a place with what they have waited themselves."""
    inheriting = of(edge.acd.heirs, "inheriting")

    def mutated(ticket: Ticket, left: Any, told_s: float) -> Ticket:  # noqa: ANN401 - as it is
        inherited: Ticket = inheriting(ticket, left, told_s)
        return replace(inherited, waited_s=ticket.waited_s)

    for module in (edge.acd.heirs, edge.acd.granting):
        replacing.put_in(module, "inheriting", mutated)


def place_had_twice() -> None:
    """Let everybody who comes again have the place, whoever has had it."""
    left, inherited = of(edge.acd.heirs.Heirs, "_left"), of(edge.acd.granting, "_inherited")

    def anybodys(heirs: Any, snapshot: Any, *arguments: Any) -> Any:  # noqa: ANN401 - as it is
        return left(heirs, replace(snapshot, heirs=type(snapshot.heirs)()), *arguments)

    def unasked(*arguments: Any) -> Any:  # noqa: ANN401 - as it is
        found = inherited(*arguments)
        rests_on = (each for each in found.rests_on if not isinstance(each, Absent))
        return replace(found, rests_on=tuple(rests_on))

    replacing.put_in(edge.acd.heirs.Heirs, "_left", anybodys)
    replacing.put_in(edge.acd.granting, "_inherited", unasked)


def callers_not_known_again() -> None:
    """Find none of the calls of a number that wait at other edges."""

    def none(_numbers: Any, _caller: str, _did: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as it is
        return ()

    replacing.put_in(edge.acd.heirs.Numbers, "waiting", none)


OF_PLACES = (
    living_passed_over,
    newest_place,
    wait_not_inherited,
    place_had_twice,
    callers_not_known_again,
)
