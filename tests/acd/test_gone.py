"""Who is taken for gone of two who talked, by what the relay has heard of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.acd.call_events import Attempt
from edge.acd.gone import SILENT_S, Gone, Heard, Pair, gone, listened

ONE = Attempt(1)
TALK, VAD, NOTHING = 50, 1, 0
"""What comes of somebody in a second: who talks, who sends comfort noise, who is gone."""


def _said(
    agent: list[int], caller: list[int] | None, *, is_caller_cut_off: bool = True
) -> list[Gone | None]:
    """Look once a second, after so many further packets of each each time."""
    pair, seen = None, []
    agents = callers = 0
    for second, more in enumerate(agent):
        agents += more
        callers += caller[second] if caller is not None else 0
        now_s = 100.0 + second
        pair = listened(pair, ONE, agents, None if caller is None else callers, now_s)
        seen.append(gone(pair, now_s, is_caller_cut_off=is_caller_cut_off))
    return seen


def test_who_is_silent_for_long_is_gone_and_not_before() -> None:
    assert _said([NOTHING] * 6, [TALK] * 6) == [None] * 5 + [Gone.AGENT]
    assert _said([VAD] * 20, [NOTHING] * 20) == [None] * 20


def test_of_two_who_are_silent_nobody_is_there() -> None:
    assert _said([NOTHING] * 6, [NOTHING] * 6) == [None] * 5 + [Gone.BOTH]


def test_a_silent_caller_is_there_if_their_goodbye_could_have_come() -> None:
    seen = _said([NOTHING] * 6, [NOTHING] * 6, is_caller_cut_off=False)
    assert seen == [None] * 5 + [Gone.AGENT]


def test_a_caller_of_whom_the_relay_knows_nothing_is_there() -> None:
    assert _said([NOTHING] * 6, None) == [None] * 5 + [Gone.AGENT]


def test_of_a_caller_who_falls_silent_later_it_is_waited_whether_they_are_gone_too() -> None:
    """Who is left in silence takes some seconds to hang up."""
    caller = [TALK] * 4 + [NOTHING] * 6
    assert _said([NOTHING] * 10, caller) == [None] * 8 + [Gone.BOTH, Gone.BOTH]


def test_a_caller_who_sends_little_while_they_listen_is_not_gone() -> None:
    caller = [TALK] * 4 + [NOTHING] * 3 + [VAD]
    assert _said([NOTHING] * 8, caller) == [None] * 7 + [Gone.AGENT]


def test_another_agent_is_listened_to_anew() -> None:
    pair = listened(None, ONE, 7, 7, 0.0)
    pair = listened(pair, Attempt(2), 7, 7, SILENT_S)
    assert pair == Pair(attempt=Attempt(2), agent=Heard(7, SILENT_S), caller=Heard(7, SILENT_S))
    assert gone(pair, SILENT_S, is_caller_cut_off=True) is None


@given(
    agent=st.lists(st.sampled_from([NOTHING, VAD, TALK]), min_size=1, max_size=30),
    caller=st.lists(st.sampled_from([NOTHING, VAD, TALK]), min_size=30, max_size=30),
    is_caller_cut_off=st.booleans(),
)
def test_both_are_gone_only_if_neither_was_heard_for_as_long(
    agent: list[int], caller: list[int], *, is_caller_cut_off: bool
) -> None:
    seen = _said(agent, caller, is_caller_cut_off=is_caller_cut_off)
    span = int(SILENT_S)
    for second, found in enumerate(seen):
        recent = slice(second - span + 1, second + 1)
        agent_silent = second >= span and not any(agent[recent])
        caller_silent = second >= span and not any(caller[recent])
        assert (found is Gone.BOTH) is (agent_silent and caller_silent and is_caller_cut_off)
        if found is Gone.AGENT:
            assert agent_silent
            assert not (is_caller_cut_off and caller[second] == NOTHING)
