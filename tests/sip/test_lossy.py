"""Whole exchanges under loss, duplication, reordering and delay, as hypothesis chooses them.

As long as fewer copies are lost than one transaction sends, every call comes to the same end on
both sides. Whatever is lost, everything comes to an end, and nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip.events import (
    Answered,
    Cancelled,
    Confirmed,
    Ended,
    EndedBy,
    Event,
    IncomingInvite,
    LegId,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Progress,
    ReferReceived,
    Rejected,
)
from tests.sip.network import ANSWER, LOST, OFFER, Fate, Network, Party, fates

MOST_LOST = 4
"""An INVITE goes out seven times: so many losses it survives, whichever they hit."""
few = settings(max_examples=120, deadline=None)


def survivable(chosen: list[Fate]) -> list[Fate]:
    """Keep so many losses that no message is lost in all its copies."""
    lost = 0
    kept = []
    for fate in chosen:
        lost += fate == LOST
        if fate != LOST or lost <= MOST_LOST:
            kept.append(fate)
    return kept


rough = st.lists(fates, max_size=60).map(survivable)
ruinous = st.lists(fates, max_size=120)


def answers_all(party: Party, event: Event) -> None:
    """Answer calls and offers as they come."""
    now = party.network.now
    match event:
        case IncomingInvite(leg=leg):
            party.stack.progress(leg, 180, now)
            party.network.at(0.2, lambda: answer(party, leg))
        case Answered(leg=leg, needs_ack_sdp=True):
            party.stack.acknowledge(leg, ANSWER, now)
        case OfferReceived(leg=leg):
            party.stack.answer_offer(leg, ANSWER, now)
        case ReferReceived(leg=leg, transaction=transaction):
            party.stack.accept_refer(transaction, now)
            party.stack.notify_refer(leg, 200, now, final=True)
        case _:
            pass


def answer(party: Party, leg: LegId) -> None:
    party.try_to(lambda: party.stack.answer(leg, ANSWER, party.network.now))


def last_words(party: Party) -> list[Event]:
    return [event for event in party.events if isinstance(event, Ended | Rejected | Cancelled)]


@few
@given(chosen=rough, caller_hangs_up=st.booleans(), late=st.booleans(), reliable=st.booleans())
def test_a_call_is_answered_and_hung_up_whatever_befalls_its_datagrams(
    *, chosen: list[Fate], caller_hangs_up: bool, late: bool, reliable: bool
) -> None:
    network = Network(chosen)

    def ring(party: Party, event: Event) -> None:
        if isinstance(event, IncomingInvite) and reliable:
            sdp = OFFER if late else ANSWER
            party.stack.progress(event.leg, 183, party.network.now, sdp=sdp, reliable=True)
            party.network.at(0.2, lambda: answer(party, event.leg))
        else:
            answers_all(party, event)

    def take(party: Party, event: Event) -> None:
        if isinstance(event, Progress) and event.needs_prack_sdp:
            party.stack.acknowledge(event.leg, ANSWER, party.network.now)
        else:
            answers_all(party, event)

    caller, callee = network.party("alice", take), network.party("bob", ring)
    leg = caller.call(callee, sdp=None if late else OFFER)
    network.run(60)
    assert caller.heard(Answered)
    assert callee.heard(Confirmed)
    if caller_hangs_up:
        caller.stack.bye(leg, network.now)
    else:
        callee.stack.bye(callee.leg, network.now)
    network.run_out()
    first, second = (caller, callee) if caller_hangs_up else (callee, caller)
    assert first.only(Ended).by is EndedBy.LOCAL
    assert second.only(Ended).by is EndedBy.REMOTE


@few
@given(rough, st.floats(0, 3), st.floats(0, 3))
def test_cancel_against_answer_ends_on_both_sides_alike(
    chosen: list[Fate], cancel_after: float, answer_after: float
) -> None:
    network = Network(chosen)

    def ring(party: Party, event: Event) -> None:
        if isinstance(event, IncomingInvite):
            party.network.at(answer_after, lambda: answer(party, event.leg))

    caller, callee = network.party("alice"), network.party("bob", ring)
    leg = caller.call(callee)
    network.at(cancel_after, lambda: caller.try_to(lambda: caller.stack.cancel(leg, network.now)))
    network.run(60)
    if caller.of(Answered):
        caller.stack.bye(leg, network.now)
    network.run_out()
    ended = caller.only(Ended)
    assert ended.by is EndedBy.LOCAL
    words = last_words(callee)
    assert len(words) == 1
    assert isinstance(words[0], Cancelled) or (
        isinstance(words[0], Ended) and words[0].by is EndedBy.REMOTE
    )


@few
@given(
    chosen=rough,
    first=st.floats(0, 2),
    second=st.floats(0, 2),
    update_a=st.booleans(),
    update_b=st.booleans(),
)
def test_offers_from_both_sides_are_settled_in_the_end(
    *, chosen: list[Fate], first: float, second: float, update_a: bool, update_b: bool
) -> None:
    network = Network(chosen)
    caller, callee = network.party("alice", answers_all), network.party("bob", answers_all)
    leg = caller.call(callee)
    network.run(40)

    def offer(party: Party, own: LegId, *, update: bool) -> Callable[[], None]:
        command = party.stack.update if update else party.stack.reinvite
        return lambda: party.try_to(lambda: command(own, OFFER, network.now))

    network.at(first, offer(caller, leg, update=update_a))
    network.at(second, offer(callee, callee.leg, update=update_b))
    network.run(200)
    assert not caller.of(OfferRefused)
    assert not callee.of(OfferRefused)
    assert caller.of(OfferAnswered) or callee.of(OfferAnswered)
    assert not last_words(caller)
    caller.stack.bye(leg, network.now)
    network.run_out()
    assert caller.only(Ended).by is EndedBy.LOCAL
    assert callee.only(Ended).by is EndedBy.REMOTE


def _commands(party: Party, leg: LegId) -> dict[str, Callable[[], None]]:
    stack, network = party.stack, party.network
    return {
        "bye": lambda: stack.bye(leg, network.now),
        "reinvite": lambda: stack.reinvite(leg, OFFER, network.now),
        "ask": lambda: stack.reinvite(leg, None, network.now),
        "update": lambda: stack.update(leg, OFFER, network.now),
        "info": lambda: stack.info(leg, "text/plain", b"x", network.now),
        "refer": lambda: stack.refer(leg, "sip:c@everline", network.now),
        "cancel": lambda: stack.cancel(leg, network.now),
        "reject": lambda: stack.reject(leg, 486, network.now),
        "refuse": lambda: stack.refuse_offer(leg, 488, network.now),
        "progress": lambda: stack.progress(leg, 183, network.now),
        "reliable": lambda: stack.progress(leg, 183, network.now, sdp=ANSWER, reliable=True),
    }


NAMES = sorted(_commands(Network().party("x"), LegId("")))
plans = st.lists(st.tuples(st.floats(0, 90), st.booleans(), st.sampled_from(NAMES)), max_size=14)


@settings(max_examples=250, deadline=None)
@given(
    chosen=ruinous,
    plan=plans,
    late=st.booleans(),
    session_expires_s=st.sampled_from([None, 90, 600]),
)
def test_whatever_both_sides_do_and_whatever_is_lost_nothing_is_left(
    *,
    chosen: list[Fate],
    plan: list[tuple[float, bool, str]],
    late: bool,
    session_expires_s: int | None,
) -> None:
    network = Network(chosen)
    caller, callee = network.party("alice", answers_all), network.party("bob", answers_all)
    leg = caller.call(callee, sdp=None if late else OFFER, session_expires_s=session_expires_s)

    def act(who: Party, name: str) -> None:
        legs = [leg] if who is caller else [invite.leg for invite in callee.of(IncomingInvite)]
        for own in legs:
            who.try_to(_commands(who, own)[name])

    def plan_act(after: float, who: Party, name: str) -> None:
        network.at(after, lambda: act(who, name))

    for after, by_caller, name in plan:
        plan_act(after, caller if by_caller else callee, name)
    for after in (100.0, 200.0):
        # Somebody hangs up in the end; a side that lost the other's BYE does so by itself.
        for who in (caller, callee):
            for name in ("cancel", "bye"):
                plan_act(after, who, name)
    network.run_out()
    assert len(last_words(caller)) == 1
    # A side that rejects needs no telling.
    rejected = {message.call_id for message in network.sent("bob", 486)}
    assert len(last_words(callee)) + len(rejected) == len(callee.of(IncomingInvite))
