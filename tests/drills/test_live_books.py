"""The ledger of a drill on sites that are up, and who was moved where, by the sites' own word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.desk.answers import AgentRow
from drills.desk.call_answers import CallRow, Calls
from drills.live_books import ENDS, Books, Counted, Homes, books
from drills.onlookers import Recorded
from edge.acd.agent_state import AgentState
from state.model import Outcome, SiteId
from tests.cli.asked import LAUNCHER, NOW_MS, agent_row, call_row

T0_MS = NOW_MS + 5_000
LOST = Outcome.LOST


def over(call: str, outcome: Outcome = Outcome.ANSWERED, **other: object) -> CallRow:
    ended_ms = NOW_MS + 7_000
    return call_row(call, state=None, outcome=outcome, ended_ms=ended_ms, cause="talked", **other)


def calls(*rows: CallRow, bad: int = 0) -> Calls:
    bad_records = {f"/everline/ended/{number}": "rubbish" for number in range(bad)}
    total = sum(each.state is None for each in rows)
    return Calls(lab=LAUNCHER, now_ms=NOW_MS, calls=rows, total=total, bad_records=bad_records)


def counted(
    first: tuple[CallRow, ...] = (), seen: tuple[CallRow, ...] = (), last: tuple[CallRow, ...] = ()
) -> Counted:
    on = {each.call: each for each in (*first, *seen) if each.state is not None}
    return Counted(first=calls(*first), seen=on, last=calls(*last))


def made(*args: tuple[CallRow, ...], recorded: tuple[Recorded, ...] = ()) -> Books:
    return books(counted(*args), recorded, T0_MS)


def test_every_call_that_was_on_has_ended_one_way_or_is_still_on() -> None:
    found = made(
        (over("old"), call_row("long"), call_row("longer")),
        (call_row("new"), call_row("gone")),
        (
            call_row("longer"),
            over("long"),
            over("new", Outcome.ABANDONED),
            over("gone", LOST),
            over("brief", Outcome.REFUSED),
            over("later", Outcome.CALLBACK),
            over("old"),
        ),
    )
    assert found.figures == {
        "offered": 6,
        "answered": 1,
        "abandoned": 1,
        "refused": 1,
        "lost": 1,
        "to_call_back": 1,
        "still_on": 1,
        "unaccounted": 0,
        "records_differ": None,
        "ledger_sums": 1.0,
    }
    assert {each.call: each.outcome for each in found.rows}["longer"] == "on"
    assert "old" not in {each.call for each in found.rows}, "over before anybody looked"
    assert found.findings == ("calls lost, by the sites' own records: 1 (talked 1)",)
    assert found.by == ("the shared state",)


def test_a_row_tells_where_a_call_was_and_when_by_its_edges_clock() -> None:
    (row,) = made((), (), (over("new", agent_site=SiteId("c")),)).rows
    assert (row.site, row.agent_at, row.came_s, row.ended_s) == ("a", "c", -5.0, 2.0)


def test_a_call_that_was_on_and_of_which_nothing_is_recorded_is_said_and_not_guessed() -> None:
    found = made((call_row("known"),), (call_row("ghost"),), (over("known"),))
    assert found.figures["unaccounted"] == 1
    assert found.figures["ledger_sums"] == 0.0
    assert found.figures["offered"] == 2
    assert found.findings == ("calls that were on, of which nothing is recorded: 1 (ghost)",)
    assert counted((), (call_row("ghost"),)).without_account() == {"ghost"}


def test_a_record_that_cannot_be_read_leaves_the_sum_open() -> None:
    before = Counted(first=calls(bad=1), seen={}, last=calls(bad=1))
    assert books(before, (), T0_MS).figures["ledger_sums"] == 1.0
    found = books(Counted(first=calls(bad=1), seen={}, last=calls(bad=2)), (), T0_MS)
    assert found.figures["ledger_sums"] == 0.0
    assert found.findings == ("records of calls that cannot be read: 1",)


def test_control_planes_that_have_recorded_the_same_say_so_too() -> None:
    told = {"x": "answered", "y": "lost"}
    planes = tuple(Recorded(site=site, calls=told) for site in "ab")
    found = made((), (), (over("x"), over("y", LOST)), recorded=planes)
    assert found.by == ("the shared state", "a control plane", "b control plane")
    assert found.figures["records_differ"] == 0
    assert found.figures["ledger_sums"] == 1.0
    assert [each for each in found.findings if "lost, by" not in each] == []


def test_where_no_control_plane_tells_of_any_call_nobody_knows_whether_records_differ() -> None:
    refused = Recorded(site="a", why_not="whoever ran the drill may not read calls")
    others = Recorded(site="b", calls={"z": "answered"})
    for recorded in ((), (refused,), (others,)):
        assert made((), (), (over("x"),), recorded=recorded).figures["records_differ"] is None
    told = Recorded(site="b", calls={"x": "answered"})
    assert made((), (), (over("x"),), recorded=(refused, told)).figures["records_differ"] == 0
    still_on = made((), (call_row("x"),), (call_row("x"),), recorded=(told,))
    assert still_on.figures["records_differ"] is None


def test_a_control_plane_that_has_recorded_another_end_makes_two_stories() -> None:
    plane = Recorded(site="b", calls={"x": "lost"})
    found = made((), (), (over("x"),), recorded=(plane,))
    assert (found.figures["records_differ"], found.figures["ledger_sums"]) == (1, 0.0)
    assert found.findings == (
        "two records of call x: answered in the shared state, lost at the control plane of b",
    )


@pytest.mark.parametrize("theirs", [{}, {"x": ""}])
def test_what_no_control_plane_tells_of_rests_on_the_shared_state_alone(
    theirs: dict[str, str],
) -> None:
    found = made((), (), (over("x"),), recorded=(Recorded(site="b", calls=theirs),))
    assert found.figures["ledger_sums"] == 1.0
    (finding,) = found.findings
    assert finding.startswith("calls by the word of the shared state alone: 1")


def test_a_call_that_ended_after_the_last_look_is_no_second_story() -> None:
    plane = Recorded(site="b", calls={"x": "answered"})
    found = made((), (), (call_row("x"),), recorded=(plane,))
    assert found.figures["ledger_sums"] == 1.0
    assert found.findings == ()


def test_why_a_control_plane_tells_nothing_of_calls_is_said() -> None:
    plane = Recorded(site="a", why_not="whoever ran the drill may not read them")
    found = made((), (), (over("x"),), recorded=(plane,))
    assert found.by == ("the shared state",)
    assert found.findings == (
        "the control plane of a told nothing of calls: whoever ran the drill may not read them",
    )


ids = st.integers(0, 12).map(str)
rows = st.dictionaries(ids, st.sampled_from([None, *ENDS]), max_size=12)


@given(first=rows, seen=st.sets(ids), last=rows)
def test_however_calls_come_and_go_each_is_counted_exactly_once(
    first: dict[str, Outcome | None], seen: set[str], last: dict[str, Outcome | None]
) -> None:
    def listed(told: dict[str, Outcome | None]) -> tuple[CallRow, ...]:
        return tuple(call_row(c) if end is None else over(c, end) for c, end in told.items())

    over_before = {call for call, end in first.items() if end is not None}
    on = {call for call, end in first.items() if end is None} | (seen - over_before)
    found = made(listed(first), tuple(call_row(each) for each in sorted(on)), listed(last))
    expected = on | {call for call in last if call not in over_before}
    assert [each.call for each in found.rows] == sorted(expected)
    parts = [found.figures[name] or 0 for name in (*ENDS.values(), "still_on", "unaccounted")]
    assert sum(parts) == found.figures["offered"] == len(expected)
    assert bool(found.figures["ledger_sums"]) == (on <= last.keys())


def agents(**at: str) -> list[AgentRow]:
    """Return agents by name: `a`, or `a!` for who cannot be rung there."""
    return [
        agent_row(
            name,
            site=SiteId(where[0]),
            state=AgentState.UNREACHABLE if where.endswith("!") else AgentState.READY,
        )
        for name, where in at.items()
    ]


def test_who_can_be_rung_by_way_of_another_site_has_moved_there() -> None:
    homes = Homes()
    homes.look(T0_MS - 1_000, agents(ann="a", bea="a", cid="a", dora="b"))
    homes.look(T0_MS + 1_000, agents(ann="a!", bea="a!", cid="a!", dora="b"))
    homes.look(T0_MS + 9_000, agents(ann="b", bea="a!", cid="c", dora="b"))
    homes.look(T0_MS + 10_000, agents(ann="b", bea="b", cid="c", dora="b"))
    homes.look(T0_MS + 30_000, agents(ann="a", bea="b", cid="c", dora="b!"))
    told = [each.told() for each in homes.moved(T0_MS)]
    assert told == [
        "agents from a to b: 2, 9.0 s to 10.0 s after the first fault (ann, bea)",
        "agents from a to c: 1, 9.0 s after the first fault (cid)",
        "agents from b to a: 1, 30.0 s after the first fault (ann)",
    ]


def test_who_signs_in_for_the_first_time_has_not_moved() -> None:
    homes = Homes()
    homes.look(T0_MS, agents(ann="a!"))
    homes.look(T0_MS + 1_000, agents(ann="b"))
    assert homes.moved(T0_MS) == ()


def test_of_very_many_who_moved_some_are_named_to_people_and_all_are_kept() -> None:
    homes = Homes()
    names = [f"agent{number:02}" for number in range(12)]
    homes.look(T0_MS, agents(**dict.fromkeys(names, "a")))
    homes.look(T0_MS + 1_000, agents(**dict.fromkeys(names, "b")))
    (moved,) = homes.moved(T0_MS)
    assert moved.agents == tuple(names)
    assert moved.told().endswith("agent08, agent09 and 2 more)")


def test_agents_of_a_dead_site_are_back_when_nearly_all_can_be_rung_elsewhere() -> None:
    homes = Homes()
    homes.look(T0_MS - 1_000, agents(ann="a", bea="a", cid="b"))
    homes.look(T0_MS + 9_000, agents(ann="b", bea="a!", cid="b"))
    assert homes.back_s(SiteId("a"), T0_MS) == float("inf"), "bea is still out of reach"
    homes.look(T0_MS + 10_500, agents(ann="b", bea="c", cid="b"))
    homes.look(T0_MS + 40_000, agents(ann="a", bea="a", cid="b"))
    assert homes.back_s(SiteId("a"), T0_MS) == 10.5
    assert homes.back_s(SiteId("c"), T0_MS) is None
