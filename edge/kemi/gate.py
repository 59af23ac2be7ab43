"""The gate before each agent's phone: `epoch.revision.state.call` in the htable `gate`.

Its laws, whatever crashes, freezes or comes late:

0. It rings only agents who are at home here, and with no token of before they came to be; and
   nobody while this site has just woken up, since who is at home may have changed.
1. Only a token higher than every one seen before rings the agent, and only while the agent is idle.
2. A token that has been let through is spent, however its call ends, and so is every token up to
   the floor: what the gate was loaded with may be older than what its life before let through.
3. Only the token that holds the gate changes its state.
4. After a restart nothing passes until an edge has loaded which offers stand, and the floor.
5. Nor is an agent rung whose telephone has not answered our goodbye: it talks on as far as it
   knows, and the datagram is lost. That is asked only of goodbyes older than a phone takes to
   answer, and for no longer than one is sent again.

Entries are read and written under the lock of their htable slot. It is the process's own, so the
calls inside may take it again; it is released in `finally`, and nothing between can block.
"""

import beat
import calls
import door
import KSR
import wire

IDLE = "idle"
RINGING = "ringing"
TALKING = "talking"

# An offer that follows a goodbye at once arrives behind it, and one that is not answered by then is
# lost: tm sends it again after 0.5 s (RFC 3261 timer E), and gives it up after `GIVEN_UP_MS`.
ANSWERED_MS = 400
GIVEN_UP_MS = 5000


class RefusedError(Exception):
    """The gate, or the location table, says no."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status
        self.reason = reason


def read(agent):
    """Return (token, state, call) of the highest token seen for the agent."""
    text = KSR.htable.sht_get("gate", agent)
    if text is None:
        return floor(), IDLE, ""
    epoch, revision, state, call = text.split(".", 3)
    return (int(epoch), int(revision)), state, call


def floor():
    """Return the token up to which none is new: where the state stood when the gate was loaded."""
    return token_from(KSR.htable.sht_get("meta", "gate_floor"))


def token_from(text):
    """Read `epoch.revision`; None: the token that is below all."""
    epoch, revision = (text or "0.0").split(".")
    return int(epoch), int(revision)


def write(agent, token, state, call):
    """Set the agent's entry. The caller holds the lock."""
    KSR.htable.sht_sets("gate", agent, f"{token[0]}.{token[1]}.{state}.{call}")


def take(agent, token, call):
    """Let this offer ring the agent, or raise RefusedError."""
    if not KSR.htable.sht_get("meta", "gate_loaded"):
        raise RefusedError(wire.UNAVAILABLE, "gate not loaded")
    if beat.is_waking() or door.is_deserted():
        raise RefusedError(wire.UNAVAILABLE, "nobody listens")
    came_with = KSR.htable.sht_get("home", agent)
    if came_with is None:
        raise RefusedError(403, "not homed here")
    oldest_epoch = int(KSR.htable.sht_get("meta", "epoch") or 0)
    KSR.htable.sht_lock("gate", agent)
    try:
        highest, state, _ = read(agent)
        if token <= max(highest, floor(), token_from(came_with)) or token[0] < oldest_epoch:
            raise RefusedError(403, "stale token")
        if state != IDLE or has_not_heard(agent):
            raise RefusedError(486, "busy")
        write(agent, token, RINGING, call)
    finally:
        KSR.htable.sht_unlock("gate", agent)
    tell(agent, token, RINGING, call)


def talk(agent, token):
    """Note that the agent has answered."""
    turn(agent, token, from_states=(RINGING,), to_state=TALKING)


def free(agent, token):
    """Note that the call is over, however it ended; return whether it was the token's to end."""
    return turn(agent, token, from_states=(RINGING, TALKING), to_state=IDLE)


def say_goodbye(agent, token):
    """Free the agent, whose telephone is told so now. `heard_goodbye`: it has answered."""
    if free(agent, token):
        KSR.htable.sht_sets("goodbye", agent, str(calls.now_ms()))


def heard_goodbye(agent):
    """Note that the agent's telephone has answered our goodbye, or is told no longer."""
    KSR.htable.sht_rm("goodbye", agent)


def has_not_heard(agent):
    """Whether our goodbye to the agent's telephone seems to be lost, and is sent again."""
    said_ms = KSR.htable.sht_get("goodbye", agent)
    if said_ms is None:
        return False
    return ANSWERED_MS < calls.now_ms() - int(said_ms) < GIVEN_UP_MS


def turn(agent, token, *, from_states, to_state):
    """Change the agent's state if it is still this token's; return whether it was."""
    KSR.htable.sht_lock("gate", agent)
    try:
        highest, state, call = read(agent)
        is_ours = highest == token and state in from_states
        if is_ours:
            write(agent, token, to_state, "" if to_state == IDLE else call)
    finally:
        KSR.htable.sht_unlock("gate", agent)
    if is_ours:
        tell(agent, token, to_state, call)
    return is_ours


def serving(agent):
    """Return which edge holds the caller whom the agent talks with; None: nobody, or unknown."""
    return KSR.htable.sht_get("served_by", agent) if read(agent)[1] == TALKING else None


def tell(agent, token, state, call):
    """Tell the edges what has become of the agent's gate."""
    door.tell(event="gate", agent=agent, epoch=token[0], revision=token[1], state=state, call=call)


def load(load_id, offers):
    """Take offers that stood when Kamailio started, and count them."""
    if KSR.htable.sht_get("meta", "gate_loaded"):
        return
    for agent, epoch, revision, state, call, *served_by in offers:
        token = (int(epoch), int(revision))
        highest = read(agent)[0]
        if token > highest:
            write(agent, token, state, call)
        if token >= highest and any(served_by):
            KSR.htable.sht_sets("served_by", agent, served_by[0])
    taken = int(KSR.htable.sht_get("loading", load_id) or 0) + len(offers)
    KSR.htable.sht_sets("loading", load_id, str(taken))


def open_after(load_id, count, new_floor):
    """Open the gate if none of that load was lost. The first edge to get here wins.

    A load that comes later may be of an older snapshot, without the offer that rang meanwhile.
    """
    if KSR.htable.sht_get("meta", "gate_loaded"):
        return
    taken = int(KSR.htable.sht_get("loading", load_id) or 0)
    if taken != count:
        KSR.err(f"gate not opened: {taken} of {count} offers came; the edge tries again\n")
        return
    epoch, revision = new_floor
    KSR.htable.sht_sets("meta", "gate_floor", f"{int(epoch)}.{int(revision)}")
    KSR.htable.sht_sets("meta", "gate_loaded", "1")
