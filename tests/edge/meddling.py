"""Whole calls in virtual time in which something is done at a certain step, and at each in turn.

Datagrams of a call are lost, doubled or late; people hold and resume. What chance meets seldom is
met by going through all moments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from edge.acd.call import State
from edge.phone.call import Call
from edge.sip.errors import LocalError
from edge.sip.events import Address
from tests.edge.lab_in_time import Net, NetLine
from tests.edge.one_edge import leaks
from tests.edge.people_in_time import Calls, Plan
from tests.edge.whole_day import Day, Played, play

CALLER: Final = ""
LISTENS_S: Final = 0.1
"""How often it is looked who hears nobody."""
HEARD_S: Final = 0.2
"""Who had something so lately hears somebody."""
AGAIN_S: Final = 0.02
"""How soon somebody tries again what their telephone cannot do now."""
RESIDUE_S: Final = 40
"""A call that was rung and never answered is over so long after it at most (RFC 3261, 64*T1)."""


class Holds(Struct, frozen=True, kw_only=True):
    """Somebody puts the other on hold, and resumes; seconds from the first call."""

    who: str
    """An agent's name, or `CALLER`."""
    from_s: float
    until_s: float


class Meddled(Struct, frozen=True, kw_only=True):
    """What came of it."""

    played: Played
    said: Sequence[float]
    """When each datagram was sent, but for keepalives, in seconds from the first call."""
    left: Sequence[str]
    """What edges and relays have of calls that are over."""
    muted_s: Mapping[str, float]
    """For how long, at a stretch, somebody in a talk whom nobody held heard nobody."""


class MeddledNet(Net):
    """Carries some datagrams otherwise than it should."""

    def __init__(self, otherwise: Mapping[int, Sequence[float]]) -> None:
        super().__init__()
        self.said: list[float] = []
        self._otherwise = otherwise

    def carry(self, source: Address, datagram: bytes, to: Address) -> None:
        """Deliver the n-th so often, and so much later each time, as it is said of it."""
        if b"OPTIONS" in datagram.partition(b"\r\n\r\n")[0]:
            super().carry(source, datagram, to)
            return
        number, loop = len(self.said), asyncio.get_running_loop()
        self.said.append(loop.time())
        for later_s in self._otherwise.get(number, (0.0,)):
            if later_s:
                loop.call_later(later_s, super().carry, source, datagram, to)
            else:
                super().carry(source, datagram, to)


class MeddledDay(Day):
    """A day on which it is listened to who hears whom."""

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        otherwise: Mapping[int, Sequence[float]],
        holds: Holds | None,
    ) -> None:
        super().__init__(plan, run_dir)
        self.net = self.meddled = MeddledNet(otherwise)
        self._holds = holds
        self._muted: dict[str, float] = {}
        self.muted_s: dict[str, float] = {}
        self.residue: list[str] = []

    async def _open(self) -> None:
        await super()._open()
        self.running.append(asyncio.create_task(self._listen()))

    async def _call(self, number: int, plan: Calls, line: NetLine) -> None:
        if number == 0 and self._holds is not None:
            self.running.append(asyncio.create_task(self._hold(self._holds)))
        await super()._call(number, plan, line)

    # -- holding

    async def _hold(self, holds: Holds) -> None:
        for at_s, on in ((holds.from_s, True), (holds.until_s, False)):
            await asyncio.sleep(self.zero_s + at_s - asyncio.get_running_loop().time())
            while (call := self._call_of(holds.who)) is not None and not _turn(call, on=on):  # noqa: ASYNC110 - their telephone tells nobody when it can
                await asyncio.sleep(AGAIN_S)

    def _call_of(self, who: str) -> Call | None:
        """Return the call at somebody's ear, if it goes on."""
        holder = self.agents[who] if who else self.callers[0]
        call = holder._call  # noqa: SLF001 - telephones are asked nothing else
        return call if call is not None and _is_up(call) else None

    # -- listening

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(LISTENS_S)
            for caller, agent, name in self._talks():
                for who, ear, other in (("caller", caller, agent), (name, agent, caller)):
                    self._hears(who, is_muted=_is_muted(ear, other))

    def _talks(self) -> list[tuple[Call, Call, str]]:
        """Return the telephones of those who, by an edge's word, talk with each other."""
        caller = self._call_of(CALLER) if self.callers else None
        found = []
        for edge in self.center.edges.values():
            for shell in () if edge.is_deaf else edge.switchboard.held():
                held = shell._call  # noqa: SLF001 - who has whom is told nobody
                if caller is None or held is None or held.state is not State.CONNECTED:
                    continue
                agent = self._call_of(held.agent or "")
                if held.agent is not None and agent is not None:
                    found.append((caller, agent, str(held.agent)))
        return found

    def _hears(self, who: str, *, is_muted: bool) -> None:
        self._muted[who] = self._muted.get(who, 0.0) + LISTENS_S if is_muted else 0.0
        self.muted_s[who] = max(self.muted_s.get(who, 0.0), self._muted[who])

    # -- the end

    async def _until_quiet(self, agents: Sequence[object]) -> list[str]:
        left = await super()._until_quiet(agents)  # type: ignore[arg-type]  # passed on
        for _ in range(RESIDUE_S):
            self.residue = self._residue()
            if not self.residue:
                break
            await asyncio.sleep(1.0)
        return left

    def _residue(self) -> list[str]:
        found = [
            f"{name}: {word}"
            for name, edge in self.center.edges.items()
            if not edge.is_deaf
            for word in (
                *leaks(edge),
                *map(str, edge.switchboard.states().items()),
                *map(str, edge.dead_parts()),
                *(["SIP"] if self.ends[name].stack.legs() else []),
            )
        ]
        return found + [
            f"{host}: {each.calls}" for host, each in self.air.relays.items() if each.calls
        ]


def _is_up(call: Call) -> bool:
    return call.summary.answered_ms is not None and call.summary.hung_up_ms is None


def _is_muted(ear: Call, other: Call) -> bool:
    if ear.session.on_hold or other.session.on_hold:
        return False
    last_s = ear.stream.last_received_s
    return last_s is None or asyncio.get_running_loop().time() - last_s > HEARD_S


def _turn(call: Call, *, on: bool) -> bool:
    """Hold or resume; False: not now, as an offer is under way."""
    before = call.session.on_hold
    call.session.on_hold = on
    offer = call.session.offer()
    try:
        call.line.do(lambda stack, now: stack.reinvite(call.leg, offer, now))
    except LocalError:
        call.session.on_hold = before
        return False
    if on:
        call.stream.pause()
    return True


def meddled(
    plan: Plan,
    otherwise: Mapping[int, Sequence[float]] | None = None,
    holds: Holds | None = None,
) -> Meddled:
    """Play a plan; `otherwise`: how much later the n-th datagram comes, each time that it does."""
    days: list[MeddledDay] = []

    def make(plan: Plan, run_dir: Path) -> Day:
        days.append(MeddledDay(plan, run_dir, otherwise or {}, holds))
        return days[0]

    played = play(plan, make)
    (day,) = days
    return Meddled(
        played=played,
        said=[each - day.zero_s for each in day.meddled.said],
        left=[*played.left, *day.residue],
        muted_s=day.muted_s,
    )
