"""For how long something untrue was said of an agent, each case by itself."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from drills.blast import dead_lines, parted
from drills.demo.said import Life, Said, Words
from drills.demo.waiting import Waiting
from drills.fault import Fault, FaultKind
from drills.figures import figures
from drills.reach import noticing, said_out, without_quorum
from drills.seen import Seen
from drills.truth import untrue_agent_s, untruths
from state.model import CallId, EdgeId, PresenceState, SiteId
from tests.demo.invented import AGENTS, DEAD, KILL_MS, SCENARIO
from tests.drills.good_run import (
    EDGES,
    KILL_SITE,
    SURVIVORS,
    course,
    down,
    evidence_of_run,
    seen,
)

A, B, C = (SiteId(each) for each in "abc")
SITES = frozenset({A, B, C})
ENDS_MS = KILL_MS + 12_300
"""When the faults of the good run are undone."""
NEVER: tuple[()] = ()
CUT_OFF = Fault(kind=FaultKind.CUT_OFF, target=DEAD, ttl_s=12.0)
ONE_WAY = Fault(kind=FaultKind.CUT_ONE_WAY, target="a>b", ttl_s=12.0)
NO_LINES = Fault(kind=FaultKind.ISOLATE, target="agents-c", ttl_s=10.0)
ALL_LIVE = tuple(Life(edge=edge, from_ms=0, to_ms=math.inf) for edge in EDGES)
REPORT = max(
    (each for each in AGENTS if each.busy_until_ms is not None), key=lambda each: each.invite_ms
)
"""The last to be rung."""
AGENT = REPORT.agent
HOME = SCENARIO.agent(AGENT).site


def said(from_ms: float = 0, to_ms: float = math.inf, **what: object) -> Said:
    told = Said(agent=AGENT, state=PresenceState.READY, site=HOME, from_ms=from_ms, to_ms=to_ms)
    return replace(told, **what)


def after(*told: Said, whole: Seen | None = None) -> float:
    """Return it of a good run in which this was said of the agent, and nothing else of anybody."""
    base = seen(agents=(REPORT,), offers=()) if whole is None else whole
    return untrue_agent_s(replace(base, words=Words(agents=told, lives=ALL_LIVE)), KILL_MS)


@pytest.mark.parametrize(
    ("fault", "pairs"),
    [
        (KILL_SITE, {(A, DEAD), (C, DEAD)}),
        (CUT_OFF, {(A, DEAD), (C, DEAD), (DEAD, A), (DEAD, C)}),
        (ONE_WAY, {(A, B), (B, A)}),
        (Fault(kind=FaultKind.CUT, target="a-c", ttl_s=1), {(A, C), (C, A)}),
        (Fault(kind=FaultKind.CUT, target="carrier-c", ttl_s=1), set()),
        (Fault(kind=FaultKind.ISOLATE, target="c", ttl_s=1), {(A, C), (C, A), (B, C), (C, B)}),
        (NO_LINES, set()),
        (Fault(kind=FaultKind.CUT_ETCD, target="c", ttl_s=1), set()),
        (Fault(kind=FaultKind.FLAP, target="a-b", ttl_s=1, period_s=1), set()),
    ],
    ids=lambda each: each.told() if isinstance(each, Fault) else "",
)
def test_who_no_longer_reaches_whom_is_known_by_the_fault(
    fault: Fault, pairs: set[tuple[SiteId, SiteId]]
) -> None:
    assert parted(fault, SITES) == pairs


def test_only_an_isolated_host_of_agents_has_dead_lines() -> None:
    assert dead_lines(NO_LINES) == C
    assert dead_lines(Fault(kind=FaultKind.ISOLATE, target="c", ttl_s=1)) is None
    assert dead_lines(KILL_SITE) is None


def test_a_survivor_that_never_notices_makes_the_dead_sites_agents_untrue_for_ever() -> None:
    left = Waiting(out_of_reach=(down(SURVIVORS[0], DEAD, KILL_MS + 1),))
    found = figures(replace(seen(), waiting=left))
    assert found["untrue_agent_s"] == found["noticed_s"] == math.inf


def test_where_two_sites_are_gone_the_edges_that_are_left_write_it_down_and_publish_nothing() -> (
    None
):
    second = next(site for site in SCENARIO.sites if site != DEAD)
    whole = replace(seen(KILL_SITE, replace(KILL_SITE, target=second, at_s=1.0)), waiting=Waiting())
    left = [edge for edge in SURVIVORS if EDGES[edge] != second]
    logs = tuple(down(edge, site) for edge in left for site in (DEAD, second))
    assert figures(replace(whole, out_of_reach=logs))["untrue_agent_s"] == 2.5
    missing = figures(replace(whole, out_of_reach=logs[1:]))
    assert missing["untrue_agent_s"] == math.inf


def test_both_sides_of_a_cut_have_to_notice_and_who_is_cut_off_says_so_in_its_log() -> None:
    whole = seen(CUT_OFF)
    assert without_quorum(whole) == {DEAD}
    assert figures(whole)["untrue_agent_s"] == math.inf
    inside = [edge for edge, site in EDGES.items() if site == DEAD]
    logs = tuple(down(e, site, KILL_MS + 3100) for e in inside for site in SITES - {DEAD})
    both = replace(whole, out_of_reach=logs)
    assert len(noticing(both)) == 4 + 4
    assert figures(both)["noticed_s"] == 3.1
    assert figures(replace(both, waiting=Waiting()))["noticed_s"] == math.inf


def test_a_cut_that_does_nothing_is_noticed_by_nobody() -> None:
    found = figures(replace(seen(ONE_WAY), waiting=Waiting()))
    assert found["noticed_s"] == found["untrue_agent_s"] == math.inf


@pytest.mark.parametrize(
    ("drill", "fault", "missed"),
    [
        (
            "partition_full",
            CUT_OFF,
            {"noticed_s", "untrue_agent_s", "members_away", "reconciled_s"},
        ),
        ("partition_one_way", ONE_WAY, {"noticed_s", "untrue_agent_s", "members_away"}),
    ],
)
def test_a_partition_that_does_nothing_does_not_hold(
    drill: str, fault: Fault, missed: set[str]
) -> None:
    whole = replace(seen(fault), waiting=Waiting())
    judged = evidence_of_run(whole, drill).judgements
    assert missed <= {each.figure for each in judged if not each.held}


def test_a_fault_that_parts_nobody_has_to_be_noticed_by_nobody() -> None:
    assert figures(seen(NO_LINES))["noticed_s"] is None


def test_a_cut_that_was_over_before_it_could_be_noticed_need_not_be() -> None:
    short = replace(
        seen(ONE_WAY), waiting=Waiting(), course=course(ONE_WAY, healed_ms=KILL_MS + 1000)
    )
    assert figures(short)["noticed_s"] is None


def test_who_said_so_before_it_was_cut_has_noticed_at_once() -> None:
    words = tuple(down(edge, site, KILL_MS - 5000) for edge, site in pairs_of(ONE_WAY))
    whole = replace(seen(ONE_WAY), waiting=Waiting(out_of_reach=words))
    assert figures(whole)["noticed_s"] == 0


def pairs_of(fault: Fault) -> list[tuple[EdgeId, SiteId]]:
    return [(edge, to) for one, to in parted(fault, SITES) for edge in EDGES if EDGES[edge] == one]


def test_a_site_is_out_when_all_elsewhere_say_so_or_no_edge_of_it_lives() -> None:
    words = tuple(down(edge, DEAD, 10, 20) for edge in SURVIVORS)
    mine = [life for life in ALL_LIVE if EDGES[life.edge] == DEAD]
    others = tuple(life for life in ALL_LIVE if life not in mine)
    whole = replace(seen(), words=Words(lives=ALL_LIVE), waiting=Waiting(out_of_reach=words))
    assert said_out(whole, DEAD) == ((10, 20),)
    fewer = replace(whole, waiting=Waiting(out_of_reach=words[1:]))
    assert said_out(fewer, DEAD) == ()
    gone = (*others, *(replace(life, to_ms=15) for life in mine))
    assert said_out(replace(fewer, words=Words(lives=gone)), DEAD) == ((15, math.inf),)


def test_a_site_that_is_still_said_to_be_out_when_its_link_is_mended_is_untrue_so_long() -> None:
    words = tuple(
        down(edge, site, KILL_MS + 2500, ENDS_MS + 17_000) for edge, site in pairs_of(CUT_OFF)
    )
    whole = replace(seen(CUT_OFF), waiting=Waiting(out_of_reach=words), out_of_reach=words)
    assert untrue_agent_s(replace(whole, words=Words(lives=ALL_LIVE)), KILL_MS) == 17


def test_an_agent_who_was_said_to_be_free_while_they_talked_is_untrue_so_long() -> None:
    long_s = ((REPORT.busy_until_ms or 0) - REPORT.invite_ms) / 1000
    assert long_s > 2.5
    assert after(said(call=REPORT.call)) == 2.5
    assert after(said()) == long_s
    assert after(said(call=CallId("another"))) == long_s
    late = said(REPORT.invite_ms + 4000, call=REPORT.call)
    assert after(said(to_ms=late.from_ms), late) == 4


def test_what_was_said_before_the_first_fault_is_another_matter() -> None:
    base = replace(seen(), waiting=Waiting(), course=replace(course(), made=(), method=()))
    middle_ms = REPORT.invite_ms + 1000
    whole = replace(base, words=Words(agents=(said(),), lives=ALL_LIVE), offers=())
    assert untrue_agent_s(whole, REPORT.invite_ms) - untrue_agent_s(whole, middle_ms) == 1


def test_calls_one_after_the_other_of_which_nothing_is_said_are_one_untruth() -> None:
    again = replace(
        REPORT,
        sip_call_id="x",
        invite_ms=(REPORT.busy_until_ms or 0) + 1200,
        ended_ms=(REPORT.busy_until_ms or 0) + 9000,
    )
    whole = seen(agents=(REPORT, again), offers=())
    assert (
        after(said(), whole=whole) == (9000 + (REPORT.busy_until_ms or 0) - REPORT.invite_ms) / 1000
    )
    rested = replace(again, invite_ms=(REPORT.busy_until_ms or 0) + 1600)
    assert after(said(), whole=seen(agents=(REPORT, rested), offers=())) == 7.4


def test_of_an_agent_whose_site_is_out_of_reach_nothing_else_is_said() -> None:
    words = tuple(down(edge, HOME, 0, math.inf) for edge in EDGES if EDGES[edge] != HOME)
    words += tuple(down(edge, DEAD) for edge in SURVIVORS if EDGES[edge] == HOME)
    words += tuple(down(edge, DEAD) for edge in SURVIVORS if EDGES[edge] != HOME)
    whole = replace(seen(offers=()), waiting=Waiting(out_of_reach=words))
    assert after(said(), whole=whole) == 2.5


def test_an_agent_who_is_ready_by_the_store_and_whose_line_is_dead_is_untrue_so_long() -> None:
    lines = replace(NO_LINES, target=f"agents-{HOME}")
    whole = replace(seen(lines), agents=(), offers=(), waiting=Waiting())
    assert after(said(call=REPORT.call), whole=whole) == 12.3
    paused = said(KILL_MS + 5000, state=PresenceState.PAUSED)
    assert after(said(to_ms=paused.from_ms), paused, whole=whole) == 5
    elsewhere = replace(
        seen(replace(lines, target="agents-x")), agents=(), offers=(), waiting=Waiting()
    )
    assert after(said(), whole=elsewhere) == 0


def test_an_agent_who_is_ready_by_the_store_and_not_registered_is_untrue_so_long() -> None:
    words = ((KILL_MS + 1000, AGENT, False), (KILL_MS + 21_000, AGENT, True))
    whole = replace(seen(), agents=(), offers=(), sign_ins=words)
    assert after(said(), whole=whole) == 20
    assert after(said(), whole=replace(whole, sign_ins=words[:1])) == math.inf
    out = said(KILL_MS + 5000, state=PresenceState.SIGNED_OUT)
    assert after(said(to_ms=out.from_ms), out, whole=replace(whole, sign_ins=words[:1])) == 4


def test_an_agent_who_is_registered_and_signed_out_by_the_store_is_untrue_so_long() -> None:
    whole = replace(seen(), agents=(), offers=(), sign_ins=((KILL_MS + 1000, AGENT, True),))
    out = said(state=PresenceState.SIGNED_OUT)
    assert after(out, whole=whole) == math.inf
    there = said(KILL_MS + 5000)
    assert after(replace(out, to_ms=there.from_ms), there, whole=whole) == 4
    assert {each.of for each in untruths(whole, KILL_MS)} == {f"agents of {DEAD}"}


def test_evidence_says_of_whom_what_was_untrue_where_that_was_for_too_long() -> None:
    left = Waiting(out_of_reach=(down(SURVIVORS[0], DEAD, KILL_MS + 1),))
    findings = evidence_of_run(replace(seen(), waiting=left)).findings
    told = [each for each in findings if each.startswith("untrue")]
    first, last = SURVIVORS[1], SURVIVORS[3]
    assert told[0] == f"untrue of agents of {DEAD}: within reach, by edge {first} (without end)"
    assert told[2].endswith(f"{last} (without end)")
    assert not [each for each in evidence_of_run(seen()).findings if each.startswith("untrue")]


def test_of_a_store_that_was_never_heard_nobody_knows_what_it_said_of_agents() -> None:
    assert figures(seen())["untrue_agent_s"] is not None
    assert figures(replace(seen(offers=()), words=Words()))["untrue_agent_s"] is None
