"""Sums over runs, and going on where one stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drills.course import End
from drills.due import still_to_do
from drills.evidence import Evidence
from drills.library import experiment_of
from drills.shelf import Shelf, tamper
from drills.tally import Done, Total, done, tally, total_of
from tests.drills.pieces import FILES, piece

KILLED, FLAPS = experiment_of("site_killed"), experiment_of("link_flaps")


def run(seed: int, *, held: bool = True, **figures: float | None) -> Done:
    values: Mapping[str, float | None] = {
        "rto_s": 2.0,
        "lost_elsewhere": 0.0,
        "double_offers": 0.0,
        "untrue_agent_s": 9.0,
        "ledger_exact": 1.0,
        "rto_error_ms": 3.0,
        **figures,
    }
    return Done(
        drill=KILLED.name,
        plan_hash=KILLED.plan_hash,
        seed=seed,
        run=f"r{seed}",
        end=End.COMPLETED,
        held=held,
        broken=() if held else ("rto_s <= 5",),
        figures=values,
    )


def test_the_sums_are_of_the_worst() -> None:
    answer = tally([run(1), run(2, held=False, rto_s=6.5, untrue_agent_s=3.0)], 40, 40)
    found = answer.scenarios["site_killed"]
    assert (found.runs, found.failed, found.rto_s.max, found.untrue_agent_s.max) == (2, 1, 6.5, 9.0)
    assert (found.lost_elsewhere, found.double_offers, found.ledger_exact) == (0, 0, True)
    assert found.broken == {"rto_s <= 5": 1}
    assert (answer.evidence.tamper_found, answer.evidence.rto_error_ms.max) == (True, 3.0)


def test_what_a_run_could_not_measure_is_not_left_out_of_the_maximum() -> None:
    found = tally([run(1), run(2, rto_s=None, ledger_exact=0.0)], 0, 0).scenarios["site_killed"]
    assert found.rto_s.max is None
    assert not found.ledger_exact


def test_a_recovery_that_the_capture_did_not_see_is_not_passed_over() -> None:
    unseen = run(2, rto_error_ms=None)
    assert tally([run(1), unseen], 0, 0).evidence.rto_error_ms.max is None
    neither = run(2, rto_error_ms=None, rto_s=None, rto_capture_s=None)
    assert tally([run(1), neither], 0, 0).evidence.rto_error_ms.max == 3.0


def test_the_worst_difference_may_be_one_of_any_service() -> None:
    for other in (
        run(2, media_error_ms=8.0),
        run(2, recording_error_ms=8.0),
        run(2, sign_in_error_ms=8.0),
    ):
        assert tally([run(1), other], 0, 0).evidence.rto_error_ms.max == 8.0
    assert tally([run(1, sign_in_error_ms=None)], 0, 0).evidence.rto_error_ms.max == 3.0


def test_a_drill_that_was_asked_for_and_not_run_is_named_with_nothing_known_of_it() -> None:
    found = tally([run(1)], 0, 0, {"link_flaps": FLAPS.plan_hash}).scenarios["link_flaps"]
    assert (found.runs, found.failed, found.rto_s.max) == (0, 0, None)
    assert (found.lost_elsewhere, found.double_offers, found.ledger_exact) == (None, None, False)


def test_the_total_says_how_much_of_what_was_asked_for_there_is() -> None:
    runs = [run(1), run(2, held=False), run(99)]
    before = Total(took_s=80.0, labs_lost=1)
    total = total_of([KILLED, FLAPS], runs, 2, before)
    assert (total.due, total.done, total.held, total.labs_lost) == (4, 2, 1, 1)
    assert total.left_s == 80.0
    assert total_of([KILLED], [], 2, before).left_s is None
    by_file = total_of([KILLED, FLAPS], [], None, before)
    assert by_file.due == KILLED.repeats + FLAPS.repeats


def test_one_change_that_was_not_noticed_is_told() -> None:
    assert not tally([run(1)], 40, 39).evidence.tamper_found
    assert not tally([run(1)], 0, 0).evidence.tamper_found


def test_runs_of_another_plan_do_not_count() -> None:
    other = Done(**{**{f: getattr(run(1), f) for f in run(1).__struct_fields__}, "plan_hash": "x"})
    assert len(list(still_to_do([KILLED], [other], 1))) == 1
    answer = tally([other, run(2)], 0, 0, {KILLED.name: KILLED.plan_hash})
    assert answer.scenarios[KILLED.name].runs == 1
    assert len(answer.runs) == 2, "they are kept"


def test_every_byte_that_is_changed_on_trial_is_found(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    evidence: Evidence = piece()
    shelf.put(evidence, FILES, "page")
    tried, found, fallen = tamper(shelf, ["r1"])
    assert tried == found > 0
    assert not fallen
    assert done(shelf.read("r1")).held
