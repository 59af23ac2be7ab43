"""The ledger in the evidence of a drill on sites that are up, and the word of its test calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.course import End
from drills.demo.reports import End as How
from drills.desk.call_answers import CallRow, Calls
from drills.drill.counting import Counting
from drills.drill.live import LiveGround
from drills.drill.live_evidence import evidence_of, people_word, two_stories
from drills.drill.onlooking import Onlookers
from drills.evidence import AgentsMoved, ClockBound, Evidence, LedgerRow
from drills.evidence import CallRow as CallRowKept
from drills.library import experiment_of
from drills.live_books import Counted, books
from drills.page import lines, page
from drills.sealing import FIRST, open_sealed, seal
from drills.wording import FIGURES
from state.keys import call_id_for
from state.model import Outcome, SiteId
from tests.cli.asked import agent_row, call_row
from tests.drills import test_recorded as recording
from tests.drills.pieces import KEY, PERMIT
from tests.drills.test_counting import desk_of
from tests.drills.test_live import COURSE, T0_MS, A, B, Desk, desk, ground_at, probe

__all__ = ["desk"]

INVITE: dict[str, object] = {"event": "invite", "sip_call_id": "x@y", "local_tag": "t"}
CALL = call_id_for("x@y", "t")
TALKED: tuple[dict[str, object], ...] = (
    INVITE | {"wall_ms": T0_MS},
    {"event": "answered", "wall_ms": T0_MS + 20},
    {"event": "joined", "wall_ms": T0_MS + 900},
    {"event": "call", "wall_ms": T0_MS + 1_500, "how": "hung_up"},
)


def over(call: str, outcome: Outcome = Outcome.ANSWERED, **other: object) -> CallRow:
    return call_row(
        call, state=None, outcome=outcome, ended_ms=T0_MS + 2_000, cause="talked", **other
    )


async def drilled(
    folder: Path, desk: Desk, meanwhile: Callable[[], None], onlookers: Onlookers | None = None
) -> LiveGround:
    """Watch sites that are up for a moment, with something happening meanwhile."""
    ground = ground_at(folder)
    ground.onlookers = onlookers
    desk.calls_end.set()
    async with asyncio.timeout(15.0), ground.watched():
        while desk.dialled < 1:  # noqa: ASYNC110 - threads have no event of this loop
            await asyncio.sleep(0.01)
        meanwhile()
    return ground


async def test_the_evidence_has_what_became_of_every_call_that_was_on(
    tmp_path: Path, desk: Desk
) -> None:
    desk.steps = TALKED
    desk.running, desk.ended = (call_row("long"), call_row("cut")), (over("old"),)

    def meanwhile() -> None:
        desk.running = (call_row("long"),)
        here = over(CALL, site=B, agent_site=SiteId("c"))
        desk.ended = (over("old"), over("cut", Outcome.LOST), here)

    ground = await drilled(tmp_path, desk, meanwhile)
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    ledger = {each.call: each.outcome for each in evidence.ledger}
    assert ledger == {"long": "on", "cut": "lost", CALL: "answered"}
    found = evidence.figures
    names = ("offered", "answered", "lost", "still_on", "unaccounted", "ledger_sums", "mismatches")
    assert [found[each] for each in names] == [3, 1, 1, 1, 0, 1, 0]
    assert "ledger_exact" not in found, "nobody asks real callers"
    assert "1 <= ledger_exact" in evidence.unjudged
    (call, *_) = evidence.calls
    assert (call.call, call.people, call.edges) == (CALL, "answered", "answered")
    assert (call.meant_for, call.served_by, call.agent_at) == ("a", "b", "c")
    assert evidence.moved == {"a -> b": len(evidence.calls)}
    assert "calls lost, by the sites' own records: 1 (talked 1)" in evidence.findings
    assert open_sealed(seal(evidence, KEY), {}, None) == evidence


async def test_where_no_test_call_is_told_by_both_nobody_knows_whether_they_tell_the_same(
    tmp_path: Path, desk: Desk
) -> None:
    desk.steps = TALKED
    ground = await drilled(tmp_path, desk, lambda: None)
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert evidence.calls
    assert evidence.figures["mismatches"] is None
    assert "which is compared with nothing: of none both have told" in page(evidence, [])


async def test_what_was_not_begun_has_no_ledger(tmp_path: Path, desk: Desk) -> None:
    desk.running = (call_row("long"),)
    ground = await drilled(tmp_path, desk, lambda: None)
    not_begun = replace(COURSE, began_ms=None, end=End.NOT_STEADY)
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, not_begun)
    assert (evidence.ledger, evidence.ledger_by) == ((), ())
    assert "offered" not in evidence.figures


async def test_where_the_sites_do_not_tell_which_calls_were_on_there_is_no_ledger(
    tmp_path: Path, desk: Desk
) -> None:
    def meanwhile() -> None:
        desk.is_silent = True

    ground = await drilled(tmp_path, desk, meanwhile)
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert evidence.findings[-1].startswith("there is no ledger of calls")
    assert "offered" not in evidence.figures


async def test_control_planes_are_asked_for_what_they_have_recorded(
    tmp_path: Path, desk: Desk
) -> None:
    desk.ended = ()
    planes = recording.Planes(brief="lost")

    def meanwhile() -> None:
        desk.ended = (over("brief"),)

    ground = await drilled(tmp_path, desk, meanwhile)
    ground.onlookers = Onlookers(recording.APIS, planes, lambda: 0.0)
    await ground.read_records()
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert evidence.ledger_by == ("the shared state", "a control plane", "b control plane")
    assert evidence.figures["ledger_sums"] == 0.0
    assert sum("two records of call brief" in each for each in evidence.findings) == 2


@pytest.mark.parametrize(
    ("how", "came_to", "word"),
    [
        (How.HUNG_UP, "talk", "answered"),
        (How.HUNG_UP, "music", "abandoned"),
        (How.FAR_END, "talk", "unknown"),
        (How.UNHEARD, "talk", "lost"),
        (How.REFUSED, "", "refused"),
        (How.CANCELLED, "", "lost"),
        (How.SILENCE, "", "lost"),
        (How.UNFINISHED, "talk", "unknown"),
        (How.UNFINISHED, "", "lost"),
    ],
)
def test_a_test_calls_telephone_says_how_it_ended_as_far_as_it_can(
    how: How, came_to: str, word: str
) -> None:
    call = replace(probe(0.0, A, 0.3 if came_to else None), how=how)
    call = replace(call, joined_ms=T0_MS + 900 if came_to == "talk" else None)
    assert people_word(call) == word


def test_a_test_call_of_which_two_stories_are_told_is_a_finding() -> None:
    def call(people: str, edges: str) -> CallRowKept:
        return CallRowKept(
            call="x",
            meant_for="a",
            served_by="b",
            agent_at=None,
            people=people,
            edges=edges,
            placed_s=0.0,
            setup_ms=None,
        )

    told = [("answered", "lost"), ("unknown", "lost"), ("lost", ""), ("lost", "lost")]
    assert list(two_stories(call(*each) for each in told)) == [
        "two stories of call x: people answered; edges lost"
    ]


def test_the_evidence_tells_which_agents_were_moved_where(tmp_path: Path) -> None:
    ground = ground_at(tmp_path)
    counting = ground.counting = Counting(desk_of)
    for at_s, where in ((-1.0, A), (9.0, B)):
        at_ms = T0_MS + round(at_s * 1000)
        counting.homes.look(at_ms, (agent_row("ann", site=where), agent_row("bea", site=B)))
    evidence = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert "agents_back_s" not in evidence.figures, "twelve seconds move nobody"
    dead = replace(COURSE, method=(replace(COURSE.method[0], ttl_s=30.0),))
    longer = evidence_of("r1", FIRST, experiment_of("agents_moved"), ground, dead)
    assert longer.figures["agents_back_s"] == 9.0
    assert "agents_back_s" not in {each.figure for each in longer.judgements}
    (moved,) = evidence.agents_moved
    assert (moved.was_at, moved.now_at, moved.agents, moved.first_s) == ("a", "b", ("ann",), 9.0)


LEDGER = (
    LedgerRow(call="x", site="a", agent_at=None, came_s=-9.0, ended_s=0.1, outcome="lost"),
    LedgerRow(call="y", site="b", agent_at="a", came_s=1.0, ended_s=None, outcome="on"),
    LedgerRow(call="z", site="b", agent_at="b", came_s=2.0, ended_s=9.0, outcome="answered"),
)
MOVED = AgentsMoved(was_at="a", now_at="b", agents=("<ann>",), first_s=9.0, last_s=11.5)


def told_of(folder: Path, **figures: float) -> Evidence:
    evidence = evidence_of("r1", FIRST, experiment_of("site_drained"), ground_at(folder), COURSE)
    sums: dict[str, float | None] = {
        "offered": 3,
        "answered": 1,
        "abandoned": 0,
        "refused": 0,
        "lost": 1,
        "to_call_back": 0,
        "still_on": 1,
        "unaccounted": 0,
        "ledger_sums": 1.0,
        "mismatches": 0,
        "test_calls": 2,
    }
    return replace(
        evidence,
        approvals=(PERMIT,),
        figures={**sums, **figures},
        ledger=LEDGER,
        ledger_by=("the shared state", "b control plane"),
        agents_moved=(MOVED,),
        moved={"a -> b": 2},
    )


SUM = (
    "3 calls were on = 1 answered + 0 abandoned + 0 refused + 1 lost + 1 still on when it was over"
)


def test_the_page_tells_the_ledger_of_a_live_system_and_by_whose_word(tmp_path: Path) -> None:
    text = page(told_of(tmp_path))
    assert f"{SUM}. The sum is exact. By the word of the shared state, b control plane:" in text
    assert "of 2 test calls their telephones tell as well, 0 otherwise than the sites" in text
    assert "<tr><td>b</td><td>1</td><td>0</td><td>0</td><td>0</td><td>0</td><td>1</td>" in text
    assert "1 were still on the line." in text
    assert "By the packets at the callers" not in text, "nobody captures packets there"
    assert "<th>test calls</th>" in text


def test_the_page_says_of_a_figure_that_is_not_judged_what_the_sites_say(tmp_path: Path) -> None:
    evidence = told_of(tmp_path)
    assert "lost <= 0" in evidence.unjudged
    name = '<code class="dim">lost</code>'
    row = f"<tr><td>not judged</td><td>calls lost {name}</td><td>none</td><td>1</td></tr>"
    assert row in page(evidence)


def test_the_page_tells_who_was_moved_where_and_quotes_it(tmp_path: Path) -> None:
    text = page(told_of(tmp_path))
    row = "<td>a -&gt; b</td><td>1</td><td>9.0 s to 11.5 s</td><td>&lt;ann&gt;</td>"
    assert row in text
    assert "Agents who were moved" not in page(replace(told_of(tmp_path), agents_moved=()))


def test_a_ledger_that_does_not_add_up_says_so_on_the_page_and_in_the_terminal(
    tmp_path: Path,
) -> None:
    broken = told_of(tmp_path, unaccounted=1, offered=4, ledger_sums=0.0)
    sums = SUM.replace("3 calls", "4 calls") + " + 1 of which nothing is recorded"
    assert f'{sums}. The sum is <span class="broken">not exact</span>.' in page(broken)
    assert f"{sums}: NOT EXACT" in lines(broken)


def test_a_report_in_the_terminal_tells_the_ledger_and_who_was_moved(tmp_path: Path) -> None:
    told = list(lines(told_of(tmp_path)))
    assert f"{SUM}: exact" in told
    assert MOVED.told() in told
    bound = ClockBound(who="b control plane", least_ms=-0.4, most_ms=1.25)
    with_clock = replace(told_of(tmp_path), clocks=(bound,))
    assert "clock of b control plane: by -0.4 to 1.2 ms ahead of the runner's" in lines(with_clock)


def test_every_figure_of_a_live_ledger_has_words() -> None:
    nothing = Calls(lab=1, now_ms=T0_MS, calls=(), total=0, bad_records={})
    made = books(Counted(first=nothing, seen={}, last=nothing), (), T0_MS)
    assert {*made.figures, "test_calls", "mismatches"} <= FIGURES.keys()
