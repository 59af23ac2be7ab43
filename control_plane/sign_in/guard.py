"""What stands before a password is looked at: tries that are left, and the line for the hash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from control_plane.api.ask import Ask
from control_plane.errors import TOO_MANY, ApiError
from control_plane.sign_in import store
from control_plane.sign_in.guesses import Guesses
from control_plane.sign_in.hashing import Hashing

GUESSES = web.AppKey("guesses", Guesses)
HASHING = web.AppKey("hashing", Hashing)
_CLIENT_CHARS: Final = 200
AnyAsk = Ask[Any, Any, Any]


async def context(app: web.Application) -> AsyncIterator[None]:
    """Begin to count."""
    app[GUESSES], app[HASHING] = Guesses(), Hashing()
    yield


def origin(ask: AnyAsk) -> store.Origin:
    """Return where a request comes from, as far as that can be known."""
    client = ask.request.headers.get("User-Agent", "")
    plain = "".join(each for each in client if each.isprintable())
    return store.Origin(address=ask.request.remote or "", client=plain[:_CLIENT_CHARS])


def check_try(ask: AnyAsk, tenant: str, login: str) -> None:
    """Take a try of this address. Raise `too-many-requests`."""
    guesses = ask.request.app[GUESSES]
    wait_s = guesses.by_address(_name(tenant, login), origin(ask).address, _now_s(ask))
    _refuse(wait_s)


async def check_everybodys(ask: AnyAsk, tenant: str, login: str) -> None:
    """Take a try of all addresses together. Raise `too-many-requests`, but for where one was."""
    wait_s = ask.request.app[GUESSES].by_anybody(_name(tenant, login), _now_s(ask))
    if wait_s > 0:
        async with ask.services.database.read() as connection:
            if not await store.was_here(connection, tenant, login, origin(ask).address):
                _refuse(wait_s)


def was_right(ask: AnyAsk, tenant: str, login: str) -> None:
    """Give the tries back."""
    ask.request.app[GUESSES].was_right(_name(tenant, login), origin(ask).address)


def _refuse(wait_s: float) -> None:
    if wait_s > 0:
        raise ApiError(TOO_MANY, headers={"Retry-After": str(int(wait_s) + 1)})


def _name(tenant: str, login: str) -> str:
    return f"{tenant}/{login}"


def _now_s(ask: AnyAsk) -> float:
    return ask.services.clock.now().mono_s
