"""One row a call, from what everybody said of it. PURE.

Joins callers, agents, the edges' records and the plan; says by whose word each call ended how, and
where the words differ. The people's word and the edges' word are formed without looking at each
other: a ledger that took one from the other would always balance. Save where nobody can tell
(`drills.demo.cut_off.DeadLine`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from drills.demo.cut_off import (
    DeadLine,
    agent_ended_nothing,
    agent_was_heard,
    brought_back,
    caller_ended_nothing,
    dead_line,
    left_before,
    met_nobody,
    never_met,
    parted_as_joined,
)
from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import Dialler, PlannedCall, Scenario
from state.model import CallRecord, Outcome, SiteId


class Audio(Struct, frozen=True, kw_only=True):
    """Whether each side of an answered call heard the other, and nobody else."""

    caller_heard_agent: bool
    agent_heard_caller: bool
    strangers: frozenset[str]
    """Chords of other calls, heard in this one."""

    @property
    def both_ways(self) -> bool:
        """Return True when each heard the other and only the other."""
        return self.caller_heard_agent and self.agent_heard_caller and not self.strangers


class Row(Struct, frozen=True, kw_only=True):
    """One call of the plan and all that is known of it."""

    planned: PlannedCall
    caller: CallerReport | None
    """None: nobody placed it, or the program that did never said so."""
    agent: AgentReport | None
    """The agent's phone that answered it; the last one, if there were several."""
    earlier: tuple[AgentReport, ...] = ()
    """Those that had answered it before: an agent whose site dies is replaced by another."""
    records: tuple[CallRecord, ...]
    """What the edges wrote: exactly one, when all is well."""
    by_people: Outcome | None
    audio: Audio | None
    """None: nobody answered it, or there was nothing to compare."""

    @property
    def record(self) -> CallRecord | None:
        """Return the edges' record; None when there is none, or more than one."""
        return self.records[0] if len(self.records) == 1 else None

    @property
    def by_edges(self) -> Outcome | None:
        """Return the edges' word; None when they have none, or more than one."""
        return self.record.outcome if self.record else None

    @property
    def touched(self) -> frozenset[SiteId]:
        """Return the sites on which this call had a leg or its media, by the edges' record.

        A call that no edge recorded was at most where the carrier sent it first.
        """
        record = self.record
        if record is None:
            return frozenset({self.planned.first_site})
        sites = {record.via, record.site}
        return frozenset(sites | {record.agent_site} if record.agent_site else sites)


class Mismatch(Struct, frozen=True, kw_only=True):
    """A call of which two stories are told."""

    call: str
    people: str
    edges: str


class Ledger(Struct, frozen=True, kw_only=True):
    """All rows, and what belongs to no row."""

    rows: tuple[Row, ...]
    unclaimed_records: tuple[CallRecord, ...]
    """The edges saw a call that no caller of ours placed."""
    unclaimed_answers: tuple[AgentReport, ...]
    """An agent answered a call that is in no row."""

    @property
    def placed(self) -> tuple[Row, ...]:
        """Return the rows that a caller reported."""
        return tuple(row for row in self.rows if row.caller is not None)

    @property
    def differing(self) -> tuple[Row, ...]:
        """Return the planned calls of which people and edges tell different stories."""
        return tuple(row for row in self.rows if not _agree(row))

    def mismatches(self) -> tuple[Mismatch, ...]:
        """Return every call of which people and edges tell different stories."""
        return (
            *(
                Mismatch(call=_name(row), people=people_story(row), edges=edges_story(row))
                for row in self.differing
            ),
            *(
                Mismatch(
                    call=record.call,
                    people="no caller of ours placed it",
                    edges=_record_story(record),
                )
                for record in self.unclaimed_records
            ),
            *(
                Mismatch(
                    call=report.call or report.sip_call_id,
                    people=f"{report.agent} answered it, and no caller heard it",
                    edges="no record names that agent's leg",
                )
                for report in self.unclaimed_answers
            ),
        )


def join(
    scenario: Scenario,
    callers: Iterable[CallerReport],
    agents: Sequence[AgentReport],
    records: Sequence[CallRecord],
) -> Ledger:
    """Return the ledger of a run: callers by their number, records by the caller's SIP Call-ID."""
    by_number = {report.number: report for report in callers}
    by_sip_call_id: defaultdict[str, list[CallRecord]] = defaultdict(list)
    for record in records:
        by_sip_call_id[record.sip_call_id].append(record)
    rows = tuple(
        _row(call, by_number.get(call.number), by_sip_call_id, agents) for call in scenario.calls
    )
    ours = {row.caller.sip_call_id for row in rows if row.caller}
    calls = {row.caller.call for row in rows if row.caller}
    return Ledger(
        rows=rows,
        unclaimed_records=tuple(each for each in records if each.sip_call_id not in ours),
        unclaimed_answers=tuple(
            each for each in agents if each.answered_ms is not None and each.call not in calls
        ),
    )


def _row(
    planned: PlannedCall,
    caller: CallerReport | None,
    by_sip_call_id: Mapping[str, list[CallRecord]],
    agents: Sequence[AgentReport],
) -> Row:
    records = tuple(by_sip_call_id.get(caller.sip_call_id, ())) if caller else ()
    answering = _answering(caller, agents) if caller else ()
    agent, earlier = (answering[-1], answering[:-1]) if answering else (None, ())
    audio = _audio(caller, agent, earlier) if caller and agent else None
    return Row(
        planned=planned,
        caller=caller,
        agent=agent,
        earlier=earlier,
        records=records,
        by_people=_by_people(caller, agent, audio, [each.cause for each in records])
        if caller
        else None,
        audio=audio,
    )


def _answering(caller: CallerReport, agents: Sequence[AgentReport]) -> tuple[AgentReport, ...]:
    """Return the phones that answered the call, by the token that they were rung with.

    The last answer counts: the caller may have left an earlier one at the moment of the answer. One
    who picked up and had nobody has no say, and the one before has the word.
    """
    found = [each for each in agents if each.answered_ms is not None and each.call == caller.call]
    found.sort(key=lambda each: each.invite_ms)
    while found and (met_nobody(caller, found[-1]) or _was_brought_back(found)):
        found.pop()
    return tuple(found)


def _was_brought_back(found: Sequence[AgentReport]) -> bool:
    return len(found) > 1 and brought_back(found[-1], found[-2])


def _audio(caller: CallerReport, agent: AgentReport, earlier: Sequence[AgentReport]) -> Audio:
    """Compare what was sent with what was heard. An echo proves both ways by one ear."""
    agents = {each.sent for each in (*earlier, agent)}
    if caller.sent is None:
        echoed = agent.sent in agent.heard
        return Audio(
            caller_heard_agent=echoed,
            agent_heard_caller=echoed,
            strangers=agent.heard - {agent.sent},
        )
    return Audio(
        caller_heard_agent=agent.sent in caller.heard,
        agent_heard_caller=caller.sent in agent.heard,
        strangers=(caller.heard - agents) | (agent.heard - {caller.sent}),
    )


def strangers_in(caller: CallerReport, agents: Iterable[AgentReport]) -> frozenset[str]:
    """Return the chords of other calls that were heard in a call, by our own telephones.

    `agents`: all whom it has rung.
    """
    ours = [each for each in agents if each.call == caller.call]
    by_agents = frozenset[str]().union(*(each.heard for each in ours))
    return (caller.heard - {each.sent for each in ours}) | (by_agents - {caller.sent})


def outcome_by_people(
    caller: CallerReport, agent: AgentReport | None, audio: Audio | None
) -> Outcome:
    """Return how the call ended, by the word of its caller and, if one answered, its agent.

    A BYE that nobody answered ends nothing: the call was gone before it. Nor does one that a site
    answers in its next life (`drills.demo.cut_off`).
    """
    if left_before(caller):
        caller = replace(caller, joined_ms=None, last_heard_ms=None)
        agent = audio = None
    elif never_met(caller, agent):
        agent = audio = None
    heard = audio is not None and audio.caller_heard_agent
    heard = heard or (agent is not None and parted_as_joined(caller, agent))
    match caller.end:
        case End.REFUSED:
            return Outcome.REFUSED
        case End.CANCELLED:
            return Outcome.ABANDONED
        case End.HUNG_UP:
            was_over = caller_ended_nothing(caller, agent)
            if heard and not was_over:
                return Outcome.ANSWERED
            return Outcome.LOST if agent is not None or was_over else Outcome.ABANDONED
        case End.FAR_END:
            hung_up = agent if agent is not None and agent_was_heard(caller, agent) else None
            is_good = heard and hung_up is not None and not agent_ended_nothing(caller, hung_up)
            return Outcome.ANSWERED if is_good else Outcome.LOST
        case End.UNHEARD | End.SILENCE | End.FAULT | End.UNFINISHED:
            return Outcome.LOST


def _by_people(
    caller: CallerReport,
    agent: AgentReport | None,
    audio: Audio | None,
    causes: Sequence[str],
) -> Outcome:
    """Take the records' `causes` only where nobody else can tell (see above)."""
    is_doubtful = dead_line(caller, agent) is DeadLine.DOUBTFUL
    if is_doubtful and list(causes) == [_DEAD_LINE]:
        return Outcome.LOST
    return outcome_by_people(caller, agent, audio)


_DEAD_LINE = "agent_unheard"
"""What edges say of a caller who hung up on an agent who was silent, and did not answer."""


def outcome_of(
    caller: CallerReport, agents: Sequence[AgentReport], causes: Sequence[str] = ()
) -> Outcome:
    """Return how a call ended, by the word of its caller and of whichever agents answered it.

    `causes`: of its records.
    """
    answering = _answering(caller, agents)
    agent = answering[-1] if answering else None
    audio = None if agent is None else _audio(caller, agent, answering[:-1])
    return _by_people(caller, agent, audio, causes)


def _agree(row: Row) -> bool:
    if row.caller is None:
        return False
    return len(row.records) == 1 and row.by_people is row.by_edges


def _name(row: Row) -> str:
    return f"call {row.planned.index} from {row.planned.number}"


def people_story(row: Row) -> str:
    """Return what caller and agent say, in a line."""
    if row.caller is None:
        return "the caller never reported"
    caller, agent = row.caller, row.agent
    parts = [f"{row.by_people}: caller {caller.end}"]
    if caller.status is not None:
        parts.append(f"status {caller.status}")
    if caller.reason:
        parts.append(f"because {caller.reason}")
    parts.append(f"after {_seconds(caller.invite_ms, caller.ended_ms)}")
    if agent is not None:
        parts.append(f"agent {agent.agent} {agent.end}")
    if row.audio is not None and not row.audio.both_ways:
        parts.append(audio_story(row.audio))
    return ", ".join(parts)


def audio_story(audio: Audio) -> str:
    """Return what was not heard, or wrongly."""
    faults = []
    if not audio.caller_heard_agent:
        faults.append("caller did not hear the agent")
    if not audio.agent_heard_caller:
        faults.append("agent did not hear the caller")
    if audio.strangers:
        faults.append("heard other calls: " + " ".join(sorted(audio.strangers)))
    return "; ".join(faults) or "both ways"


def edges_story(row: Row) -> str:
    """Return what the edges' records say, in a line."""
    if not row.records:
        return "no record"
    return " and ".join(_record_story(record) for record in row.records)


def _record_story(record: CallRecord) -> str:
    agent = f" with {record.agent} ({record.agent_site})" if record.agent else ""
    return (
        f"{record.outcome}: {record.cause} at {record.edge} via {record.via}{agent}"
        f" after {_seconds(record.arrived_ms, record.ended_ms)}"
    )


def _seconds(start_ms: int, end_ms: int | None) -> str:
    return "an unknown time" if end_ms is None else f"{(end_ms - start_ms) / 1000:.1f} s"


def is_checked(row: Row) -> bool:
    """Tell whether the audio of an answered call was compared, by content."""
    return row.by_people is Outcome.ANSWERED and row.audio is not None


def is_of_our_phone(row: Row) -> bool:
    """Tell whether our own user agent placed the call."""
    return row.planned.dialler is Dialler.PHONE
