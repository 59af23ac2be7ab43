"""The table of RFC 6337: which message may bring an offer or an answer, and what is glare."""

from __future__ import annotations

import pytest

from edge.sip.offer_answer import STABLE, Carrier, Exchange, Meaning, Side, step

O, T = Side.OURS, Side.THEIRS  # noqa: E741 - O offers, T answers
C, M = Carrier, Meaning

# Each line is an exchange: messages as (sender, carrier, has_sdp) and what each means.
EXCHANGES = {
    "1: offer in INVITE, answer in 2xx": [
        (O, C.INVITE, True, M.OFFER),
        (T, C.SUCCESS, True, M.ANSWER),
        (O, C.ACK, False, M.NOTHING),
    ],
    "2: offer in 2xx, answer in ACK": [
        (O, C.INVITE, False, M.NOTHING),
        (T, C.SUCCESS, True, M.OFFER),
        (O, C.ACK, True, M.ANSWER),
    ],
    "3: offer in INVITE, answer in reliable 1xx, repeated in 2xx": [
        (O, C.INVITE, True, M.OFFER),
        (T, C.RELIABLE, True, M.ANSWER),
        (O, C.PRACK, False, M.NOTHING),
        (T, C.SUCCESS, True, M.REPEAT),
        (O, C.ACK, False, M.NOTHING),
    ],
    "4: offer in reliable 1xx, answer in PRACK": [
        (O, C.INVITE, False, M.NOTHING),
        (T, C.RELIABLE, True, M.OFFER),
        (O, C.PRACK, True, M.ANSWER),
        (T, C.SUCCESS, False, M.NOTHING),
        (O, C.ACK, False, M.NOTHING),
    ],
    "5: a second offer in PRACK": [
        (O, C.INVITE, True, M.OFFER),
        (T, C.RELIABLE, True, M.ANSWER),
        (O, C.PRACK, True, M.OFFER),
        (T, C.PRACK_SUCCESS, True, M.ANSWER),
    ],
    "6: UPDATE": [(T, C.UPDATE, True, M.OFFER), (O, C.UPDATE_SUCCESS, True, M.ANSWER)],
    "preview in an unreliable 1xx": [
        (O, C.INVITE, True, M.OFFER),
        (T, C.PROVISIONAL, True, M.PREVIEW),
        (T, C.PROVISIONAL, False, M.NOTHING),
        (T, C.SUCCESS, True, M.ANSWER),
    ],
    "an offer may not stand in an unreliable 1xx": [
        (O, C.INVITE, False, M.NOTHING),
        (T, C.PROVISIONAL, True, M.REPEAT),
        (T, C.SUCCESS, True, M.OFFER),
    ],
    "2xx without the answer": [(O, C.INVITE, True, M.OFFER), (T, C.SUCCESS, False, M.MISSING)],
    "2xx without the offer": [(O, C.INVITE, False, M.NOTHING), (T, C.SUCCESS, False, M.MISSING)],
    "ACK without the answer": [
        (O, C.INVITE, False, M.NOTHING),
        (T, C.SUCCESS, True, M.OFFER),
        (O, C.ACK, False, M.MISSING),
    ],
    "refresh without a body": [
        (O, C.UPDATE, False, M.NOTHING),
        (T, C.UPDATE_SUCCESS, False, M.NOTHING),
    ],
}


@pytest.mark.parametrize("swapped", [False, True], ids=["as written", "sides swapped"])
@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_means_what_the_table_says(name: str, *, swapped: bool) -> None:
    exchange = STABLE
    for sender, carrier, has_sdp, expected in EXCHANGES[name]:
        side = (T if sender is O else O) if swapped else sender
        exchange, meaning = step(exchange, side, carrier, has_sdp=has_sdp)
        assert meaning is expected, (name, carrier)
    if expected in (M.ANSWER, M.MISSING, M.REPEAT, M.NOTHING):
        assert exchange.is_stable


@pytest.mark.parametrize("pending_in", [C.INVITE, C.UPDATE, C.PRACK])
@pytest.mark.parametrize("offer_in", [C.INVITE, C.UPDATE, C.PRACK])
@pytest.mark.parametrize("sender", [O, T])
def test_no_second_offer_while_one_is_pending(
    pending_in: Carrier, offer_in: Carrier, sender: Side
) -> None:
    pending = Exchange(by=O, carrier=pending_in)
    assert step(pending, sender, offer_in, has_sdp=True) == (pending, M.GLARE)


@pytest.mark.parametrize("carrier", list(Carrier))
@pytest.mark.parametrize("sender", list(Side))
@pytest.mark.parametrize("has_sdp", [False, True])
@pytest.mark.parametrize(
    "exchange",
    [STABLE, Exchange(late=True)]
    + [
        Exchange(by=side, carrier=offer)
        for side in Side
        for offer in (C.INVITE, C.RELIABLE, C.SUCCESS, C.PRACK, C.UPDATE)
    ],
)
def test_every_message_means_something_in_every_state(
    *, exchange: Exchange, sender: Side, carrier: Carrier, has_sdp: bool
) -> None:
    after, meaning = step(exchange, sender, carrier, has_sdp=has_sdp)
    if meaning is M.OFFER:
        assert (after.by, after.carrier) == (sender, carrier)
        assert exchange.is_stable
    if meaning is M.ANSWER:
        assert exchange.by not in (None, sender)
        assert after.is_stable
