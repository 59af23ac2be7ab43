"""Callers and agents of a run, and who of them is in which call. Sans I/O.

Given a proxy for each site, a way to be called later, and a random source: everything else follows.
They behave as people and their telephones do: they hang up, decline, let it ring, answer at the
last moment, and give up when nobody speaks any more. What they see goes into the history.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from drills.prove import sip
from drills.prove.callers import Caller
from drills.prove.consultation import Consultation
from drills.prove.habits import BACK_S, FIRST_AGAIN_S, MOST_TIMES, ONCE_MORE_S, USUAL, Habits
from drills.prove.history import PASSED, AtGate, Event, PhoneBack, PhoneGone
from drills.prove.ksr import Message
from drills.prove.phones import Phone, PhoneLeg
from loadtests.bench.wire import Heard, hear
from state.model import AgentId, CallId, SiteId

AGAIN_S = 20.0
"""So long what an edge sends again is answered again."""
MOST_AWAY = 4
"""So many telephones are gone at a time."""
TOLD = 0.5
"""Of those who go: so many of the goings are told; of the others the event is lost."""
SHORT_AWAY_S, LONG_AWAY_S, LONG_AWAY = (0.3, 4.0), (12.0, 24.0), 0.4
"""For so long, and so many of them for the longer."""
LONGEST_CONSULTATION_S = 60.0
"""Longer than a colleague can be asked, and what comes again then."""


class Way(Protocol):
    """A site's proxy, as people need it."""

    address: str

    def send(self, datagram: bytes, to: str) -> None:
        """Send a datagram to an edge."""

    def targets(self, number: str, sip_call_id: str) -> list[str]:
        """Return the edges to try for a call, best first."""

    def was_silent(self, target: str) -> None:
        """Remember that an edge did not answer in time."""

    def offer(self, agent: str, offer: str, call_id: str, source: str) -> Message:
        """Put an edge's INVITE to an agent to the gate."""

    def answered(self, message: Message) -> None:
        """Let the script see the telephone's 200."""

    def failed(self, message: Message) -> None:
        """Let the script see that it came to nothing."""

    def goodbye(self, agent: str, token: tuple[int, int]) -> None:
        """Let the gate see an edge's BYE."""

    def goodbye_answered(self, agent: str, token: tuple[int, int], status: int) -> None:
        """Let the script see what came of a telephone's BYE; 408: the edge was silent."""

    def signs_off(self, agent: str, *, is_told: bool) -> None:
        """Have an agent's telephone no longer, and tell the edges or not."""

    def signs_on(self, agent: str) -> None:
        """Have it again."""

    def serving(self, agent: str) -> str | None:
        """Return where the edge is that holds the caller with whom an agent talks."""


class World(Struct, frozen=True, kw_only=True):
    """What everybody in a run needs."""

    ways: Mapping[str, Way]
    note: Callable[[Event], None]
    later: Callable[[float, Callable[[], object]], None]
    now: Callable[[], float]
    chance: random.Random
    run: str
    """Makes this run's Call-IDs its own."""
    habits: Habits = USUAL


class _Seen(Struct, frozen=True):
    """An INVITE to an agent."""

    site: str
    agent: str
    header: str
    call_id: str
    source: str


class Crowd:
    """Everybody."""

    def __init__(
        self, world: World, agents: Mapping[str, str], dids: Sequence[str], queues: Sequence[str]
    ) -> None:
        """`agents`: home site by agent; `dids`: of which each caller draws one."""
        self._world = world
        self._dids = dids
        self.wanted = 0
        """How many callers each site is to have at a time: of each, lest those whom a site that is
        cut off does not serve are all."""
        self._count = 0
        self._calling = dict.fromkeys(world.ways, 0)
        self._callers: dict[str, Caller] = {}
        """With those who are through but to whom an edge may still send something again."""
        self._legs: dict[str, PhoneLeg] = {}
        self._consultations: dict[str, Consultation] = {}
        self._refusals: dict[str, bytes] = {}
        self._seen: deque[_Seen] = deque(maxlen=400)
        """Offers that went through a gate."""
        targets = (*agents, *list(queues) * (len(agents) // (4 * len(queues))))
        self.phones = {
            agent: Phone(
                agent=AgentId(agent),
                site=site,
                way=world.ways[site],
                world=world,
                colleagues=self._colleagues,
                targets=targets,
                asks=self._asks,
            )
            for agent, site in agents.items()
        }
        self._away: set[AgentId] = set()
        self.is_over = False

    # -- what the run asks

    @property
    def callers(self) -> int:
        """How many callers are not through."""
        return sum(self._calling.values())

    def fill(self) -> None:
        """Let new callers call until there are enough."""
        sites = list(self._world.ways)
        self._world.chance.shuffle(sites)
        for site in sites:
            while not self.is_over and self._calling[site] < self.wanted:
                self._call(site)

    def _call(self, site: str) -> None:
        self._calling[site] += 1
        self._count += 1
        self._begin(
            Caller(
                world=self._world,
                site=SiteId(site),
                number=f"49{self._count:08d}",
                did=self._world.chance.choice(self._dids),
                over=self._caller_over,
            )
        )

    def _begin(self, caller: Caller) -> None:
        self._callers[caller.sip_call_id] = caller
        caller.call()

    def edge_is_lost(self, site: str, for_s: float, *, to_others: bool = False) -> None:
        """Let a site's edge be out of the callers' hearing for so long: some of them dial again.

        `to_others`: only to those who have called by way of other sites.
        """
        host, chance = self._world.ways[site].address.partition(":")[0], self._world.chance
        habits = self._world.habits
        for caller in list(self._callers.values()):
            is_cut = not to_others or caller.site != site
            if is_cut and caller.waits_at(host) and chance.random() < habits.dials_again:
                self._dials_again_later(caller, host, min(for_s + 1.0, habits.last_again_s))

    def _dials_again_later(self, caller: Caller, host: str, within_s: float) -> None:
        in_s = self._world.chance.uniform(FIRST_AGAIN_S, max(FIRST_AGAIN_S, within_s))
        self._world.later(in_s, lambda: self._dial_again(caller, host))

    def _dial_again(self, before: Caller, host: str) -> None:
        if self.is_over or not before.waits_at(host):
            return
        if self._world.chance.random() < self._world.habits.hangs_up:
            before.leave()
        caller = self._comes_again(before)
        if caller.times < MOST_TIMES and self._world.chance.random() < self._world.habits.once_more:
            self._world.later(ONCE_MORE_S, lambda: self._dial_once_more(caller))

    def _comes_again(self, before: Caller) -> Caller:
        """Let the same person call once more."""
        self._calling[before.site] += 1
        caller = Caller(
            world=self._world,
            site=before.site,
            number=before.number,
            did=before.did,
            over=self._caller_over,
            before=before,
        )
        self._begin(caller)
        return caller

    def _dial_once_more(self, before: Caller) -> None:
        """Let somebody who has come again, and still waits, take that line for dead, too."""
        self._dial_again(before, before.host)

    def _may_call_back(self, before: Caller) -> None:
        """Let somebody who has come again, and has talked with an agent, think of something."""
        share = self._world.habits.calls_back
        has_come_again = 1 < before.times < MOST_TIMES
        if share and has_come_again and before.has_talked and self._world.chance.random() < share:
            self._world.later(BACK_S, lambda: None if self.is_over else self._comes_again(before))

    def close(self) -> None:
        """Let nobody call any more, and those who wait give up."""
        self.is_over = True
        for agent in list(self._away):
            self._comes_back(agent)
        for caller in list(self._callers.values()):
            caller.leave()

    def on_phones(self) -> dict[AgentId, CallId]:
        """Return the telephones that have a leg, or ask a colleague, and for which call."""
        return {
            phone.agent: leg.call
            for phone in self.phones.values()
            if (leg := phone.leg or phone.consultation) is not None
        }

    def pass_somebody_on(self) -> tuple[AgentId, CallId, str] | None:
        """Let an agent who talks want to pass the caller on: who, which call, to whom."""
        talking = [
            phone for phone in self.phones.values() if phone.leg is not None and phone.leg.is_up
        ]
        if not talking:
            return None
        phone = self._world.chance.choice(talking)
        to = self._world.chance.choice(phone.targets)
        if phone.leg is None:
            return None
        phone.leg.passed_on(to)
        return phone.agent, phone.leg.call, to

    def somebody_goes_away(self) -> None:
        """Let the telephone of an agent who is in no call be gone for a while."""
        idle = [
            phone
            for phone in self.phones.values()
            if phone.leg is None and phone.consultation is None and phone.agent not in self._away
        ]
        chance = self._world.chance
        if self.is_over or not idle or len(self._away) >= MOST_AWAY:
            return
        phone, is_told = chance.choice(idle), chance.random() < TOLD
        self._away.add(phone.agent)
        self._world.note(PhoneGone(at_s=self._world.now(), agent=phone.agent, is_told=is_told))
        phone.way.signs_off(phone.agent, is_told=is_told)
        for_s = chance.uniform(*(LONG_AWAY_S if chance.random() < LONG_AWAY else SHORT_AWAY_S))
        self._world.later(for_s, lambda: self._comes_back(phone.agent))

    def _comes_back(self, agent: AgentId) -> None:
        if agent in self._away:
            self._away.discard(agent)
            self.phones[agent].way.signs_on(agent)
            self._world.note(PhoneBack(at_s=self._world.now(), agent=agent))

    def deliver_late_copy(self) -> None:
        """Let the network deliver a copy of some offer that a gate has let through before."""
        if not self._seen:
            return
        chance = self._world.chance
        # Mostly of the last ones: those are the ones that a gate may mistake for new.
        back = chance.choice((1, 2, 3, chance.randint(1, len(self._seen))))
        place = -min(back, len(self._seen))
        seen = self._seen[place]
        leg = self.phones[seen.agent].leg
        if leg is not None and leg.sip_call_id == seen.call_id:
            return  # still the proxy's own transaction: absorbed there
        message = self._ask_gate(seen, is_late=True)
        if message.is_relayed:
            self._world.ways[seen.site].failed(message)

    # -- what the edges send

    def take(self, site: str, datagram: bytes, source: str) -> None:
        """Take a datagram of an edge."""
        heard = hear(datagram)
        call_id = heard.call_id.decode()
        if heard.status:
            self._take_response(heard, call_id, source)
        elif heard.start.startswith(b"OPTIONS") and b";tag=" not in heard.first(b"to"):
            self._world.ways[site].send(heard.answer(b"200 OK", tag=b"up"), source)
        elif (caller := self._callers.get(call_id)) is not None:
            caller.take_request(heard, source)
        elif (leg := self._legs.get(call_id)) is not None:
            leg.take_request(heard, source)
        elif (consultation := self._consultations.get(call_id)) is not None:
            consultation.take_request(heard, source)
        elif heard.start.startswith(b"INVITE") and b";tag=" not in heard.first(b"to"):
            self._offer(site, heard, call_id, source)
        elif not heard.start.startswith(b"ACK"):
            self._world.ways[site].send(heard.answer(sip.GONE), source)

    def ringing_ended(self, sip_call_id: str) -> None:
        """Take a CANCEL of the proxy's own."""
        leg = self._legs.get(sip_call_id)
        if leg is not None:
            leg.cancelled("forgotten")

    def proxy_restarted(self, site: str) -> None:
        """Forget the transactions that the site's proxy had."""
        for phone in self.phones.values():
            if phone.site == site and phone.leg is not None:
                phone.leg.transaction_lost()

    def _take_response(self, heard: Heard, call_id: str, source: str) -> None:
        if (caller := self._callers.get(call_id)) is not None:
            caller.take_response(heard, source)
        elif (leg := self._legs.get(call_id)) is not None:
            leg.take_response(heard)
        elif (consultation := self._consultations.get(call_id)) is not None:
            consultation.take_response(heard)

    def _offer(self, site: str, heard: Heard, call_id: str, source: str) -> None:
        way = self._world.ways[site]
        if call_id in self._refusals:
            way.send(self._refusals[call_id], source)
            return
        agent = heard.request_user.decode()
        header = heard.first(b"x-everline-offer").decode()
        seen = _Seen(site, agent, header, call_id, source)
        message = self._ask_gate(seen, is_late=False)
        if message.reply is not None:
            status, reason = message.reply
            answer = heard.answer(f"{status} {reason}".encode(), tag=b"no")
            self._refusals[call_id] = answer
            self._world.later(10.0, lambda: self._refusals.pop(call_id, None))
            way.send(answer, source)
            return
        self._seen.append(seen)
        leg = self.phones[agent].ring(heard, message, source, header, self._leg_over)
        self._legs[call_id] = leg
        leg.begin()

    def _ask_gate(self, seen: _Seen, *, is_late: bool) -> Message:
        way = self._world.ways[seen.site]
        message = way.offer(seen.agent, seen.header, seen.call_id, seen.source)
        call, epoch, revision = seen.header.split()
        self._world.note(
            AtGate(
                at_s=self._world.now(),
                site=SiteId(seen.site),
                agent=AgentId(seen.agent),
                call=CallId(call),
                token=(int(epoch), int(revision)),
                verdict=PASSED if message.is_relayed else str(message.reply and message.reply[1]),
                is_late=is_late,
            )
        )
        return message

    def _caller_over(self, caller: Caller) -> None:
        self._calling[caller.site] -= 1
        self._may_call_back(caller)
        self._world.later(AGAIN_S, lambda: self._callers.pop(caller.sip_call_id, None))
        # A breath between two calls: a center that refuses everybody must not be a busy loop.
        self._world.later(0.02, self.fill)

    def _colleagues(self) -> list[str]:
        """Return the agents whom one may ask: those who are on no call, if there are any."""
        free = [phone.agent for phone in self.phones.values() if phone.leg is None]
        return list(free or self.phones)

    def _asks(self, consultation: Consultation) -> None:
        self._consultations[consultation.sip_call_id] = consultation
        self._world.later(
            LONGEST_CONSULTATION_S, lambda: self._consultations.pop(consultation.sip_call_id, None)
        )

    def _leg_over(self, leg: PhoneLeg) -> None:
        self._world.later(AGAIN_S, lambda: self._legs.pop(leg.sip_call_id, None))
