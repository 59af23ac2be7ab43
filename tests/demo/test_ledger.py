from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.demo.ledger import Audio, join, outcome_by_people, outcome_of
from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import Dialler
from state.model import AgentId, CallId, Outcome
from tests.demo import invented

CALLER = next(invented.caller(call) for call in invented.ANSWERED if call.dialler is Dialler.PHONE)
AGENT = next(report for report in invented.AGENTS if report.call == CALLER.call)
GOOD = Audio(caller_heard_agent=True, agent_heard_caller=True, strangers=frozenset())
MUTE = replace(GOOD, caller_heard_agent=False)


@pytest.mark.parametrize(
    ("end", "agent", "audio", "outcome"),
    [
        pytest.param(End.HUNG_UP, AGENT, GOOD, Outcome.ANSWERED, id="caller-ends-the-talk"),
        pytest.param(
            End.FAR_END,
            replace(AGENT, end=End.HUNG_UP),
            GOOD,
            Outcome.ANSWERED,
            id="agent-ends-the-talk",
        ),
        pytest.param(End.HUNG_UP, None, None, Outcome.ABANDONED, id="leaves-the-queue"),
        pytest.param(End.CANCELLED, None, None, Outcome.ABANDONED, id="leaves-before-the-answer"),
        pytest.param(End.REFUSED, None, None, Outcome.REFUSED, id="turned-away"),
        pytest.param(
            End.FAR_END,
            replace(AGENT, end=End.FAR_END),
            GOOD,
            Outcome.LOST,
            id="cut-off-while-both-talk",
        ),
        pytest.param(
            End.FAR_END,
            replace(AGENT, end=End.UNHEARD),
            GOOD,
            Outcome.LOST,
            id="agent-hung-up-into-the-void",
        ),
        pytest.param(End.FAR_END, None, None, Outcome.LOST, id="hung-up-on-in-the-queue"),
        pytest.param(End.HUNG_UP, AGENT, MUTE, Outcome.LOST, id="agent-answered-unheard"),
        pytest.param(End.UNHEARD, AGENT, GOOD, Outcome.LOST, id="nobody-took-the-bye"),
        pytest.param(End.FAULT, AGENT, GOOD, Outcome.LOST, id="the-dialog-was-given-up"),
        pytest.param(End.SILENCE, None, None, Outcome.LOST, id="no-final-answer"),
        pytest.param(End.UNFINISHED, None, None, Outcome.LOST, id="no-end-reported"),
    ],
)
def test_the_people_say_how_a_call_ended(
    end: End, agent: AgentReport | None, audio: Audio | None, outcome: Outcome
) -> None:
    assert outcome_by_people(replace(CALLER, end=end), agent, audio) is outcome


def test_a_good_run_has_no_mismatch() -> None:
    assert invented.run().ledger.mismatches() == ()


def test_each_row_knows_its_agent_by_the_token_of_the_offer() -> None:
    ledger = invented.run().ledger
    for row in ledger.rows:
        assert (row.agent is not None) == (row.planned in invented.ANSWERED)
        if row.agent is not None and row.caller is not None:
            assert row.agent.call == row.caller.call


def test_a_call_without_record_is_told_by_the_people_alone() -> None:
    ledger = invented.run(records=invented.RECORDS[1:]).ledger
    (mismatch,) = ledger.mismatches()
    assert mismatch.call == f"call 0 from {invented.SCENARIO.calls[0].number}"
    assert mismatch.edges == "no record"
    assert mismatch.people.startswith("answered: caller")


def test_a_call_with_two_records_is_a_mismatch_with_both_stories() -> None:
    twice = (*invented.RECORDS, invented.RECORDS[3])
    (mismatch,) = invented.run(records=twice).ledger.mismatches()
    assert mismatch.edges.count(" at a1 via a") == 2


def test_edges_that_say_otherwise_are_named() -> None:
    changed = replace(invented.RECORDS[0], outcome=Outcome.LOST, cause="edge_died")
    (mismatch,) = invented.run(records=(changed, *invented.RECORDS[1:])).ledger.mismatches()
    assert mismatch.edges.startswith("lost: edge_died at a1 via a")


def test_a_record_that_no_caller_of_ours_made_is_named() -> None:
    stranger = replace(invented.RECORDS[0], call=CallId("f" * 24), sip_call_id="stranger")
    (mismatch,) = invented.run(records=(*invented.RECORDS, stranger)).ledger.mismatches()
    assert mismatch.people == "no caller of ours placed it"


def test_an_agent_who_answered_nobody_is_named() -> None:
    lonely = replace(invented.AGENTS[0], call=CallId("e" * 24), sip_call_id="lonely")
    ledger = join(invented.SCENARIO, invented.CALLERS, (*invented.AGENTS, lonely), invented.RECORDS)
    (mismatch,) = ledger.mismatches()
    assert "no caller heard it" in mismatch.people


def test_a_caller_who_never_reported_is_a_mismatch_not_a_call() -> None:
    ledger = invented.run(callers=invented.CALLERS[1:], records=invented.RECORDS[1:]).ledger
    assert len(ledger.placed) == len(invented.CALLERS) - 1
    assert any(each.people == "the caller never reported" for each in ledger.mismatches())


@pytest.mark.parametrize(
    ("heard", "story"),
    [
        (frozenset(), "caller did not hear the agent"),
        (frozenset({"another"}), "heard other calls: another"),
    ],
    ids=["silence", "another-call"],
)
def test_audio_is_judged_by_content(heard: frozenset[str], story: str) -> None:
    index = next(i for i, each in enumerate(invented.CALLERS) if each.call == CALLER.call)
    ledger = invented.run(callers=invented.swap(invented.CALLERS, index, heard=heard)).ledger
    row = ledger.rows[index]
    assert row.audio is not None
    assert not row.audio.both_ways
    assert row.by_people is Outcome.LOST
    assert any(story in each.people for each in ledger.mismatches())


def test_the_agent_of_a_dead_site_who_was_replaced_is_no_stranger() -> None:
    index = next(i for i, each in enumerate(invented.CALLERS) if each.call == CALLER.call)
    first = replace(
        AGENT, agent=AgentId("gone"), sip_call_id="first", invite_ms=AGENT.invite_ms - 9, sent="old"
    )
    heard = CALLER.heard | {"old"}
    ledger = invented.run(
        callers=invented.swap(invented.CALLERS, index, heard=heard),
        agents=(*invented.AGENTS, first),
    ).ledger
    row = ledger.rows[index]
    assert (row.agent, row.earlier) == (AGENT, (first,))
    assert row.audio is not None
    assert row.audio.both_ways


def test_an_echo_proves_both_ways_by_the_agents_ear() -> None:
    call = next(call for call in invented.ANSWERED if call.dialler is Dialler.SIPP)
    position = next(
        i for i, each in enumerate(invented.AGENTS) if each.call == invented.call_id(call.index)
    )
    row = invented.run().ledger.rows[call.index]
    assert row.audio is not None
    assert row.audio.both_ways
    agents = invented.swap(invented.AGENTS, position, heard=frozenset())
    row = invented.run(agents=agents).ledger.rows[call.index]
    assert row.audio is not None
    assert not row.audio.caller_heard_agent
    assert not row.audio.agent_heard_caller


def test_the_last_agent_who_answered_has_the_call() -> None:
    first = replace(
        AGENT, invite_ms=AGENT.invite_ms - 500, sip_call_id="first", sent="first", heard=frozenset()
    )
    agents = (*invented.AGENTS, first)
    ledger = join(invented.SCENARIO, invented.CALLERS, agents, invented.RECORDS)
    row = next(row for row in ledger.rows if row.caller and row.caller.call == AGENT.call)
    assert row.agent == AGENT


def _who_hung_up(answered_after_ms: int = 30) -> CallerReport:
    hung_up_ms = CALLER.ended_ms or 0
    ended_ms = hung_up_ms + answered_after_ms
    return replace(CALLER, end=End.HUNG_UP, hung_up_ms=hung_up_ms, ended_ms=ended_ms)


def _as_they_hung_up(picked_up_ms: int) -> AgentReport:
    """Return one who picked up so long before the caller hung up, and heard nobody."""
    hung_up_ms = CALLER.ended_ms or 0
    return replace(
        AGENT, agent=AgentId("next"), sip_call_id="next", sent="next", heard=frozenset(),
        invite_ms=hung_up_ms - 900, answered_ms=hung_up_ms - picked_up_ms,
        ended_ms=hung_up_ms + 10, end=End.FAR_END, last_heard_ms=None,
    )  # fmt: skip


@pytest.mark.parametrize("picked_up_ms", [8, -5], ids=["just-before", "as-the-cancel-came"])
def test_who_was_passed_on_and_leaves_as_the_next_picks_up_was_served_by_the_one_before(
    picked_up_ms: int,
) -> None:
    agents = (replace(AGENT, end=End.FAR_END), _as_they_hung_up(picked_up_ms))
    assert outcome_of(_who_hung_up(), agents) is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("told_before_ms", "outcome"),
    [
        pytest.param(5, Outcome.ANSWERED, id="they-had-been-brought-together"),
        pytest.param(900, Outcome.ABANDONED, id="what-they-took-was-before-that-agent"),
    ],
)
def test_who_leaves_as_they_are_joined_has_met_the_agent_whom_nobody_could_hear_yet(
    told_before_ms: int, outcome: Outcome
) -> None:
    told = replace(_who_hung_up(), joined_ms=None, heard=frozenset())
    told = replace(told, told_ms=(told.hung_up_ms or 0) - told_before_ms)
    assert outcome_of(told, (_as_they_hung_up(8),)) is outcome


@pytest.mark.parametrize(("packets_after", "outcome"), [(150, Outcome.ANSWERED), (0, Outcome.LOST)])
def test_an_agent_who_answers_an_edge_that_is_gone_has_nobody_whose_music_goes_on(
    packets_after: int, outcome: Outcome
) -> None:
    """Passed on before: by the music nobody else has served them."""
    told = replace(_who_hung_up(3000), packets_after=packets_after)
    agents = (replace(AGENT, end=End.FAR_END), _as_they_hung_up(1500))
    assert outcome_of(told, agents) is outcome


def test_who_leaves_as_the_first_agent_picks_up_has_given_up() -> None:
    told = replace(_who_hung_up(), joined_ms=None, heard=frozenset())
    assert outcome_of(told, (_as_they_hung_up(8),)) is Outcome.ABANDONED


@pytest.mark.parametrize(
    ("picked_up_ms", "outcome"), [(12, Outcome.ABANDONED), (800, Outcome.ANSWERED)]
)
def test_who_hears_an_agent_before_they_are_told_of_them_and_leaves_has_only_waited(
    picked_up_ms: int, outcome: Outcome
) -> None:
    by_agent = replace(_as_they_hung_up(picked_up_ms), heard=frozenset({"caller"}))
    told = replace(_who_hung_up(), heard=frozenset({by_agent.sent}))
    assert outcome_of(told, (by_agent,)) is outcome


def test_who_waits_on_while_an_agent_s_answer_is_lost_has_met_nobody() -> None:
    """The line between their site and the agent's is cut; the music goes on."""
    agents = (replace(AGENT, end=End.FAR_END), _as_they_hung_up(2500))
    assert outcome_of(_who_hung_up(400), agents) is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("picked_up_ms", "changes", "answered_after_ms"),
    [
        pytest.param(1500, {"told_ms": -1490}, 30, id="they-were-joined-and-heard-nobody"),
        pytest.param(5000, {"heard_nothing": True}, 30, id="they-heard-no-music-either"),
        pytest.param(8, {}, 5000, id="their-goodbye-was-answered-late"),
    ],
)
def test_who_has_an_agent_whom_they_do_not_hear_was_cut_off(
    picked_up_ms: int, changes: dict[str, int], answered_after_ms: int
) -> None:
    told = _who_hung_up(answered_after_ms)
    if "told_ms" in changes:
        changes = {"told_ms": (told.hung_up_ms or 0) + changes["told_ms"]}
    told = replace(told, **changes)
    agents = (replace(AGENT, end=End.FAR_END), _as_they_hung_up(picked_up_ms))
    assert outcome_of(told, agents) is Outcome.LOST


def test_a_refusal_is_told_with_its_status() -> None:
    callers = invented.swap(
        invented.CALLERS,
        invented.CALLERS.index(CALLER),
        end=End.REFUSED,
        status=503,
        ok_ms=None,
        joined_ms=None,
        ended_ms=CALLER.invite_ms,
    )
    (mismatch,) = invented.run(callers=callers).ledger.mismatches()
    assert mismatch.people.startswith("refused: caller refused, status 503")


@pytest.mark.parametrize(("silent_ms", "agrees"), [(2000, False), (3500, True), (4500, True)])
def test_whether_a_line_was_dead_that_fell_silent_just_before_the_goodbye_is_for_the_edges_to_say(
    silent_ms: int, *, agrees: bool
) -> None:
    last_ms = CALLER.invite_ms + 9000
    gone = replace(AGENT, end=End.FAULT, last_heard_ms=last_ms, hung_up_ms=None)
    hung_up = replace(
        CALLER,
        end=End.HUNG_UP,
        last_heard_ms=last_ms,
        hung_up_ms=last_ms + silent_ms,
        ended_ms=last_ms + silent_ms + 20,
    )
    callers = [hung_up if each.number == CALLER.number else each for each in invented.CALLERS]
    agents = [gone if each is AGENT else each for each in invented.AGENTS]
    records = [
        replace(each, outcome=Outcome.LOST, cause="agent_unheard")
        if each.sip_call_id == CALLER.sip_call_id
        else each
        for each in invented.RECORDS
    ]
    ledger = join(invented.SCENARIO, callers, agents, records)
    assert (not ledger.mismatches()) is agrees
