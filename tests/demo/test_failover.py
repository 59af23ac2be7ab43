from __future__ import annotations

from msgspec.structs import replace

from drills.demo import failover
from drills.demo.failover import Detector, Kill, Sighting
from drills.demo.ledger import Ledger
from drills.demo.reports import CallerReport, End, OfferChange
from state.model import AgentId, CallId, Outcome, SiteId
from tests.demo import invented

KILL = Kill(site=invented.DEAD, at_ms=invented.KILL_MS)
LATER = [
    call.index
    for call in invented.SCENARIO.calls
    if call.first_site == invented.DEAD and invented.invite_ms(call) >= KILL.at_ms
]
"""The dead site's calls after the kill, in order."""


def with_setup(times_ms: dict[int, int | None]) -> Ledger:
    """Return a good run's ledger but for how long some calls waited for their 200."""
    callers: tuple[CallerReport, ...] = invented.CALLERS
    for index, took_ms in times_ms.items():
        ok_ms = None if took_ms is None else callers[index].invite_ms + took_ms
        callers = invented.swap(callers, index, ok_ms=ok_ms)
    return invented.run(callers=callers).ledger


def since_kill_s(index: int) -> float:
    return (invented.CALLERS[index].invite_ms - KILL.at_ms) / 1000


def test_recovery_is_at_the_first_call_when_all_are_prompt() -> None:
    assert failover.rto_s(with_setup({}), KILL) == since_kill_s(LATER[0])


def test_two_seconds_to_the_200_is_in_time_and_a_bit_more_is_not() -> None:
    assert failover.rto_s(with_setup({LATER[0]: 2000}), KILL) == since_kill_s(LATER[0])
    assert failover.rto_s(with_setup({LATER[0]: 2001}), KILL) == since_kill_s(LATER[1])


def test_a_relapse_puts_recovery_off_until_after_it() -> None:
    ledger = with_setup({LATER[4]: None})
    assert failover.rto_s(ledger, KILL) == since_kill_s(LATER[5])
    assert [row.planned.index for row in failover.slow_after(ledger, KILL)] == [LATER[4]]


def test_service_that_fails_to_the_end_never_recovered() -> None:
    assert failover.rto_s(with_setup({LATER[-1]: None}), KILL) is None


def test_recovery_that_was_not_tried_is_not_claimed() -> None:
    after_all = Kill(site=KILL.site, at_ms=KILL.at_ms + 1_000_000)
    assert failover.rto_s(with_setup({}), after_all) is None


def test_other_sites_calls_do_not_count() -> None:
    elsewhere = next(
        call.index
        for call in invented.SCENARIO.calls
        if call.first_site != KILL.site and invented.invite_ms(call) > KILL.at_ms
    )
    assert failover.rto_s(with_setup({elsewhere: None}), KILL) == since_kill_s(LATER[0])


def lose(index: int, **of_record: object) -> Ledger:
    callers = invented.swap(invented.CALLERS, index, end=End.UNHEARD)
    records = invented.swap(invented.RECORDS, index, outcome=Outcome.LOST, **of_record)
    return invented.run(callers=callers, records=records).ledger


def test_a_call_lost_with_its_site_is_no_needless_loss() -> None:
    index = invented.ANSWERED[0].index
    for of_record in ({"site": KILL.site}, {"via": KILL.site}, {"agent_site": KILL.site}):
        assert failover.lost_elsewhere(lose(index, **of_record), KILL) == ()


def test_a_call_lost_that_the_dead_site_never_touched_is() -> None:
    index = invented.ANSWERED[0].index
    (row,) = failover.lost_elsewhere(lose(index), KILL)
    assert row.planned.index == index


def test_a_call_lost_without_record_touched_only_its_first_site() -> None:
    dead, living = (
        LATER[0],
        next(i for i, c in enumerate(invented.SCENARIO.calls) if c.first_site == "a"),
    )
    for index, needless in ((dead, 0), (living, 1)):
        callers = invented.swap(invented.CALLERS, index, end=End.SILENCE)
        records = (*invented.RECORDS[:index], *invented.RECORDS[index + 1 :])
        ledger = invented.run(callers=callers, records=records).ledger
        assert len(failover.lost_elsewhere(ledger, KILL)) == needless


def test_the_timeline_is_in_order_and_counts_from_the_kill() -> None:
    run = invented.run()
    early = Sighting(at_ms=KILL.at_ms - 1, who="carrier", what="before")
    moments = failover.timeline(
        run.scenario, run.ledger, KILL, (early, *run.sightings), run.offers, run.back
    )
    assert [each.after_s for each in moments] == sorted(each.after_s for each in moments)
    assert moments[0].what == "site b killed"
    assert {"carrier", "etcd", "caller", "routing"} <= {each.who for each in moments}
    assert "before" not in {each.what for each in moments}


def test_the_last_offer_to_an_agent_of_the_dead_site_is_told() -> None:
    run = invented.run()
    event = replace(run.offers[0], agent=AgentId("bela"), at_ms=KILL.at_ms + 700)
    moments = failover.timeline(run.scenario, run.ledger, KILL, (), (*run.offers, event), {})
    (last,) = [each for each in moments if each.who == "routing"]
    assert last.after_s == 0.7


def test_a_party_has_noticed_at_its_first_sighting_after_the_kill() -> None:
    told = (
        invented.sighting(-100, Detector.CARRIER),
        invented.sighting(900, Detector.CARRIER),
        invented.sighting(700, Detector.CARRIER),
        replace(invented.sighting(10, Detector.ETCD), detected_by=None),
    )
    assert failover.noticed_s(told, KILL) == {Detector.CARRIER: 0.7}


def test_an_offer_that_stood_before_the_kill_is_no_offer_after_it() -> None:
    run = invented.run()
    before = replace(
        run.offers[0],
        revision=1,
        agent=AgentId("bela"),
        call=CallId("1" * 24),
        at_ms=KILL.at_ms - 9,
    )
    connected = replace(before, revision=2, at_ms=KILL.at_ms + 50)
    gone = replace(before, revision=3, change=OfferChange.DELETED, call=None, at_ms=KILL.at_ms + 60)
    again = replace(before, revision=4, at_ms=KILL.at_ms + 300)
    assert failover.last_offer_s(run.scenario, KILL, (before, connected, gone), {}) == 0
    offers = (before, connected, gone, again)
    assert failover.last_offer_s(run.scenario, KILL, offers, {}) == 0.3
    # By then she was there at another site.
    back = {AgentId("bela"): KILL.at_ms + 200}
    assert failover.last_offer_s(run.scenario, KILL, offers, back) == 0
    assert failover.back_s(run.scenario, KILL, back) == {AgentId("bela"): 0.2}


def test_the_timeline_tells_when_agents_of_the_dead_site_were_there_again() -> None:
    run = invented.run()
    homed = [agent.id for agent in run.scenario.agents if agent.site == KILL.site]
    others = [agent.id for agent in run.scenario.agents if agent.site != KILL.site]
    back = {agent: KILL.at_ms + 9000 + 100 * n for n, agent in enumerate(homed)} | {others[0]: 1}
    moments = failover.timeline(run.scenario, run.ledger, KILL, (), (), back)
    told = [(each.after_s, each.what) for each in moments if "take" in each.what]
    assert [after_s for after_s, _ in told] == [9.0, 9.0 + 0.1 * (len(homed) - 1)]
    moments = failover.timeline(run.scenario, run.ledger, KILL, (), (), {homed[0]: KILL.at_ms})
    assert sum("take" in each.what for each in moments) == 1, "the others are still to come"


def test_the_dead_site_is_one_of_the_three() -> None:
    assert SiteId("b") in invented.SCENARIO.sites
