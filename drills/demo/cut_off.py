"""Whether a call was cut off before somebody said goodbye, by the ears of its people. PURE.

A goodbye ends a call that stands. Into one that a fault has cut off, people say it because they
hear nobody, or have not noticed yet; a site that comes back answers it in its next life. It answers
late, since nobody was there when it came; and from the fault on nobody had heard anybody. Where
only the edge was gone, the answer is late as well, but the two hear each other all the while.

Who waits, and leaves since nothing came any more, not even music, was cut off by their own word,
however soon they are answered: an edge's next life may be up by then, and knows of the silence.
"""

from __future__ import annotations

from enum import Enum, auto

from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import Dialler

AGENT_HUNG_UP = "agent_hung_up"
"""What a caller's telephone is told who is hung up on because the agent has."""
MEDIA_LOST = "media_lost"
"""What both telephones are told whose relay has lost the call."""
AT_ONCE_MS = 600
"""Who is there answers a BYE before it is sent again, after 500 ms (timer T1, RFC 3261 §17.1.2)."""
GAP_MS = 200
"""The longest gap that a call may have."""
SILENT_MS = 5 * GAP_MS
"""Before so long a silence nobody hangs up because of it, and an edge may not know of it either."""
NEXT_LIFE_MS = 1000
"""Whoever died together with their relay answers no BYE of that first second sooner than this; a
living edge says nothing for 0.4 s while the store does not answer, and on a busy machine longer."""
TOLD_BY_MS = 500
"""Whoever has not answered that they are joined is taken to be, by their edge, after so long."""
GAVE_UP_MS = 2000
"""So long before the caller's goodbye, the agent's is not one that crosses it."""
DEAF_MS = 4000
"""A caller who cannot listen, and whose agent does not say: an edge's next life is quicker."""
ALONE_MS = 8000
"""For so long an edge says goodbye to somebody; who has not heard it by then is lost."""
HOLD_MS = 400
"""For so long an edge that has heard a goodbye waits with its answer, at most."""
UNHEARD_MS = 3000
"""Of whom a relay has had nothing for so long, and whom no goodbye reaches, was cut off."""
RELAY_TELLS_MS = 1000
"""In steps of so much."""
SOUNDS_PER_S = 25
"""Half of the packets that come of music, or of somebody who talks."""

Report = CallerReport | AgentReport


def caller_ended_nothing(caller: CallerReport, agent: AgentReport | None) -> bool:
    """Tell whether the call was over when its caller hung up, because something was broken.

    A goodbye that soon meets one which neither of the two has said came too late. One that has
    waited for seconds stood before a proxy that did: its edge takes both for gone, if it lives.
    """
    was_passed_on = _left_to_music(caller, agent)
    is_first = agent is None or agent.end is not End.HUNG_UP or agent.crossed or was_passed_on
    if caller.crossed and is_first and _waited_ms(caller) <= DEAF_MS:
        return True
    is_unheard = dead_line(caller, agent) is DeadLine.YES or _left_between(caller, agent)
    if agent is not None and not was_passed_on and (is_unheard or _was_left_alone(caller, agent)):
        return True
    waits_again = was_passed_on or _waits_again(caller, agent)
    if caller.heard_nothing and (waits_again or _has_only_waited(caller, agent)):
        return True
    if not _had_to_wait(caller, caller, agent):
        return False
    is_deaf = caller.last_heard_ms is None and (agent is None or agent.last_heard_ms is None)
    if is_deaf or waits_again:
        return caller.heard_nothing or (_waited_ms(caller) > DEAF_MS and not _was_played_to(caller))
    return _nobody_was_heard(caller, agent, _bearable_ms(caller))


class DeadLine(Enum):
    """Whether a caller hung up on somebody whose line was dead, by the ears of both."""

    NO = auto()
    DOUBTFUL = auto()
    """A relay that tells whole seconds may say either."""
    YES = auto()


def dead_line(caller: CallerReport, agent: AgentReport | None) -> DeadLine:
    """Tell whether a caller hung up as the agent's line had been dead for a while.

    Neither heard the other any more, and of our goodbye the agent never heard. Where the agent's
    ear tells that the caller was heard until the end, it was only their goodbye that got lost.
    """
    if agent is None or agent.end not in {End.UNHEARD, End.FAULT, End.UNFINISHED}:
        return DeadLine.NO
    known = (_heard_until_ms(caller, agent), _heard_until_ms(agent, caller))
    heard_ms = [each for each in known if each is not None]
    if caller.hung_up_ms is None or not heard_ms:
        return DeadLine.NO
    silent_ms = caller.hung_up_ms - max(heard_ms)
    if silent_ms >= UNHEARD_MS + RELAY_TELLS_MS:
        return DeadLine.YES
    return DeadLine.DOUBTFUL if silent_ms >= UNHEARD_MS - GAP_MS else DeadLine.NO


def never_met(caller: CallerReport, agent: AgentReport | None) -> bool:
    """Tell whether an agent answered an edge that was gone, and the caller went on waiting.

    The next life of the edge knows that the agent was rung, and lets the caller wait for another.
    """
    left_ms = None if agent is None else agent.busy_until_ms
    if agent is None or left_ms is None or caller.hung_up_ms is None:
        return False
    has_met = caller.joined_ms is not None or agent.last_heard_ms is not None
    return not has_met and caller.hung_up_ms - left_ms > ALONE_MS


def left_before(caller: CallerReport) -> bool:
    """Tell whether an agent was joined to somebody who had hung up long before.

    The next life of an edge finds a caller who waited, and may have an agent for them before it
    hears the goodbye, which stood before a proxy that was gone: what the caller's telephone still
    takes in then, nobody holds to their ear.
    """
    if caller.joined_ms is None or caller.hung_up_ms is None:
        return False
    return caller.joined_ms - caller.hung_up_ms > AT_ONCE_MS


def met_nobody(caller: CallerReport, agent: AgentReport) -> bool:
    """Tell whether a caller left as one who waits leaves, and never had an agent who picked up.

    Neither has heard the other, nor were they joined, and the call stood: their goodbye was
    answered at once, and not said for want of sound; or their edge was gone, and the music went on.
    Sound is there some milliseconds before they are told of it.
    How the call ended is not for that agent to say, whose answer nobody may have heard.
    """
    if agent.answered_ms is None or caller.hung_up_ms is None or caller.crossed:
        return False
    if _were_joined(caller, agent):
        return False
    is_heard = agent.last_heard_ms is not None or agent.sent in caller.heard
    is_soon = caller.hung_up_ms - agent.answered_ms <= TOLD_BY_MS
    if is_heard and not (is_soon and _waited_ms(caller) <= AT_ONCE_MS):
        return False
    if _waited_ms(caller) > AT_ONCE_MS:
        return _was_played_to(caller)
    return not caller.heard_nothing


def brought_back(agent: AgentReport, before: AgentReport) -> bool:
    """Tell whether an agent had left when the one `before` them heard the caller still.

    The target of a transfer hangs up before they are joined; or answers an edge that has died as it
    rang them, and is hung up on by its next life. The caller is back with who passed them on.
    """
    left_ms, heard_ms = agent.busy_until_ms, before.last_heard_ms
    return left_ms is not None and heard_ms is not None and heard_ms > left_ms


def parted_as_joined(caller: CallerReport, agent: AgentReport) -> bool:
    """Tell whether one of the two hung up in the moment in which they were brought together.

    Nobody may have been heard yet, and their edge knows that they were joined.
    """
    goodbyes = [each.hung_up_ms for each in (caller, agent) if each.hung_up_ms is not None]
    if caller.told_ms is None or not goodbyes or not _were_joined(caller, agent):
        return False
    return min(goodbyes) - caller.told_ms <= SILENT_MS


def _were_joined(caller: CallerReport, agent: AgentReport) -> bool:
    """Tell whether the caller took what they were offered while the agent was there."""
    if caller.told_ms is None or agent.answered_ms is None:
        return False
    until_ms = caller.told_ms if agent.busy_until_ms is None else agent.busy_until_ms
    return agent.answered_ms <= caller.told_ms <= until_ms


def agent_was_heard(caller: CallerReport, agent: AgentReport) -> bool:
    """Tell whether an agent's goodbye was taken, by its answer or by its having reached the caller.

    Their edge may die between the two: the caller is told at once that the agent has hung up, and
    the agent, whose edge waits with its answer, never hears one.
    """
    if agent.end is not End.UNHEARD or agent.hung_up_ms is None or caller.ended_ms is None:
        return agent.end is End.HUNG_UP
    passed_ms = caller.ended_ms - agent.hung_up_ms
    return AGENT_HUNG_UP in caller.reason and 0 <= passed_ms <= AT_ONCE_MS


def agent_ended_nothing(caller: CallerReport, agent: AgentReport) -> bool:
    """Tell whether the call was over when its agent hung up, because something was broken.

    Or whether the caller, who has not hung up, was told too late to have heard it by our word, or
    was told otherwise: that their relay had lost the call.
    """
    if caller.end is End.FAR_END and MEDIA_LOST in caller.reason:
        return True
    if caller.end is End.FAR_END and _is_too_late(caller, agent):
        return True
    if agent.crossed and caller.end is not End.HUNG_UP and _waited_ms(agent) <= DEAF_MS:
        return True
    if not _had_to_wait(agent, caller, agent):
        return False
    return _nobody_was_heard(caller, agent, _bearable_ms(agent))


def _is_too_late(caller: CallerReport, agent: AgentReport) -> bool:
    """Tell whether the agent's goodbye, from when their edge had it, took too long to the caller.

    The edge has it when it is said, or just before it is answered: a proxy may have stood still.
    """
    if agent.hung_up_ms is None or caller.ended_ms is None:
        return False
    had_ms = agent.hung_up_ms
    if agent.end is End.HUNG_UP and agent.ended_ms is not None:
        had_ms = max(had_ms, agent.ended_ms - HOLD_MS)
    return caller.ended_ms - had_ms > ALONE_MS


def _has_only_waited(caller: CallerReport, agent: AgentReport | None) -> bool:
    """Tell whether neither the caller nor whoever answered them has ever heard the other."""
    is_heard = agent is not None and agent.last_heard_ms is not None
    return caller.joined_ms is None and not caller.heard and not is_heard


def _waits_again(caller: CallerReport, agent: AgentReport | None) -> bool:
    """Tell whether the agent, who had passed the caller on, was let go long before they left."""
    if agent is None or agent.end is not End.FAR_END:
        return False
    if agent.ended_ms is None or caller.hung_up_ms is None:
        return False
    return caller.hung_up_ms - agent.ended_ms > SILENT_MS


def _left_to_music(caller: CallerReport, agent: AgentReport | None) -> bool:
    """Tell whether the agent, who had passed the caller on, had hung up long before they left.

    By their goodbye nothing was ended: what they heard from then on is no agent's doing.
    """
    if agent is None or agent.passed_on_ms is None:
        return False
    if agent.hung_up_ms is None or caller.hung_up_ms is None:
        return False
    return (
        agent.passed_on_ms <= agent.hung_up_ms and caller.hung_up_ms - agent.hung_up_ms > SILENT_MS
    )


def _left_between(caller: CallerReport, agent: AgentReport | None) -> bool:
    """Tell whether a caller whom an agent had passed on left before the next one answered.

    Their edge, which a cut trunk keeps from hearing that, finds them gone when it joins the two.
    """
    if agent is None or agent.answered_ms is None or caller.hung_up_ms is None:
        return False
    met_nobody = agent.last_heard_ms is None and agent.answered_ms > caller.hung_up_ms
    return caller.crossed and met_nobody


def _was_left_alone(caller: CallerReport, agent: AgentReport) -> bool:
    """Tell whether the caller, who cannot listen, stayed on after the agent had given up."""
    if agent.hung_up_ms is None or caller.ended_ms is None:
        return False
    if _is_too_late(caller, agent):
        return True
    before_ms = (caller.hung_up_ms or caller.ended_ms) - agent.hung_up_ms
    return before_ms > GAVE_UP_MS and agent_ended_nothing(caller, agent)


def _had_to_wait(report: Report, *ears: Report | None) -> bool:
    """Tell whether nobody was there when somebody said goodbye, by how late it was answered."""
    heard_ms = [each.last_heard_ms for each in ears if each and each.last_heard_ms is not None]
    said_ms = report.hung_up_ms
    had_sound = bool(heard_ms) and said_ms is not None and said_ms - min(heard_ms) <= SILENT_MS
    return _waited_ms(report) > (NEXT_LIFE_MS if had_sound else AT_ONCE_MS)


def _waited_ms(report: Report) -> int:
    """Return how long it took until the goodbye was answered."""
    if report.hung_up_ms is None or report.ended_ms is None:
        return 0
    return report.ended_ms - report.hung_up_ms


def _was_played_to(caller: CallerReport) -> bool:
    """Tell whether the caller's music went on until their goodbye was answered."""
    return caller.packets_after * 1000 > SOUNDS_PER_S * _waited_ms(caller)


def _bearable_ms(report: Report) -> int:
    """Return which silence is no sign yet. After a long wait no edge was there, and no relay."""
    return GAP_MS if _waited_ms(report) > DEAF_MS else SILENT_MS


def _nobody_was_heard(caller: CallerReport, agent: AgentReport | None, bearable_ms: int) -> bool:
    """Tell whether one of them heard nothing for long, though the other had not hung up."""
    if _is_deaf_to(caller, agent, bearable_ms):
        return True
    return agent is not None and _is_deaf_to(agent, caller, bearable_ms)


def _is_deaf_to(one: Report, other: Report | None, bearable_ms: int) -> bool:
    known = [each for each in (one.ended_ms, *_spoke_until_ms(other)) if each is not None]
    heard_ms = _heard_until_ms(one, other)
    if heard_ms is None or not known:
        return False
    if one.hung_up_ms is not None and _is_echo(other):
        # Who hangs up says nothing more that could be echoed; until then they had to hear it.
        return min(one.hung_up_ms, *known) - heard_ms > GAP_MS
    return min(known) - heard_ms > bearable_ms


def _heard_until_ms(one: Report, other: Report | None) -> int | None:
    """Return when somebody was heard last, or could have been: until a caller resumes nobody is.

    None: that tells nothing, as they have heard nobody or hung up meanwhile.
    """
    caller = one if isinstance(one, CallerReport) else other
    if one.last_heard_ms is None or not isinstance(caller, CallerReport):
        return one.last_heard_ms
    if caller.first_held_ms is None or one.last_heard_ms > caller.first_held_ms + GAP_MS:
        return one.last_heard_ms
    if caller.resumed_ms is None:
        # They may hold, or have tried to come back where nobody was.
        return one.last_heard_ms
    if one.hung_up_ms is not None and one.hung_up_ms <= caller.resumed_ms:
        return None
    return max(one.last_heard_ms, caller.resumed_ms)


def _spoke_until_ms(other: Report | None) -> tuple[int | None, ...]:
    """Return when somebody sent no more audio. SIPp echoes on while it says goodbye."""
    if other is None:
        return ()
    return (other.ended_ms,) if _is_echo(other) else (other.hung_up_ms, other.ended_ms)


def _is_echo(other: Report | None) -> bool:
    return isinstance(other, CallerReport) and other.dialler is Dialler.SIPP
