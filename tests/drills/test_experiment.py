"""Experiment files: what they may say, and that the reviewed ones are sound."""

from __future__ import annotations

import pytest

from drills.experiment import MEASURED, Bound, ExperimentError, read_experiment
from drills.fault import Fault, FaultKind, aimed
from drills.library import FOLDER, experiment_of, experiments

FIGURES = {
    *("rto_s", "failed", "lost", "lost_elsewhere", "double_offers", "untrue_agent_s"),
    *("noticed_s", "ledger_exact_elsewhere"),
    *("ledger_exact", "rto_error_ms", "left_behind", "final_answer_s", "spared_gap_ms"),
    *("kept_share", "cleared_s", "setup_delay_ms", "drained_s", "ttl_overrun_s", "back_s"),
    *("media_rto_s", "data_rto_s", "sign_in_rto_s", "recording_rto_s"),
    *("called_back", "called_back_share", "called_back_twice", "called_back_in_order"),
    "same_agent_share",
    *("sent_again", "ranks_lost", "redial_answered_share", "again_exact"),
    *("redialled", "places_regained", "reconciled_s", "refused", "recordings_lost"),
    *("setup_p99_ratio", "setup_max_ms", "short_calls_failed"),
    *("leaderless_calls", "leaderless_delay_ms", "kept_gap_ms"),
    *("media_error_ms", "recording_error_ms", "sign_in_error_ms"),
    *("writes_lost", "writes_after", "write_gap_s", "database_whole_s"),
    *(
        "agents_back_s",
        "offer_wait_s",
        "offer_delay_s",
        "clock_off_s",
        "stores_away",
        "members_away",
        "abort_back_s",
        "served_there",
        "flood_times",
        "flood_s",
        "flood_answered_share",
        "usual_again_s",
        "calls_met",
        "link_lost_share",
        "link_delay_ms",
        "link_outages",
        "openings_refused",
        "opened_meanwhile",
        "recorded_meanwhile",
        "sync_ms",
        "served_elsewhere",
        "served_again",
        "served_by_next_life",
        "takeover_s",
    ),
}
SOUND = """
name = "mine"
title = "Mine"
hypothesis = "Nothing happens."
[[steady]]
figure = "sites_serving"
at_least = 3
[[method]]
kind = "cut"
target = "a-b"
ttl_s = 5
[[expect]]
figure = "failed"
at_most = 0
"""


def test_every_reviewed_experiment_is_sound() -> None:
    found = experiments()
    assert set(found) == {path.stem for path in FOLDER.glob("*.toml")}
    assert {"site_killed", "site_frozen", "edge_killed", "etcd_leader_lost"} <= set(found)
    # A figure that nothing measures could never hold.
    for experiment in found.values():
        assert {bound.figure for bound in experiment.expect} <= FIGURES, experiment.name
        assert {bound.figure for bound in experiment.steady} <= MEASURED, experiment.name
        assert {bound.figure for bound in experiment.abort} <= MEASURED, experiment.name
        assert {bound.figure for bound in experiment.ready} <= MEASURED, experiment.name


def test_every_experiment_stops_where_more_is_lost_than_it_is_about() -> None:
    for name, experiment in experiments().items():
        limits = {bound.figure: bound.at_least for bound in experiment.abort}
        assert limits["sites_serving"] == (1 if name == "two_sites_lost" else 2), name
        # A flood may be refused: that is one of the answers which it is about.
        assert ("success_share" in limits) == (name != "carrier_floods"), name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("ttl_s = 5", "ttl_s = 0"), "every fault ends by itself"),
        (("ttl_s = 5", "ttl_s = 900"), "at most 120"),
        (('target = "a-b"', 'target = "a"'), "needs a link"),
        (('name = "mine"', 'name = "My drill"'), "should be a word"),
        (('kind = "cut"', 'kind = "explode"'), "explode"),
        (("at_least = 3", "at_leest = 3"), "at_leest"),
        (("[[method]]", "[[methods]]"), "method"),
        (('[[method]]\nkind = "cut"\ntarget = "a-b"\nttl_s = 5\n', ""), "without a fault"),
        (('hypothesis = "Nothing happens."', ""), "hypothesis"),
        (("ttl_s = 5", "ttl_s = 5\nat_s = -1"), "at_s"),
        (("[[steady]]", "aborts_after_s = 5\n[[steady]]"), "aborts_after_s"),
        (
            ('"failed"', '"faild"'),
            "nothing measures 'faild' here; there is failed",
        ),
        (('"sites_serving"', '"rto_s"'), r"\[\[steady\]\]: nothing measures 'rto_s' here"),
        (("at_most = 0", ""), "failed has neither at_least nor at_most"),
        (("at_most = 0", "at_most = nan"), "nothing is within failed <= nan"),
        (("at_most = 0", "at_most = 0\nat_least = 1"), "nothing is within 1 <= failed <= 0"),
        (("[[steady]]", "recover_within_s = inf\n[[steady]]"), "recover_within_s"),
        (("[[steady]]", "recover_within_s = nan\n[[steady]]"), "recover_within_s"),
        (("[[steady]]", "load = {burst_s = 30}\n[[steady]]"), "of a burst: load.burst_per_s"),
        (
            ("[[steady]]", "load = {burst_per_s = 9, burst_s = 900}\n[[steady]]"),
            "burst_s should be 0 to 120",
        ),
        (("[[steady]]", "repeats = 0\n[[steady]]"), "repeats should be 1 to 1000"),
        (("[[steady]]", "load = {before_s = nan}\n[[steady]]"), "before_s"),
        (("[[steady]]", "load = {redial = true, call_back = true}\n[[steady]]"), "choose one"),
        (
            ("[[steady]]", "load = {carrier_sends_again = true}\n[[steady]]"),
            "say load.redial too",
        ),
        (('"cut"', '"flap"\nperiod_s = nan'), "flap needs period_s, 0.05 to 120"),
        (('"cut"', '"slow_sync"'), "slow_sync needs delay_ms"),
        (('"cut"', '"wrong_clock"\noff_s = inf'), "wrong_clock needs off_s"),
        (('"cut"', '"shape"\nloss_pct = 101'), "loss is 0 to 100 percent, not 101"),
        (('"cut"', '"shape"\ndelay_ms = nan'), "delay is 0 to 10000 ms, not nan"),
        (('"cut"', '"shape"\ndelay_ms = 5\njitter_ms = 9'), "jitter is 0 to the delay"),
    ],
)
def test_a_wrong_file_is_refused_and_says_why(change: tuple[str, str], says: str) -> None:
    with pytest.raises(ExperimentError, match=says):
        read_experiment(SOUND.replace(*change), "mine.toml")


def test_the_plan_hash_is_of_what_the_file_says_and_not_of_how_it_is_laid_out() -> None:
    one = read_experiment(SOUND, "x")
    assert one.plan_hash == read_experiment(SOUND.replace("\n[[", "\n\n# words\n[["), "x").plan_hash
    assert one.plan_hash != read_experiment(SOUND.replace("ttl_s = 5", "ttl_s = 6"), "x").plan_hash


def test_a_fault_is_aimed_at_the_leader_wherever_it_is() -> None:
    fault = Fault(kind=FaultKind.CUT_ONE_WAY, target="{leader}>{follower}", ttl_s=1.0)
    assert aimed(fault, "b", ("a", "b", "c")).target == "b>a"
    process = Fault(kind=FaultKind.KILL, target="edge-{other}2")
    assert aimed(process, "b", ("a", "b", "c")).target == "edge-c2"


def test_a_bound_holds_between_its_ends_and_never_for_what_was_not_measured() -> None:
    bound = Bound(figure="x", at_least=1.0, at_most=2.0)
    assert [bound.holds(value) for value in (0.9, 1.0, 2.0, 2.1, None)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert bound.told() == "1 <= x <= 2"


def test_a_drill_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ExperimentError, match="site_killed"):
        experiment_of("site_kiled")


def test_a_drill_of_the_databases_primary_says_what_lab_it_needs_and_hits_the_right_site() -> None:
    lost = experiments()["database_primary_lost"]
    assert lost.needs_database
    assert not experiments()["site_killed"].needs_database
    (fault,) = lost.method
    assert aimed(fault, "b", ("a", "b", "c"), "c").target == "patroni-c"
    # Where there is no such database the name stays, which no process has.
    assert "{" in aimed(fault, "b", ("a", "b", "c")).target
