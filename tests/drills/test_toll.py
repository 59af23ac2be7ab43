"""What each kind of fault takes out of service, as the table in docs/drills.md says."""

from __future__ import annotations

import pytest

from drills.fault import Fault, FaultKind
from drills.toll import Toll, toll
from state.model import SiteId

SITES = A, B, C = tuple(SiteId(name) for name in "abc")
EDGES = dict.fromkeys(SITES, 2)
K = FaultKind


def taken(*faults: tuple[FaultKind, str]) -> Toll:
    made = (Fault(kind=kind, target=target, ttl_s=5.0) for kind, target in faults)
    return toll(made, SITES, EDGES)


def told(found: Toll) -> str:
    """Return it as `service agents calls members`, each by the letters of its sites."""
    lost = (found.service, found.agents, found.calls, found.members)
    return " ".join("".join(sorted(each)) or "-" for each in lost)


@pytest.mark.parametrize(
    ("kind", "target", "lost"),
    [
        (K.KILL_SITE, "a", "a a a a"),
        (K.FREEZE_SITE, "a", "a a a a"),
        (K.ISOLATE, "a", "a a a a"),
        (K.CUT_OFF, "a", "a a a a"),
        (K.SHAPE, "a", "a a a a"),
        (K.EXPIRE, "a", "a a a -"),
        (K.MUTE, "a", "a - a -"),
        (K.DRAIN, "a", "a - - -"),
        (K.CUT_ETCD, "a", "- a - a"),
        (K.CUT, "carrier-a", "a - a -"),
        (K.FLAP, "carrier-a", "a - a -"),
        (K.CUT_ONE_WAY, "carrier>a", "a - a -"),
        (K.CUT_ONE_WAY, "a>carrier", "a - a -"),
        (K.ISOLATE, "carrier", "abc - abc -"),
        (K.SHAPE, "callers", "abc - abc -"),
        (K.KILL, "kamailio-carrier", "abc - abc -"),
        (K.ISOLATE, "agents-a", "- a a -"),
        (K.CUT, "agents-a", "- a a -"),
        (K.SHAPE, "a-agents-b", "- b b -"),
        (K.CUT_ONE_WAY, "agents-a>b", "- a a -"),
        (K.KILL, "kamailio-a", "a a a -"),
        (K.KILL, "rtpengine-a", "a - a -"),
        (K.KILL, "edge-a1", "- - - -"),
        (K.HOLD_DOWN, "etcd-a", "- - - a"),
        (K.STUTTER, "etcd-a", "- - - a"),
        (K.SLOW_SYNC, "etcd-a", "- - - a"),
        (K.FILL_ETCD, "etcd", "- - - abc"),
        (K.HOLD_DOWN, "control-plane-a", "- - - -"),
        (K.HOLD_DOWN, "patroni-a", "- - - -"),
        (K.HOLD_DOWN, "recorder-a", "- - - -"),
        (K.WRONG_CLOCK, "a", "- - - -"),
        (K.LOSE_KEYS, "a", "- - - -"),
        (K.LOSE_STORE, "a", "- - - -"),
        (K.FILL_STORE, "a", "- - - -"),
        (K.CUT, "a-b", "- - - -"),
        (K.CUT_ONE_WAY, "a>b", "- - - -"),
        (K.SHAPE, "a-b", "- - - -"),
    ],
)
def test_what_one_fault_takes(kind: FaultKind, target: str, lost: str) -> None:
    found = taken((kind, target))
    assert (told(found), found.unknown) == (lost, frozenset())


@pytest.mark.parametrize("kind", FaultKind)
def test_what_is_not_there_is_told_whatever_is_done_to_it(kind: FaultKind) -> None:
    if kind is not FaultKind.FILL_ETCD:
        assert taken((kind, "z")).unknown == {"z"}


def test_every_kind_of_fault_is_decided() -> None:
    """One that is not would be forbidden, also in a lab."""
    at_site = ("a", "a-b", "a>b", "kamailio-a", "etcd")
    for kind in FaultKind:
        assert any(not taken((kind, target)).unknown for target in at_site), kind


def test_a_site_without_most_of_its_links_is_as_cut_off() -> None:
    assert told(taken((K.CUT, "a-b"), (K.CUT_ONE_WAY, "c>a"))) == "a a a a"
    assert told(taken((K.CUT, "a-b"), (K.SHAPE, "b-a"))) == "- - - -", "one link twice"


def test_a_site_without_any_of_its_edges_serves_nobody() -> None:
    both = (K.KILL, "edge-a1"), (K.FREEZE, "edge-a2")
    assert told(taken(*both)) == "a a a -"
    assert told(taken((K.KILL, "edge-a1"), (K.FREEZE, "edge-a1"))) == "- - - -", "one edge twice"
    lone = Fault(kind=K.KILL, target="edge-a1")
    assert toll([lone], SITES, {A: 1}).service == {A}
