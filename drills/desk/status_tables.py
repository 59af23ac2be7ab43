"""The tables of how everything is: sites, edges, queues, agents by state. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drills.desk import words
from drills.desk.answers import EdgeRow, Health, QueueRow, Role, SiteRow, Status
from drills.desk.tables import (
    BAD,
    BUSY,
    GOOD,
    MS,
    NOTHING,
    QUIET,
    STATE_WORDS,
    STATES,
    bad_records,
    numbers,
    spaced,
    table,
)
from edge.acd.agent_state import AgentState
from state.space import REMEDY

FRAME_ROWS = 3
"""The headline with a line above it, and the last line."""
TITLE_ROWS = 4
"""An empty line, the title, the names of the columns, a rule."""
ALWAYS = (AgentState.READY, AgentState.OFFERED, AgentState.TALKING)


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
        why = (
            "takes no write, as etcd has no space left," if site in answer.full else "has no quorum"
        )
        text.append(f"\nSite {site} {why} and serves alone, since ", style=BAD)
        text.append(f"{words.lasting(alone_s)}: its own callers, its own agents.", style=BAD)
    if answer.full:
        text.append(f"\nMake room: {REMEDY}.", style=BAD)
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
