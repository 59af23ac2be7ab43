"""What can go wrong at the desk, each error with the way out in its message.

DeskError
 +-- NoLabError          no lab is up, or not the one that was asked for
 +-- SeveralLabsError    several are up, and nobody has said which is meant
 +-- RefusedError        the lab has heard, and says why not
"""

from __future__ import annotations

from drills.lab.errors import LabError


class DeskError(LabError):
    """Anything that keeps a question from its answer."""


class NoLabError(DeskError):
    """There is no lab to ask."""


class SeveralLabsError(DeskError):
    """Which lab is to be asked has to be said."""


class RefusedError(DeskError):
    """The lab cannot or will not do what it was asked."""
