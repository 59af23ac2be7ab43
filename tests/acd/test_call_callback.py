"""Who is asked whether they want to be called back: what the machine does, race by race."""

from __future__ import annotations

import pytest

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import Asked, Call, Rules, State
from edge.acd.call_events import Answer
from edge.acd.call_resume import resumed
from edge.acd.call_state import step
from edge.acd.ending import WITHDRAWN, Ending, place_kept, taking_callback
from state.model import CallBack, Entry, Outcome, Ticket, TicketState, TrunkId
from tests.acd.stage import decision
from tests.acd.worlds import NOW, call_id, ticket

ASKS = ev.TurnedAway(outcome=Outcome.CALLBACK, cause="waited_too_long", is_asked=True, step=1)
BACK = CallBack(trunk=TrunkId("t"), offer="callback", after_lost_s=60.0)


def waiting(asked: Asked | None = None) -> Call:
    """Return a call whose caller waits."""
    call, _ = resumed(call_id(1), Rules(greeting=False), State.QUEUED)
    return call if asked is None else _with(call, asked)


def _with(call: Call, asked: Asked) -> Call:
    found, _ = resumed(call.id, call.rules, State.QUEUED, asked=asked)
    return found


def plays(effects: tuple[ef.Effect, ...]) -> list[ef.Prompt]:
    return [each.prompt for each in effects if isinstance(each, ef.Play)]


def writes(effects: tuple[ef.Effect, ...]) -> list[type]:
    return [type(each.write) for each in effects if isinstance(each, ef.Store)]


def taken() -> Call:
    """Return a call whose caller has just taken the offer."""
    call, _ = step(waiting(), ASKS, NOW)
    call, effects = step(call, ev.OfferOver(answer=Answer.TAKES), NOW)
    assert (plays(effects), writes(effects)) == ([ef.Prompt.NOTICE], [wr.TakeCallback])
    return call


def test_a_caller_is_asked_once_a_step_and_waits_meanwhile() -> None:
    call, effects = step(waiting(), ASKS, NOW)
    assert (call.state, call.is_waiting, plays(effects)) == (
        State.QUEUED, True, [ef.Prompt.OFFER],
    )  # fmt: skip
    assert step(call, ASKS, NOW) == (call, ()), "the question is under way"
    call, effects = step(call, ev.OfferOver(answer=Answer.WAITS), NOW)
    assert plays(effects) == [ef.Prompt.MUSIC]
    assert step(call, ASKS, NOW) == (call, ()), "they were asked at this step"
    later = ev.TurnedAway(outcome=Outcome.CALLBACK, cause="", is_asked=True, step=2)
    assert plays(step(call, later, NOW)[1]) == [ef.Prompt.OFFER]


def test_who_took_the_offer_wants_nobody_and_is_not_sent_away_once_more() -> None:
    call = taken()
    assert not call.is_waiting
    for away in (ASKS, ev.TurnedAway(outcome=Outcome.REFUSED, cause="waited_too_long")):
        assert step(call, away, NOW) == (call, ())
    ended, _ = step(call, ev.NoticeOver(), NOW)
    assert ended.verdict is not None
    assert (ended.verdict.outcome, ended.verdict.cause) == (Outcome.CALLBACK, "callback_taken")


def test_an_agent_who_was_on_the_way_to_one_who_took_the_offer_is_given_back() -> None:
    call, effects = step(taken(), ev.Reserved(decision=decision()), NOW)
    assert (call.state, call.is_agent_held, call.is_waiting) == (State.QUEUED, False, False)
    assert writes(effects) == [wr.GiveBack, wr.TakeCallback]
    (back,) = [each.write for each in effects if isinstance(each, ef.Store)][:1]
    assert isinstance(back, wr.GiveBack)
    assert (back.part, back.tried) == (WITHDRAWN, False)


def test_an_answer_that_comes_while_an_agent_is_rung_changes_nothing_but_what_is_heard() -> None:
    call, _ = step(waiting(), ASKS, NOW)
    ringing, _ = step(call, ev.Reserved(decision=decision()), NOW)
    after, effects = step(ringing, ev.OfferOver(answer=Answer.TAKES), NOW)
    assert (after.state, after.asked.takes, plays(effects)) == (
        State.RINGING, False, [ef.Prompt.MUSIC],
    )  # fmt: skip
    assert after.asked.step == 0, "if that agent does not answer they are asked again"


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        (Asked(), ()),
        (Asked(step=1, is_under_way=True), (ev.OfferOver(answer=Answer.WAITS),)),
        (Asked(step=1, takes=True), (ev.NoticeOver(),)),
    ],
    ids=["not asked", "being asked", "told so"],
)
def test_the_next_life_goes_on_with_the_question(asked: Asked, first: tuple[ev.Event, ...]) -> None:
    call, events = resumed(call_id(1), Rules(greeting=False), State.QUEUED, asked=asked)
    assert events == first
    for event in events:
        call, effects = step(call, event, NOW)
        if asked.takes:
            assert call.state is State.ENDING
        else:
            assert plays(effects) == [ef.Prompt.MUSIC]
            assert plays(step(call, ASKS, NOW)[1]) == [ef.Prompt.OFFER], "asked again"


def test_whatever_ends_the_call_of_who_took_the_offer_their_place_is_kept_and_due() -> None:
    value = taking_callback(_ticket())
    assert (value.state, value.takes_callback) == (TicketState.GREETING, True)
    entry = Entry(value=value, create_revision=7, mod_revision=9, seen_s=0.0)
    for outcome, cause in (
        (Outcome.CALLBACK, "callback_taken"),
        (Outcome.LOST, "edge_died"),
        (Outcome.LOST, "caller_unreachable"),
    ):
        kept = place_kept(entry, Ending(outcome=outcome, cause=cause), NOW)
        assert kept is not None
        for told in (b'"due_s":0.0', b'"was_sent_away":true', b'"has_heard_greeting":true'):
            assert told in kept.value, (cause, told)


def _ticket() -> Ticket:
    found = ticket(1, sales=1)
    return Ticket(**{name: getattr(found, name) for name in found.__struct_fields__} | {
        "call_back": BACK, "caller": "+4930123",
    })  # fmt: skip
