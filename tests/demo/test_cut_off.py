"""Goodbyes into calls that a fault has cut off, and such as only look like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills.demo.cut_off import DEAF_MS, GAP_MS, SILENT_MS, DeadLine, dead_line
from drills.demo.ledger import Audio, outcome_by_people
from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import Dialler
from state.model import Outcome
from tests.demo import invented

CALLER = replace(
    next(invented.caller(call) for call in invented.ANSWERED if call.dialler is Dialler.PHONE),
    end=End.HUNG_UP,
)
SIPP = replace(CALLER, dialler=Dialler.SIPP, sent=None, last_heard_ms=None)
AGENT = next(report for report in invented.AGENTS if report.call == CALLER.call)
GOOD = Audio(caller_heard_agent=True, agent_heard_caller=True, strangers=frozenset())
T0 = CALLER.invite_ms + 10_000
"""When something breaks."""
NEXT = 40


def caller(hung_up: int, ended: int, heard: int, who: CallerReport = CALLER) -> CallerReport:
    last = None if who is SIPP else T0 + heard
    return replace(
        who,
        joined_ms=T0 - 1000,
        hung_up_ms=T0 + hung_up,
        ended_ms=T0 + ended,
        last_heard_ms=last,
    )


def told_goodbye(ended: int, heard: int, who: CallerReport = CALLER) -> CallerReport:
    """Return a caller who has not hung up themselves."""
    return replace(caller(0, ended, heard, who), end=End.FAR_END, hung_up_ms=None)


def agent(hung_up: int | None, ended: int, heard: int, end: End = End.HUNG_UP) -> AgentReport:
    left = None if hung_up is None else T0 + hung_up
    return replace(AGENT, hung_up_ms=left, ended_ms=T0 + ended, last_heard_ms=T0 + heard, end=end)


@pytest.mark.parametrize(
    ("told", "by_agent", "outcome"),
    [
        pytest.param(
            caller(4000, 5200, 0),
            agent(3000, 5200, 0),
            Outcome.LOST,
            id="the-site-is-back-a-second-after-both-gave-up",
        ),
        pytest.param(
            told_goodbye(5200, 0),
            agent(3000, 5200, 0),
            Outcome.LOST,
            id="the-site-is-back-and-takes-the-goodbye-of-an-agent-who-gave-up",
        ),
        pytest.param(
            caller(100, 6500, 0),
            agent(3000, 6500, 0),
            Outcome.LOST,
            id="the-caller-had-not-noticed-yet",
        ),
        pytest.param(
            caller(500, 3600, 0, SIPP),
            agent(3000, 3650, 0),
            Outcome.LOST,
            id="the-caller-cannot-listen-and-the-agent-can",
        ),
        pytest.param(
            caller(6000, 6010, 0, SIPP),
            agent(3000, 5600, 0),
            Outcome.LOST,
            id="the-caller-cannot-listen-and-hangs-up-when-the-site-is-back",
        ),
        pytest.param(
            caller(24_000, 24_010, 0, SIPP),
            agent(3000, 35_000, 0, End.UNHEARD),
            Outcome.LOST,
            id="the-caller-cannot-listen-and-the-agent-gave-up-long-before",
        ),
        pytest.param(
            caller(500, 1300, 0, SIPP),
            agent(None, 1250, 0, End.FAR_END),
            Outcome.ANSWERED,
            id="the-relay-has-just-died-and-a-living-edge-is-slow",
        ),
        pytest.param(
            caller(500, 1300, 0),
            agent(None, 1250, 0, End.FAR_END),
            Outcome.ANSWERED,
            id="the-same-and-the-caller-can-listen",
        ),
        pytest.param(
            caller(1100, 1800, 0, SIPP),
            agent(None, 1750, 0, End.FAR_END),
            Outcome.LOST,
            id="the-relay-has-been-dead-for-longer-than-a-living-edge-does-not-know",
        ),
        pytest.param(
            caller(500, 1600, 0, SIPP),
            agent(None, 1550, 0, End.FAR_END),
            Outcome.LOST,
            id="the-answer-is-as-late-as-a-next-life-s",
        ),
        pytest.param(
            caller(1000, 6500, 6450, SIPP),
            agent(None, 6500, 6450, End.FAR_END),
            Outcome.ANSWERED,
            id="the-edge-alone-is-gone-and-the-agent-hears-the-echo",
        ),
        pytest.param(
            told_goodbye(5600, 0, SIPP),
            agent(2000, 5500, 2030),
            Outcome.ANSWERED,
            id="the-agent-s-proxy-is-gone-and-an-echo-ends-with-who-speaks",
        ),
        pytest.param(
            caller(5000, 5010, 0, SIPP),
            agent(2000, 5500, 2030),
            Outcome.ANSWERED,
            id="the-agent-s-proxy-is-gone-and-a-living-edge-hears-a-caller-who-cannot-listen",
        ),
        pytest.param(
            told_goodbye(5600, 0, SIPP),
            agent(500, 5500, 0),
            Outcome.LOST,
            id="the-site-is-gone-and-the-agent-of-an-echo-had-not-noticed-yet",
        ),
        pytest.param(
            caller(1000, 5000, 2900),
            agent(3000, 5000, 1000),
            Outcome.ANSWERED,
            id="the-edge-alone-is-gone-and-both-hang-up-meanwhile",
        ),
        pytest.param(
            told_goodbye(9000, 2950),
            agent(3000, 4100, 4050),
            Outcome.ANSWERED,
            id="the-edge-alone-is-gone-and-the-agent-hangs-up",
        ),
        pytest.param(
            caller(4000, 4010, 0),
            agent(3000, 8000, 0),
            Outcome.ANSWERED,
            id="the-agent-is-out-of-reach-and-a-living-edge-hears-the-caller",
        ),
    ],
)
def test_a_goodbye_ends_a_call_that_stands(
    told: CallerReport, by_agent: AgentReport, outcome: Outcome
) -> None:
    assert outcome_by_people(told, by_agent, GOOD) is outcome


@pytest.mark.parametrize(
    ("heard_nothing", "ended", "outcome"),
    [
        (True, 5200, Outcome.LOST),
        (True, 4410, Outcome.LOST),
        (True, 4010, Outcome.LOST),
        (False, 4410, Outcome.ABANDONED),
        (False, 5200, Outcome.ABANDONED),
        (False, 9000, Outcome.LOST),
    ],
)
def test_a_waiting_caller_was_cut_off_if_they_left_for_want_of_sound_or_the_answer_is_very_late(
    *, heard_nothing: bool, ended: int, outcome: Outcome
) -> None:
    """A living edge that has found silence answers at once, or after 0.4 s if it serves alone."""
    waiting = replace(CALLER, heard=frozenset())
    told = replace(
        caller(4000, ended, 0, waiting),
        joined_ms=None,
        last_heard_ms=None,
        heard_nothing=heard_nothing,
    )
    assert outcome_by_people(told, None, None) is outcome


def test_who_had_heard_an_agent_and_leaves_for_want_of_sound_may_have_ended_the_talk() -> None:
    """The agent's line is dead, not the call: a living edge hears them leave."""
    two = frozenset({"agent-chord", "another-chord"})
    told = replace(
        caller(4000, 4010, 0), last_heard_ms=None, heard_nothing=True, joined_ms=T0, heard=two
    )
    by_agent = replace(agent(3000, 8000, 0), last_heard_ms=None)
    assert outcome_by_people(told, by_agent, GOOD) is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("changes", "agent_heard", "caller_stayed", "ended", "outcome"),
    [
        ({}, None, 34_000, 10, Outcome.ABANDONED),
        pytest.param({}, None, 34_000, 5000, Outcome.LOST, id="and-the-site-died-then"),
        pytest.param({"joined_ms": T0}, None, 34_000, 10, Outcome.LOST, id="they-were-joined"),
        pytest.param({}, 0, 34_000, 10, Outcome.LOST, id="the-agent-heard-them"),
        pytest.param({}, None, 1000, 10, Outcome.LOST, id="the-caller-left-with-the-agent"),
    ],
)
def test_a_caller_whose_agent_answered_an_edge_that_was_gone_waits_on(
    changes: dict[str, int], agent_heard: int | None, caller_stayed: int, ended: int, *,
    outcome: Outcome,
) -> None:  # fmt: skip
    hung_up = 3000 + caller_stayed
    told = replace(caller(hung_up, hung_up + ended, 0, SIPP), joined_ms=None)
    heard = None if agent_heard is None else T0 + agent_heard
    by_agent = replace(agent(3000, 3500, 0), last_heard_ms=heard)
    deaf = Audio(caller_heard_agent=False, agent_heard_caller=False, strangers=frozenset())
    assert outcome_by_people(replace(told, **changes), by_agent, deaf) is outcome


def test_an_agent_whom_the_next_life_lets_go_has_met_nobody_either() -> None:
    told = replace(caller(37_000, 37_010, 0, SIPP), joined_ms=None)
    by_agent = replace(agent(None, 3000, 0, End.FAR_END), last_heard_ms=None)
    deaf = Audio(caller_heard_agent=False, agent_heard_caller=False, strangers=frozenset())
    assert outcome_by_people(told, by_agent, deaf) is Outcome.ABANDONED


def test_who_hung_up_at_a_dead_site_did_not_hear_the_agent_whom_its_next_life_gave_them() -> None:
    """So it was in a drill: 15 s after the goodbye, and 0.1 s before it was heard."""
    told = replace(caller(3900, 18_940, 18_940), joined_ms=T0 + 18_860, packets_after=4)
    by_agent = replace(agent(None, 18_970, 0, End.FAR_END), last_heard_ms=None)
    one_way = Audio(caller_heard_agent=True, agent_heard_caller=False, strangers=frozenset())
    assert outcome_by_people(told, by_agent, one_way) is Outcome.LOST


def test_who_hangs_up_as_they_are_joined_has_met_their_agent() -> None:
    told = replace(caller(4000, 4100, 4050), joined_ms=T0 + 4040)
    assert outcome_by_people(told, agent(None, 4100, 4000, End.FAR_END), GOOD) is Outcome.ANSWERED


hang_ups = st.integers(min_value=0, max_value=4000)


@given(
    caller_hangs_up=hang_ups, agent_hangs_up=st.integers(0, 3000), back=st.integers(4700, 40_000)
)
def test_with_the_relay_gone_every_goodbye_is_lost(
    caller_hangs_up: int, agent_hangs_up: int, back: int
) -> None:
    """Unless both had said it before either could notice."""
    told = caller(caller_hangs_up, back, 0)
    by_agent = agent(agent_hangs_up, back + NEXT, 0)
    bearable = GAP_MS if back - caller_hangs_up > DEAF_MS else SILENT_MS
    could_notice = max(caller_hangs_up, agent_hangs_up) > bearable
    due = Outcome.LOST if could_notice else Outcome.ANSWERED
    assert outcome_by_people(told, by_agent, GOOD) is due


def test_a_caller_who_hung_up_right_after_the_kill_was_cut_off_by_a_site_that_came_back_soon() -> (
    None
):
    """Its next life asks the relay, which has lost the call: nobody had ended it before."""
    told = caller(600, 7000, 0)
    assert outcome_by_people(told, agent(3000, 7000 + NEXT, 0), GOOD) is Outcome.LOST


@given(agent_hangs_up=hang_ups, back=st.integers(4700, 12_000), echo=st.integers(-40, 60))
def test_of_a_caller_who_cannot_listen_the_agents_ear_tells_until_they_hang_up(
    agent_hangs_up: int, back: int, echo: int
) -> None:
    """From then on there is nothing to echo."""
    told = told_goodbye(back + NEXT, 0, SIPP)
    relay_alive = agent(agent_hangs_up, back, agent_hangs_up + echo)
    assert outcome_by_people(told, relay_alive, GOOD) is Outcome.ANSWERED
    due = Outcome.LOST if agent_hangs_up > GAP_MS else Outcome.ANSWERED
    assert outcome_by_people(told, agent(agent_hangs_up, back, 0), GOOD) is due


@given(caller_hangs_up=hang_ups, agent_hangs_up=hang_ups, back=st.integers(4700, 16_000))
def test_with_the_relay_alive_every_goodbye_ends_the_call(
    caller_hangs_up: int, agent_hangs_up: int, back: int
) -> None:
    """Each hears the other until that one hangs up, however late the edge is back."""
    told = caller(caller_hangs_up, back, agent_hangs_up)
    by_agent = agent(agent_hangs_up, back + NEXT, caller_hangs_up)
    assert outcome_by_people(told, by_agent, GOOD) is Outcome.ANSWERED


@pytest.mark.parametrize("who", [CALLER, SIPP])
@pytest.mark.parametrize(
    ("by_agent", "outcome"),
    [
        pytest.param(
            agent(None, 910, 0, End.FAR_END), Outcome.LOST, id="their-edge-found-the-relay-dead"
        ),
        pytest.param(
            agent(880, 900, 860), Outcome.ANSWERED, id="the-agent-had-hung-up-just-before"
        ),
        pytest.param(
            agent(880, 4880, 860, End.UNHEARD), Outcome.LOST, id="nobody-had-heard-the-agent"
        ),
        pytest.param(
            replace(agent(900, 910, 0), crossed=True), Outcome.LOST, id="the-agent-s-crossed-it-too"
        ),
    ],
)
def test_a_goodbye_that_meets_one_which_neither_has_said_came_too_late(
    who: CallerReport, by_agent: AgentReport, outcome: Outcome
) -> None:
    told = caller(890, 920, 880, who)
    assert outcome_by_people(told, agent(None, 910, 870, End.FAR_END), GOOD) is Outcome.ANSWERED
    assert outcome_by_people(replace(told, crossed=True), by_agent, GOOD) is outcome


def test_a_waiting_caller_s_goodbye_that_meets_another_came_too_late_as_well() -> None:
    told = replace(caller(890, 920, 0), last_heard_ms=None, joined_ms=None)
    assert outcome_by_people(told, None, None) is Outcome.ABANDONED
    assert outcome_by_people(replace(told, crossed=True), None, None) is Outcome.LOST


@pytest.mark.parametrize(
    ("answered", "is_crossed", "outcome"),
    [
        pytest.param(180, True, Outcome.LOST, id="passed-on-and-given-up-as-they-were-joined"),
        pytest.param(180, False, Outcome.ANSWERED, id="their-goodbye-was-heard"),
        pytest.param(-300, True, Outcome.ANSWERED, id="the-next-agent-had-answered"),
    ],
)
def test_who_was_passed_on_and_leaves_unheard_before_the_next_agent_answers_was_cut_off(
    answered: int, outcome: Outcome, *, is_crossed: bool
) -> None:
    """So it was in a soak: the trunk was cut, the music was heard, the goodbye came 6 s later."""
    told = replace(caller(0, 6080, 0), last_heard_ms=None, crossed=is_crossed, packets_after=300)
    following = replace(agent(None, 4590, 0, End.FAR_END), answered_ms=T0 + answered)
    following = replace(following, last_heard_ms=None)
    assert outcome_by_people(told, following, GOOD) is outcome


def test_an_agent_s_goodbye_that_meets_one_which_their_caller_has_not_said_came_too_late() -> None:
    told = told_goodbye(900, 0)
    by_agent = agent(890, 910, 880)
    assert outcome_by_people(told, by_agent, GOOD) is Outcome.ANSWERED
    assert outcome_by_people(told, replace(by_agent, crossed=True), GOOD) is Outcome.LOST


SEEN = replace(
    CALLER,
    hung_up_ms=T0 + 10_907,
    ended_ms=T0 + 15_137,
    last_heard_ms=T0 + 6907,
    crossed=True,
)
"""Both came by the frozen site and were served at another (seed 2 of `site_frozen`)."""
THEIR_AGENT = replace(
    AGENT, hung_up_ms=T0 + 6907, ended_ms=T0 + 15_121, last_heard_ms=T0 + 10_904, end=End.HUNG_UP
)


def test_goodbyes_that_a_frozen_proxy_passes_on_when_it_wakes_up_have_ended_the_call() -> None:
    assert outcome_by_people(SEEN, THEIR_AGENT, GOOD) is Outcome.ANSWERED


@pytest.mark.parametrize("is_crossed", [False, True])
def test_an_edge_that_took_both_for_gone_is_told_otherwise_by_their_goodbyes(
    is_crossed: bool,  # noqa: FBT001
) -> None:
    told = replace(
        SEEN, joined_ms=T0, hung_up_ms=T0 + 1000, ended_ms=T0 + 14_000, last_heard_ms=T0 + 4000
    )
    by_agent = replace(
        THEIR_AGENT,
        hung_up_ms=T0 + 4000,
        ended_ms=T0 + 14_010,
        last_heard_ms=T0 + 1000,
        crossed=is_crossed,
    )
    assert outcome_by_people(told, by_agent, GOOD) is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("heard_after_ms", "outcome"), [(7800, Outcome.ANSWERED), (8300, Outcome.LOST)]
)
def test_an_agent_s_goodbye_counts_if_the_caller_hears_it_while_their_edge_says_it(
    heard_after_ms: int, outcome: Outcome
) -> None:
    """The caller's proxy stands still; the agent's does not."""
    told = told_goodbye(heard_after_ms, 0)
    assert outcome_by_people(told, agent(0, 400, 0), GOOD) is outcome


@pytest.mark.parametrize(
    ("packets", "outcome"), [(450, Outcome.ABANDONED), (40, Outcome.LOST), (0, Outcome.LOST)]
)
def test_who_leaves_their_music_has_left_a_call_that_stands_however_late_that_is_known(
    packets: int, outcome: Outcome
) -> None:
    """A site that was frozen itself has a few to send when it wakes up."""
    told = replace(caller(0, 9000, 0), last_heard_ms=None, joined_ms=None, packets_after=packets)
    assert outcome_by_people(told, None, None) is outcome


@pytest.mark.parametrize(
    ("told", "after_ms", "outcome"),
    [
        pytest.param("agent_hung_up", 20, Outcome.ANSWERED, id="passed-on-at-once"),
        pytest.param("agent_hung_up", 900, Outcome.LOST, id="later-by-whoever-found-them-gone"),
        pytest.param("edge_stopped", 20, Outcome.LOST, id="for-another-reason"),
        pytest.param("agent_hung_up", -20, Outcome.LOST, id="before-they-said-it"),
    ],
)
def test_an_agent_s_goodbye_that_reached_the_caller_was_heard_though_their_edge_died_of_it(
    told: str, after_ms: int, outcome: Outcome
) -> None:
    reason = f'Q.850;cause=16;text="{told}"'
    heard = replace(told_goodbye(after_ms, 0), reason=reason)
    by_agent = agent(0, 4954, -12, End.UNHEARD)
    assert outcome_by_people(heard, by_agent, GOOD) is outcome


@pytest.mark.parametrize(
    ("silent_ms", "outcome"),
    [(2700, Outcome.ANSWERED), (3500, Outcome.ANSWERED), (4000, Outcome.LOST)],
)
@pytest.mark.parametrize("who", [CALLER, SIPP])
def test_who_hangs_up_on_an_agent_whose_line_is_dead_was_cut_off_however_soon_they_are_answered(
    who: CallerReport, silent_ms: int, outcome: Outcome
) -> None:
    told = caller(silent_ms, silent_ms + 20, 0, who)
    by_agent = agent(None, 6000, 0, End.FAULT)
    assert outcome_by_people(told, by_agent, GOOD) is outcome


def test_an_agent_who_hears_the_caller_until_the_end_had_only_their_goodbye_lost() -> None:
    """Their proxy is dead: it is not known that they have hung up."""
    told = caller(4000, 4020, 0)
    by_agent = agent(0, 32_000, 3990, End.UNHEARD)
    assert outcome_by_people(told, by_agent, GOOD) is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("silent_ms", "how", "doubt"),
    [
        (2700, End.UNHEARD, DeadLine.NO),
        (3000, End.UNHEARD, DeadLine.DOUBTFUL),
        (3999, End.UNHEARD, DeadLine.DOUBTFUL),
        (4000, End.UNHEARD, DeadLine.YES),
        (9000, End.FAR_END, DeadLine.NO),
    ],
)
def test_for_a_second_nobody_can_tell_whether_a_line_was_dead(
    silent_ms: int, how: End, doubt: DeadLine
) -> None:
    assert dead_line(caller(silent_ms, silent_ms + 20, 0), agent(None, 9900, 0, how)) is doubt


def test_who_is_told_that_the_relay_lost_their_call_was_cut_off_before_their_agent_left() -> None:
    """Whose edge was waiting for its relay as the agent hung up, and had passed them on before."""
    told = replace(told_goodbye(1300, 0), reason='Q.850;cause=16;text="media_lost"')
    assert outcome_by_people(told, agent(900, 1300, 0), GOOD) is Outcome.LOST
    told = replace(told, reason='Q.850;cause=16;text="agent_hung_up"')
    assert outcome_by_people(told, agent(900, 1300, 0), GOOD) is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("resumed", "outcome"),
    [
        pytest.param(1500, Outcome.ANSWERED, id="they-had-come-back-to-nobody"),
        pytest.param(None, Outcome.LOST, id="they-may-have-tried-to-where-nobody-was"),
    ],
)
def test_while_a_caller_holds_nobody_is_to_be_heard(resumed: int | None, outcome: Outcome) -> None:
    """So their silence is none; the agent, whose proxy is dead, hung up meanwhile."""
    told = replace(caller(4500, 4900, 0), first_held_ms=T0, resumed_ms=None)
    told = replace(told, resumed_ms=None if resumed is None else T0 + resumed)
    assert outcome_by_people(told, agent(1000, 17_000, 0, End.UNHEARD), GOOD) is outcome


@pytest.mark.parametrize(
    ("heard_nothing", "packets_after", "outcome"),
    [
        pytest.param(True, 0, Outcome.LOST, id="not-even-music"),
        pytest.param(False, 0, Outcome.LOST, id="no-music-went-on"),
        pytest.param(False, 400, Outcome.ANSWERED, id="music-went-on"),
    ],
)
def test_who_was_passed_on_and_waits_again_is_judged_as_one_who_waits(
    packets_after: int, outcome: Outcome, *, heard_nothing: bool
) -> None:
    told = caller(4000, 12_000, -80)
    told = replace(told, crossed=True, heard_nothing=heard_nothing, packets_after=packets_after)
    passed_on = agent(None, -65, -80, End.FAR_END)
    assert outcome_by_people(told, passed_on, GOOD) is outcome
