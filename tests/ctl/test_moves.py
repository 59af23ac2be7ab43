"""Moving traffic from the terminal: short words, and what it comes to before it is done."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from drills.ctl import run
from drills.ctl.line import LineError
from drills.ctl.moves import expanded, outside, shown, tried

QUEUE = {
    "queue": "sales",
    "fits": False,
    "erlangs": 4.0,
    "agents": 3.0,
    "suited": 3,
    "short": 3,
    "wait_s": None,
    "level": 0.0,
    "was_level": 0.9,
    "imagined_wait_s": 81.0,
    "imagined_level": 0.25,
    "imagined_was_level": 1.0,
}
SITE = {
    "site": "b",
    "fits": False,
    "is_draining": False,
    "agents": 3,
    "calls_per_s": 1.0,
    "was_calls_per_s": 0.0,
    "erlangs": 12.2,
    "lines": 20,
    "room": 8,
    "lines_short": 12,
}
MOVE = {
    "is_checked": True,
    "fits": False,
    "emergency": "",
    "others_short": 0,
    "target_s": 20.0,
    "queues": [QUEUE],
    "sites": [SITE],
}


def printed(move: dict[str, object]) -> str:
    console = Console(width=140, file=None)
    with console.capture() as captured:
        console.print(shown(move))
    return captured.get()


def test_what_is_not_for_a_tenant_to_know_of_a_site_is_a_dash() -> None:
    hidden = ("agents", "calls_per_s", "was_calls_per_s", "erlangs", "lines", "room")
    told = printed(MOVE | {"queues": [], "sites": [SITE | dict.fromkeys(hidden)]})
    (row,) = (line for line in told.splitlines() if line.split()[:1] == ["b"])
    assert row.split() == ["b", *["-"] * len(hidden), "12"]


def test_short_words_are_those_of_the_api() -> None:
    assert expanded(["drain", "a", "--why", "x"]) == [
        *("sites", "drain", "a", "--why", "x", "--draining")
    ]
    assert expanded(["drain", "a", "--no-draining"]) == ["sites", "drain", "a", "--no-draining"]
    assert expanded(["plan", "flood"]) == ["plans", "activate", "flood"]
    assert expanded(["queues", "list"]) == ["queues", "list"]
    *head, whole = expanded(["share", "a", "a=70", "b=30", "--json"])
    assert head == ["sites", "traffic", "a", "--json", "--from"]
    assert json.loads(whole) == {"shares": {"a": 70, "b": 30}}


def test_a_share_that_is_no_percent_is_named() -> None:
    with pytest.raises(LineError, match="b=half"):
        expanded(["share", "a", "b=half"])


def test_a_trial_keeps_what_else_was_asked() -> None:
    assert tried("/v1/sites/a/drain") == "/v1/sites/a/drain?dry_run=true"
    assert tried("/v1/sites/a/drain?why=x") == "/v1/sites/a/drain?why=x&dry_run=true"


def test_what_would_not_fit_is_shown_with_its_waits() -> None:
    text = printed(MOVE)
    for word in ("sales", "for ever", "81.0 s", "25%", "3.0 of 3", "does NOT fit", "12"):
        assert word in text


def test_an_emergency_and_what_could_not_be_seen_are_said() -> None:
    assert "a is dead or fails" in printed(MOVE | {"emergency": "a is dead or fails"})
    assert "It fits." in printed(MOVE | {"fits": True})
    assert "cannot be seen" in printed({"is_checked": False, "why_unchecked": "cannot be seen"})
    assert "2 queues of other tenants" in printed(MOVE | {"others_short": 2})


def test_whose_calls_go_outside_is_said_once() -> None:
    found = {"section": "dids", "field": "forward", "fault": "they go outside"}
    other = found | {"section": "queues", "field": "needs", "id": "sales"}
    assert outside([other]) is None
    text = outside([other, *(found | {"id": str(each)} for each in range(7))])
    assert text is not None
    assert text.plain == "0, 1, 2, 3, 4 and 2 more: they go outside."


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("yes", True), ("", False)])
def test_whoever_sits_there_is_asked_after_the_table(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    answer: str,
    goes_on: bool,
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert run._may_go_on({"move": MOVE}) is goes_on  # noqa: SLF001 - the question itself
    assert "does NOT fit" in "".join(capsys.readouterr())
    found = {"section": "dids", "field": "forward", "id": "4930111", "fault": "they go outside"}
    run._may_go_on({"move": MOVE, "findings": [found]})  # noqa: SLF001 - likewise
    assert "4930111: they go outside." in "".join(capsys.readouterr())
    assert run._may_go_on({"version": 3}), "nobody is asked"  # noqa: SLF001 - likewise
