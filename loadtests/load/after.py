"""What is asked of the lab: what is held for calls, meanwhile and in the end, and the ledger.

When the people have gone both have their time, and tell what they wait for meanwhile. A lab that
does not answer is a reason why the report is not whole, and none to throw it away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from drills.demo.reports import AgentReport, CallerReport
from drills.desk import answers, asks, call_answers
from drills.desk.client import connected
from drills.desk.errors import DeskError
from loadtests.load import books, growth, locusts
from loadtests.load.plan import SAID, STATISTICS, Plan
from loadtests.load.saying import tell
from loadtests.load.sums import Sums, sums

T = TypeVar("T")
LEDGER_MOST: Final = 100_000
LEFT_S: Final = 40.0
"""How long it may take after the last call until nothing is held for one: a BYE to a phone that is
gone is given up after half a minute."""
LEDGER_S: Final = 10.0
"""How long a call may take from its end into the ledger."""
_OF_RELAYS: Final = "left.media_calls"
LOOK_S: Final = 0.5
TELL_S: Final = 5.0


class Desk(Protocol):
    """The lab as it is asked here. Each raises DeskError when it does not answer."""

    def status(self) -> answers.Status:
        """Return how everything is."""
        ...

    def calls(self) -> list[call_answers.CallRow]:
        """Return the calls that are over."""
        ...


async def watch(desk: Desk, every_s: float, seen: list[growth.Held]) -> None:
    """Look again and again at what is held, until cancelled. Who does not answer is not seen."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(DeskError):
            status = await asyncio.to_thread(desk.status)
            found = _told(status)
            seen.append(
                growth.Held(
                    at_s=loop.time(),
                    tickets=round(found["left.tickets"]),
                    calls=round(found["left.calls"]),
                    legs=round(found["left.legs"]),
                    media_calls=round(found[_OF_RELAYS]),
                )
            )
        await asyncio.sleep(every_s)


class LabDesk:
    """The desk of a lab that is up."""

    def __init__(self, lab: int) -> None:
        self._lab = lab

    def status(self) -> answers.Status:
        """Return how everything is."""
        with connected(self._lab) as line:
            return line.ask(asks.StatusAsk(), answers.Status)

    def calls(self) -> list[call_answers.CallRow]:
        """Return the calls that are over."""
        with connected(self._lab) as line:
            told = line.ask(asks.CallsAsk(last=LEDGER_MOST), call_answers.Calls)
        return [row for row in told.calls if row.state is None]


class After(Struct, frozen=True, kw_only=True):
    """What was found."""

    books: books.Books | None
    """None: nobody could be asked for the ledger."""
    left: dict[str, float]
    """Empty: nobody could be asked."""
    unknown: tuple[str, ...]
    """What could not be looked at, and why."""

    def figures(self) -> dict[str, float]:
        """Return them by name; what could not be looked at is not among them."""
        return (self.books.figures() if self.books is not None else {}) | self.left


async def look(
    plan: Plan, desk: Desk, *, ledger_s: float = LEDGER_S, left_s: float = LEFT_S
) -> After:
    """Look at both, each until it is as it should be or has had its time."""
    kept: books.Books | None = None
    left: dict[str, float] = {}
    unknown = []
    tell("step", what="comparing the callers' accounts with the ledger")
    try:
        kept = await _books(plan, desk, ledger_s)
    except DeskError as error:
        unknown.append(f"the ledger could not be read: {error}")
    tell("step", what="waiting until nothing is held for a call any more")
    try:
        left = await _left(desk, left_s)
    except DeskError as error:
        unknown.append(f"what is still held could not be asked: {error}")
    return After(books=kept, left=left, unknown=tuple(unknown))


async def _books(plan: Plan, desk: Desk, within_s: float) -> books.Books:
    callers, agents = await asyncio.to_thread(_said, plan)
    ours = await asyncio.to_thread(_ours, plan)

    def compare() -> books.Books:
        return books.compare(callers, agents, map(_entry, desk.calls()), ours)

    def waits(found: books.Books) -> str:
        return "" if found.is_exact else found.told()

    return await _again(compare, waits, within_s)


async def _left(desk: Desk, within_s: float) -> dict[str, float]:
    def waits(found: dict[str, float]) -> str:
        left = [f"{value:g} {name.rpartition('.')[2]}" for name, value in found.items() if value]
        if _OF_RELAYS not in found:
            left.append("what relays hold that do not tell")
        return ", ".join(left)

    return await _again(lambda: held(desk.status()), waits, within_s)


async def _again(look: Callable[[], T], waits: Callable[[T], str], within_s: float) -> T:
    """Look until there is nothing to wait for, or the time is over; return what was seen last.

    DeskError: of the last look. One before it may be a lab that is busy.
    """
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + within_s
    tells_s = loop.time() + TELL_S
    while True:
        try:
            found = await asyncio.to_thread(look)
            waiting = waits(found)
        except DeskError as error:
            if loop.time() > ends_s:
                raise
            waiting = str(error)
        else:
            if not waiting or loop.time() > ends_s:
                return found
        if loop.time() > tells_s:
            tells_s = loop.time() + TELL_S
            tell("step", what=f"waiting: {waiting}")
        await asyncio.sleep(LOOK_S)


def held(status: answers.Status) -> dict[str, float]:
    """Return what edges and relays hold, by name; not what one that does not tell may hold."""
    told = _told(status)
    unknown = set() if all(each.answers for each in status.edges) else {"left.calls", "left.legs"}
    if any(each.media_calls is None for each in status.edges):
        unknown.add(_OF_RELAYS)
    return {name: value for name, value in told.items() if name not in unknown}


def _told(status: answers.Status) -> dict[str, float]:
    """Return what those hold who tell."""
    edges, queues = status.edges, status.queues
    return {
        "left.calls": float(sum(sum(edge.calls.values()) for edge in edges)),
        "left.tickets": float(sum(q.waiting + q.ringing + q.talking for q in queues)),
        "left.legs": float(sum(edge.legs for edge in edges)),
        _OF_RELAYS: float(sum(edge.media_calls or 0 for edge in edges)),
        "left.silent_edges": float(sum(not edge.answers for edge in edges)),
    }


def _entry(row: call_answers.CallRow) -> books.Entry:
    return books.Entry(
        call=row.call,
        outcome=row.outcome,
        cause=row.cause,
        edge=row.edge,
        did=row.did,
        arrived_ms=row.arrived_ms,
        is_callback=row.callback_of is not None,
    )


def volume(plan: Plan) -> Sums:
    """Return what SIPp has told of its calls."""
    file = plan.folder / STATISTICS
    return sums(file.read_text(errors="replace")) if file.exists() else Sums()


def _ours(plan: Plan) -> books.Ours:
    by_sipp = volume(plan)
    return books.Ours(
        did=plan.did,
        volume_did=plan.volume_did,
        since_ms=plan.began_ms,
        placed=by_sipp.created,
        succeeded=by_sipp.succeeded,
        faults=locusts.done(plan.folder),
    )


def _said(plan: Plan) -> tuple[Sequence[CallerReport], Sequence[AgentReport]]:
    files = sorted(plan.folder.glob(f"{SAID}-*.jsonl"))
    return books.reports(text for file in files for text in file.read_bytes().splitlines())
