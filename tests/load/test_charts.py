"""The charts of a load: what callers met over time, and what was broken meanwhile."""

from __future__ import annotations

import re

from drills.drawing import RED
from drills.fault import Fault, FaultKind
from loadtests.load.charts import charts
from loadtests.load.faults import Done
from loadtests.load.trends import Trends
from tests.load.test_trends import BEGAN_MS, agent, caller, told, trends

ALL = (
    "How calls ended",
    "Set-up",
    "Ring",
    "Answer until the caller is heard",
    "Wait for an agent",
    "RTP longest gap, caller",
    "RTP longest gap, agent",
    "MOS, caller",
    "MOS, agent",
)


def drawn(found: Trends) -> dict[str, str]:
    """Return what is drawn under each heading."""
    parts = charts(found).split("<h3>")[1:]
    return {part[: part.index("</h3>")]: part[part.index("</h3>") + 5 :] for part in parts}


def minute() -> list[Done]:
    """Return two faults that were made: a process killed, and a site gone for ten seconds."""
    kill = Fault(kind=FaultKind.KILL, target="edge-<a1>")
    site = Fault(kind=FaultKind.KILL_SITE, target="b", ttl_s=10.0)
    return [
        Done(at_s=at_s, drill=drill, fault=fault, from_ms=from_ms, until_ms=from_ms + ttl_ms)
        for at_s, drill, fault, ttl_ms in (
            (15.0, "edge_killed", kill, 0),
            (30.0, "site_killed", site, 10_000),
        )
        for from_ms in (BEGAN_MS + round(1000 * at_s),)
    ]


def test_every_kind_of_row_has_a_chart_that_says_in_words_what_it_shows() -> None:
    found = drawn(trends([caller(1.0), agent(4.0), caller(20.0), agent(23.0)]))
    assert tuple(found) == ALL
    for title, chart in found.items():
        (words,) = re.findall(r'aria-label="([^"]+)"', chart)
        assert f'<p class="dim">{words}</p>' in chart
        assert ("median" in words) is (title != "How calls ended")
        assert ("the 5th percentile" in words) is title.startswith("MOS")


def test_page_needs_no_network_and_no_script() -> None:
    page = charts(trends([caller(1.0), agent(4.0)], minute()))
    assert not re.search(r"https?:|<script|url\(|href|src=", page)


def test_row_that_nobody_made_has_no_chart() -> None:
    assert tuple(drawn(trends([caller(1.0, joined_ms=None, cause="impatient")]))) == ALL[:2]


def test_what_was_broken_is_a_band_or_a_line_in_every_chart() -> None:
    late = Fault(kind=FaultKind.KILL, target="edge-c1")
    at_ms = BEGAN_MS + 9_000_000
    after_all = Done(at_s=9000.0, drill="edge_killed", fault=late, from_ms=at_ms, until_ms=at_ms)
    for chart in drawn(trends([caller(1.0), agent(4.0)], [*minute(), after_all])).values():
        titles = re.findall(r"<title>(.*?)</title>", chart)
        assert titles == [
            "1: edge_killed: kill edge-&lt;a1&gt;",
            "2: site_killed: kill_site b (for 10 s)",
        ]
        bands = re.findall(r'<rect x="([\d.]+)" y="14" width="([\d.]+)"', chart)
        assert [(float(x), float(width)) for x, width in bands] == [(471.0, 139.7)]
        numbers = re.findall(rf'fill="{RED}" text-anchor="middle">(\d+)<', chart)
        assert numbers == ["1", "2"]


def test_numbers_that_would_overlap_are_left_out_and_no_band_is() -> None:
    many = [done for _ in range(40) for done in minute()]
    chart = drawn(trends([caller(1.0)], many))["Set-up"]
    assert chart.count("<title>") == 80
    assert len(re.findall(rf'fill="{RED}" text-anchor="middle">', chart)) == 2


def test_line_is_broken_where_nothing_was_measured() -> None:
    close = [caller(at_s / 10) for at_s in range(60)]
    found = trends([*close, *(caller(30 + at_s / 10) for at_s in range(60))])
    chart = drawn(found)["Set-up"]
    *_, median = re.findall(r'<path d="([^"]*)" fill="none"', chart)
    assert median.count("M") == 2
    assert median.count("H") == len(found.rows["SIP set-up"])


def test_ends_are_stacked_with_their_sums_and_what_failed_is_marked() -> None:
    dead = told(event="invite", role="caller", phone="15558000009/1", wall_ms=BEGAN_MS)
    lines = [dead, caller(1.0), caller(2.0), caller(2.5, cause="no_media", packets_lost=400)]
    found = drawn(trends(lines))
    ends = found["How calls ended"]
    assert ">talked: 2</text>" in ends
    assert ">cut off: 1</text>" in ends
    assert "of 1 more no telephone told the end" in ends
    blocks = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', ends)
    (x, y, height), (upper_x, upper_y, upper_height) = blocks[:2]
    assert x == upper_x
    assert float(upper_y) + float(upper_height) == float(y)
    assert float(height) == 2 * float(upper_height)
    assert "<title>1 of 3 failed</title>" in found["MOS, caller"]


def test_two_hours_of_soak_are_drawn_in_a_page_that_stays_small() -> None:
    lines = [each for at_s in range(0, 7200, 2) for each in (caller(at_s), agent(at_s))]
    page = charts(trends(lines, minute() * 60, seconds=7200.0))
    assert len(page) < 400_000
    assert ">120 min</text>" in page
