"""Has faults made by the sites' own fault agent, through the desk of sites that are up."""

from __future__ import annotations

import asyncio

from drills.course import FaultError, Made
from drills.desk.answers import Faults
from drills.desk.asks import FaultAsk, FaultDo
from drills.desk.client import OneLab
from drills.desk.errors import DeskError
from drills.fault import Fault


class DeskFaults:
    """The fault agent of sites that are up, as one drill sees it: what others made is not its."""

    def __init__(self, lab: OneLab) -> None:
        self._lab = lab
        self._others = frozenset[int]()

    async def begin_anew(self) -> None:
        """Take all that was made so far for that of earlier drills."""
        self._others = frozenset(each.id for each in await self.all())

    async def make(self, fault: Fault) -> Made:
        """Have a fault made."""
        made = await self._ask(FaultAsk(do=FaultDo.BREAK, fault=fault))
        # A load may have had another one made before the desk could answer.
        return next((each for each in reversed(made) if each.fault == fault), made[-1])

    async def heal_all(self, by: str) -> tuple[Made, ...]:
        """Have all undone; return all that this drill has made."""
        return self._own(await self._ask(FaultAsk(do=FaultDo.HEAL, by=by)))

    async def standing(self) -> tuple[Made, ...]:
        """Return all that this drill has made."""
        return self._own(await self.all())

    async def all(self) -> tuple[Made, ...]:
        """Return all that was ever made there, by whichever drill."""
        return await self._ask(FaultAsk(do=FaultDo.STANDING))

    def _own(self, made: tuple[Made, ...]) -> tuple[Made, ...]:
        return tuple(each for each in made if each.id not in self._others)

    async def _ask(self, ask: FaultAsk) -> tuple[Made, ...]:
        def talk() -> tuple[Made, ...]:
            with self._lab.connected() as line:
                return line.ask(ask, Faults).made

        try:
            return await asyncio.to_thread(talk)
        except DeskError as error:
            raise FaultError(str(error)) from error
