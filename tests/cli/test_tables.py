from __future__ import annotations

from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console, RenderableType

from drills.cli.progress import console
from drills.desk import agent_tables, call_tables, status_tables, words
from drills.desk.account import of_ticket
from drills.desk.answers import Agents, Wished, WishRow
from drills.desk.call_answers import CallbackRow, Callbacks, Calls, Explained
from drills.desk.tables import table
from edge.acd.agent_state import AgentState
from edge.acd.eligibility import Reason
from state.model import DidNumber, Outcome, PresenceState, QueueId, SiteId, SkillId
from tests.acd.worlds import NOW, SITES, World, call_id
from tests.cli import asked
from tests.cli.asked import LAUNCHER, NOW_MS, agent_row, call_row


def printed(what: RenderableType, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width, no_color=True).print(what)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def agents() -> Agents:
    rows = (
        agent_row("ann", skills={SkillId(name): 10 for name in ("technical", "german", "orders")}),
        agent_row("bob", state=AgentState.SIGNED_OUT, presence=PresenceState.SIGNED_OUT),
        agent_row("cyd", state=AgentState.TALKING, presence=PresenceState.PAUSED, reason="lunch"),
        agent_row("dan", site=SiteId("b"), state=AgentState.UNREACHABLE, since_ms=None),
    )
    return Agents(lab=LAUNCHER, now_ms=NOW_MS, agents=rows)


def calls() -> Calls:
    rows = (
        call_row("ab" * 12),
        call_row("cd" * 12, state=None, outcome=Outcome.LOST, cause="edge_died", agent=None),
    )
    return Calls(lab=LAUNCHER, now_ms=NOW_MS, calls=rows, total=5, bad_records={})


def explained() -> Explained:
    world = World()
    for letter in SITES:
        world.agent(f"{letter}-one", site=letter, orders=5, german=2)
        world.agent(f"{letter}-two", site=letter, german=1)
    call = world.ticket(1, queue="orders", orders=2)
    return of_ticket(LAUNCHER, world.snapshot, world.snapshot.tickets[call].value, NOW)


ANSWERS = {
    "status": status_tables.status(asked.status()),
    "agents": agent_tables.agents(agents()),
    "calls": call_tables.calls(calls()),
    "explain": call_tables.explained(explained()),
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_table_fits_its_screen_and_cuts_no_word_short(answer: str, width: int) -> None:
    text = printed(ANSWERS[answer], width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_status_names_what_is_wrong() -> None:
    text = printed(status_tables.status(asked.status()))
    assert "etcd 2 of 3, leader at a" in text
    (site,) = (line for line in text.splitlines() if line.startswith("b     198"))
    assert site.split()[2:6] == ["cut", "off", "down", "down"]
    rows = [line.split() for line in text.splitlines() if line[1:3] in {"1 ", "2 "}]
    states = {row[0]: row[1] for row in rows}
    assert (states["b1"], states["b2"], states["a1"]) == ("gone", "silent", "draining")
    assert "/everline/state/wish/ann: write it anew" in text


def test_a_state_that_nobody_is_in_takes_no_room() -> None:
    quiet = replace(asked.status(), agents={SiteId("a"): {AgentState.READY: 5}})
    assert "ready  ringing  talking\n" in printed(status_tables.status(quiet))


def test_old_news_are_said_to_be_old() -> None:
    old = replace(asked.status(), snapshot="stale", snapshot_age_s=62.0)
    assert "What is told of queues and agents is 1 min old" in printed(status_tables.status(old))


def test_a_site_that_serves_alone_says_why_and_how_that_is_mended() -> None:
    alone = replace(asked.status(), alone={SiteId("a"): asked.NOW_MS - 5000})
    text = " ".join(printed(status_tables.status(alone)).split())
    assert "Site a has no quorum and serves alone, since 5 s" in text
    assert "Make room" not in text
    full = replace(alone, full=(SiteId("a"),))
    text = " ".join(printed(status_tables.status(full)).split())
    assert "Site a takes no write, as etcd has no space left, and serves alone, since 5 s" in text
    assert "disarm the alarm: ./everline state mend." in text


@pytest.mark.parametrize("rows", [24, 29, 50])
def test_a_wallboard_shows_every_row_on_a_screen_of_so_many_lines(rows: int) -> None:
    answer = replace(asked.status(), bad_records={})
    assert len(printed(status_tables.wallboard(answer, rows=rows)).splitlines()) <= rows


def test_agents_are_told_by_phone_state_and_what_comes_after_the_call() -> None:
    lines = {
        line.split()[0]: line
        for line in printed(agent_tables.agents(agents())).splitlines()
        if line
    }
    assert lines["ann"].split()[1:5] == ["a", "yes", "ready", "1"]
    assert lines["bob"].split()[1:5] == ["a", "no", "signed", "out"]
    assert "talking, then paused  " in lines["cyd"]
    assert "(lunch)" in printed(agent_tables.agents(agents()))
    assert lines["dan"].split()[3:5] == ["unreachable", "-"]


def test_a_wish_says_when_it_counts_or_what_is_missing() -> None:
    rows = (
        WishRow(agent=agent_row("ann"), missing=None),
        WishRow(agent=agent_row("bob"), missing="no phone is registered"),
    )
    text = printed(agent_tables.wished(Wished(lab=1, now_ms=NOW_MS, took_s=0.02, wishes=rows)))
    assert text.splitlines() == [
        "ann at a: ready, taken within 0.1 s",
        "bob at a: ready; no phone is registered",
    ]


def test_ids_of_calls_are_shown_as_far_as_they_tell_calls_apart() -> None:
    assert call_tables.unambiguous(["ab" * 12, "cd" * 12]) == 8
    assert call_tables.unambiguous(["a" * 24, "a" * 23 + "b"]) == 24
    assert call_tables.unambiguous(["a" * 24, "a" * 24]) == 8


def test_a_wide_screen_also_tells_what_ended_a_call() -> None:
    assert "edge died" not in printed(call_tables.calls(calls()))
    assert "edge died" in printed(call_tables.calls(calls()), 120)


def test_who_lacks_a_skill_is_shown_without_it() -> None:
    text = printed(call_tables.explained(explained()))
    assert "It needs orders 2." in text
    (line,) = (line for line in text.splitlines() if line.startswith("a-two"))
    assert line.split() == ["a-two", "a", "lacks", "a", "skill", "none"]
    assert call_id(1) in text


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_plain_words(reason: Reason) -> None:
    assert words.REASONS[reason]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3.0, "0 s"), (59.4, "59 s"), (61.0, "1 min"), (5400.0, "1.5 h"), (200_000.0, "2 d")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert words.lasting(seconds) == text


def test_brackets_in_what_people_wrote_stay(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table("Asked for", "why")
    rows.add_row("[a patch] of [/run]")
    console().print(rows)
    console().print("[a patch] of [/run]")
    assert capsys.readouterr().out.count("[a patch] of [/run]") == 2


def test_who_may_be_served_by_a_site_that_is_cut_off_is_said_to_wait_for_that() -> None:
    row = CallbackRow(
        call=call_id(1),
        did=DidNumber("15550001"),
        queue=QueueId("sales"),
        is_under_way=False,
        tries=0,
        most_tries=3,
        due_in_s=0.0,
        until_ms=None,
        waits_for_clearance=True,
    )
    doubted = replace(row, may_be_served_at=SiteId("c"))
    for each, said in ((row, "not cleared yet"), (doubted, "site c may serve them")):
        answer = Callbacks(lab=1, now_ms=NOW_MS, callbacks=(each,))
        assert said in printed(call_tables.callbacks(answer), 120)
