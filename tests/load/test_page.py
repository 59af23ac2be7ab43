"""The page of a load, as its reader sees it first."""

from __future__ import annotations

from msgspec.structs import replace

from drills.experiment import Bound
from loadtests.load.complaints import Complaint
from loadtests.load.figures import Judged, Limits, judge
from loadtests.load.growth import Slope
from loadtests.load.page import EMPTY_PAGE, with_verdict
from loadtests.load.plan import Request, ShapeName
from loadtests.load.report import Report
from tests.load.test_trends import caller, trends

PAGE = "<html><script>'<body>'</script><body><div id=root></div></body></html>"


def report(*limits: Judged) -> Report:
    slope = Slope(per_h=3.0, low_per_h=-1.0, high_per_h=7.0, followed_s=60.0, first=80.0, last=80.1)
    complaint = Complaint(
        program="edge-a1", event="call_fault", why="<KeyError>", count=2, explained=False
    )
    return Report(
        shape=ShapeName.SOAK,
        request=Request(shape=ShapeName.SOAK, seconds=60.0),
        machine={},
        rows=(),
        figures={},
        limits=limits,
        held=all(each.held for each in limits),
        missing_calls=(),
        faults=("at 20 s: edge-a1 is killed",),
        growth={"edge": {"memory_mb": slope}},
        complaints=(complaint,),
    )


HELD = Judged(limit="left.calls <= 0", value=0.0, held=True)
BROKEN = Judged(limit="sip.set_up.p99_ms <= 1000", value=None, held=False)


def test_verdict_stands_before_everything_else_and_the_page_stays_whole() -> None:
    page = with_verdict(PAGE, report(HELD))
    before, after = "<html><script>'<body>'</script><body>", "<div id=root></div></body></html>"
    assert page.startswith(f'{before}<section id="verdict">')
    assert page.endswith(f"</section>{after}")
    assert "all 1 limits held" in page


def test_broken_limits_faults_growth_and_errors_are_told() -> None:
    page = with_verdict(PAGE, report(HELD, BROKEN))
    assert "1 of 2 limits broken" in page
    assert '<td>not measured</td><td class="bad">BROKEN</td>' in page
    assert "at 20 s: edge-a1 is killed" in page
    assert "<td>+3.0</td><td>-1.0 and +7.0</td>" in page
    assert "&lt;KeyError&gt;" in page
    assert "<KeyError>" not in page


def test_what_was_missed_is_not_rounded_to_the_limit() -> None:
    limits = Limits(limit=(Bound(figure="calls.cut_off_share", at_most=0.35),))
    (missed,) = judge(limits, {"calls.cut_off_share": 0.350004})
    assert '<td>0.350004</td><td class="bad">BROKEN</td>' in with_verdict(PAGE, report(missed))
    (kept,) = judge(limits, {"calls.cut_off_share": 0.123456})
    assert "<td>0.1235</td><td>held</td>" in with_verdict(PAGE, report(kept))


def test_page_of_another_make_stays_as_it_is() -> None:
    assert with_verdict("<p>nothing", report(HELD)) == "<p>nothing"


def test_load_that_was_cut_short_says_so_first_also_where_locust_left_no_page() -> None:
    short = replace(report(HELD), held=False, incomplete=("Locust ended after 7 of <60> s",))
    page = with_verdict(EMPTY_PAGE, short)
    assert '<span class="bad">not a whole load, all 1 limits held</span>' in page
    assert '<p class="bad">Locust ended after 7 of &lt;60&gt; s</p>' in page


def test_course_is_drawn_and_what_was_broken_has_the_numbers_of_the_list() -> None:
    met = replace(report(HELD), trends=trends([caller(1.0)]))
    page = with_verdict(PAGE, met)
    assert "<ol><li>at 20 s: edge-a1 is killed</li></ol>" in page
    assert "<h2>What people met, over time</h2>" in page
    assert page.index("at 20 s: edge-a1") < page.index("<svg") < page.index("What one process held")
    assert "SIPp" not in page
    volume = replace(met, request=replace(met.request, sipp_per_s=5.0))
    assert "SIPp's calls are not here" in with_verdict(PAGE, volume)


def test_load_in_which_nobody_called_has_no_charts() -> None:
    page = with_verdict(PAGE, report(HELD))
    assert "over time" not in page
    assert "<svg" not in page
