"""What of a series is to be done next, and in which lab."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from drills.due import MOST_IN_A_LAB, Due, in_one_lab, still_to_do
from drills.experiment import Experiment
from drills.library import experiment_of, experiments
from tests.drills.test_tally import run

KILLED, FLAPS = experiment_of("site_killed"), experiment_of("link_flaps")
GRAY, WAITS, KEYS = (experiment_of(name) for name in ("site_gray", "waiting_redial", "keys_lost"))
MANY_AGENTS = experiment_of("two_sites_lost")


def named(due: Sequence[Due]) -> list[tuple[str, int]]:
    return [(each.experiment.name, each.seed) for each in due]


def labs_of(wanted: Sequence[Experiment]) -> list[tuple[Due, ...]]:
    """Return what each lab does, of one at a time."""
    due, found = list(still_to_do(wanted, [])), []
    while due:
        found.append(in_one_lab(due))
        due = [each for each in due if each not in found[-1]]
    return found


def test_it_goes_on_where_it_stopped_and_runs_all_once_before_any_twice() -> None:
    to_do = named(list(still_to_do([KILLED, FLAPS], [], 2)))
    assert to_do == [("site_killed", 1), ("link_flaps", 1), ("site_killed", 2), ("link_flaps", 2)]
    assert named(list(still_to_do([KILLED, FLAPS], [run(1)], 2))) == to_do[1:]
    by_file = list(still_to_do([KILLED, FLAPS], []))
    assert len(by_file) == KILLED.repeats + FLAPS.repeats
    assert KILLED.repeats == 20


def test_all_come_once_and_then_those_of_one_lab_one_after_another() -> None:
    assert named(list(still_to_do([MANY_AGENTS, KILLED], [], 3))) == [
        ("site_killed", 1),
        ("two_sites_lost", 1),
        ("site_killed", 2),
        ("site_killed", 3),
        ("two_sites_lost", 2),
        ("two_sites_lost", 3),
    ]


def test_those_that_ask_for_a_machine_with_time_come_after_the_others() -> None:
    assert named(list(still_to_do([KEYS, KILLED], [], 3))) == [
        ("site_killed", 1),
        ("keys_lost", 1),
        ("site_killed", 2),
        ("site_killed", 3),
        ("keys_lost", 2),
        ("keys_lost", 3),
    ]


def test_the_whole_series_needs_few_labs_and_does_each_run_in_one_that_fits() -> None:
    wanted = list(experiments().values())
    labs = labs_of(wanted)
    due = [each for lab in labs for each in lab]
    assert Counter(named(due)) == Counter(named(list(still_to_do(wanted, []))))
    assert len(labs) <= 29
    for lab in labs:
        assert len(lab) <= MOST_IN_A_LAB
        assert not any(each.experiment.needs_calm for each in lab[1:])
        assert len({each.is_alone for each in lab}) == 1
        assert len({each.experiment.load.agents_per_site for each in lab}) == 1
        assert len({each.experiment.moves_clocks for each in lab}) == 1
        assert len({each.experiment.slows_disks for each in lab}) == 1
        assert len({each.experiment.needs_database for each in lab}) == 1
        assert len({each.experiment.calls_back for each in lab}) == 1
    once = len(wanted)
    assert {each.seed for each in due[:once]} == {1}


def test_a_drill_whose_queues_call_back_has_a_lab_alone() -> None:
    back = experiment_of("callers_called_back")
    usual = replace(back, load=replace(back.load, call_back=False))
    assert len(in_one_lab([Due(experiment=usual, seed=seed) for seed in (1, 2)])) == 2
    due = [Due(experiment=each, seed=1) for each in (back, usual)]
    assert named(in_one_lab(due)) == [("callers_called_back", 1)]


def test_drills_that_seat_as_many_agents_share_a_lab() -> None:
    assert WAITS.load.agents_per_site != KEYS.load.agents_per_site
    due = list(still_to_do([KEYS, WAITS], [], 1))
    assert named(in_one_lab(due)) == [("waiting_redial", 1)]
    assert named(in_one_lab(due[1:])) == [("keys_lost", 1)]
    many = in_one_lab(list(still_to_do([KILLED], [], 50))[1:])
    assert len(many) == MOST_IN_A_LAB


def test_what_needs_calm_comes_first_of_those_that_share_a_lab() -> None:
    due = list(still_to_do([KILLED, FLAPS, GRAY], [], 1))
    assert [each.experiment.name for each in due] == ["site_gray", "site_killed", "link_flaps"]
    assert len(in_one_lab(due)) == 3


def test_what_needs_calm_begins_a_lab_and_does_not_end_another() -> None:
    due = [Due(experiment=each, seed=1) for each in (KILLED, GRAY, FLAPS)]
    assert named(in_one_lab(due)) == [("site_killed", 1), ("link_flaps", 1)]
    assert named(in_one_lab(due[1:])) == [("site_gray", 1), ("link_flaps", 1)]


def test_labs_side_by_side_have_a_share_each() -> None:
    due = [Due(experiment=KILLED, seed=seed) for seed in range(2, 7)]
    assert [each.seed for each in in_one_lab(due, 2)] == [2, 3, 4]
    assert [each.seed for each in in_one_lab(due[3:], 2, under_way=3)] == [5, 6]


def test_who_is_free_takes_no_more_than_that_all_labs_end_together() -> None:
    due = [Due(experiment=KILLED, seed=seed) for seed in range(2, 12)]
    assert len(in_one_lab(due, 2, under_way=2)) == 6, "the other one takes four, after its two"
    assert len(in_one_lab(due, 2, under_way=20)) == 10


def test_one_lab_alone_does_all_that_ask_for_a_machine_with_time() -> None:
    due = [Due(experiment=KEYS, seed=seed) for seed in range(2, 12)]
    assert len(in_one_lab(due, 2)) == 10
