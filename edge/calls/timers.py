"""The timers of one call: each runs once, and none outlives the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

from edge.acd import call_effects as fx


class Own(StrEnum):
    """The shell's own timers, besides those that the state machine asks for."""

    GREETING = "greeting"
    """The greeting lasts so long."""
    NOTICE = "notice"
    """So long the caller hears that they will be called back."""
    RECORDING = "recording"
    """By then the recorder has said that it records the call."""
    LAST_RESORT = "last_resort"
    """A fault of ours has shown, and the call may wait for what never comes."""


class CallTimers:
    """By name; starting one that runs starts it anew."""

    def __init__(self) -> None:
        self._running: dict[fx.Timer | Own, asyncio.TimerHandle] = {}

    def start(self, timer: fx.Timer | Own, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` in so many seconds."""
        self.stop(timer)
        self._running[timer] = asyncio.get_running_loop().call_later(seconds, then)

    def stop(self, timer: fx.Timer | Own) -> None:
        """Stop it, if it runs."""
        handle = self._running.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def stop_all(self) -> None:
        """Stop whatever runs."""
        for timer in list(self._running):
            self.stop(timer)

    def has(self, timer: fx.Timer | Own) -> bool:
        """Tell whether it has been started and not been stopped."""
        return timer in self._running
