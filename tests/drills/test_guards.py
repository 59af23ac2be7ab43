"""Guards: whatever is asked for, a drill that they allow leaves a good site and a quorum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills.blast import named_sites
from drills.drill.ground import BUSY_S
from drills.facts import Facts, Lag
from drills.fault import Fault, FaultKind, aimed
from drills.guards import decide, lost_sites
from drills.library import experiment_of, experiments
from state.model import SiteId
from tests.acd.worlds import PATIENT
from tests.drills.pieces import EXPERIMENT, PERMIT

A, B, C = SITES = tuple(SiteId(name) for name in "abc")
SOME = st.frozensets(st.sampled_from(SITES))
FAULTS = st.lists(
    st.builds(
        Fault,
        kind=st.sampled_from([FaultKind.KILL_SITE, FaultKind.FREEZE_SITE, FaultKind.HOLD_DOWN]),
        target=st.sampled_from(SITES),
        ttl_s=st.just(5.0),
    ).map(
        lambda fault: (
            replace(fault, target=f"etcd-{fault.target}")
            if fault.kind is FaultKind.HOLD_DOWN
            else fault
        )
    ),
    max_size=4,
)


@given(
    faults=FAULTS,
    good=SOME,
    members=SOME,
    agents=st.tuples(*(st.integers(0, 20) for _ in SITES)),
    erlangs=st.floats(0.0, 30.0),
    is_live=st.booleans(),
)
@PATIENT
def test_a_drill_that_is_allowed_leaves_a_good_site_a_quorum_and_people(  # noqa: PLR0913, PLR0917
    faults: list[Fault],
    good: frozenset[SiteId],
    members: frozenset[SiteId],
    agents: tuple[int, int, int],
    erlangs: float,
    is_live: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    facts = Facts(
        sites=SITES,
        good_sites=good,
        members=members,
        agents=dict(zip(SITES, agents, strict=True)),
        erlangs=erlangs,
        is_live=is_live,
        permit=PERMIT,
    )
    verdicts = decide(EXPERIMENT, faults, facts)
    assert len({each.guard for each in verdicts}) == 11
    if not all(each.allows for each in verdicts):
        return
    lost = lost_sites(faults)
    held = {SiteId(fault.target[-1]) for fault in faults if fault.kind is FaultKind.HOLD_DOWN}
    assert good - lost
    assert len(members - lost - held) >= 2
    left = sum(count for site, count in facts.agents.items() if site not in lost)
    assert left >= 1.2 * erlangs
    assert not is_live or len(lost) <= 1


FINE = Facts(
    sites=SITES,
    good_sites=frozenset(SITES),
    members=frozenset(SITES),
    agents=dict.fromkeys(SITES, 10),
    erlangs=10.0,
)
BOTH = [Fault(kind=FaultKind.HOLD_DOWN, target=f"etcd-{site}", ttl_s=5.0) for site in (A, B)]


def forbidden(name: str, faults: list[Fault], facts: Facts) -> list[str]:
    return [each.guard for each in decide(experiment_of(name), faults, facts) if not each.allows]


def test_a_quorum_may_be_lost_only_in_a_drill_about_that_and_never_on_a_live_system() -> None:
    assert forbidden("etcd_quorum_lost", BOTH, FINE) == []
    assert forbidden("site_killed", BOTH, FINE) == ["quorum"]
    live = replace(LIVE, permit=None)
    assert forbidden("etcd_quorum_lost", BOTH, live) == ["quorum", "two people"]
    full = [Fault(kind=FaultKind.FILL_ETCD, target="etcd", ttl_s=5.0)]
    assert forbidden("etcd_full", full, FINE) == []
    assert forbidden("site_killed", full, FINE) == ["quorum"]
    assert "quorum" in forbidden("etcd_full", full, live)


def test_more_callers_than_agents_only_in_a_drill_about_those_who_wait() -> None:
    killed = [Fault(kind=FaultKind.KILL_SITE, target="a", ttl_s=5.0)]
    many = replace(FINE, erlangs=17.0)
    assert forbidden("site_killed", killed, many) == ["headroom"]
    assert forbidden("waiting_redial", killed, many) == []
    assert "headroom" in forbidden("waiting_redial", killed, replace(many, is_live=True))


def test_a_site_that_is_not_there_is_beyond_the_radius() -> None:
    nowhere = [Fault(kind=FaultKind.KILL_SITE, target="z", ttl_s=5.0)]
    assert forbidden("site_killed", nowhere, FINE) == ["blast radius"]


@pytest.mark.parametrize("kind", [FaultKind.DRAIN, FaultKind.CUT_OFF])
def test_a_site_that_is_drained_or_cut_off_serves_nobody_either(kind: FaultKind) -> None:
    out = [Fault(kind=kind, target=site, ttl_s=5.0) for site in "ab"]
    # Of three that are parted from each other none has a majority.
    assert forbidden("two_sites_lost", out, FINE) == []
    assert forbidden("site_killed", out, FINE) == ["quorum"] * (kind is FaultKind.CUT_OFF)
    assert "never the last good site" in forbidden(
        "site_killed", out, replace(FINE, good_sites=frozenset({A, B}))
    )
    assert "blast radius" in forbidden("site_killed", out, LIVE), "two sites"


def test_agents_who_are_cut_off_are_within_the_radius() -> None:
    out = [Fault(kind=FaultKind.ISOLATE, target=f"agents-{site}", ttl_s=5.0) for site in "ab"]
    assert forbidden("agents_return", out, FINE) == []
    assert forbidden("agents_return", out, LIVE) == ["headroom", "blast radius", "two people"]


@pytest.mark.parametrize("name", experiments())
def test_every_reviewed_drill_may_begin_in_a_lab_that_is_well(name: str) -> None:
    experiment = experiment_of(name)
    load = experiment.load
    lab = replace(
        FINE,
        agents=dict.fromkeys(SITES, load.agents_per_site),
        edges=dict.fromkeys(SITES, 2),
        erlangs=load.calls_per_s * BUSY_S,
        primary="a",
    )
    method = [aimed(each, "a", ("a", "b", "c"), lab.primary) for each in experiment.method]
    assert forbidden(name, method, lab) == []


def test_what_is_aimed_at_nobody_is_forbidden() -> None:
    for target in ("{other}", "patroni-{primary}", "edge-z1", "nonsense"):
        fault = Fault(kind=FaultKind.HOLD_DOWN, target=target, ttl_s=5.0)
        assert forbidden("site_killed", [fault], FINE) == ["blast radius"]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FaultKind.CUT_OFF, "a"),
        (FaultKind.EXPIRE, "a"),
        (FaultKind.SHAPE, "a"),
        (FaultKind.CUT_ETCD, "a"),
        (FaultKind.FREEZE, "kamailio-a"),
        (FaultKind.ISOLATE, "agents-a"),
    ],
)
def test_agents_who_cannot_be_rung_leave_less_headroom_on_a_live_system(
    kind: FaultKind, target: str
) -> None:
    fault = Fault(kind=kind, target=target, ttl_s=5.0, loss_pct=10.0)
    busy = replace(LIVE, erlangs=17.0)
    assert forbidden("site_killed", [fault], LIVE) == []
    assert forbidden("site_killed", [fault], busy) == ["headroom"]
    drained = Fault(kind=FaultKind.DRAIN, target="a", ttl_s=5.0)
    assert forbidden("site_killed", [drained], busy) == [], "its agents are rung by the others"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FaultKind.SHAPE, "a"),
        (FaultKind.CUT, "carrier-a"),
        (FaultKind.EXPIRE, "a"),
        (FaultKind.KILL, "kamailio-a"),
        (FaultKind.KILL, "rtpengine-a"),
    ],
)
def test_the_last_good_site_keeps_all_that_it_serves_with(kind: FaultKind, target: str) -> None:
    fault = Fault(kind=kind, target=target, ttl_s=5.0, loss_pct=10.0)
    last = replace(LIVE, good_sites=frozenset({A}))
    assert forbidden("site_killed", [fault], last) == ["never the last good site"]
    most = replace(LIVE, calls={A: 6, B: 2, C: 2})
    assert forbidden("site_killed", [fault], most) == ["blast radius"]
    other = Fault(kind=FaultKind.DRAIN, target="b", ttl_s=5.0)
    assert forbidden("site_killed", [fault, other], LIVE) == ["blast radius"], "two sites"


KILLED = [Fault(kind=FaultKind.KILL_SITE, target="a", ttl_s=5.0)]
LIVE = replace(FINE, is_live=True, permit=PERMIT, unreplicated=dict.fromkeys(SITES, 0))
LATE = Lag(replica="etcd at b", behind=900.0, at_most=500.0, unit="log entries")


def why(facts: Facts, guard: str) -> str:
    (found,) = (each for each in decide(EXPERIMENT, KILLED, facts) if each.guard == guard)
    return found.why


def test_a_live_system_that_is_well_and_two_people_who_agree_let_it_begin() -> None:
    assert forbidden("site_killed", KILLED, LIVE) == []


@pytest.mark.parametrize(
    ("facts", "guard", "told"),
    [
        (replace(LIVE, is_lever_pulled=True), "safety lever", "pulled"),
        (replace(LIVE, other_drills=("another",)), "no other drill", "another"),
        (replace(LIVE, standing_faults=("cut a-b",)), "no other drill", "cut a-b"),
        (replace(LIVE, incidents=("site c drains",)), "no incident", "site c drains"),
        (replace(LIVE, blackouts=("xmas",)), "calendar", "xmas"),
        (replace(LIVE, good_sites=frozenset({A})), "never the last good site", "none"),
        (replace(LIVE, members=frozenset({A, B})), "quorum", "1 of 3"),
        (replace(LIVE, lags=(LATE,)), "replica lag", "etcd at b 900 log entries behind"),
        (replace(LIVE, lags=(replace(LATE, behind=None),)), "replica lag", "does not tell"),
        (replace(LIVE, unreplicated={A: 3}), "recordings replicated", "3 at a alone"),
        (replace(LIVE, unreplicated={B: 0, C: 0}), "recordings replicated", "a does not tell"),
        (replace(LIVE, copies_late=frozenset({A})), "recordings replicated", "copies late"),
        (replace(LIVE, erlangs=17.0), "headroom", "20 agents left for 17.0 erlangs, 20.4 needed"),
        (replace(LIVE, erlangs=None), "headroom", "nobody can tell for what"),
        (replace(LIVE, agents={A: 40, B: 10, C: 10}), "blast radius", "67% of the agents"),
        (replace(LIVE, calls={A: 6, B: 2, C: 2}), "blast radius", "60% of the calls"),
        (replace(LIVE, numbers={A: 3, B: 1, SiteId(""): 1}), "blast radius", "60% of the numbers"),
        (
            replace(LIVE, is_synthetic_only=True, real_calls=3),
            "blast radius",
            "3 calls of real callers, and these are to be spared",
        ),
        (
            replace(LIVE, is_synthetic_only=True, real_calls=None),
            "blast radius",
            "nobody can tell whether real callers are on",
        ),
        (replace(LIVE, permit=None), "two people", "./everline drill ask site_killed"),
        (replace(LIVE, permit=replace(PERMIT, plan_hash="00")), "two people", "plan 00"),
        (replace(LIVE, permit=replace(PERMIT, drill="site_frozen")), "two people", "site_frozen"),
        (replace(LIVE, permit=replace(PERMIT, approved_by="usr_sre")), "two people", "usr_sre"),
    ],
)
def test_each_guard_forbids_alone_and_says_why(facts: Facts, guard: str, told: str) -> None:
    assert forbidden("site_killed", KILLED, facts) == [guard]
    assert told in why(facts, guard)


def test_what_is_no_reason_is_told_too() -> None:
    near = replace(LIVE, lags=(replace(LATE, behind=3.0),), unreplicated={A: 0, B: 2, C: 0})
    assert forbidden("site_killed", KILLED, near) == []
    assert why(near, "replica lag") == "etcd at b 3 log entries behind (at most 500)"
    assert why(near, "recordings replicated") == "2 at b alone", "and b is not lost"
    assert "synthetic callers only: a lab has no others" in why(FINE, "blast radius")
    spares = replace(LIVE, is_synthetic_only=True)
    assert forbidden("site_killed", KILLED, spares) == []
    assert "synthetic callers only: no other call is on" in why(spares, "blast radius")
    assert "usr_manager" in why(LIVE, "two people")


def test_that_all_recordings_are_elsewhere_is_said_only_where_all_sites_tell() -> None:
    assert why(LIVE, "recordings replicated") == "all are elsewhere"
    silent = replace(LIVE, unreplicated={A: 0, C: 0})
    assert forbidden("site_killed", KILLED, silent) == [], "b is not lost"
    assert why(silent, "recordings replicated") == "b does not tell"
    assert why(FINE, "recordings replicated") == "a does not tell", "and a lab may lose it"


def test_a_lab_of_its_own_needs_nobodys_approval() -> None:
    assert forbidden("site_killed", KILLED, replace(FINE, unreplicated={A: 3})) == []


@pytest.mark.parametrize(
    ("targets", "sites"),
    [
        (["a"], {"a"}),
        (["etcd-b", "edge-c1"], {"b", "c"}),
        (["a-b"], {"a", "b"}),
        (["b>c"], {"b", "c"}),
        (["carrier-a"], {"a"}),
        (["control-plane-a", "agents-b"], {"a", "b"}),
        (["a", "{leader}"], None),
        (["etcd"], None),
        (["carrier"], None),
        (["a", "etcd"], None),
        ([], set()),
    ],
)
def test_a_method_names_its_sites_unless_it_says_who_leads_or_is_at_all_of_them(
    targets: list[str], sites: set[str] | None
) -> None:
    method = [Fault(kind=FaultKind.FREEZE, target=each, ttl_s=1.0) for each in targets]
    assert named_sites(method) == sites
