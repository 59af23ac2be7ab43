"""The tokens that ring agents, and their order: who may follow whom at an agent's gate. PURE.

Owns what makes one token higher than another. The gate itself (`edge/kemi/gate.py`) knows the order
and nothing of where tokens come from.

The laws, for one agent:

- A token of the store has an odd epoch, that of the agent's presence at the reservation, and the
  offer's create_revision: the store orders them.
- A token made without a quorum has an even epoch, and follows what the gate has seen: the next
  number in that epoch, or the first in the next even one. So each stands above every token that was
  let through before, and a token of the store that had been made before it is refused after it.
- After the gate has let an even token through, the home edge writes the next odd epoch into the
  agent's presence. A reservation compares the presence, so every token of the store that is made
  from then on stands above every token made without a quorum.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from state.model import FIRST_EPOCH, Entry, Offer

ALONE_FIRST: Final = 1
"""The first number in an even epoch."""


class Token(Struct, frozen=True, kw_only=True, order=True):
    """What an offer carries; only a higher one than ever seen rings the agent."""

    epoch: int
    revision: int
    """The offer's create_revision; in an even epoch a count."""

    def __str__(self) -> str:
        return f"{self.epoch}.{self.revision}"

    @property
    def is_alone(self) -> bool:
        """Whether it was made without a quorum."""
        return self.epoch % 2 == 0


NO_TOKEN: Final = Token(epoch=0, revision=0)
"""Rings nobody."""


def token_of(offer: Entry[Offer]) -> Token:
    """Return the token under which the agent of an offer is rung."""
    granted = offer.value.granted
    revision = offer.create_revision if granted is None else granted
    return Token(epoch=offer.value.epoch, revision=revision)


def alone_token(highest: Token | None, presence_epoch: int) -> Token:
    """Return the token of a reservation without a quorum, right after `highest` at the gate.

    `presence_epoch` keeps it above what the store may have given out and the gate not seen yet.
    """
    floor = Token(epoch=presence_epoch, revision=0)
    above = floor if highest is None else max(highest, floor)
    if above.is_alone:
        return Token(epoch=above.epoch, revision=above.revision + 1)
    return Token(epoch=above.epoch + 1, revision=ALONE_FIRST)


def store_epoch(seen: int) -> int:
    """Return the epoch for the store's tokens once a gate has let one of epoch `seen` through."""
    return max(FIRST_EPOCH, seen + 1 if seen % 2 == 0 else seen)
