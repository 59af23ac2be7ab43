"""What is wrong with a calendar."""

from __future__ import annotations


class CalendarError(ValueError):
    """An entry or a blackout makes no sense. The text names it and the way out."""
