"""What callers and agents say of the calls against the edges' ledger. PURE.

How a call ended by the people's word is the demo's rule (`drills.demo.ledger`): there is one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.demo import phones
from drills.demo.ledger import outcome_of, strangers_in
from drills.demo.reports import AgentReport, CallerReport, End
from loadtests.load.faults import Done
from state.model import Outcome


class Entry(Struct, frozen=True, kw_only=True):
    """A record of a call that is over, as far as it counts here."""

    call: str
    outcome: Outcome | None
    cause: str = ""
    edge: str = ""
    did: str = ""
    arrived_ms: int = 0
    """Wall clock."""
    is_callback: bool = False
    """An edge placed it, to call somebody back: no caller knows its name."""


class Ours(Struct, frozen=True, kw_only=True):
    """Which records are of this load's calls, and what SIPp says of its own."""

    did: str = ""
    volume_did: str = ""
    since_ms: int = 0
    placed: int = 0
    """By SIPp."""
    succeeded: int = 0
    """Of those: answered, and hung up in order."""
    faults: tuple[Done, ...] = ()
    """What the load has broken."""


NOBODYS: Final = Ours()


class Books(Struct, frozen=True, kw_only=True):
    """What the comparison found."""

    calls: int
    """That an edge had answered."""
    missing: tuple[str, ...]
    """Answered, and in no record."""
    doubled: tuple[str, ...]
    """In more than one record."""
    contradicted: tuple[str, ...]
    """By one side's word an agent and the caller talked and one of them ended it, and by the
    other's not: with what both say, who wrote the record and why, when its people said goodbye and
    heard each other last, when the call came, and which fault was nearest to its end."""
    cut_off: int
    """Lost, by the people's word."""
    unclaimed: tuple[str, ...] = ()
    """Records of calls to the load's number that no caller placed."""
    volume_missing: int = 0
    """So many fewer records than calls that SIPp had answered and ended."""
    volume_unclaimed: int = 0
    """So many more than calls that SIPp placed, and records beyond a call's first."""
    untold: int = 0
    """Calls of whose end an agent's telephone, which died, told nothing: how they ended by people's
    word nobody knows."""
    mixed_up: tuple[str, ...] = ()
    """Calls in which somebody of another was heard; with whom, when, and the nearest fault."""

    @property
    def is_exact(self) -> bool:
        """Whether people and ledger agree on every call."""
        return not self.told()

    def told(self) -> str:
        """Return in a few words on how many calls they do not agree."""
        counts = (
            (len(self.missing), "in no record"),
            (len(self.doubled), "in two records"),
            (len(self.contradicted), "told otherwise"),
            (len(self.unclaimed), "that nobody placed"),
            (self.volume_missing, "of SIPp in no record"),
            (self.volume_unclaimed, "that SIPp has not placed"),
        )
        return ", ".join(f"{count} calls {what}" for count, what in counts if count)

    def figures(self) -> dict[str, float]:
        """Return them by name."""
        return {
            "ledger.calls": self.calls,
            "ledger.missing": len(self.missing),
            "ledger.doubled": len(self.doubled),
            "ledger.contradicted": len(self.contradicted),
            "ledger.unclaimed": len(self.unclaimed),
            "ledger.volume_missing": self.volume_missing,
            "ledger.volume_unclaimed": self.volume_unclaimed,
            "ledger.exact": float(self.is_exact),
            "ledger.untold": self.untold,
            "audio.strangers": len(self.mixed_up),
        } | ({"calls.cut_off_share": self.cut_off / self.calls} if self.calls else {})


def reports(kept: Iterable[bytes]) -> tuple[Sequence[CallerReport], Sequence[AgentReport]]:
    """Return what callers and agents say, by the lines that were kept (`telling.is_kept`).

    An agent whose telephone died has none of a call's end, and is known to have answered it.
    """
    lines = [line for text in kept if (line := phones.parse(text)) is not None]
    answered_ms = {
        (line.phone, line.sip_call_id): line.wall_ms
        for line in lines
        if line.role == "agent" and line.event == "answered"
    }
    agents = (
        replace(each, answered_ms=answered_ms.get((each.agent, each.sip_call_id)))
        if each.end is End.UNFINISHED
        else each
        for each in phones.agent_reports(lines)
    )
    return phones.caller_reports(lines), tuple(agents)


def compare(
    callers: Iterable[CallerReport],
    agents: Iterable[AgentReport],
    ledger: Iterable[Entry],
    ours: Ours = NOBODYS,
) -> Books:
    """Compare both ways: calls that are in no record, and records of calls that nobody placed."""
    records, placed = list(ledger), list(callers)
    counts: Mapping[str, int] = Counter(each.call for each in records)
    outcomes = {each.call: each.outcome for each in records}
    by_call = {each.call: each for each in records}
    causes: defaultdict[str, list[str]] = defaultdict(list)
    for each in records:
        causes[each.call].append(each.cause)
    # By call, and once: a soak has thousands of both.
    rung: defaultdict[str | None, list[AgentReport]] = defaultdict(list)
    for report in agents:
        rung[report.call].append(report)
    answered = {each.call: each for each in placed if each.ok_ms is not None}
    said = {
        call: outcome_of(each, rung.get(call, ()), causes.get(call, ()))
        for call, each in answered.items()
    }
    untold = {
        call
        for call in said
        if any(each.answered_ms and each.end is End.UNFINISHED for each in rung.get(call, ()))
    }
    lately = [each for each in records if each.arrived_ms >= ours.since_ms]
    by_sipp = [each.call for each in lately if each.did == ours.volume_did and each.did]
    once = len(set(by_sipp))
    claimed = {each.call for each in placed}
    return Books(
        calls=len(said),
        missing=tuple(call for call in said if call not in outcomes),
        doubled=tuple(call for call in said if counts.get(call, 0) > 1),
        contradicted=tuple(
            f"{call}: {_record(by_call[call])}, and {outcome} by the people; "
            + _goodbyes(answered[call], rung.get(call, ()))
            + f"; {_when(answered[call], ours.faults)}"
            for call, outcome in said.items()
            if call in outcomes
            and call not in untold
            and (outcome is Outcome.ANSWERED) is not (outcomes[call] is Outcome.ANSWERED)
        ),
        cut_off=sum(
            outcome is Outcome.LOST and outcomes.get(call) is not Outcome.CALLBACK
            for call, outcome in said.items()
            if call not in untold
        ),
        unclaimed=tuple(
            f"{each.call}: {each.outcome or 'no outcome'}"
            for each in lately
            if each.did == ours.did and each.did
            if not each.is_callback and each.call not in claimed
        ),
        volume_missing=max(0, ours.succeeded - once),
        volume_unclaimed=max(0, once - ours.placed) + len(by_sipp) - once,
        untold=len(untold),
        mixed_up=tuple(
            f"{call}: {' '.join(sorted(strangers))}; {_when(each, ours.faults)}"
            for call, each in answered.items()
            if (strangers := strangers_in(each, rung.get(call, ())))
        ),
    )


def _goodbyes(caller: CallerReport, agents: Iterable[AgentReport]) -> str:
    """Return how each of a call ended it, in seconds since the caller was answered."""
    since_ms = caller.ok_ms or caller.invite_ms
    told = [f"caller {_goodbye(caller, since_ms)}"]
    told += [
        f"agent {each.agent} {_goodbye(each, since_ms)}"
        for each in agents
        if each.answered_ms is not None
    ]
    return ", ".join(told)


def _goodbye(report: CallerReport | AgentReport, since_ms: int) -> str:
    instants = {
        "hung up": report.hung_up_ms,
        "over": report.ended_ms,
        "last heard": report.last_heard_ms,
    }
    parts = [
        f"{what} at {(at_ms - since_ms) / 1000.0:.2f} s"
        for what, at_ms in instants.items()
        if at_ms is not None
    ]
    if report.crossed:
        parts.append("crossed")
    return f"{report.end} ({', '.join(parts)})"


def _record(entry: Entry) -> str:
    why = " ".join(filter(None, (entry.cause, entry.edge and f"at {entry.edge}")))
    return f"{entry.outcome or 'no outcome'}" + (f" ({why})" if why else "")


def _when(caller: CallerReport, faults: Iterable[Done]) -> str:
    """Return when a call came, by the wall clock, and which fault was nearest to its end."""
    came = datetime.fromtimestamp(caller.invite_ms / 1000, UTC)
    told = f"came at {came.isoformat(timespec='milliseconds')}"
    at_ms = caller.hung_up_ms or caller.ended_ms or caller.invite_ms
    made = [each for each in faults if not each.problem]
    if not made:
        return f"{told}, nothing was broken"
    nearest = min(made, key=lambda each: max(each.from_ms - at_ms, at_ms - each.until_ms, 0))
    return f"{told}, {_distance(nearest, at_ms)} {nearest.drill}: {nearest.fault.told()}"


def _distance(fault: Done, at_ms: int) -> str:
    if at_ms < fault.from_ms:
        return f"over {(fault.from_ms - at_ms) / 1000:.1f} s before"
    if at_ms > fault.until_ms:
        return f"over {(at_ms - fault.until_ms) / 1000:.1f} s after"
    return f"over {(at_ms - fault.from_ms) / 1000:.1f} s into"
