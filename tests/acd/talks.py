"""Who has talked with a caller: told by what happened, to be held against how they are let go."""

from __future__ import annotations

from edge.acd import call_effects as ef
from edge.acd import call_writes as wr
from edge.acd.call import Call, State
from edge.acd.call_events import Attempt
from edge.acd.call_joining import TALK_AFTER_S
from state.model import Now, WorkEnd


class Talks:
    """Those of one call."""

    def __init__(self) -> None:
        self._had: set[Attempt] = set()

    def follow(self, before: Call, call: Call, effects: tuple[ef.Effect, ...], now: Now) -> None:
        """Take in a step; see that whom it lets go of rests as after a talk if they had one."""
        if _were_joined(before, now) and call.state is not State.JOINING:
            self._had.add(before.attempt)
        for effect in effects:
            if isinstance(effect, ef.TakeBack) and effect.was in self._had:
                self._had.add(effect.attempt)
            elif isinstance(effect, ef.Store):
                self._let_go(effect.write, before, call)
        if call.state is State.CONNECTED:
            self._had.add(call.attempt)
        if call.state is State.ENDING and before.state is not State.ENDING:
            self._ended(before, call)

    def _let_go(self, write: wr.Write, before: Call, call: Call) -> None:
        match write:
            case wr.GiveBack(part=part) | wr.MoveToQueue(part=part):
                self._check(call.attempt, part.end)
            case wr.HandBack(part=part) if before.state is not State.TRANSFERRING:
                self._check(Attempt(call.attempt - 1), part.end)
            case wr.FreeTransferor(part=part):
                assert part.end is WorkEnd.TALKED
            case _:
                pass

    def _ended(self, before: Call, call: Call) -> None:
        verdict = call.verdict
        if verdict is None or not call.is_agent_held:
            return
        assert verdict.leaving is None or verdict.leaving.part.end is WorkEnd.TALKED
        if before.state is not State.TRANSFERRING:
            self._check(before.attempt, verdict.part.end)

    def _check(self, attempt: Attempt, end: WorkEnd) -> None:
        assert (end is WorkEnd.TALKED) is (attempt in self._had), (attempt, end)


def _were_joined(call: Call, now: Now) -> bool:
    """Tell whether the relay has let the two hear each other for as long as makes a talk."""
    if call.state is not State.JOINING or call.joined_at is None or call.hears_nothing:
        return False
    return now.mono_s - call.joined_at.mono_s >= TALK_AFTER_S
