"""What people's telephones say of a call, and what their edges have written of it, is one story.

Whole calls are played in virtual time, with somebody hanging up near whatever happens, and their
ledger is the demo's, and the books that a load keeps of the lines that it keeps have to say the
same. EVERLINE_PLAYS=2000 looks for longer, EVERLINE_FIRST_PLAY=5000 elsewhere.
"""

from __future__ import annotations

import os
import random
from typing import Final
from unittest import mock

import pytest
from msgspec.structs import replace

from loadtests.load import books
from loadtests.load.telling import hear, is_kept
from state.model import Outcome
from tests.edge.one_edge import GREETED, SALES
from tests.edge.people_in_time import Breaks, Calls, Plan, Serves
from tests.edge.whole_day import Played, play

PLAYS: Final = int(os.environ.get("EVERLINE_PLAYS", "30"))
BLOCK: Final = 10
"""So many plays are one test: each has its time limit."""
FIRST: Final = int(os.environ.get("EVERLINE_FIRST_PLAY", "0"))
NEAR_S: Final = (-0.5, -0.02, -0.006, -0.002, 0.0, 0.0005, 0.002, 0.006, 0.01, 0.02, 0.3, 1.0, 2.0)
"""So long after something was said on the net somebody hangs up."""
LASTS_S: Final = {
    "edge": (0.5, 4.0),
    "site": (4.5, 14.0),
    "relay": (0.2, 3.0),
    "store": (0.1, 6.0),
    "link": (0.1, 9.0),
}
"""For how long what is broken. A site that is begun anew is not back before its people have hung
up; until its relay has been asked, edges may know better than telephones (decision 28)."""


def _drawn(chance: random.Random) -> Plan:
    breaks = _broken(chance)
    first = Serves(
        name="ann",
        answers_s=chance.choice((0.2, 0.4, 1.0)),
        talk_s=chance.choice((3.0, 7.0)),
        declines=chance.random() < 0.05,
        passes_on_to=chance.choice(("", "", "sales", "greeted", "bob")),
    )
    second = Serves(name="bob", site=chance.choice("ab"), answers_s=chance.choice((0.2, 0.4, 1.0)))
    # What an edge alone does by dying while a caller holds, nobody can tell from a site that does.
    holds = (None,) if breaks and breaks[0].what == "edge" else (None, None, 1.0)
    agents = (first, second) if chance.random() < 0.7 else (first,)
    callers = tuple(
        Calls(
            at_s=0.7 * number,
            edge=chance.choice(("a1", "a1", "b1")),
            number=chance.choice((SALES, GREETED)),
            patience_s=chance.choice((2.0, 40.0)),
            talk_s=chance.choice((2.0, 5.0, 28.0)),
            hold_after_s=chance.choice(holds),
        )
        for number in range(chance.choice((1, 1, 2)))
    )
    return Plan(callers=callers, agents=agents, breaks=breaks)


def _broken(chance: random.Random) -> tuple[Breaks, ...]:
    what = chance.choice(("", *LASTS_S))
    if not what:
        return ()
    site = chance.choice("aab")
    return (
        Breaks(
            what=what,
            which=site if what in {"site", "relay", "link"} else f"{site}1",
            at_s=round(chance.uniform(1.6, 8.0), 3),
            for_s=round(chance.uniform(*LASTS_S[what]), 3),
            relay_later_s=chance.choice((0.0, 0.0, 0.5, 1.5)),
        ),
    )


def _left_near(plan: Plan, played: Played, chance: random.Random) -> Plan:
    """Let one or two of the people hang up near something that happens."""
    moments = [each for each in played.moments if each > 0]
    everybody = [*plan.callers, *plan.agents]
    for number in chance.sample(range(len(everybody)), chance.choice((1, 1, 2))):
        at_s = round(chance.choice(moments) + chance.choice(NEAR_S), 4)
        everybody[number] = replace(everybody[number], leaves_s=at_s)
    return replace(
        plan,
        callers=tuple(each for each in everybody if isinstance(each, Calls)),
        agents=tuple(each for each in everybody if isinstance(each, Serves)),
    )


def _one_story(plan: Plan) -> Played:
    played = play(plan)
    assert not played.faults, (plan, played.faults)
    assert not played.left, (plan, played.left)
    assert not played.ledger.mismatches(), (plan, played.ledger.mismatches())
    kept = _kept_by_a_load(played)
    assert kept.is_exact, (plan, kept.told(), kept.contradicted)
    assert not kept.mixed_up, (plan, kept.mixed_up)
    return played


def _kept_by_a_load(played: Played) -> books.Books:
    told = ((line, hear(line)) for line in played.lines)
    callers, agents = books.reports(line for line, each in told if each and is_kept(each))
    entries = [
        books.Entry(call=each.call, outcome=each.outcome, cause=each.cause)
        for row in played.ledger.rows
        for each in row.records
    ]
    return books.compare(callers, agents, entries)


@pytest.mark.longer(30)
@pytest.mark.parametrize("block", range(FIRST, FIRST + PLAYS, BLOCK))
def test_people_and_edges_tell_the_same_of_every_call(block: int) -> None:
    for seed in range(block, min(block + BLOCK, FIRST + PLAYS)):
        chance = random.Random(seed)  # noqa: S311 - for plays
        plan = _drawn(chance)
        played = _one_story(plan)
        for _ in range(2):
            _one_story(_left_near(plan, played, chance))


ANN = Serves(name="ann", answers_s=0.2)
BOB = Serves(name="bob", answers_s=0.2)


@pytest.mark.parametrize("leaves_s", [0.2 + 0.001 * each for each in range(15, 50, 5)])
def test_a_caller_who_leaves_as_they_are_joined_was_served_or_has_left_the_queue(
    leaves_s: float,
) -> None:
    _one_story(Plan(callers=(Calls(leaves_s=leaves_s),), agents=(ANN,)))


def test_who_leaves_their_music_as_an_agent_answers_an_edge_that_is_gone_has_only_waited() -> None:
    passing_on = replace(ANN, passes_on_to="greeted")
    waits = Calls(number=GREETED, leaves_s=6.2)
    gone = Breaks(what="edge", which="a1", at_s=5.3, for_s=3.0)
    _one_story(Plan(callers=(waits,), agents=(passing_on,), breaks=(gone,)))


def test_a_caller_whom_a_relay_has_forgotten_is_let_go_though_an_agent_is_being_offered() -> None:
    """The offer brings the call back to a relay that was started anew, and no music."""
    unwilling = replace(ANN, declines=True)
    gone = Breaks(what="relay", which="a", at_s=2.2, for_s=2.0)
    played = _one_story(Plan(callers=(Calls(),), agents=(unwilling,), breaks=(gone,)))
    (row,) = played.ledger.rows
    assert row.record is not None
    assert row.record.cause == "media_lost"


def test_an_agent_who_passes_a_caller_on_by_a_dead_relay_and_leaves_has_not_ended_the_call() -> (
    None
):
    passing_on = Serves(name="ann", answers_s=1.0, talk_s=3.0, passes_on_to="bob")
    gone = Breaks(what="relay", which="a", at_s=2.087, for_s=2.867)
    _one_story(Plan(callers=(Calls(),), agents=(passing_on, BOB), breaks=(gone,)))


@pytest.mark.parametrize(("at_s", "for_s"), [(2.222, 0.05), (2.5235, 1.0)])
def test_who_picks_up_for_an_edge_that_is_gone_does_not_say_how_the_call_ended(
    at_s: float, for_s: float
) -> None:
    """Its next life has brought the caller back to the agent who had passed them on."""
    passing_on = replace(ANN, talk_s=4.0, passes_on_to="bob")
    late = replace(BOB, answers_s=0.3)
    gone = Breaks(what="edge", which="a1", at_s=at_s, for_s=for_s)
    played = _one_story(Plan(callers=(Calls(),), agents=(passing_on, late), breaks=(gone,)))
    (row,) = played.ledger.rows
    assert row.by_edges is Outcome.ANSWERED
    assert row.agent is not None
    assert row.agent.agent == "ann"


@pytest.mark.parametrize("leaves_s", [3.05, 3.15])
def test_a_target_who_hangs_up_before_they_are_joined_does_not_say_how_the_call_ended(
    leaves_s: float,
) -> None:
    """The relay takes its time."""
    passing_on = replace(ANN, talk_s=4.0, passes_on_to="bob")
    hasty = replace(BOB, leaves_s=leaves_s)
    with mock.patch("tests.edge.sound_in_time.ASKED_S", 0.06):
        _one_story(Plan(callers=(Calls(),), agents=(passing_on, hasty)))


def test_who_leaves_their_music_while_an_agent_s_answer_is_lost_has_only_waited() -> None:
    passing_on = Serves(name="ann", answers_s=0.2, talk_s=3.0, passes_on_to="sales")
    far = Serves(name="bob", site="b", answers_s=1.0)
    cut = Breaks(what="link", which="a", at_s=3.287, for_s=7.85)
    waits = Calls(number=GREETED, leaves_s=5.717)
    played = _one_story(Plan(callers=(waits,), agents=(passing_on, far), breaks=(cut,)))
    (row,) = played.ledger.rows
    assert row.record is not None
    assert row.record.cause == "left_in_transfer"


@pytest.mark.parametrize(("at_s", "leaves_s"), [(6.4, 10.0), (6.7, 12.0)])
def test_an_agent_who_passed_a_caller_on_and_leaves_while_their_edge_is_gone_has_not_lost_them(
    at_s: float, leaves_s: float
) -> None:
    """The colleague does not take the call; the caller has their music, and leaves it."""
    passing_on = replace(ANN, talk_s=7.0, passes_on_to="bob")
    unwilling = Serves(name="bob", answers_s=5.0, declines=True)
    gone = Breaks(what="edge", which="a1", at_s=at_s, for_s=2.0)
    waits = Calls(leaves_s=leaves_s)
    played = _one_story(Plan(callers=(waits,), agents=(passing_on, unwilling), breaks=(gone,)))
    (row,) = played.ledger.rows
    assert row.record is not None
    assert row.record.cause == "left_in_transfer"


@pytest.mark.parametrize("for_s", [6.6, 9.0])
def test_who_left_before_an_agent_came_and_was_not_heard_of_it_has_met_nobody(for_s: float) -> None:
    """The trunk is cut: to their edge they are there, and the agent hears nobody and hangs up."""
    waits = Calls(number=GREETED, patience_s=2.0)
    cut = Breaks(what="trunk", which="a", at_s=1.6, for_s=for_s)
    played = _one_story(
        Plan(callers=(waits,), agents=(replace(ANN, answers_s=1.0),), breaks=(cut,))
    )
    (row,) = played.ledger.rows
    assert row.by_edges is Outcome.LOST


def test_who_leaves_as_the_sound_is_there_and_before_they_are_told_has_only_waited() -> None:
    """A packet comes by in the four milliseconds between."""
    for answers_s in (0.206, 0.207, 0.208, 0.209):
        waits = Calls(leaves_s=answers_s + 0.0202)
        _one_story(Plan(callers=(waits,), agents=(replace(ANN, answers_s=answers_s),)))


def test_an_agent_who_leaves_a_caller_that_holds_by_a_site_that_is_dead_is_left_by_them() -> None:
    """The caller comes back, hears nobody, and hangs up; their edge has lived all the time."""
    far = Serves(name="bob", site="b", leaves_s=2.011)
    gone = Breaks(what="site", which="b", at_s=1.8, for_s=13.0)
    _one_story(Plan(callers=(Calls(hold_after_s=1.0),), agents=(far,), breaks=(gone,)))


@pytest.mark.parametrize("leaves_s", [None, 7.0])
def test_who_was_passed_on_and_hears_no_music_as_their_site_has_died_was_cut_off(
    leaves_s: float | None,
) -> None:
    passing_on = Serves(name="ann", passes_on_to="greeted")
    gone = Breaks(what="site", which="b", at_s=4.7, for_s=12.0)
    waits = Calls(at_s=0.7, edge="b1", leaves_s=leaves_s)
    played = _one_story(Plan(callers=(waits,), agents=(passing_on,), breaks=(gone,)))
    (row,) = played.ledger.rows
    assert row.by_edges is Outcome.LOST
