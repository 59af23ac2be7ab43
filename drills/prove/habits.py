"""What people do whose edge is silent: how many dial again, how soon, and how often. PURE."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

FIRST_AGAIN_S: Final = 0.5
"""Nobody takes a line for dead sooner."""
ONCE_MORE_S: Final = 1.0
"""After so long who has come again, and still waits, takes that line for dead, too."""
BACK_S: Final = 0.2
"""So soon who has talked with an agent calls back."""
MOST_TIMES: Final = 3
"""Nobody calls more often."""


class Habits(Struct, frozen=True, kw_only=True):
    """Shares of those who might, from 0 to 1, and seconds."""

    dials_again: float = 0.6
    """Of those who hear nothing of their edge any more."""
    hangs_up: float = 0.8
    """Of those who dial again: before. Of the others the edge hears nothing: their line stays."""
    once_more: float = 0.4
    """Of those who have come again: they do not trust that line either, if they still wait."""
    calls_back: float = 0.0
    """Of those who have come again and have talked: they call at once to say one thing more. Their
    first call may still wait at the silent edge, and its place has been had."""
    last_again_s: float = 16.0
    """So late the last dial again, seconds: a dead edge's calls are closed by then."""


USUAL: Final = Habits()
IN_A_HURRY: Final = Habits(dials_again=1.0, hangs_up=0.5, calls_back=1.0, last_again_s=3.0)
"""All dial again while their first call still waits at a dead edge, and once more, beside that line
or when they have been served: calls of one number, two of which might have the first one's place.
"""
