"""Who may offer and who must answer, in which message (RFC 3264, RFC 6337 §2 and §3).

A table over the messages that may carry a session description, which itself is opaque here.
`Exchange` is the state of one dialog, a frozen value; `step` is its only transition.

    offer in             answer in
    INVITE               reliable 1xx or 2xx
    2xx to INVITE        ACK
    reliable 1xx         PRACK
    PRACK                2xx to PRACK
    UPDATE               2xx to UPDATE
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Carrier(StrEnum):
    """A message that may carry a session description."""

    INVITE = "INVITE"
    PROVISIONAL = "1xx"
    RELIABLE = "reliable 1xx"
    SUCCESS = "2xx to INVITE"
    ACK = "ACK"
    PRACK = "PRACK"
    PRACK_SUCCESS = "2xx to PRACK"
    UPDATE = "UPDATE"
    UPDATE_SUCCESS = "2xx to UPDATE"


class Side(StrEnum):
    """Who sends a message."""

    OURS = "ours"
    THEIRS = "theirs"


class Meaning(StrEnum):
    """What a message means for the session."""

    NOTHING = "nothing"
    OFFER = "offer"
    ANSWER = "answer"
    PREVIEW = "preview"
    """An answer in an unreliable 1xx: it may be used, and should come again where it counts. Many
    carriers leave it out there; to the caller the first one was the answer (RFC 3261 §13.2.1)."""
    REPEAT = "repeat"
    """A description that has been exchanged before: to be ignored (RFC 6337 §3.1.1)."""
    GLARE = "glare"
    """An offer where one is pending: 491 if it is ours, 500 if it is theirs (RFC 3261 §14.2)."""
    MISSING = "missing"
    """The last message that could have brought the answer or the offer did not: nothing is left but
    a preview, if there was one."""


ANSWERS: dict[Carrier, frozenset[Carrier]] = {
    Carrier.INVITE: frozenset({Carrier.RELIABLE, Carrier.SUCCESS}),
    Carrier.SUCCESS: frozenset({Carrier.ACK}),
    Carrier.RELIABLE: frozenset({Carrier.PRACK}),
    Carrier.PRACK: frozenset({Carrier.PRACK_SUCCESS}),
    Carrier.UPDATE: frozenset({Carrier.UPDATE_SUCCESS}),
}
"""Offer in -> the messages that may bring its answer."""

LAST_CHANCE = {
    Carrier.INVITE: Carrier.SUCCESS,
    Carrier.SUCCESS: Carrier.ACK,
    Carrier.RELIABLE: Carrier.PRACK,
    Carrier.PRACK: Carrier.PRACK_SUCCESS,
    Carrier.UPDATE: Carrier.UPDATE_SUCCESS,
}
"""Offer in -> the message that must bring its answer if none has before."""


class Exchange(Struct, frozen=True, kw_only=True):
    """Where one dialog stands."""

    by: Side | None = None
    """Whose offer waits for an answer."""
    carrier: Carrier | None = None
    """What brought that offer."""
    late: bool = False
    """The INVITE under way brought no offer, so that the other side has to make it."""

    @property
    def is_stable(self) -> bool:
        """Whether no offer is pending."""
        return self.by is None


STABLE = Exchange()


def step(
    exchange: Exchange, sender: Side, carrier: Carrier, *, has_sdp: bool
) -> tuple[Exchange, Meaning]:
    """Return the next state, and what the message means, when `sender` sends `carrier`."""
    if exchange.by is not None and exchange.carrier is not None:
        return _while_pending(exchange, sender, carrier, has_sdp=has_sdp)
    return _while_stable(exchange, sender, carrier, has_sdp=has_sdp)


def _while_pending(  # noqa: PLR0911 - a table in words
    exchange: Exchange, sender: Side, carrier: Carrier, *, has_sdp: bool
) -> tuple[Exchange, Meaning]:
    offer = exchange.carrier
    if offer is None or sender is exchange.by:
        if carrier is Carrier.SUCCESS and has_sdp and offer is Carrier.RELIABLE:
            return exchange, Meaning.REPEAT
        return exchange, Meaning.GLARE if has_sdp else Meaning.NOTHING
    if not has_sdp:
        if carrier is LAST_CHANCE[offer]:
            return STABLE, Meaning.MISSING
        return exchange, Meaning.NOTHING
    if carrier in ANSWERS[offer]:
        return STABLE, Meaning.ANSWER
    if carrier is Carrier.PROVISIONAL and offer is Carrier.INVITE:
        return exchange, Meaning.PREVIEW
    return exchange, Meaning.GLARE


def _while_stable(  # noqa: PLR0911 - a table in words
    exchange: Exchange, sender: Side, carrier: Carrier, *, has_sdp: bool
) -> tuple[Exchange, Meaning]:
    if carrier is Carrier.INVITE:
        if has_sdp:
            return Exchange(by=sender, carrier=carrier), Meaning.OFFER
        return Exchange(late=True), Meaning.NOTHING
    if carrier in (Carrier.PRACK, Carrier.UPDATE):
        if has_sdp:
            return Exchange(by=sender, carrier=carrier, late=exchange.late), Meaning.OFFER
        return exchange, Meaning.NOTHING
    if carrier in (Carrier.RELIABLE, Carrier.SUCCESS) and exchange.late:
        if has_sdp:
            return Exchange(by=sender, carrier=carrier), Meaning.OFFER
        return exchange, Meaning.MISSING if carrier is Carrier.SUCCESS else Meaning.NOTHING
    if carrier is Carrier.PROVISIONAL and exchange.late and has_sdp:
        # RFC 3261 §13.2.1: an offer may not stand in an unreliable response.
        return exchange, Meaning.REPEAT
    return exchange, Meaning.REPEAT if has_sdp else Meaning.NOTHING
