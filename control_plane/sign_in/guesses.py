"""PURE. How often passwords may be guessed, so that nobody is locked out by somebody else.

Each address has few tries a login: that alone stops one guesser. All addresses together have some
more, against many of them; an address from which that very user has signed in before is not counted
there, so the user goes on while others guess.
"""

from __future__ import annotations

from typing import Final

from control_plane.api.limits import Buckets

PAIR_BURST: Final = 10
PAIR_S: Final = 30.0
"""After so many wrong passwords, one more try each half a minute."""
LOGIN_BURST: Final = 50
LOGIN_S: Final = 10.0


class Guesses:
    """The tries that are left, by login and address."""

    def __init__(self) -> None:
        self._pairs = Buckets(1 / PAIR_S, PAIR_BURST)
        self._logins = Buckets(1 / LOGIN_S, LOGIN_BURST)

    def by_address(self, login: str, address: str, now_s: float) -> float:
        """Take a try of this address; return 0.0, or how long to wait for one."""
        return self._pairs.take(f"{login} {address}", now_s)

    def by_anybody(self, login: str, now_s: float) -> float:
        """Take a try of all addresses together; return 0.0, or how long to wait for one."""
        return self._logins.take(login, now_s)

    def was_right(self, login: str, address: str) -> None:
        """Give the tries back: it was no guess."""
        self._pairs.give(f"{login} {address}")
        self._logins.give(login)
