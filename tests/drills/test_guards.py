"""Guards: whatever is asked for, a drill that they allow leaves a good site and a quorum."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills.experiment import Fault, FaultKind
from drills.guards import Facts, decide, lost_sites
from drills.library import experiment_of
from state.model import SiteId
from tests.acd.worlds import PATIENT

A, B, C = SITES = tuple(SiteId(name) for name in "abc")
EXPERIMENT = experiment_of("site_killed")
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
    )
    verdicts = decide(EXPERIMENT, faults, facts)
    assert len(verdicts) == 6
    if not all(each.allows for each in verdicts):
        return
    lost = lost_sites(faults)
    held = {SiteId(fault.target[-1]) for fault in faults if fault.kind is FaultKind.HOLD_DOWN}
    assert good - lost
    assert len(members - lost - held) >= 2
    left = sum(count for site, count in facts.agents.items() if site not in lost)
    assert left >= (1.2 * erlangs if is_live else erlangs / 1.2)
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
    assert forbidden("etcd_quorum_lost", BOTH, replace(FINE, is_live=True)) == ["quorum"]


def test_more_callers_than_agents_only_in_a_drill_about_those_who_wait() -> None:
    killed = [Fault(kind=FaultKind.KILL_SITE, target="a", ttl_s=5.0)]
    many = replace(FINE, erlangs=28.0)
    assert forbidden("site_killed", killed, many) == ["headroom"]
    assert forbidden("waiting_redial", killed, many) == []
    assert forbidden("waiting_redial", killed, replace(many, is_live=True)) == ["headroom"]


def test_a_site_that_is_not_there_is_beyond_the_radius() -> None:
    nowhere = [Fault(kind=FaultKind.KILL_SITE, target="z", ttl_s=5.0)]
    assert forbidden("site_killed", nowhere, FINE) == ["blast radius"]
