"""The tables of agents, and of what became of what was wished of them. PURE."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from drills.desk import words
from drills.desk.answers import AgentRow, Agents, Wished
from drills.desk.tables import BAD, BUSY, MS, NOTHING, QUIET, STATE_WORDS, STATES, spaced, table
from edge.acd.agent_state import AgentState
from state.model import PresenceState


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
