"""Errors that programs logged under load, and what explains them."""

from __future__ import annotations

from drills.experiment import FaultKind
from loadtests.load.complaints import complaints, figures

DEAD = b'{"event":"relay_dead","calls":2,"edge":"a1","level":"error","timestamp":"x"}'
FAULT = b'{"event":"call_fault","call":"c","fault":"KeyError","at":"call.py:3","level":"error"}'
FINE = b'{"event":"call_ended","cause":"an error","level":"info"}'
OTHERS = b"kamailio[3]: ERROR: something else"


def test_error_is_explained_by_a_fault_that_brings_it_about_and_by_no_other() -> None:
    logs = {"edge-a1": [DEAD]}
    assert [e.explained for e in complaints(logs, {FaultKind.KILL})] == [True]
    assert [e.explained for e in complaints(logs, {FaultKind.SHAPE})] == [False]
    assert [e.explained for e in complaints(logs, ())] == [False]


def test_errors_of_one_kind_are_counted_together_and_named_by_their_fault() -> None:
    found = complaints({"edge-a1": [FAULT, FINE, FAULT, OTHERS], "edge-b1": [FAULT]}, ())
    told = [(each.program, each.event, each.why, each.count) for each in found]
    assert told == [
        ("edge-a1", "call_fault", "KeyError call.py:3", 2),
        ("edge-b1", "call_fault", "KeyError call.py:3", 1),
    ]


def test_figures_are_all_errors_and_those_that_nothing_explains() -> None:
    found = complaints({"edge-a1": [DEAD, FAULT]}, {FaultKind.KILL_SITE})
    assert figures(found) == {"errors.all": 2.0, "errors.unexplained": 1.0}


def test_nothing_logged_is_nothing_found() -> None:
    assert figures(complaints({"edge-a1": [FINE, b"", b"{"]}, ())) == {
        "errors.all": 0.0,
        "errors.unexplained": 0.0,
    }
