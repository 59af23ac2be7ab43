from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from drills.demo.as_json import as_json
from drills.demo.claims import claims
from drills.demo.failover import Detector
from drills.demo.figures import Run, Stock, measure
from drills.demo.reports import End
from drills.demo.scenario import Dialler
from state.model import AgentId, EdgeId, Outcome, SiteId
from tests.demo import invented

GOOD = invented.run()
FIRST = next(call.index for call in invented.ANSWERED if call.dialler is Dialler.PHONE)
LAST_OF_DEAD = max(
    call.index for call in invented.SCENARIO.calls if call.first_site == invented.DEAD
)


def broken(run: Run) -> set[str]:
    return {claim.text for claim in claims(run, measure(run)) if not claim.held}


def with_callers(index: int, **changes: object) -> Run:
    return invented.run(callers=invented.swap(invented.CALLERS, index, **changes))


def agents_but_for(index: int, **changes: object) -> Run:
    agents = tuple(
        replace(each, **changes) if each.call == invented.call_id(index) else each
        for each in invented.AGENTS
    )
    return invented.run(agents=agents)


def needlessly_lost() -> Run:
    record = replace(invented.RECORDS[FIRST], outcome=Outcome.LOST)
    return invented.run(
        callers=invented.swap(invented.CALLERS, FIRST, end=End.UNHEARD),
        records=(*invented.RECORDS[:FIRST], record, *invented.RECORDS[FIRST + 1 :]),
    )


def recovered_late() -> Run:
    slow_until_ms = invented.KILL_MS + 5500
    return invented.run(
        callers=tuple(
            replace(each, ok_ms=each.invite_ms + 2500)
            if invented.KILL_MS <= each.invite_ms < slow_until_ms
            else each
            for each in invented.CALLERS
        )
    )


def offered_late() -> Run:
    late = replace(
        invented.OFFERS[0], agent=AgentId("bela"), at_ms=invented.KILL_MS + 5001, revision=9999
    )
    return invented.run(offers=(*invented.OFFERS, late))


def recorded(**changes: object) -> Run:
    first, *others = GOOD.recordings
    return replace(GOOD, recordings=(replace(first, **changes), *others))


def never_queued() -> Run:
    rung = {report.call: report.invite_ms for report in invented.AGENTS}
    return invented.run(
        records=tuple(
            replace(each, queued_ms=rung.get(each.call, each.arrived_ms) - 500)
            for each in invented.RECORDS
        )
    )


def rung_for_all(agent: str) -> Run:
    return invented.run(
        offers=tuple(replace(each, agent=AgentId(agent)) for each in invented.OFFERS)
    )


EDITED = "A manager signed in at one site and edited a queue at another, for every edge"
WENT_ON = "After the kill the same session went on at every survivor, and edited again"


def managed(**changes: object) -> Run:
    return replace(GOOD, managed=replace(invented.MANAGED, **changes))


@pytest.mark.parametrize(
    ("run", "claim"),
    [
        pytest.param(managed(edit=None, faults=("403",)), EDITED, id="refused"),
        pytest.param(managed(signed_in_at=SiteId("b")), EDITED, id="the-same-site"),
        pytest.param(managed(edit=invented.edit("b", *"ab")), EDITED, id="edges-without-the-edit"),
        pytest.param(
            managed(edit=replace(invented.edit("b"), version=0)), EDITED, id="nothing-written"
        ),
        pytest.param(managed(went_on_at=invented.ALIVE[:1]), WENT_ON, id="a-survivor-refused"),
        pytest.param(managed(renewed_at=None), WENT_ON, id="the-session-was-not-renewed"),
        pytest.param(managed(later_edit=None), WENT_ON, id="no-edit-after-the-kill"),
        pytest.param(
            managed(later_edit=invented.edit("c", SiteId("c"))), WENT_ON, id="a-survivor-lags"
        ),
    ],
)
def test_each_claim_of_the_managers_can_be_broken(run: Run, claim: str) -> None:
    assert broken(run) == {claim}


def test_a_good_run_holds_every_claim() -> None:
    assert broken(GOOD) == set()


@pytest.mark.parametrize(
    ("run", "claim"),
    [
        pytest.param(
            invented.run(callers=invented.CALLERS[:-1], records=invented.RECORDS[:-1]),
            "Every call of the plan was placed",
            id="a-call-was-not-placed",
        ),
        pytest.param(
            invented.run(records=invented.RECORDS[:-1]),
            "Callers and edges tell the same story of every call",
            id="a-record-is-missing",
        ),
        pytest.param(
            never_queued(),
            "Calls were answered, and some had to queue first",
            id="nobody-queued",
        ),
        pytest.param(
            rung_for_all("alba"),
            "Nobody was rung for a call that they lack the skill for",
            id="unskilled",
        ),
        pytest.param(
            agents_but_for(invented.ANSWERED[0].index, ended_ms=None),
            "No agent was offered two calls, and no call two agents",
            id="double-offer",
        ),
        pytest.param(
            agents_but_for(FIRST, heard=frozenset({"another-chord"})),
            "Each side heard the other, and nobody else",
            id="agent-heard-another-call",
        ),
        pytest.param(
            recorded(fault="there is none"),
            "Every answered call of a living site has a recording, opened by another's key",
            id="a-recording-is-missing",
        ),
        pytest.param(
            replace(GOOD, recordings=()),
            "Every answered call of a living site has a recording, opened by another's key",
            id="nothing-was-recorded",
        ),
        pytest.param(
            recorded(agent=frozenset()),
            "On each, the caller is heard left, the agent right, and nobody else",
            id="the-agent-is-not-on-the-recording",
        ),
        pytest.param(
            recorded(caller=frozenset({"caller-chord-of-another"})),
            "On each, the caller is heard left, the agent right, and nobody else",
            id="another-caller-is-on-the-recording",
        ),
        pytest.param(
            replace(GOOD, plaintext=("a/recordings/x",)),
            "No file of any site holds a sound of them in the clear",
            id="plaintext-on-a-disk",
        ),
        pytest.param(
            replace(GOOD, sounds_sought=0),
            "No file of any site holds a sound of them in the clear",
            id="nobody-looked-for-plaintext",
        ),
        pytest.param(
            replace(GOOD, copies=replace(GOOD.copies, copied=8)),
            "What was copied is heard at another living site, with that site's keys alone",
            id="a-recording-is-at-one-site-only",
        ),
        pytest.param(
            replace(GOOD, copies=replace(GOOD.copies, played=1)),
            "What was copied is heard at another living site, with that site's keys alone",
            id="the-dead-site-counted-what-nobody-has",
        ),
        pytest.param(
            replace(GOOD, managed=replace(GOOD.managed, is_heard_right=False)),
            "A manager heard one over the API, the first sound within 2 s",
            id="the-api-played-something-else",
        ),
        pytest.param(
            replace(GOOD, managed=replace(GOOD.managed, first_sound_ms=2001.0)),
            "A manager heard one over the API, the first sound within 2 s",
            id="the-api-played-late",
        ),
        pytest.param(
            replace(GOOD, leader=SiteId("c")),
            "The site that was killed held the etcd leader, and another took over",
            id="another-site-was-killed",
        ),
        pytest.param(
            replace(GOOD, successor=None),
            "The site that was killed held the etcd leader, and another took over",
            id="nobody-leads-any-more",
        ),
        pytest.param(
            with_callers(LAST_OF_DEAD, ok_ms=None),
            "The dead site's callers were served elsewhere within 5 s",
            id="never-recovered",
        ),
        pytest.param(
            recovered_late(),
            "The dead site's callers were served elsewhere within 5 s",
            id="recovered-too-late",
        ),
        pytest.param(
            replace(GOOD, back={}),
            "Its agents took calls at other sites within 15 s",
            id="agents-never-came-back",
        ),
        pytest.param(
            replace(GOOD, back={agent: at_ms + 6001 for agent, at_ms in GOOD.back.items()}),
            "Its agents took calls at other sites within 15 s",
            id="agents-came-back-late",
        ),
        pytest.param(
            replace(GOOD, sightings=GOOD.sightings[1:]),
            "Carrier, edges and etcd each noticed within 5 s",
            id="etcd-never-noticed",
        ),
        pytest.param(
            replace(GOOD, sightings=(*GOOD.sightings[:2], invented.sighting(5001, Detector.EDGES))),
            "Carrier, edges and etcd each noticed within 5 s",
            id="an-edge-noticed-late",
        ),
        pytest.param(
            offered_late(),
            "After 5 s nobody was sent to an agent at the dead site",
            id="an-agent-of-the-dead-site-is-offered-late",
        ),
        pytest.param(
            needlessly_lost(),
            "No call was lost that was not on the dead site",
            id="lost-elsewhere",
        ),
        pytest.param(
            replace(GOOD, stocks=(Stock(place="a1", legs=1),)),
            "Nothing is left behind: no leg, media, ticket or offer",
            id="a-leg-is-left",
        ),
        pytest.param(
            replace(GOOD, unanswered_stock=(EdgeId("c2"),)),
            "Nothing is left behind: no leg, media, ticket or offer",
            id="an-edge-would-not-say",
        ),
        pytest.param(
            replace(GOOD, setup_s=15.1), "The three sites were up within 15 s", id="slow-setup"
        ),
    ],
)
def test_each_claim_can_be_broken(run: Run, claim: str) -> None:
    assert claim in broken(run)


def test_an_unchecked_answer_of_our_phone_breaks_the_audio_claim() -> None:
    figures = measure(GOOD)
    unchecked = replace(figures, audio_due_checked=figures.audio_due - 1)
    held = {claim.text: claim.held for claim in claims(GOOD, unchecked)}
    assert not held["Audio was checked on every answered call of our phones, and on half of all"]


def test_ends_that_do_not_add_up_break_the_sum() -> None:
    figures = measure(GOOD)
    people = replace(figures.by_people, answered=figures.by_people.answered - 1)
    held = {claim.text: claim.held for claim in claims(GOOD, replace(figures, by_people=people))}
    assert not held["Every call came to exactly one end"]


@pytest.mark.parametrize("field", ["legs", "calls", "media_calls", "tickets", "offers"])
def test_everything_left_is_a_leak(field: str) -> None:
    stock = replace(Stock(place="x"), **{field: 2})
    assert measure(replace(GOOD, stocks=(stock,))).leaks == 2


def test_transactions_that_end_by_themselves_are_no_leak() -> None:
    assert measure(replace(GOOD, stocks=(Stock(place="x", transactions=3),))).leaks == 0


def test_waits_are_of_the_answered_from_invite_to_voice() -> None:
    waits = measure(GOOD).waits
    taken = [
        (report.joined_ms - report.invite_ms) / 1000
        for report in invented.CALLERS
        if report.joined_ms is not None
    ]
    assert waits.max_s == max(taken)
    assert waits.mean_s == pytest.approx(sum(taken) / len(taken))
    assert sorted(taken)[-6] < waits.p95_s <= waits.max_s


def test_same_site_and_other_site_make_up_the_answered() -> None:
    figures = measure(GOOD)
    assert figures.same_site > 0
    assert figures.other_site > 0
    assert figures.same_site + figures.other_site == figures.by_people.answered


def test_the_json_has_the_names_that_others_read() -> None:
    figures = measure(GOOD)
    written = json.loads(json.dumps(as_json(GOOD, figures, claims(GOOD, figures))))
    calls = written["calls"]
    assert calls["offered"] == 72
    assert calls["offered"] == sum(
        calls[end] for end in ("answered", "abandoned", "refused", "lost")
    )
    assert calls["by_edges"] == {key: value for key, value in calls.items() if key != "by_edges"}
    assert written["routing"]["wrong_skill"] == 0
    assert written["routing"]["double_offers"] == 0
    assert written["audio"]["both_ways"] == written["audio"]["checked"] >= calls["answered"] / 2
    assert 0 <= written["failover"]["rto_s"] <= 5
    assert written["failover"]["lost_elsewhere"] == 0
    due = written["recordings"]["due"]
    assert written["recordings"]["opened"] == written["recordings"]["heard"] == due > 0
    assert written["recordings"]["plaintext"] == []
    assert written["leaks"] == 0
    assert written["setup_s"] == 9.5
    assert written["held"] is True
