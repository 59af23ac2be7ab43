"""PURE. What an edge asks of the recorder, read from a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from edge.errors import CommandError
from state.keys import is_id

LONGEST_S: Final = 48 * 3600.0
"""No call is older."""


class Asked(NamedTuple):
    """What an edge says of a call, all of it."""

    call: str
    tenant: str
    queue: str
    agent: str
    """Empty: nobody is with the caller just now."""
    attempt: int
    media: str
    held: bool
    wish: int
    pause_by: str
    keyed: bool
    """The pause is for what the caller is about to key."""
    part_keyed: bool
    """The agent is to be kept from a caller who keys tones, with no pause asked for."""
    age_s: float
    """So long ago the first agent joined."""


def asked_of(request: Mapping[str, object]) -> Asked:
    """Return what is asked. Raise `CommandError`."""
    media, agent = request.get("media"), request.get("agent")
    if not isinstance(media, str):
        raise CommandError("media should be the call's name at the relay")
    age_s = request.get("age_s", 0)
    if not isinstance(age_s, int | float) or not 0 <= age_s < LONGEST_S:
        raise CommandError("age_s should be the seconds since the first agent joined")
    attempt, wish = request.get("attempt", 1), request.get("wish", 0)
    if not isinstance(attempt, int) or not isinstance(wish, int):
        raise CommandError("attempt and wish should be numbers")
    return Asked(
        call=word(request, "call"),
        tenant=word(request, "tenant"),
        queue=word(request, "queue"),
        agent="" if agent == "" else word(request, "agent"),
        attempt=attempt,
        media=media,
        held=request.get("held") is True,
        wish=wish,
        pause_by=word(request, "pause_by") if request.get("pause_by") else "",
        keyed=request.get("keyed") is True,
        part_keyed=request.get("part_keyed") is not False,
        age_s=float(age_s),
    )


def word(request: Mapping[str, object], name: str) -> str:
    """Return the id that stands under a name. Raise `CommandError`."""
    value = request.get(name)
    if not isinstance(value, str) or not is_id(value) or value.startswith("."):
        raise CommandError(f"{name} should be an id")
    return value
