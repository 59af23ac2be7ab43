from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.replay.compare import LEVEL, compare
from drills.replay.day import DayError, callers_of, read_day, recorded
from edge.acd.eligibility import RESERVED_AHEAD_S
from edge.acd.handling import talk_s
from edge.acd.service_level import wait_s
from edge.acd.simulation import Day, replay
from state import keys
from state.configuration import Configuration
from state.eventlog import lines
from state.model import (
    Agent,
    AgentId,
    CallId,
    CallRecord,
    Did,
    DidNumber,
    Limit,
    Now,
    Outcome,
    QueueId,
    Site,
    SiteId,
    SkillId,
    Step,
    Talk,
    TurnAway,
)
from state.raw import Change
from tests.acd.worlds import NOW, call_id, needs
from tests.cli.asked import record as a_record
from tests.replay.days import WRAP_UP_S, day_of, line_of, presence_gone, queue, staff

TOLERANCE_S = 0.002
"""A replay's clock ticks in milliseconds, and it looks again a tick after a rest has ended."""
AGENTS = 5


def by_call(records: tuple[CallRecord, ...]) -> dict[CallId, CallRecord]:
    return {record.call: record for record in records}


def busy_day(seed: int = 1, count: int = 300) -> Day:
    return day_of(staff(AGENTS, queue()), line_of(count, AGENTS, seed))


def rules(agents: int = AGENTS, **more: object) -> Configuration:
    """Return the day's own rules, as a file would say them, with some changed."""
    sites = tuple(
        Site(id=SiteId(site), name=site, sip=f"198.18.{n}.10:5060")
        for n, site in enumerate("abc", start=1)
    )
    people = tuple(
        Agent(
            id=AgentId(f"agent{n}"),
            name=f"agent{n}",
            site=SiteId("abc"[n % 3]),
            skills={SkillId("sales"): 3},
        )
        for n in range(agents)
    )
    did = Did(number=DidNumber("4930100"), queue=QueueId("sales"))
    return Configuration(sites=sites, queues=(queue(**more),), dids=(did,), agents=people)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_under_the_same_rules_every_call_goes_as_it_went(seed: int) -> None:
    day = busy_day(seed)
    again = replay(day)
    found, told = by_call(again.records), by_call(day.records)
    assert found.keys() == told.keys()
    assert again.unfinished == 0
    assert {found[call].outcome for call in found} == {Outcome.ANSWERED, Outcome.ABANDONED}
    for call, record in told.items():
        assert found[call].outcome is record.outcome, call
        # The recursion does not know that an agent is given a little before they are rested: then
        # who becomes free in between goes to the next caller.
        assert wait_s(found[call]) == pytest.approx(wait_s(record), abs=RESERVED_AHEAD_S)
    errors = sorted(abs(wait_s(found[call]) - wait_s(told[call])) for call in told)
    assert errors[len(errors) // 2] <= TOLERANCE_S


def test_the_same_rules_from_a_file_are_the_same_rules() -> None:
    day = busy_day()
    own, filed = by_call(replay(day).records), by_call(replay(day, rules()).records)
    assert {c: (r.outcome, r.ended_ms) for c, r in own.items()} == {
        c: (r.outcome, r.ended_ms) for c, r in filed.items()
    }


def test_rules_published_after_the_log_began_count_too() -> None:
    world = staff(1, queue())
    raw = world.snapshot.raw[keys.queue(QueueId("sales"))]
    bare = lines.begin("a1", world.snapshot, NOW)
    bare = replace(bare, rows=tuple(row for row in bare.rows if row.key != raw.key))
    late = Change(
        key=raw.key,
        value=raw.value,
        create_revision=world.snapshot.revision + 1,
        mod_revision=world.snapshot.revision + 1,
    )
    log = lines.encode(bare) + lines.encode(lines.changed(late.mod_revision, (late,), NOW))
    records = [each for each in line_of(9, 9, seed=1) if each.connected_ms is not None]
    found = compare(read_day(recorded(lines.read(log), records), "day"), None, 20.0)
    talked_s = sum(map(talk_s, records)) / len(records)
    assert found.recorded.total.aht_s == pytest.approx(talked_s + WRAP_UP_S)


def test_shorter_rests_serve_callers_sooner_and_fewer_leave() -> None:
    day = busy_day()
    found = compare(day, rules(wrap_up_s=0.0), 20.0)
    assert found.new is not None
    old, new = found.same.total, found.new.total
    assert old.asa_s is not None
    assert new.asa_s is not None
    assert new.asa_s < old.asa_s
    assert new.abandoned < old.abandoned
    assert (new.service_level[LEVEL] or 0) > (old.service_level[LEVEL] or 1)
    assert found.recorded.total.answered == pytest.approx(old.answered, abs=1)
    assert found.recorded.occupancy == pytest.approx(found.same.occupancy, abs=0.01)
    assert 0.5 < (found.recorded.occupancy or 0) < 1.0


def test_who_pauses_as_they_talk_is_at_work_until_that_is_over() -> None:
    world, calls = staff(1, queue()), line_of(30, 1, seed=3, load=0.5)
    last = max((e for e in calls if e.connected_ms is not None), key=lambda each: each.ended_ms)
    assert last.connected_ms is not None
    whole = compare(day_of(world, [last]), None, 20.0).recorded.occupancy
    paused = presence_gone(world, "agent0", last.connected_ms + 1)
    found = compare(day_of(world, [last], paused), None, 20.0).recorded.occupancy
    assert found == pytest.approx(whole)


def test_a_skill_that_nobody_has_leaves_everyone_waiting_until_they_go() -> None:
    day = busy_day(count=40)
    again = replay(day, rules(needs=needs(sales=9)))
    assert {record.outcome for record in again.records} <= {Outcome.ABANDONED}
    patient = sum(record.outcome is Outcome.ANSWERED for record in day.records)
    assert again.unfinished == patient


def test_a_step_of_the_new_rules_takes_effect_when_it_falls_due() -> None:
    day = busy_day(count=20)
    step = Step(after_s=7.0, lower=needs(sales=1))
    again = replay(day, rules(needs=needs(sales=9), steps=(step,)))
    waits = [wait_s(record) for record in again.records if record.outcome is Outcome.ANSWERED]
    assert waits
    assert min(waits) == pytest.approx(8.5, abs=0.01), "the step, then the ring"


def test_limits_and_turning_away_are_those_of_the_new_rules() -> None:
    day = busy_day(count=60)
    full = replay(day, rules(longest_queue=Limit(most=1)))
    refused = [r for r in full.records if r.outcome is Outcome.REFUSED]
    assert {r.cause for r in refused} == {"queue_full"}
    wait = Limit(most=3.0, turn_away=TurnAway.CALLBACK)
    late = replay(day, rules(agents=1, longest_wait_s=wait))
    turned = [r for r in late.records if r.outcome is Outcome.CALLBACK]
    assert turned
    assert all(wait_s(r) == pytest.approx(3.0, abs=0.01) for r in turned)
    assert late.unfinished == 0


def test_a_number_that_the_new_rules_do_not_know_is_refused() -> None:
    day = busy_day(count=5)
    bare = replace(rules(), dids=())
    again = replay(day, bare)
    assert {(r.outcome, r.cause) for r in again.records} == {(Outcome.REFUSED, "no_such_number")}


def test_agents_go_home_when_they_did() -> None:
    world = staff(1, queue())
    records = line_of(10, 1, seed=3, load=0.3)
    home_ms = records[4].arrived_ms - 1
    day = day_of(world, records, presence_gone(world, "agent0", home_ms))
    again = replay(day)
    answered = [r for r in again.records if r.outcome is Outcome.ANSWERED]
    assert answered
    assert all(r.arrived_ms < home_ms for r in answered)


def test_who_went_home_while_nobody_wrote_the_log_is_gone_when_it_goes_on() -> None:
    """As when the edge whose log it is was started anew meanwhile."""
    world = staff(1, queue())
    records = line_of(10, 1, seed=3, load=0.3)
    again_ms = records[4].arrived_ms - 1
    log = lines.encode(lines.begin("a1", world.snapshot, NOW))
    world.drop(keys.presence(AgentId("agent0")))
    again = Now(mono_s=NOW.mono_s, wall_ms=again_ms)
    log += lines.encode(lines.begin("a1", world.snapshot, again))
    day = read_day(recorded(lines.read(log), records), "test")
    answered = [r for r in replay(day).records if r.outcome is Outcome.ANSWERED]
    assert answered
    assert all(r.arrived_ms < again_ms for r in answered)


def test_who_did_not_take_a_call_does_not_take_it_again() -> None:
    world = staff(2, queue(ring_timeout_s=10.0))
    first = line_of(1, 1, seed=3)[0]
    shy = replace(first, tried=(AgentId("agent0"),))
    (again,) = replay(day_of(world, [shy])).records
    assert again.agent == "agent1"
    assert wait_s(again) == pytest.approx(10.0 + 1.5, abs=0.01)
    assert again.tried == ("agent0",)


def test_who_was_cut_off_in_talk_is_cut_off_after_as_long() -> None:
    records = line_of(40, AGENTS, seed=1)
    cut = [
        replace(each, outcome=Outcome.LOST, cause="edge_died")
        for each in records
        if each.connected_ms is not None
    ][:3]
    names = {each.call for each in cut}
    told = [*cut, *(each for each in records if each.call not in names)]
    found = compare(day_of(staff(AGENTS, queue()), told), rules(), 20.0)
    assert found.new is not None
    for side in (found.recorded, found.same, found.new):
        assert (side.total.lost, side.total.answered) == (3, found.recorded.total.answered)
        assert side.total.aht_s == pytest.approx(found.recorded.total.aht_s)


def test_a_replay_is_the_same_each_time() -> None:
    day = busy_day(count=80)
    assert replay(day) == replay(day)


def test_a_file_that_is_no_day_is_refused_with_its_line() -> None:
    world = staff(1, queue())
    log = lines.encode(lines.begin("a1", world.snapshot, NOW))
    good = list(recorded(lines.read(log), line_of(2, 1, seed=1)))
    assert len(read_day(good, "day").callers) == 2
    with pytest.raises(DayError, match="day, line 3"):
        read_day([*good[:2], b"{nonsense", *good[2:]], "day")
    with pytest.raises(DayError, match="make one by"):
        read_day(good[1:], "day")


def test_a_recorded_day_holds_no_number() -> None:
    world = staff(1, queue())
    world.ticket(900, sales=1)
    log = lines.encode(lines.begin("a1", world.snapshot, NOW))
    told = b"\n".join(recorded(lines.read(log), line_of(2, 1, seed=1)))
    assert b"49151" not in told
    assert b"state/ticket" not in told


def test_whom_the_center_called_back_does_not_come_by_themselves() -> None:
    came = a_record(call_id(1))
    back = replace(a_record(call_id(2)), callback_of=came.call)
    assert [each.record.call for each in callers_of([came, back])] == [came.call]


def test_who_passed_a_caller_on_had_answered_them_and_the_last_does_not_tell_how_soon() -> None:
    usual = a_record(call_id(1))
    answered_ms = usual.ended_ms - 4_000
    spans = (("ann", 0, 9_000), ("bob", 60_000, 70_000))
    talks = tuple(
        Talk(agent=AgentId(name), since_ms=answered_ms + since, until_ms=answered_ms + until)
        for name, since, until in spans
    )
    decision = usual.decision
    assert decision is not None
    passed_on = replace(
        usual,
        call=call_id(2),
        ended_ms=answered_ms + 70_000,
        talks=talks,
        tried=(AgentId("ann"), AgentId("cyd")),
        decision=replace(decision, wall_ms=answered_ms + 50_000),
    )
    first, caller = callers_of([usual, passed_on])
    assert (first.ring_ms, caller.ring_ms, caller.talk_ms) == (500, 500, 19_000)
    assert caller.lets_ring == {AgentId("cyd")}
