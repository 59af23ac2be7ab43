"""In which state things are that somebody wants approved: each kind's feature knows its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from control_plane.api.ask import Ask

State = Callable[[Ask[Any, Any, Any], str], Awaitable[str]]
"""Takes the `Ask` and a thing's id; gives a digest of its state, or raises `not_found()`."""
STATES: Final = web.AppKey("approval_states", dict[str, State])
"""By kind. What is not here, the requester has to give the digest of."""
