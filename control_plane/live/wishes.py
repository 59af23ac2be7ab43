"""What an agent is to be: ready, paused or signed out; and how long they rest.

Written as records of the shared state that the agent's home edge obeys: nothing here decides who is
offered a call.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.errors import ApiError, Problem, invalid
from control_plane.live import look, views, writing
from control_plane.live.agent_schemas import (
    AgentPath,
    Missing,
    StateChange,
    StateView,
    WrapUpChange,
)
from control_plane.live.desk import writable
from control_plane.live.follower import Follower
from control_plane.live.people import thing
from control_plane.permissions import Permission
from edge.acd.attendance import LONGEST_REST_S, RestChange, pause_codes_instead, wanted
from edge.acd.eligibility import live_sites, rest_ends_s, rest_of_s
from edge.acd.present import presence_of
from state import keys
from state.model import AgentId, PresenceState, Readiness, Rest, Wish
from state.snapshot import Snapshot

TRIES: Final = 3
NOT_RESTING: Final = Problem(
    status=409, error_id="not-resting", title="The agent does not rest: there is nothing to change"
)
NOT_SIGNED_IN: Final = Problem(
    status=409, error_id="not-signed-in", title="No telephone of the agent is registered"
)
Set: TypeAlias = Ask[AgentPath, Nothing, StateChange]
Wrapped: TypeAlias = Ask[AgentPath, Nothing, WrapUpChange]


# ---- the state -----------------------------------------------------------------------------------


async def set_state(ask: Set) -> StateView:
    """Let an agent be ready, paused or signed out, as far as they can be."""
    follower, agent, body = writable(ask.request.app), AgentId(ask.at.agent), ask.body
    snapshot = follower.mirror.snapshot
    readiness = Readiness(body.state)
    if readiness is Readiness.PAUSED:
        _check_reason(snapshot, agent, body.reason)
    wish = Wish(agent=agent, readiness=readiness, reason=body.reason, by=_by(ask))
    # Before it is written: whose answer is lost may be obeyed all the same.
    ask.note(agent, detail={"state": readiness.value, "reason": body.reason})
    revision = await writing.write(follower, keys.wish(agent), wish)

    def is_settled(now: Snapshot) -> bool:
        return now.revision >= revision and agent in now.agents and _is_taken(now, agent, readiness)

    snapshot = await writing.until(follower, is_settled)
    return _view(follower, agent, _missing(snapshot, agent, readiness))


def _is_taken(snapshot: Snapshot, agent: AgentId, readiness: Readiness) -> bool:
    return presence_of(snapshot, agent) in {wanted(readiness), PresenceState.SIGNED_OUT}


def _check_reason(snapshot: Snapshot, agent: AgentId, reason: str) -> None:
    if codes := pause_codes_instead(snapshot, agent, reason):
        raise invalid("body.reason", f"should be one of {', '.join(codes)}")


def _missing(snapshot: Snapshot, agent: AgentId, readiness: Readiness) -> Missing:
    """Return what keeps a wish from counting, in one word; empty: it counts."""
    if agent not in snapshot.agents:
        return "not_configured"
    presence = presence_of(snapshot, agent)
    if snapshot.agents[agent].value.site not in live_sites(snapshot):
        return "home_site_dead"
    if presence is wanted(readiness):
        return ""
    return "no_telephone" if presence is PresenceState.SIGNED_OUT else "not_taken_yet"


# ---- the rest ------------------------------------------------------------------------------------


async def change_wrap_up(ask: Wrapped) -> StateView:
    """End an agent's rest, or prolong it."""
    follower, agent = writable(ask.request.app), AgentId(ask.at.agent)
    rest = _rest(ask, follower, agent)
    ask.note(agent, detail={"do": ask.body.do, "rest_s": round(rest.rest_s, 1)})
    is_taken = False
    for _ in range(TRIES):
        revision = await writing.write(follower, keys.rest(agent), rest)
        # Once more if it does not come through: the home edge may have written just before it saw.
        is_taken = await _is_rest_taken(follower, rest, revision)
        if is_taken:
            break
    return _view(follower, agent, "" if is_taken else "not_taken_yet")


async def _is_rest_taken(follower: Follower, rest: Rest, revision: int) -> bool:
    """Wait for the home edge to say it; return whether it has."""

    def says(snapshot: Snapshot) -> bool:
        presence = snapshot.presences.get(rest.agent)
        if presence is None or presence.mod_revision <= revision:
            return False
        return presence.value.rest_of == rest.work

    return says(await writing.until(follower, says, writing.TAKEN_S / 2))


def _rest(ask: Wrapped, follower: Follower, agent: AgentId) -> Rest:
    """Return the rest as it is to be. Raise `not-resting` or `not-signed-in`."""
    snapshot, now = follower.mirror.snapshot, follower.clock.now()
    presence, work = snapshot.presences.get(agent), snapshot.works.get(agent)
    if presence is None or presence.value.state is PresenceState.SIGNED_OUT:
        raise ApiError(NOT_SIGNED_IN)
    is_given = agent in snapshot.offers
    if work is None or is_given or now.mono_s >= rest_ends_s(work, presence):
        raise ApiError(NOT_RESTING)
    rest_s = 0.0
    if ask.body.do is RestChange.EXTEND:
        rest_s = min(rest_of_s(work, presence) + ask.body.by_s, LONGEST_REST_S)
    return Rest(agent=agent, work=work.mod_revision, rest_s=rest_s, by=_by(ask))


# ---- both ----------------------------------------------------------------------------------------


def _by(ask: Set | Wrapped) -> str:
    return "" if ask.subject.agent == ask.at.agent else ask.subject.id


def _view(follower: Follower, agent: AgentId, missing: Missing) -> StateView:
    only = frozenset({agent})
    found = next(look.agents(follower.mirror.snapshot, follower.clock.now(), only), None)
    return StateView(agent=None if found is None else views.agent(found), missing=missing)


ROUTES: Final[Routes] = (
    Route(
        method=Method.PUT,
        path="/v1/agents/{agent}/state",
        summary="Let an agent be ready, paused or signed out",
        access=Permission.AGENT_SET_STATE,
        handler=set_state,
        thing=thing,
        at=AgentPath,
        body=StateChange,
        answer=StateView,
        tx=Tx.NONE,
        problems=(writing.CHANGING,),
    ),
    Route(
        method=Method.POST,
        path="/v1/agents/{agent}/wrap-up",
        summary="End an agent's wrap-up, or prolong it",
        access=Permission.AGENT_SET_STATE,
        handler=change_wrap_up,
        thing=thing,
        at=AgentPath,
        body=WrapUpChange,
        answer=StateView,
        tx=Tx.NONE,
        problems=(NOT_RESTING, NOT_SIGNED_IN, writing.CHANGING),
    ),
)
