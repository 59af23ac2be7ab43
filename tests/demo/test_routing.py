from __future__ import annotations

from msgspec.structs import replace

from drills.demo.reports import OfferChange, OfferEvent
from drills.demo.routing import double_offers, wrong_skills
from state.model import AgentId, CallId
from tests.demo import invented

ALBA, CHEN = AgentId("alba"), AgentId("chen")
ONE, TWO = CallId("1" * 24), CallId("2" * 24)


def put(revision: int, agent: AgentId, call: CallId) -> OfferEvent:
    return OfferEvent(
        revision=revision, at_ms=revision, change=OfferChange.PUT, agent=agent, call=call
    )


def deleted(revision: int, agent: AgentId) -> OfferEvent:
    return OfferEvent(revision=revision, at_ms=revision, change=OfferChange.DELETED, agent=agent)


def test_a_good_run_has_neither_wrong_nor_double_offers() -> None:
    run = invented.run()
    assert wrong_skills(run.scenario, run.ledger, run.agents, run.offers) == ()
    assert double_offers(run.agents, run.offers) == ()


def test_an_unskilled_agent_is_found_in_the_offers_even_if_they_never_answered() -> None:
    german = next(call for call in invented.SCENARIO.calls if call.queue == "german-support")
    event = put(1, ALBA, invented.call_id(german.index))
    run = invented.run(offers=(*invented.OFFERS, event))
    (fault,) = wrong_skills(run.scenario, run.ledger, (), run.offers)
    assert fault.agent == ALBA
    assert fault.why == "rung for german-support, which needs technical 3, german 2"


def test_an_agent_below_the_level_is_found_by_their_own_phone() -> None:
    billing = next(call for call in invented.SCENARIO.calls if call.queue == "billing")
    rung = replace(invented.AGENTS[0], agent=ALBA, call=invented.call_id(billing.index))
    run = invented.run()
    (fault,) = wrong_skills(run.scenario, run.ledger, (rung,), ())
    assert fault.why == "rung for billing, which needs billing 4"


def test_a_phone_rung_while_busy_is_a_double_offer() -> None:
    first = invented.AGENTS[0]
    assert first.ended_ms is not None
    during = replace(first, sip_call_id="x", call=TWO, invite_ms=first.ended_ms - 1)
    after = replace(first, sip_call_id="x", call=TWO, invite_ms=first.ended_ms)
    assert len(double_offers((first, during), ())) == 1
    assert double_offers((first, after), ()) == ()


def test_an_agent_who_hung_up_is_free_though_nobody_heard_it() -> None:
    first = invented.AGENTS[0]
    assert first.ended_ms is not None
    ended_ms = first.ended_ms
    first = replace(first, hung_up_ms=ended_ms - 8000)
    later = replace(first, sip_call_id="x", call=TWO, invite_ms=ended_ms - 7000)
    assert double_offers((first, later), ()) == ()


def test_a_phone_whose_call_never_ended_counts_as_busy() -> None:
    first = replace(invented.AGENTS[0], ended_ms=None)
    later = replace(first, call=TWO, invite_ms=first.invite_ms + 60_000)
    (fault,) = double_offers((first, later), ())
    assert fault.agent == first.agent


def test_two_telephones_that_have_one_call_at_once_are_a_double_offer() -> None:
    first = invented.AGENTS[0]
    assert first.answered_ms is not None
    assert first.ended_ms is not None
    other = replace(first, agent=AgentId("somebody"), sip_call_id="x")
    during = replace(other, invite_ms=first.ended_ms - 300, answered_ms=first.ended_ms - 1)
    (fault,) = double_offers((first, during), ())
    assert fault.agent == during.agent
    assert fault.why == f"picked up for {first.call} while {first.agent} had it"
    (same,) = double_offers((during, first), ())
    assert same == fault


def test_who_picks_up_once_the_other_has_put_the_call_down_is_the_only_one_who_has_it() -> None:
    first = invented.AGENTS[0]
    assert first.ended_ms is not None
    after = replace(
        first, agent=AgentId("somebody"), sip_call_id="x", answered_ms=first.ended_ms, ended_ms=None
    )
    assert double_offers((first, after), ()) == ()


def test_a_telephone_that_only_rings_for_a_call_that_another_has_does_not_have_it() -> None:
    first = invented.AGENTS[0]
    rung = replace(first, agent=AgentId("somebody"), sip_call_id="x", answered_ms=None)
    assert double_offers((first, rung), ()) == ()


def test_a_call_that_is_not_put_down_is_had_for_good() -> None:
    first = replace(invented.AGENTS[0], ended_ms=None)
    assert first.answered_ms is not None
    at_ms = first.answered_ms + 60_000
    later = replace(first, agent=AgentId("somebody"), sip_call_id="x", answered_ms=at_ms)
    assert len(double_offers((first, later), ())) == 1


def test_telephones_that_were_rung_for_no_call_of_ours_share_none() -> None:
    first = replace(invented.AGENTS[0], call=None)
    other = replace(first, agent=AgentId("somebody"), sip_call_id="x")
    assert double_offers((first, other), ()) == ()


def test_an_offer_overwritten_by_another_call_is_double() -> None:
    (fault,) = double_offers((), (put(1, ALBA, ONE), put(2, ALBA, TWO)))
    assert "overwritten" in fault.why


def test_who_is_given_a_call_as_another_is_freed_of_it_has_it_alone() -> None:
    had, given = put(1, ALBA, ONE), put(2, CHEN, ONE)
    assert double_offers((), (had, given, deleted(2, ALBA))) == ()
    assert double_offers((), (had, given, deleted(3, ALBA)))


def test_an_offer_that_only_changes_its_state_is_not() -> None:
    assert double_offers((), (put(1, ALBA, ONE), put(2, ALBA, ONE), deleted(3, ALBA))) == ()


def test_two_agents_at_once_for_one_call_is_double() -> None:
    (fault,) = double_offers((), (put(1, ALBA, ONE), put(2, CHEN, ONE)))
    assert fault.why == f"{ONE} offered while alba has it, at revision 2"


def test_two_agents_one_after_the_other_is_not() -> None:
    events = (put(1, ALBA, ONE), deleted(2, ALBA), put(3, CHEN, ONE), deleted(4, CHEN))
    assert double_offers((), events) == ()


def test_the_history_is_read_in_the_order_of_revisions() -> None:
    events = (put(3, CHEN, ONE), deleted(2, ALBA), put(1, ALBA, ONE))
    assert double_offers((), events) == ()
