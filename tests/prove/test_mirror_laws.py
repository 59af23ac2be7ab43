"""A mirror that has lost events is right again within 30 s, or is told."""

from __future__ import annotations

import pytest

from drills.prove.campaign import DEATH_EVERY, LOSS_IN, ROUND_S, round_order
from drills.prove.decisions import HEALED_S
from drills.prove.faults import AFTER_IT_S, LOSS_S, keeps_from_healing, loss
from drills.prove.history import FaultKind, Mirrored, Stored
from drills.prove.laws_mirrors import SLACK_S, check_mirrors
from drills.prove.mutants import MUTANTS
from drills.prove.violations import Law
from state import keys
from state.keys import Kind
from state.mirror.digest import Digest
from state.model import EdgeId, Outcome
from tests.prove.histories import Tale

LATE_S = HEALED_S + SLACK_S + 0.5


def _held(tale: Tale) -> dict[str, int]:
    held: dict[str, int] = {}
    for event in tale.events:
        if isinstance(event, Stored):
            key = f"{keys.ROOT}{event.kind}/{event.id}"
            held.pop(key, None)
            if event.value is not None and key.startswith(keys.STATE):
                held[key] = event.revision
    return held


def _tells(tale: Tale, *, lacks: str = "", has: str = "", at: int | None = None) -> None:
    """Let an edge say what it holds: all that there is, but for one key, or with one more."""
    held = _held(tale)
    held.pop(f"{keys.STATE}{lacks}", None)
    if has:
        held[f"{keys.STATE}{has}"] = 1
    tale.note(
        Mirrored(
            at_s=tale.now(),
            edge=EdgeId("a1"),
            revision=tale.revision if at is None else at,
            digest=str(Digest(held.items())),
        )
    )


def test_a_mirror_that_is_right_breaks_no_law_at_any_revision() -> None:
    tale = Tale("a01")
    for call in ("c1", "c2"):
        tale.waits(call)
        _tells(tale)
        tale.gets(call, "a01")
        _tells(tale)
        tale.now(LATE_S)
        tale.ends(call, Outcome.ABANDONED)
        _tells(tale)
    assert list(check_mirrors(tale.events)) == []


@pytest.mark.parametrize(
    ("lacks", "has"), [("presence/a01", ""), ("", "ticket/c9")], ids=["too little", "too much"]
)
@pytest.mark.parametrize(("later_s", "laws"), [(20.0, []), (LATE_S, [Law.NOT_HEALED])])
def test_one_that_is_wrong_has_30_s(lacks: str, has: str, later_s: float, laws: list[Law]) -> None:
    tale = Tale("a01")
    _tells(tale, lacks=lacks, has=has)
    tale.now(later_s)
    for _ in range(3):
        _tells(tale, lacks=lacks, has=has)
    assert tale.laws() == laws


def test_it_is_told_again_only_if_it_was_right_meanwhile() -> None:
    for is_healed in (False, True):
        tale = Tale("a01")
        for _ in range(2):
            _tells(tale, lacks="presence/a01")
            tale.now(LATE_S)
            _tells(tale, lacks="presence/a01")
            if is_healed:
                _tells(tale)
        assert tale.laws() == [Law.NOT_HEALED] * (2 if is_healed else 1)


def test_what_is_on_its_way_to_the_edge_makes_no_difference() -> None:
    tale = Tale("a01")
    held, seen = _held(tale), tale.revision
    for _ in range(5):
        tale.presence("a01")
        tale.now(LATE_S)
        said = Mirrored(
            at_s=tale.now(), edge=EdgeId("a1"), revision=seen, digest=str(Digest(held.items()))
        )
        tale.note(said)
    assert tale.laws() == []


def test_of_what_the_history_has_not_reached_nothing_is_said() -> None:
    tale = Tale("a01")
    for _ in range(2):
        _tells(tale, lacks="presence/a01", at=tale.revision + 1)
        tale.now(LATE_S)
    assert tale.laws() == []


def test_what_mirrors_do_not_hold_does_not_count() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.ends("c1")
    assert any(each.kind is Kind.ENDED for each in tale.events if isinstance(each, Stored))
    _tells(tale)
    tale.now(LATE_S)
    _tells(tale)
    assert tale.laws() == []


@pytest.mark.parametrize(
    ("kind", "target", "excuses"),
    [
        (FaultKind.LOSE_EVENTS, "a1", True),
        (FaultKind.LOSE_EVENTS, "b1", False),
        (FaultKind.LATE_EVENTS, "a1", True),
        (FaultKind.FREEZE_EDGE, "a1", True),
        (FaultKind.KILL_EDGE, "b1", False),
        (FaultKind.FREEZE_ETCD, "b", True),
        (FaultKind.CUT_ONE_WAY, "b>c", True),
        (FaultKind.WRONG_CLOCK, "a1", False),
        (FaultKind.RESTART_PROXY, "a", False),
    ],
)
def test_it_counts_anew_from_the_end_of_what_kept_the_edge_from_comparing(
    kind: FaultKind, target: str, *, excuses: bool
) -> None:
    tale = Tale("a01")
    _tells(tale, lacks="presence/a01")
    tale.now(15.0)
    tale.breaks(kind, target)
    tale.now(5.0)
    tale.mends(kind, target)
    tale.now(HEALED_S + SLACK_S - 10.0)
    _tells(tale, lacks="presence/a01")
    found = [each.law for each in check_mirrors(tale.events)]
    assert found == ([] if excuses else [Law.NOT_HEALED])
    tale.now(11.0)
    _tells(tale, lacks="presence/a01")
    assert [each.law for each in check_mirrors(tale.events)] == [Law.NOT_HEALED]


@pytest.mark.parametrize("seed", range(1, 8))
def test_in_some_rounds_an_edge_that_has_lost_events_is_left_alone_until_it_must_have_healed(
    seed: int,
) -> None:
    for number in range(DEATH_EVERY):
        order = round_order(seed, number, 100_000)
        lost = loss(order.faults[0].target, 2.0)
        assert (order.faults[0] == lost) is (number == LOSS_IN)
        if number == LOSS_IN:
            assert not any(keeps_from_healing(each, lost) for each in order.faults[1:])
            assert len(order.faults) > 3
            assert 2.0 + LOSS_S + AFTER_IT_S < ROUND_S
    assert AFTER_IT_S > HEALED_S + SLACK_S


def test_the_planted_bug_has_the_time_to_show() -> None:
    (bug,) = (each for each in MUTANTS if each.name == "check_forgotten")
    ends_s = max(fault.at_s + fault.for_s for fault in bug.plan)
    assert bug.seconds > ends_s + HEALED_S + SLACK_S + 2.0
