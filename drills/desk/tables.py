"""The tables that a person reads of a lab that is up. PURE.

Owns how answers look, 80 columns wide or wider. Says nothing that is not in the answer.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from drills.desk import words
from drills.desk.answers import (
    AgentRow,
    Agents,
    CallbackRow,
    Callbacks,
    CallRow,
    Calls,
    CandidateRow,
    EdgeRow,
    Explained,
    Health,
    QueueRow,
    Role,
    SiteRow,
    Status,
    Wished,
)
from drills.desk.ledger import SHORT
from edge.acd.agent_state import AgentState
from state.model import Outcome, PresenceState

MS = 1000
WIDE = 95
"""From so many columns on there is room for more."""
FRAME_ROWS = 3
"""The headline with a line above it, and the last line."""
TITLE_ROWS = 4
"""An empty line, the title, the names of the columns, a rule."""
GOOD, BAD, BUSY, QUIET = "green", "bold red", "yellow", "dim"
NOTHING = Text("-", style=QUIET)
STATES: Mapping[AgentState, str] = {
    AgentState.READY: GOOD,
    AgentState.OFFERED: BUSY,
    AgentState.TALKING: "cyan",
    AgentState.HOLD: "cyan",
    AgentState.WRAP_UP: BUSY,
    AgentState.PAUSED: "magenta",
    AgentState.ELSEWHERE: QUIET,
    AgentState.SIGNED_OUT: QUIET,
    AgentState.UNREACHABLE: BAD,
}
STATE_WORDS: Mapping[AgentState, str] = {
    AgentState.OFFERED: "ringing",
    AgentState.ELSEWHERE: "other",
    AgentState.WRAP_UP: "wrap-up",
    AgentState.SIGNED_OUT: "signed out",
}
ALWAYS = (AgentState.READY, AgentState.OFFERED, AgentState.TALKING)
OUTCOMES: Mapping[Outcome, str] = {
    Outcome.ANSWERED: GOOD,
    Outcome.ABANDONED: BUSY,
    Outcome.REFUSED: BUSY,
    Outcome.CALLBACK: BUSY,
    Outcome.LOST: BAD,
}


def table(title: str, *columns: str) -> Table:
    """Return an empty table with these columns."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style=QUIET,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for column in columns:
        made.add_column(column)
    return made


def numbers(made: Table, *columns: str) -> None:
    """Add columns that are aligned at the right."""
    for column in columns:
        made.add_column(column, justify="right", no_wrap=True)


# ---- agents --------------------------------------------------------------------------------------


def agents(answer: Agents) -> RenderableType:
    """Return everybody."""
    made = table("Agents", "agent", "home", "phone", "state", "for", "calls", "skills")
    made.columns[5].justify = "right"
    home = None
    for row in answer.agents:
        if home not in {None, row.site}:
            made.add_section()
        home = row.site
        made.add_row(*_agent(row, answer.now_ms))
    if not answer.agents:
        return Text("No agents are configured.")
    return spaced([made])


def _agent(row: AgentRow, now_ms: int) -> Iterator[str | Text]:
    yield row.agent
    yield row.site
    signed_out = row.presence is PresenceState.SIGNED_OUT
    yield Text("no", style=BAD) if signed_out else Text("yes")
    yield state_of(row)
    yield NOTHING if row.since_ms is None else words.lasting((now_ms - row.since_ms) / MS)
    yield str(row.calls)
    yield words.levels(row.skills)


def state_of(row: AgentRow) -> Text:
    """Return an agent's state in a word or two, with what comes after the call."""
    text = Text(STATE_WORDS.get(row.state, words.plain(row.state)), style=STATES[row.state])
    is_paused = row.presence is PresenceState.PAUSED
    if is_paused and row.state is not AgentState.PAUSED:
        text.append(", then paused", style=STATES[AgentState.PAUSED])
    if is_paused and row.reason:
        text.append(f" ({row.reason})", style=QUIET)
    return text


def wished(answer: Wished) -> RenderableType:
    """Return what became of wishes, a line each."""
    lines = []
    for wish in answer.wishes:
        line = Text(f"{wish.agent.agent} at {wish.agent.site}: ", end="")
        line.append_text(state_of(wish.agent))
        if wish.missing is None:
            line.append(f", taken within {max(0.1, answer.took_s):.1f} s", style=QUIET)
        else:
            line.append(f"; {wish.missing}", style=BUSY)
        lines.append(line)
    return Group(*(Text.assemble(line) for line in lines))


# ---- status --------------------------------------------------------------------------------------


def status(answer: Status) -> RenderableType:
    """Return how everything is."""
    return spaced((_headline(answer), *_tables(answer)))


def wallboard(answer: Status, *, rows: int) -> RenderableType:
    """Return the same for a screen of so many rows: what is short of room goes without titles."""
    tables = _tables(answer)
    lines = sum(made.row_count + TITLE_ROWS for made in tables)
    if lines + FRAME_ROWS <= rows:
        return Group(status(answer), Text("Ctrl-C ends this.", style=QUIET))
    for made in tables:
        made.title = None
    return Group(_headline(answer), *tables)


def _tables(answer: Status) -> list[Table]:
    parts = [
        _sites(answer.sites, answer.edges),
        _edges(answer.edges),
        _queues(answer.queues),
        _people(answer),
    ]
    if answer.bad_records:
        parts.insert(0, bad_records(answer.bad_records))
    return parts


def spaced(parts: Iterable[RenderableType]) -> RenderableType:
    """Return the parts one below the other, an empty line before each."""
    return Group(*(Padding(part, (1, 0, 0, 0)) for part in parts))


def _headline(answer: Status) -> Text:
    text = Text(f"Lab {answer.lab}", style="bold")
    text.append(f" ({answer.kind}), up for {words.lasting(answer.up_s)}; ", style="")
    roles = [row.etcd for row in answer.sites]
    serving = sum(1 for role in roles if role in {Role.LEADER, Role.FOLLOWER})
    leader = next((row.site for row in answer.sites if row.etcd is Role.LEADER), None)
    led = f"leader at {leader}" if leader else "no leader"
    is_well = leader is not None and serving == len(roles)
    text.append(f"etcd {serving} of {len(roles)}, {led}", style="" if is_well else BAD)
    text.append(f", revision {answer.revision}")
    if answer.snapshot != "live":
        age = (
            "never read"
            if answer.snapshot_age_s is None
            else (f"{words.lasting(answer.snapshot_age_s)} old")
        )
        text.append(f"\nWhat is told of queues and agents is {age}: etcd is silent.", style=BAD)
    for site, since_ms in sorted(answer.alone.items()):
        alone_s = max(0.0, (answer.now_ms - since_ms) / MS)
        text.append(f"\nSite {site} has no quorum and serves alone, since ", style=BAD)
        text.append(f"{words.lasting(alone_s)}: its own callers, its own agents.", style=BAD)
    return text


def _sites(rows: Iterable[SiteRow], edges: Iterable[EdgeRow]) -> Table:
    made = table("Sites", "site", "address", "state", "proxy", "media", "etcd", "API", "edges")
    numbers(made, "restarts", "calls")
    serving = Counter(row.site for row in edges if row.answers and row.has_lease)
    total = Counter(row.site for row in edges)
    for row in rows:
        many = f"{serving[row.site]}/{total[row.site]}"
        made.add_row(
            row.site,
            row.address,
            _site_state(row),
            _health(row.processes.get(f"kamailio-{row.site}")),
            _health(row.processes.get(f"rtpengine-{row.site}")),
            _role(row.etcd),
            _health(row.processes.get(f"control-plane-{row.site}")),
            Text(many, style="" if serving[row.site] == total[row.site] else BAD),
            Text(str(row.restarts), style=BUSY) if row.restarts else NOTHING,
            str(row.calls),
        )
    return made


def _site_state(row: SiteRow) -> Text:
    if row.is_cut_off:
        return Text("cut off", style=BAD)
    return Text("draining", style=BUSY) if row.is_draining else Text("up")


def _health(health: Health | None) -> Text:
    match health:
        case None:
            return NOTHING
        case Health.UP:
            return Text("up")
        case Health.STARTING:
            return Text("starts", style=BUSY)
        case Health.DOWN:
            return Text("down", style=BAD)


def _role(role: Role) -> Text:
    match role:
        case Role.LEADER:
            return Text("leader", style=GOOD)
        case Role.FOLLOWER:
            return Text("follower")
        case Role.NO_LEADER:
            return Text("no leader", style=BAD)
        case Role.SILENT:
            return Text("silent", style=BAD)


def _edges(rows: Iterable[EdgeRow]) -> Table:
    made = table("Edges", "edge", "state", "snapshot", "proxy", "finds down")
    numbers(made, "calls", "served", "legs", "media")
    for row in rows:
        made.add_row(row.edge, *_edge(row))
    return made


def _edge(row: EdgeRow) -> Iterator[str | Text]:
    if not row.answers:
        # Without its lease it is dead to the others.
        yield Text("silent" if row.has_lease else "gone", style=BAD)
        yield from (NOTHING,) * 7
        return
    lease = row.state if row.has_lease else "no lease"
    yield Text(lease, style="" if lease == "serving" else BUSY)
    age = "never" if row.snapshot_age_s is None else f"{row.snapshot_age_s:.1f} s"
    yield Text(f"{row.snapshot}, {age}", style="" if row.snapshot == "live" else BAD)
    yield Text("in step") if row.proxy_is_in_step else Text("behind", style=BUSY)
    out = [f"{site} ({why})" for site, why in row.out.items() if site not in row.unreachable]
    gone = (*row.unreachable, *out)
    yield Text(", ".join(gone), style=BAD) if gone else NOTHING
    yield str(sum(row.calls.values()))
    yield str(row.calls_taken)
    yield str(row.legs)
    yield Text("silent", style=BAD) if row.media_calls is None else str(row.media_calls)


def _queues(rows: Iterable[QueueRow]) -> Table:
    made = table("Queues", "queue", "dial")
    numbers(made, "waiting", "longest", "ringing", "talking", "free")
    for row in rows:
        made.add_row(
            row.queue,
            ", ".join(row.dids),
            Text(str(row.waiting), style=BUSY if row.waiting else ""),
            NOTHING if row.longest_s is None else words.lasting(row.longest_s),
            str(row.ringing),
            str(row.talking),
            str(row.free),
        )
    return made


def _people(answer: Status) -> Table:
    seen = {state for counts in answer.agents.values() for state, many in counts.items() if many}
    shown = [state for state in AgentState if state in ALWAYS or state in seen]
    shown.sort(key=lambda state: (state is AgentState.SIGNED_OUT, state not in ALWAYS))
    made = table("Agents", "home")
    numbers(made, *(STATE_WORDS.get(state, words.plain(state)) for state in shown))
    for site, counts in sorted(answer.agents.items()):
        cells = (
            Text(str(counts[state]), style=STATES[state]) if counts.get(state) else NOTHING
            for state in shown
        )
        made.add_row(site, *cells)
    return made


def bad_records(bad: Mapping[str, str]) -> Table:
    """Return the records that cannot be read, by name."""
    made = table("Records that cannot be read; everything else goes on", "record and way out")
    for _, why in sorted(bad.items()):
        made.add_row(Text(why, style=BAD))
    return made


# ---- calls ---------------------------------------------------------------------------------------


def calls(answer: Calls) -> RenderableType:
    """Return the list of calls."""
    parts: list[RenderableType] = []
    if answer.calls:
        parts.append(_CallList(answer))
    else:
        parts.append(Text("No calls yet. Place one: ./everline call NUMBER"))
    if answer.bad_records:
        parts.append(bad_records(answer.bad_records))
    return spaced(parts)


class _CallList:
    """The calls; where there is room, also which edge served them and what ended them."""

    def __init__(self, answer: Calls) -> None:
        self._answer = answer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        answer, is_wide = self._answer, options.max_width >= WIDE
        over = sum(1 for row in answer.calls if row.state is None)
        title = f"Calls: {len(answer.calls) - over} running, {over} of {answer.total} that are over"
        made = table(title, "call", "came", "queue", "what")
        numbers(made, "waited", "talked")
        for column in ("agent", *(("edge", "ended by") if is_wide else ())):
            made.add_column(column)
        length = unambiguous([row.call for row in answer.calls])
        for row in answer.calls:
            more = (row.edge, words.plain(row.cause)) if is_wide else ()
            made.add_row(row.call[:length], *_call(row), *more)
        yield made


def _call(row: CallRow) -> Iterator[str | Text]:
    yield clock(row.arrived_ms)
    yield row.queue
    yield what(row)
    yield _seconds(row.waited_s)
    yield _seconds(row.talked_s)
    yield NOTHING if row.agent is None else f"{row.agent} ({row.agent_site or '?'})"


def what(row: CallRow) -> Text:
    """Return a call's outcome, or how far it has come."""
    if row.outcome is not None:
        return Text(row.outcome, style=OUTCOMES[row.outcome])
    return Text("" if row.state is None else row.state, style="cyan")


def unambiguous(calls: Sequence[str]) -> int:
    """Return how many characters of their ids tell these calls apart, and look the same."""
    length = SHORT
    while len({call[:length] for call in calls}) < len(set(calls)):
        length += 1
    return length


def clock(wall_ms: int) -> str:
    """Return a moment as people here read clocks."""
    return dt.datetime.fromtimestamp(wall_ms / MS, dt.UTC).astimezone().strftime("%H:%M:%S")


def _seconds(seconds: float | None) -> str | Text:
    return NOTHING if seconds is None else f"{seconds:.1f} s"


# ---- callbacks -----------------------------------------------------------------------------------


def callbacks(answer: Callbacks) -> RenderableType:
    """Return who is to be called back."""
    if not answer.callbacks:
        return Text("Nobody is to be called back.")
    made = table("To be called back", "call", "number", "queue", "when")
    numbers(made, "tries", "until")
    length = unambiguous([row.call for row in answer.callbacks])
    for row in answer.callbacks:
        made.add_row(
            row.call[:length],
            row.did,
            NOTHING if row.queue is None else row.queue,
            _when(row),
            f"{row.tries} of {row.most_tries}",
            NOTHING if row.until_ms is None else clock(row.until_ms),
        )
    return spaced([made])


def _when(row: CallbackRow) -> Text:
    if row.is_under_way:
        return Text("now", style="cyan")
    if row.due_in_s > 0:
        return Text(f"in {words.lasting(row.due_in_s)}")
    return Text("when it is open")


# ---- one call explained --------------------------------------------------------------------------


def explained(answer: Explained) -> RenderableType:
    """Return why a call has the agent it has."""
    parts: list[RenderableType] = [_story(answer)]
    ranked = [each for each in answer.candidates if each.score is not None]
    if ranked:
        parts.append(_ranked(answer, ranked))
    out = [each for each in answer.candidates if each.score is None]
    if out:
        parts.append(_excluded(answer, out))
    elif answer.excluded:
        most = sorted(answer.excluded.items(), key=lambda pair: (-pair[1], pair[0]))
        told = ", ".join(f"{words.reason(why)} ({many})" for why, many in most)
        parts.append(Text(f"Not considered: {told}."))
    return spaced(parts)


def _story(answer: Explained) -> Text:
    call = answer.call
    text = Text(f"Call {call.call}", style="bold")
    text.append(f" to {call.did}, queue {call.queue}, came at {clock(call.arrived_ms)}", style="")
    text.append(f" and was taken by edge {call.edge}.\n", style="")
    needs = [each for each in (words.levels(answer.needs), *answer.also) if each]
    if needs:
        text.append(f"It needs {'; '.join(needs)}", style="")
        text.append(f", softened {answer.step} times." if answer.step else ".", style="")
    if answer.place is not None:
        is_or_was = "is" if answer.source == "present" else "was"
        text.append(f" It {is_or_was} number {answer.place} in the line.", style="")
    if answer.decided_ms is not None:
        waited_s = (answer.decided_ms - call.arrived_ms) / MS
        text.append(f" {answer.winner} was chosen after {waited_s:.1f} s,", style="")
        text.append(f" on revision {answer.revision} of the shared state.", style="")
    if answer.tried:
        text.append(f" Rung before, in vain: {', '.join(answer.tried)}.", style="")
    if answer.note:
        text.append(f" {answer.note}", style="")
    if call.outcome is not None:
        text.append(f" Outcome: {call.outcome}, {words.plain(call.cause)}.", style="")
    return text


def _ranked(answer: Explained, ranked: Sequence[CandidateRow]) -> Table:
    parts = list(ranked[0].parts)
    title = "Who could have it now" if answer.source == "present" else "Who could have had it"
    made = table(title, "", "agent", "home")
    numbers(made, "score", *map(words.plain, parts))
    numbers(made, *_needs(answer))
    for rank, each in enumerate(ranked, start=1):
        found = (each.parts.get(part) for part in parts)
        made.add_row(
            str(rank),
            each.agent,
            each.site or "?",
            f"{each.score:.3f}",
            *(NOTHING if number is None else f"{number:.3f}" for number in found),
            *_skills(answer, each),
            style="bold" if each.agent == answer.winner else "",
        )
    return made


def _needs(answer: Explained) -> list[str]:
    return [f"{skill} {level}+" for skill, level in answer.needs.items()]


def _skills(answer: Explained, each: CandidateRow) -> Iterator[Text]:
    """Yield the agent's level of each skill that is needed."""
    for skill, level in answer.needs.items():
        has = each.skills.get(skill)
        style = "" if has is not None and has >= level else BAD
        yield Text("none" if has is None else str(has), style=style)


def _excluded(answer: Explained, out: Iterable[CandidateRow]) -> Table:
    title = "Who could not" if answer.source == "log" else "Who cannot"
    made = table(title, "agent", "home", "because")
    numbers(made, *_needs(answer))
    for each in sorted(out, key=lambda each: (each.excluded or "", each.agent)):
        because = words.reason(each.excluded or "")
        if each.given_to is not None:
            because += f" ({each.given_to[:SHORT]})"
        made.add_row(each.agent, each.site or "?", because, *_skills(answer, each))
    return made
