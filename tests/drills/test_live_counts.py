"""The ledger of a drill on sites that are up, as their control planes count calls."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from msgspec.structs import replace

from drills.drill import ledgers
from drills.drill.ledgers import MAY_NOT, Ledgers
from drills.drill.live_evidence import evidence_of
from drills.drill.onlooking import Answer, Onlookers
from drills.evidence import CountRow, Evidence
from drills.library import experiment_of
from drills.live_books import Books, Counted, books
from drills.live_counts import SeenCount, SeenLedger, Told, beside, books_of, silent_because
from drills.page import lines, page
from drills.sealing import FIRST, open_sealed, seal
from drills.wording import FIGURES
from state.model import SiteId
from tests.cli.asked import call_row
from tests.drills.pieces import KEY, PERMIT
from tests.drills.test_live import COURSE, T0_MS, Desk, desk
from tests.drills.test_live_books import calls
from tests.drills.test_live_ledger import drilled, over

__all__ = ["desk"]

APIS = {SiteId(each): f"https://{each}" for each in "abc"}
AT = dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)


def count(site: str, calls: int, standing: str, outcome: str = "", cause: str = "") -> SeenCount:
    return SeenCount(
        site=site, edge=f"{site}1", standing=standing, outcome=outcome or None, cause=cause,
        calls=calls,
    )  # fmt: skip


COUNTS = (
    count("a", 2, "ended", "lost", "edge_died"),
    count("b", 9, "ended", "answered", "caller_hung_up"),
    count("b", 1, "ended", "callback", "limit"),
    count("b", 3, "on"),
)


def seen(*counts: SeenCount, **other: object) -> SeenLedger:
    sums = {each: sum(row.calls for row in counts if row.standing == each) for each in ("on", "")}
    gone = sum(row.calls for row in counts if row.standing == "unaccounted")
    usual = SeenLedger(
        as_of=AT, revision=70, is_current=True, on=sums["on"], unaccounted=gone, unreadable=0,
        counts=counts,
    )  # fmt: skip
    return replace(usual, **other)


def made(last: SeenLedger, first: SeenLedger | None = None) -> Books:
    found = books_of(Told(first=first or seen(), last=last, site="b"))
    assert found is not None
    return found


# ---- sums ----------------------------------------------------------------------------------------


def test_what_ended_and_what_is_on_is_what_was_offered() -> None:
    found = made(seen(*COUNTS), seen(count("a", 5, "on")))
    assert found.figures == {
        "offered": 15,
        "answered": 9,
        "abandoned": 0,
        "refused": 0,
        "lost": 2,
        "to_call_back": 1,
        "still_on": 3,
        "unaccounted": 0,
        "ledger_sums": 1.0,
    }
    assert found.findings == ("calls lost, by the sites' own records: 2 (edge_died 2)",)
    assert found.by == ("b control plane",)
    assert (found.rows, len(found.counts)) == ((), 4)
    assert found.figures.keys() <= FIGURES.keys()


def test_a_call_of_which_nothing_is_recorded_is_offered_and_told() -> None:
    found = made(seen(*COUNTS, count("c", 2, "unaccounted")))
    names = ("offered", "unaccounted", "ledger_sums")
    assert [found.figures[each] for each in names] == [17, 2, 0.0]
    assert "calls that were on, of which nothing is recorded: 2" in found.findings


def test_calls_that_were_on_at_first_and_are_in_no_later_sum_are_missed() -> None:
    found = made(seen(count("b", 1, "on")), seen(count("a", 4, "on")))
    assert found.figures["ledger_sums"] == 0.0
    assert found.findings == ("calls that were on at the first look and are in no later sum: 3",)


@pytest.mark.parametrize(
    ("other", "finding"),
    [
        ({"unaccounted": None}, "nobody knows: the control plane of b has not followed"),
        ({"is_current": False}, "the control plane of b had no news of the shared state"),
        ({"unreadable": 3}, "records of calls that cannot be read: 3"),
        ({"unreadable": None}, "the ledger has the calls of one tenant alone"),
    ],
)
def test_what_is_left_open_leaves_the_sum_open(other: dict[str, object], finding: str) -> None:
    found = made(seen(count("b", 3, "on"), **other))
    assert found.figures["ledger_sums"] == 0.0
    assert finding in found.findings[0]
    assert ("unaccounted" in found.figures) is (other.get("unaccounted", 0) is not None)


@pytest.mark.parametrize("told", [Told(), Told(first=seen()), Told(last=seen())])
def test_one_answer_alone_makes_no_ledger(told: Told) -> None:
    assert books_of(told) is None


def test_a_call_that_no_look_found_is_told_by_who_hears_of_all() -> None:
    looks = books(Counted(first=calls(), seen={}, last=calls(over("x"))), (), T0_MS)
    same = Told(first=seen(), last=seen(*COUNTS), site="b")
    assert beside(looks, same) is looks
    assert beside(looks, Told()) is looks
    gone = replace(same, last=seen(count("a", 2, "unaccounted")))
    found = beside(looks, gone)
    assert found.figures["ledger_sums"] == 0.0
    assert found.findings == (
        "the control plane of b has seen 2 calls go of which nothing is recorded, and the looks 0",
    )
    ghost = books(
        Counted(first=calls(), seen={call_row("y").call: call_row("y")}, last=calls()), (), T0_MS
    )
    one = replace(same, last=seen(count("a", 1, "unaccounted")))
    assert beside(ghost, one) is ghost, "both tell of the same one"


# ---- asking --------------------------------------------------------------------------------------


class Planes:
    """Control planes, of which each may be away, or know less."""

    def __init__(self) -> None:
        self.first, self.last = seen(count("a", 1, "on")), seen(*COUNTS)
        self.status = dict.fromkeys("abc", 200)
        self.knows: dict[str, SeenLedger] = {}
        self.asked: list[str] = []
        self.body: bytes | None = None

    async def __call__(self, url: str) -> Answer:
        """Answer a question for the ledger; none is answered where the status is negative."""
        self.asked.append(url)
        parts = urlsplit(url)
        assert parts.path == "/v1/ledger"
        site, status = parts.netloc, self.status[parts.netloc]
        if status < 0:
            raise TimeoutError
        told = self.knows.get(site, self.last if parts.query else self.first)
        body = msgspec.json.encode(told) if status == 200 else b"{}"
        return Answer(status=status, body=self.body or body, before_ms=0, after_ms=0)


@pytest.fixture
def planes(monkeypatch: pytest.MonkeyPatch) -> Planes:
    monkeypatch.setattr(ledgers, "AGAIN_S", 0.0)
    return Planes()


async def asked_of(planes: Planes, *down: str) -> Told:
    """Ask before and after these sites went down."""
    found = Ledgers(APIS, planes)
    await found.begin()
    planes.status |= dict.fromkeys(down, -1)
    await found.end()
    return found.told


async def test_what_has_come_since_is_asked_for_by_the_first_answers_revision(
    planes: Planes,
) -> None:
    told = await asked_of(planes)
    assert (told.first, told.last, told.site) == (planes.first, planes.last, "a")
    assert planes.asked[0] == "https://a/v1/ledger"
    query = parse_qs(urlsplit(planes.asked[1]).query)
    assert query == {"after": ["70"], "since": ["2023-11-14T22:03:20.000+00:00"]}
    assert len(planes.asked) == 2, "any of them tells of all sites"


async def test_where_a_site_is_down_the_next_one_counts(planes: Planes) -> None:
    told = await asked_of(planes, "a")
    assert (told.last, told.site) == (planes.last, "b")
    assert told.why_not == {"a": "it does not answer"}
    planes.status["b"] = 503
    told = await asked_of(planes, "a")
    assert told.site == "c"
    assert silent_because(told) == "a: it does not answer; b: it answers 503"


async def test_who_began_anew_meanwhile_is_passed_over_for_one_who_knows(planes: Planes) -> None:
    planes.knows = {"a": seen(*COUNTS, unaccounted=None), "b": seen(*COUNTS, is_current=False)}
    assert (await asked_of(planes)).site == "c"
    told = await asked_of(planes, "c")
    assert (told.site, told.last) == ("a", planes.knows["a"]), "better than nothing"


async def test_where_nobody_answers_they_are_asked_again(planes: Planes) -> None:
    told = await asked_of(planes, *"abc")
    assert told.last is None
    assert len(planes.asked) == 1 + ledgers.LAST_TRIES * len(APIS)


async def test_who_may_not_count_is_refused_once(planes: Planes) -> None:
    planes.status |= dict.fromkeys("abc", 403)
    told = await asked_of(planes)
    assert silent_because(told) == f"a: {MAY_NOT}"
    assert len(planes.asked) == 1


async def test_an_answer_that_cannot_be_read_tells_nothing(planes: Planes) -> None:
    planes.body = b"\xff"
    told = await asked_of(planes)
    assert set(told.why_not.values()) == {"it answers what cannot be read"}


# ---- evidence ------------------------------------------------------------------------------------


async def evidence(folder: Path, desk: Desk, planes: Planes | None) -> Evidence:
    """Return what a drill leaves whose desk falls silent, and site a with it."""

    def meanwhile() -> None:
        desk.is_silent = True
        if planes is not None:
            planes.status["a"] = -1

    onlookers = None if planes is None else Onlookers(APIS, planes, lambda: 0.0)
    ground = await drilled(folder, desk, meanwhile, onlookers)
    found = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    return replace(found, approvals=(PERMIT,))


async def test_where_no_desk_tells_of_calls_a_control_planes_sums_are_the_ledger(
    tmp_path: Path, desk: Desk, planes: Planes
) -> None:
    found = await evidence(tmp_path, desk, planes)
    assert found.ledger_by == ("b control plane",)
    row = CountRow(site="a", edge="a1", outcome="lost", cause="edge_died", calls=2)
    assert (found.ledger, found.ledger_counts[0]) == ((), row)
    names = ("offered", "lost", "still_on", "ledger_sums")
    assert [found.figures[each] for each in names] == [15, 2, 3, 1.0]
    assert "mismatches" not in found.figures, "sums do not tell which calls are test calls"
    assert "calls lost, by the sites' own records: 2 (edge_died 2)" in found.findings
    assert open_sealed(seal(found, KEY), {}, None) == found


async def test_the_page_tells_whose_sums_they_are(
    tmp_path: Path, desk: Desk, planes: Planes
) -> None:
    found = await evidence(tmp_path, desk, planes)
    text = page(found)
    assert "15 calls were on = 9 answered + 0 abandoned + 0 refused + 2 lost" in text
    by = "By the word of b control plane, which counts calls and names none: from the first look"
    assert f"The sum is exact. {by}" in text
    assert "which is compared with nothing" in text
    assert "<tr><td>a</td><td>0</td><td>0</td><td>0</td><td>2</td>" in text
    told = "9 answered + 0 abandoned + 0 refused + 2 lost + 1 sent away, to be called back"
    assert any(told in each and each.endswith(": exact") for each in lines(found))


async def test_where_control_planes_count_nothing_either_it_is_said_why(
    tmp_path: Path, desk: Desk, planes: Planes
) -> None:
    planes.status |= dict.fromkeys("abc", 403)
    found = await evidence(tmp_path, desk, planes)
    assert found.findings[-1] == (
        "there is no ledger of calls: the sites did not tell which were on; nor did control planes"
        f" count them (a: {MAY_NOT})"
    )
    assert "offered" not in found.figures


async def test_where_the_desk_tells_of_each_call_it_is_the_ledger(
    tmp_path: Path, desk: Desk, planes: Planes
) -> None:
    planes.last = seen(count("a", 1, "unaccounted"))
    desk.running = (call_row("long"),)
    onlookers = Onlookers(APIS, planes, lambda: 0.0)
    ground = await drilled(tmp_path, desk, lambda: None, onlookers)
    found = evidence_of("r1", FIRST, experiment_of("site_killed"), ground, COURSE)
    assert found.ledger_by == ("the shared state",)
    assert ([each.call for each in found.ledger], found.ledger_counts) == (["long"], ())
    assert found.figures["ledger_sums"] == 0.0
    assert any("has seen 1 calls go" in each for each in found.findings)
