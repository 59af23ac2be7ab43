"""A flame graph is one well-formed file whose frames are as wide as their share."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from loadtests.bench.flame import WIDTH, boxes, svg

SAMPLES = {
    "/x/run.py:main;/x/edge/sip/message.py:parse": 30,
    "/x/run.py:main;/x/edge/calls/call.py:CallShell._take": 50,
    "/x/run.py:main": 20,
}
SVG = "{http://www.w3.org/2000/svg}"


def test_a_frame_is_as_wide_as_all_above_it_and_its_own_samples() -> None:
    found = {box.name: box for box in boxes(SAMPLES)}
    main, take = found["main (run.py)"], found["CallShell._take (call.py)"]
    assert (main.share, main.depth) == (1.0, 0)
    assert (take.share, take.depth) == (0.5, 1)


def test_frames_beside_each_other_do_not_overlap() -> None:
    row = sorted((box.left, box.share) for box in boxes(SAMPLES) if box.depth == 1)
    assert row[0][0] + row[0][1] == pytest.approx(row[1][0])


def test_the_file_is_xml_and_names_each_frame_with_its_share_and_part() -> None:
    root = ET.fromstring(svg(SAMPLES, "a call & <its> time"))  # noqa: S314 - written just now
    titles = [each.text or "" for each in root.iter(f"{SVG}title")]
    assert "parse (message.py): 30.0 %, SIP: reading messages" in titles
    widths = [
        float(each.attrib["width"]) for each in root.iter(f"{SVG}rect") if "rx" in each.attrib
    ]
    assert max(widths) < WIDTH
    assert all(width > 0 for width in widths)


def test_names_that_xml_could_not_hold_are_escaped() -> None:
    root = ET.fromstring(svg({"/x/a.py:<lambda>;/x/b.py:f.<locals>.<listcomp>": 1}, "t"))  # noqa: S314 - as above
    assert any("<locals>" in (each.text or "") for each in root.iter(f"{SVG}title"))


def test_what_is_too_thin_to_see_is_left_out() -> None:
    many = {f"/x/a.py:f{n}": 1 for n in range(5000)} | {"/x/a.py:wide": 5000}
    root = ET.fromstring(svg(many, "t"))  # noqa: S314 - as above
    assert len(list(root.iter(f"{SVG}title"))) == 1


def test_no_samples_make_an_empty_graph() -> None:
    assert ET.fromstring(svg({}, "nothing")).tag == f"{SVG}svg"  # noqa: S314 - as above
