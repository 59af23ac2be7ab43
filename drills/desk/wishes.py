"""Writes what agents wish to be, and waits until their home sites have taken it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from drills.desk.asks import WishAsk
from drills.desk.errors import RefusedError
from edge.acd.attendance import pause_codes_instead, wanted
from edge.acd.eligibility import live_sites
from edge.acd.present import presence_of
from state import keys
from state.codec import Extras, decode_with_extras, encode
from state.errors import CodecError, FutureVersionError
from state.mirror import Mirror
from state.model import AgentId, PresenceState, Readiness, Wish
from state.snapshot import Snapshot
from state.store import Put, Store

TAKEN_WITHIN_S = 5.0
MOST_AGENTS = 100
"""In one transaction."""


def check_agents(snapshot: Snapshot, agents: Iterable[AgentId]) -> None:
    """Raise RefusedError for an agent who is not configured, with those who look alike."""
    for agent in agents:
        if agent not in snapshot.agents:
            alike = difflib.get_close_matches(agent, list(snapshot.agents), n=3)
            hint = f"did you mean {' or '.join(alike)}? " if alike else ""
            raise RefusedError(f"no agent {agent!r} here: {hint}./everline agent list names all")


def check_reason(snapshot: Snapshot, ask: WishAsk) -> None:
    """Raise RefusedError for a pause whose reason is none of the configured codes, with those."""
    if ask.readiness is not Readiness.PAUSED:
        return
    for agent in ask.agents:
        codes = pause_codes_instead(snapshot, agent, ask.reason)
        if codes:
            given = f"{ask.reason!r} is no pause code" if ask.reason else "a pause needs a code"
            raise RefusedError(f"{given} for {agent}: use --reason with one of {', '.join(codes)}")


async def write(store: Store, snapshot: Snapshot, ask: WishAsk) -> None:
    """Write the wishes, all at once. What a later version of a record has beside ours is kept.

    RefusedError: too many agents. Raises as `Store.txn` does.
    """
    if len(ask.agents) > MOST_AGENTS:
        raise RefusedError(f"at most {MOST_AGENTS} agents at a time, not {len(ask.agents)}")
    puts = []
    for agent in dict.fromkeys(ask.agents):
        wish = Wish(agent=agent, readiness=ask.readiness, reason=ask.reason, by=ask.by)
        puts.append(Put(key=keys.wish(agent), value=encode(wish, _extras(snapshot, agent))))
    await store.txn((), puts)


def _extras(snapshot: Snapshot, agent: AgentId) -> Extras:
    raw = snapshot.raw.get(keys.wish(agent))
    if raw is None:
        return {}
    try:
        return decode_with_extras(Wish, raw.value, raw.key).extras
    except FutureVersionError as error:
        raise RefusedError(str(error)) from error
    except CodecError:
        return {}  # nobody can read it: this mends it


async def until_taken(mirror: Mirror, ask: WishAsk) -> Snapshot:
    """Return the snapshot in which every wish counts, or the last one when the time is up."""

    def all_settled(snapshot: Snapshot) -> bool:
        return all(is_settled(snapshot, agent, ask.readiness) for agent in ask.agents)

    try:
        return await mirror.wait_until(all_settled, TAKEN_WITHIN_S)
    except TimeoutError:
        return mirror.snapshot


def is_settled(snapshot: Snapshot, agent: AgentId, readiness: Readiness) -> bool:
    """Whether there is nothing to wait for: the wish counts, or only a phone is missing."""
    wish = snapshot.wishes.get(agent)
    if wish is None or wish.value.readiness is not readiness:
        return False
    presence = presence_of(snapshot, agent)
    return presence in {wanted(readiness), PresenceState.SIGNED_OUT}


def missing(snapshot: Snapshot, agent: AgentId, readiness: Readiness) -> str | None:
    """Return what keeps the wish from counting, or None."""
    presence, site = presence_of(snapshot, agent), snapshot.agents[agent].value.site
    if site not in live_sites(snapshot):
        return f"no edge of the home site {site} lives; the wish counts when one does"
    if presence is PresenceState.SIGNED_OUT:
        return f"no phone is registered at the home site {site}; the wish counts when one is"
    if presence is wanted(readiness):
        return None
    return (
        f"the home site {site} has not taken it within {TAKEN_WITHIN_S:g} s: "
        "see its edges by ./everline status"
    )
