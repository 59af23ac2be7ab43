"""Evidence: what was written opens, and one changed byte anywhere is found."""

from __future__ import annotations

import json
import math
import re
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills.charts import calls_chart, looks_chart
from drills.cli.drill_report import last, report
from drills.cli.errors import CommandError
from drills.course import ASKED, PULLED, End
from drills.demo.reports import End as How
from drills.drill.keeping import MOST_FINDINGS
from drills.evidence import Alone, Judgement, Moment, judge, verdict
from drills.experiment import Bound
from drills.library import experiment_of, experiments
from drills.page import lines, page
from drills.sealing import TamperedError, hash_of, open_sealed, seal
from drills.shelf import EVIDENCE, PAGE, TRIALS_A_RUN, NotKeptError, Shelf, tamper
from drills.wording import FIGURES, limit, missed, told
from tests.acd.worlds import PATIENT
from tests.demo.invented import CALLERS
from tests.drills.good_run import evidence_of_run, seen
from tests.drills.pieces import EXPERIMENT, FILES, KEY, PERMIT, piece


def test_what_was_sealed_opens_as_it_was() -> None:
    found = open_sealed(seal(piece(), KEY), FILES, None)
    assert found == piece()
    assert found.held
    assert [moment.what for moment in found.timeline] == ["thing 0.0", "thing 1.5", "thing 2.0"]


@given(data=st.data())
@PATIENT
def test_one_changed_byte_is_found(data: st.DataObject) -> None:
    content = bytearray(seal(piece(), KEY))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TamperedError):
        open_sealed(bytes(content), FILES, KEY.public_key().public_bytes_raw().hex())


@pytest.mark.parametrize("word", ["signature", "public_key"])
def test_a_digit_of_the_seal_that_is_written_in_another_way_is_found(word: str) -> None:
    content = seal(piece(), KEY)
    whole = str(json.loads(content)[word])
    for at, digit in enumerate(whole):
        if digit.isalpha():
            other = f"{whole[:at]}{digit.upper()}{whole[at + 1 :]}"
            with pytest.raises(TamperedError):
                open_sealed(content.replace(whole.encode(), other.encode()), FILES, None)


def test_a_changed_or_missing_file_is_found_and_named() -> None:
    content = seal(piece(), KEY)
    with pytest.raises(TamperedError, match=r"callers\.pcap is not"):
        open_sealed(content, {"callers.pcap": b"Packets"}, None)
    with pytest.raises(TamperedError, match="missing"):
        open_sealed(content, {}, None)


def test_evidence_of_a_later_version_is_not_called_changed() -> None:
    """What it says there may mean something else, or be something that is not known here."""
    with pytest.raises(TamperedError, match=r"a later Everline .* version 3, and this one reads 2"):
        open_sealed(seal(replace(piece(), v=3), KEY), FILES, None)


def test_evidence_of_an_earlier_version_is_read() -> None:
    old = replace(piece(), v=1)
    assert open_sealed(seal(old, KEY), FILES, None) == old


def test_evidence_signed_by_somebody_else_is_refused() -> None:
    forged = seal(replace(piece(), why="all is well"), Ed25519PrivateKey.generate())
    with pytest.raises(TamperedError, match="another key"):
        open_sealed(forged, FILES, KEY.public_key().public_bytes_raw().hex())


def test_a_line_taken_out_of_the_timeline_or_another_plan_is_found_whoever_signs() -> None:
    whole = piece()
    with pytest.raises(TamperedError, match="timeline"):
        open_sealed(seal(replace(whole, timeline=whole.timeline[::2]), KEY), FILES, None)
    other = replace(whole, experiment=experiment_of("failback"))
    with pytest.raises(TamperedError, match="plan"):
        open_sealed(seal(other, KEY), FILES, None)


def test_more_in_the_file_than_was_signed_is_found() -> None:
    content = json.loads(seal(piece(), KEY))
    content["note"] = "approved"
    with pytest.raises(TamperedError):
        open_sealed(json.dumps(content).encode(), FILES, None)


def test_the_shelf_keeps_pieces_in_a_chain_and_misses_one_that_is_taken_out(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("r1", "r2", "r3"):
        shelf.put(piece(name, shelf.last_hash()), FILES, "page")
    assert [each.run for each in shelf.read_all()] == ["r1", "r2", "r3"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (shelf.folder("r2") / EVIDENCE).unlink()
    with pytest.raises(TamperedError, match="before r3"):
        list(shelf.read_all())
    assert shelf.read("r3").run == "r3"
    (shelf.folder("r3") / "callers.pcap").write_bytes(b"other")
    with pytest.raises(TamperedError):
        shelf.read("r3")


def test_a_piece_that_the_disk_took_half_of_is_not_on_the_shelf(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf.adding("site_killed") as (run, previous):
        shelf.put(piece(run, previous), FILES, "page")
    size = (shelf.folder(run) / EVIDENCE).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with (
            pytest.raises(NotKeptError, match=r"could not be kept in .*: File too large"),
            shelf.adding("site_killed") as (second, before),
        ):
            shelf.put(piece(second, before), FILES, "page")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert shelf.runs() == [run]
    assert len(list(shelf.read_all())) == 1
    assert not shelf.folder(second).exists(), "what there is of it would only fill the disk"


def test_which_piece_does_not_stand_is_named(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("r1", "r2", "r3"):
        shelf.put(piece(name, shelf.last_hash()), FILES, "page")
    (shelf.folder("r2") / "callers.pcap").unlink()
    with pytest.raises(TamperedError, match=r"r2: callers\.pcap is missing"):
        list(shelf.read_all())
    with pytest.raises(CommandError, match=r"evidence does not stand: r2: callers\.pcap"):
        report(verify=True, keep=tmp_path)


def test_evidence_of_another_run_in_a_runs_folder_is_found(tmp_path: Path) -> None:
    """A drill that held, copied over one that did not, would be shown as that one."""
    shelf = Shelf(tmp_path)
    for name in ("r1", "r2"):
        shelf.put(piece(name, shelf.last_hash()), FILES, "page")
    shutil.rmtree(shelf.folder("r2"))
    shutil.copytree(shelf.folder("r1"), shelf.folder("r2"))
    with pytest.raises(TamperedError, match="the evidence of r1, and not of r2"):
        shelf.read("r2")
    with pytest.raises(TamperedError, match="of r1, and not of r2"):
        shelf.peek("r2")
    with pytest.raises(CommandError, match="the evidence of r2 does not stand"):
        report("r2", keep=tmp_path)
    shutil.rmtree(shelf.folder("r2"))
    shelf.folder("r1").rename(shelf.folder("r9"))
    with pytest.raises(CommandError, match="r9: it is the evidence of r1"):
        report(verify=True, keep=tmp_path)


def test_a_page_that_was_changed_is_found_and_one_that_is_gone_misleads_nobody(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(piece("r1"), FILES, "<p>did not hold</p>")
    before = (shelf.folder("r1") / PAGE).read_text()
    assert report(verify=True, keep=tmp_path) == 0
    (shelf.folder("r1") / PAGE).write_text(before.replace("did not hold", "held"))
    with pytest.raises(CommandError, match=r"report\.html is not the page that was made"):
        report(keep=tmp_path)
    with pytest.raises(CommandError, match=r"r1: report\.html is not the page"):
        report(verify=True, keep=tmp_path)
    (shelf.folder("r1") / PAGE).unlink()
    assert report(verify=True, keep=tmp_path) == 0


def test_a_page_of_evidence_that_names_none_is_as_it_was(tmp_path: Path) -> None:
    """Earlier versions kept it under no seal."""
    shelf = Shelf(tmp_path)
    shelf.put(piece("r1"), FILES, "page")
    key = Ed25519PrivateKey.from_private_bytes((tmp_path / "key").read_bytes())
    (shelf.folder("r1") / EVIDENCE).write_bytes(seal(piece("r1"), key))
    (shelf.folder("r1") / PAGE).write_text("another")
    assert shelf.read("r1") == piece("r1")


def test_trials_are_made_of_what_was_kept_and_stands(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("r1", "r2", "r3", "r4"):
        files = {**FILES, "empty": b""} if name == "r4" else FILES
        sums = {each: hash_of(content) for each, content in files.items()}
        shelf.put(replace(piece(name, shelf.last_hash()), files=sums), files, "page")
    (shelf.folder("r1") / "notes.txt").write_text("looked at by Olga")
    (shelf.folder("r2") / "callers.pcap").unlink()
    shutil.rmtree(shelf.folder("r3"))
    tried, found, fallen = tamper(shelf, ["r1", "r2", "r3", "r4", "r9"])
    assert (tried, found) == (2 * TRIALS_A_RUN, 2 * TRIALS_A_RUN)
    gone = "it is not here"
    assert fallen == {"r2": "callers.pcap is missing", "r3": gone, "r9": gone}


def test_the_last_run_of_each_drill_is_read_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    names = []
    for _ in range(3):
        with shelf.adding("site_killed") as (run, previous):
            shelf.put(piece(run, previous), FILES, "page")
            names.append(run)
    (shelf.folder(names[0]) / EVIDENCE).write_text("{}")
    found = last(shelf, "site_killed")
    assert found is not None
    assert found.run == names[2]
    assert capsys.readouterr().err == "", "what is older is not looked at"
    (shelf.folder(names[2]) / EVIDENCE).write_text("{}")
    found = last(shelf, "site_killed")
    assert found is not None
    assert found.run == names[1]
    assert f"{names[2]} does not stand" in capsys.readouterr().err
    assert last(shelf, "site_frozen") is None


def test_runs_of_one_drill_are_found_without_reading_the_others(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for drill in ("site_killed", "not_killed", "site_killed"):
        with shelf.adding(drill) as (run, previous):
            shelf.put(piece(run, previous), FILES, "page")
    all_runs = shelf.runs()
    assert shelf.runs("site_killed") == [all_runs[0], all_runs[2]]
    assert shelf.runs("killed") == []


def test_pieces_that_come_at_once_from_two_labs_are_in_one_chain(tmp_path: Path) -> None:
    def keep(number: int) -> None:
        shelf = Shelf(tmp_path)
        with shelf.adding(f"drill{9 - number}") as (run, previous):
            shelf.put(piece(run, previous), FILES, "page")

    with ThreadPoolExecutor(4) as labs:
        list(labs.map(keep, range(8)))
    assert len(list(Shelf(tmp_path).read_all())) == 8


def test_the_page_says_what_was_found_and_quotes_nothing_as_code() -> None:
    text = page(piece(), [piece("r0")])
    for word in (EXPERIMENT.title, "calls are set up again", "at most 5 s", "2.5 s", "b edge b1"):
        assert word in text
    for word in ("rto_s", "a -&gt; b", "<svg", "It was completed", "1 of 1 expectations held"):
        assert word in text
    assert "Nobody had to: a lab of its own" in text
    assert "<script>" not in text
    assert any("held" in line for line in lines(piece()))


def test_charts_show_no_answer_and_no_look_where_there_was_none() -> None:
    calls = replace(piece().calls[0], people="refused", setup_ms=None)
    assert "refused, no answer, meant for a" in calls_chart((calls,))
    blind = tuple((float(at_s), {} if at_s in {3, 4} else {"waiting": 1.0}) for at_s in range(8))
    assert looks_chart(blind).count("<polyline") == 2, "no line over what nobody saw"
    assert looks_chart(tuple(each for each in blind if each[1])).count("<polyline") == 1


def test_words_of_charts_can_be_read_on_paper() -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 at least."""

    def luminance(colour: str) -> float:
        red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)

    def linear(part: float) -> float:
        return ((part + 0.055) / 1.055) ** 2.4 if part > 0.04 else part / 12.92

    colours = set(re.findall('<text [^>]*fill="([^"]+)"', page(piece(), [piece("r0")])))
    assert "currentColor" in colours
    pale = {each for each in colours - {"currentColor"} if 1.05 / (luminance(each) + 0.05) < 4.5}
    assert pale == set()


def test_what_was_missed_is_not_rounded_to_what_was_asked_for() -> None:
    late = Judgement(expected="rto_s <= 5", figure="rto_s", value=5.004, held=False)
    assert "<td>at most 5 s</td><td>5.004 s</td>" in page(replace(piece(), judgements=(late,)))
    assert missed(Bound(figure="rto_s", at_most=5.0), 5.3333) == "5.33 s"
    assert missed(Bound(figure="kept_share", at_least=1.0), 0.99996) == "99.996 %"
    assert missed(Bound(figure="setup_p99_ratio", at_most=1.2), 1.2004) == "1.2004 times"
    assert missed(Bound(figure="setup_after_ms", at_most=100.0), 100.3) == "100.3 ms"
    assert missed(Bound(figure="rto_s", at_most=5.0), None) == "not measured"


def test_of_two_expectations_of_one_figure_each_is_told_with_its_own_limit() -> None:
    least, most = Bound(figure="write_gap_s", at_least=1.0), Bound(figure="write_gap_s", at_most=9)
    experiment = replace(EXPERIMENT, expect=(least, most))
    values = {"write_gap_s": 12.0}
    found = replace(
        piece(),
        experiment=experiment,
        plan_hash=experiment.plan_hash,
        figures=values,
        judgements=judge(experiment.expect, values),
    )
    text = page(found, [replace(found, run="r0")])
    assert "<td>at least 1 s</td><td>12 s</td>" in text
    assert "<td>at most 9 s</td><td>12 s</td>" in text
    assert text.count(">at most 9 s</text>") == 1, "one chart, of what has an upper limit"


def test_findings_that_are_left_out_are_counted() -> None:
    calls = tuple(replace(each, end=How.FAULT, joined_ms=None) for each in CALLERS)
    kept = evidence_of_run(seen(callers=calls))
    assert len(kept.findings) == MOST_FINDINGS + 1
    assert kept.findings[-1].startswith("and ")


def test_the_page_says_what_was_broken_and_lost_as_it_was_and_not_as_it_was_planned() -> None:
    killed = Moment(after_s=0.0, at_ms=1, who="fault", what="kill_site c (for 12 s)")
    over = replace(killed, after_s=12.004, what=f"{killed.what} is over, by timer")
    figures = {"lost": 2.0, "offered": 60.0, "recordings_lost": 1.0, "recordings_due": 50.0}
    text = page(replace(piece(), timeline=(killed, over), figures=figures))
    assert "<td>kill_site c (for 12 s)</td><td>0.00 s</td><td>12.00 s, by timer</td>" in text
    assert "<td>calls lost</td><td>2 of 60</td>" in text
    assert "<td>recordings that are missing or not whole</td><td>1 of 50</td>" in text
    assert "acknowledged writes that are gone" not in text, "nobody wrote"
    again = replace(killed, after_s=20.0, at_ms=20_000)
    again_over = replace(over, after_s=32.004, at_ms=32_000)
    twice = page(replace(piece(), timeline=(killed, over, again, again_over)))
    assert "<td>0.00 s</td><td>12.00 s, by timer</td>" in twice
    assert "<td>20.00 s</td><td>32.00 s, by timer</td>" in twice
    late = replace(killed, who="runner", after_s=-0.002)
    assert "-0.00 s" not in page(replace(piece(), timeline=(late,)))


def test_the_page_does_not_say_of_a_fault_of_whose_end_nobody_told_that_it_needed_none() -> None:
    def said(what: str) -> str:
        made = Moment(after_s=0.0, at_ms=0, who="fault", what=what)
        text = page(replace(piece(), timeline=(made,)), ())
        return text[text.index("What was broken") : text.index("Guards")]

    assert "nothing to undo" in said("kill edge-b1")
    assert "not known to be over" in said("kill_site b (for 12 s)")
    assert "not known to be over" in said("shape a-b (10 % loss, 50 ms delay, for 0.5 s)")


def test_the_page_says_what_no_other_site_had_recorded_and_what_was_cut_off() -> None:
    alone = Alone(site="b", recordings=2, recorded_s=31, under_way=3, under_way_s=12.5)
    figures = {"cut_off_talk_s": 20.0, "cut_off_unrecorded_s": 6.25}
    text = page(replace(piece(), alone=(alone,), figures=figures))
    assert "<td>b</td><td>2</td><td>31 s</td><td>3</td><td>12.5 s</td>" in text
    assert "<td>talk of calls that were cut off and is not recorded</td>" in text
    assert "<td>6.25 s of 20 s</td>" in text
    assert "no other site had" not in page(piece())


def test_the_page_says_who_asked_and_who_approved_in_quotes() -> None:
    permit = replace(PERMIT, why="<b>quarterly</b>", ticket="CHG-7")
    text = page(replace(piece(), approvals=(permit,)))
    assert "asked for by Olga (usr_sre) (&lt;b&gt;quarterly&lt;/b&gt;, CHG-7)" in text
    assert "approved by usr_manager at 2026-11-28T18:00:00Z" in text
    assert "Nobody had to" not in text


def test_every_figure_that_a_reviewed_drill_expects_has_words_and_a_unit() -> None:
    expected = {bound.figure for each in experiments().values() for bound in each.expect}
    assert expected <= FIGURES.keys()


@pytest.mark.parametrize(
    ("bound", "value", "words"),
    [
        (Bound(figure="rto_s", at_most=5.0), 0.513444, ("at most 5 s", "0.51 s")),
        (Bound(figure="kept_share", at_least=0.99), 1.0, ("at least 99 %", "100 %")),
        (Bound(figure="ledger_exact", at_least=1.0), 0.0, ("yes", "no")),
        (Bound(figure="failed", at_most=0.0), 2.0, ("none", "2")),
        (Bound(figure="clock_off_s", at_least=500.0), 599.99, ("at least 500 s", "600 s")),
        (Bound(figure="final_answer_s", at_most=8.0), math.inf, ("at most 8 s", "without end")),
        (Bound(figure="unheard_of", at_most=3.0), None, ("at most 3", "not measured")),
    ],
)
def test_limits_and_values_are_told_in_words_and_units(
    bound: Bound, value: float | None, words: tuple[str, str]
) -> None:
    assert (limit(bound), told(bound.figure, value)) == words


def test_a_drill_that_was_not_begun_tested_nothing() -> None:
    not_begun = replace(piece("r2"), end=End.NOT_STEADY, why="no steady state", judgements=())
    assert verdict(not_begun) == "NOT BEGUN"
    assert "was not tested: the drill was not begun" in page(not_begun)
    assert "expectations held" not in page(not_begun)
    assert list(lines(not_begun)) == []


@pytest.mark.parametrize("why", [PULLED, ASKED])
def test_a_drill_that_somebody_stopped_shows_nothing_for_or_against(why: str) -> None:
    stopped = replace(piece(rto_s=9.0), end=End.ABORTED, why=why)
    assert (verdict(stopped), stopped.held) == ("STOPPED", False)
    assert "somebody stopped the drill" in page(stopped)
    assert "did not hold" not in page(stopped)
    by_limit = replace(stopped, why="limit reached: sites_serving >= 2, but it is 1")
    assert verdict(by_limit) == "BROKEN"


def test_a_drill_that_aborts_itself_is_stopped_by_the_lever_alone() -> None:
    itself = replace(piece(), experiment=experiment_of("drill_aborted"), end=End.ABORTED, why=ASKED)
    assert verdict(itself) == "held"
    assert verdict(replace(itself, why=PULLED)) == "STOPPED"


def test_a_drill_of_which_nothing_could_be_judged_has_shown_nothing() -> None:
    unseen = replace(piece(), judgements=())
    assert not unseen.held
    assert verdict(unseen) == "BROKEN"


def test_a_figure_that_is_missing_does_not_hold() -> None:
    (found,) = judge((Bound(figure="x", at_most=5.0),), {})
    assert found == Judgement(expected="x <= 5", figure="x", value=None, held=False)
