"""First come, first served: judged on the snapshot on which each decision was made. PURE.

A call may get an agent on a snapshot only if all who certainly stood before it there, could have
had that very agent, and whose holders reach the same sites, can each have got another. What an edge
knows beyond the snapshot (its own requests under way, a site that it cannot reach, an agent's rest)
only lowers the number of agents; so nobody is accused wrongly. And by what the decision says had
been asked for already, all others before it can have had their turn (`turns`). Where it is open who
stood before whom, that counts in everybody's favour.

Callers whose holder the decision says to be silent are passed over by right; whether it was silent
is judged by `laws_silence`. Who has come again since stands where they stood. All others stay where
they are.

Whether a step of the queue was in force for a call, and how far waiting had raised it, is left open
between what it had waited at least and at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from drills.prove.again import places_of_heirs
from drills.prove.decisions import Due, decided_on, said_silent
from drills.prove.history import Event, Stored
from drills.prove.line import Standing, is_certain, line, standing
from drills.prove.needs import Able, able, stages
from drills.prove.times import FOR_EVER
from drills.prove.turns import Asking, is_overtaken, overtaken
from drills.prove.violations import Law, Violation
from drills.prove.waits import Waits
from drills.prove.world import World
from state.model import CallId, Decision, PresenceState, Ticket


def check_order(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the decisions by which somebody was overtaken."""
    order = _Order(_first_tickets(events), Waits(events))
    for world, due in decided_on(events):
        yield from order.judge(world, due)


_Placed = tuple[Ticket, int]
"""A ticket and its create revision."""


def _first_tickets(events: Sequence[Event]) -> dict[str, _Placed]:
    """Return with which ticket each call came."""
    firsts: dict[str, _Placed] = {}
    for event in events:
        if isinstance(event, Stored) and isinstance(event.value, Ticket):
            firsts.setdefault(event.id, (event.value, event.revision))
    return firsts


class _Order:
    """Who stood before whom, and might have had whom."""

    def __init__(self, firsts: Mapping[str, _Placed], waits: Waits) -> None:
        self._firsts = firsts
        self._waits = waits

    def judge(self, world: World, due: Due) -> Iterator[Violation]:
        """Yield a breach if somebody must have been overtaken by a decision on this world."""
        decision, change = due.decision, due.change
        stood = self._line(world, due)
        if stood is None:
            return
        own, ahead = stood
        free = _free(world, own.ticket)
        asking = {each.ticket.call: self._asking(world, each.ticket, due) for each in ahead}
        call = _passed_over(world, asking, free, decision, is_certain=is_certain(ahead))
        if call is None and decision.winner in free:
            return
        held = " ".join(sorted(each.ticket.holder for each in ahead))
        text = (
            f"{change.id} ({own.ticket.holder}) got {decision.winner}, one of {len(free)} free, "
            f"with {len(ahead)} before it ({held})"
        )
        text += ", but not free" if call is None else f": {call} was passed over"
        yield Violation(law=Law.OVERTAKEN, at_s=change.at_s, revision=decision.revision, text=text)

    def _line(self, world: World, due: Due) -> tuple[Standing, list[Standing]] | None:
        """Return where the call stood that was given an agent, and who certainly stood before it.

        Those alone whose holders reach what its own reaches. None: it is older than the history.
        """
        unheard = said_silent(world, due.decision)
        places = places_of_heirs(world, unheard)
        everybody = {each.ticket.call: each for each in line(world, self._waits, due, places)}
        own = everybody.get(CallId(due.change.id)) or self._alone(world, due)
        if own is None:
            return None
        reach = world.out_of_reach(own.ticket.holder)
        ahead = [
            each
            for each in everybody.values()
            if each.is_before(own)
            and each.ticket.holder not in unheard
            and world.out_of_reach(each.ticket.holder) == reach
        ]
        return own, sorted(ahead, key=lambda each: each.order_key)

    def _alone(self, world: World, due: Due) -> Standing | None:
        """Return where a call stood that did not stand in the line."""
        stood = world.tickets.get(due.change.id)
        if stood is not None:
            most_s = self._waits.most_s(stood[0], due.by, due.given_s)
            return standing(world, *stood, (stood[0].waited_s, most_s))
        first = self._firsts.get(due.change.id)
        if first is None or first[1] <= due.decision.revision:
            return None
        # Decided as it came: it got its place with the agent, after all who had one then.
        return standing(world, *first, (0.0, FOR_EVER if first[0].again_of else 0.0))

    def _asking(self, world: World, ticket: Ticket, due: Due) -> Asking:
        least_s = self._waits.least_s(world, ticket, due)
        most_s = self._waits.most_s(ticket, due.by, due.given_s)
        return Asking(stages(world, ticket, least_s, most_s))


def _free(world: World, own: Ticket) -> list[str]:
    reach = world.out_of_reach(own.holder)
    return [
        agent
        for agent, (presence, _) in world.presences.items()
        if presence.state is PresenceState.READY
        and agent not in world.offers
        and presence.site not in reach
    ]


# -- who must have been overtaken


def _kinds(world: World, agents: Iterable[str]) -> Counter[Able]:
    return Counter(able(world, agent) for agent in agents)


def _passed_over(
    world: World,
    asking: Mapping[CallId, Asking],
    free: Sequence[str],
    decision: Decision,
    *,
    is_certain: bool,
) -> str | None:
    """Return who must have been passed over by a decision; None: nobody.

    `is_certain`: whether those who ask stand in the order in which they were served.
    """
    winner = able(world, decision.winner)
    crew = [agent for agent in free if agent != decision.winner]
    could = [call for call, each in asking.items() if each.must_take(winner)]
    # All of these have to get another: in whatever order.
    place = overtaken([asking[call] for call in could], _kinds(world, crew), winner)
    if place is not None:
        return could[place]
    # One who was asked for and is not free any more is refused: the call they are for waits.
    asked = {call: agent for call, agent in decision.asked.items() if agent in free}
    others = [call for call in asking if call not in asked]
    left = _kinds(world, (agent for agent in crew if agent not in asked.values()))
    if is_certain:
        place = overtaken([asking[call] for call in others], left, winner)
        return None if place is None else others[place]
    is_wrong = is_overtaken([asking[call] for call in others], left, winner)
    return f"one of {' '.join(others)}" if is_wrong else None
