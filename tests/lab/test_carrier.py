"""What the lab's carrier is told of time: patience in a dialog, haste where a site may be dead."""

from __future__ import annotations

import re
from pathlib import Path

import drills.lab
from drills.demo.center import CALL_BACK
from drills.demo.phones import CALLED_AT, called_port
from drills.demo.scenario import NUMBERS

TEXT = Path(drills.lab.__file__).with_name("carrier").joinpath("kamailio.cfg").read_text()
ROUTES = dict(
    re.findall(r"^((?:failure_)?route\[\w+\]) \{\n(.*?)^\}", TEXT, flags=re.MULTILINE | re.DOTALL)
)
LINGER_MS = 64 * 500
"""64*T1: timers B and F, RFC 3261 §17.1."""


def silences_ms(route: str) -> list[int]:
    """Return how long somebody may say nothing to a request of a route."""
    return [int(each) for each in re.findall(r"t_set_fr\(\d+, (\d+)\)", ROUTES[route])]


def test_a_goodbye_waits_for_its_answer_as_long_as_the_standard_has_it() -> None:
    assert silences_ms("route[IN_DIALOG]") == [LINGER_MS]


def test_a_new_call_goes_on_to_the_next_site_after_a_second() -> None:
    assert silences_ms("route[HUNT]") == silences_ms("failure_route[NEXT]") == [1000]


def test_whoever_is_called_back_has_a_telephone_where_the_carrier_looks_for_it() -> None:
    out = ROUTES["route[OUT]"]
    assert f'$rU =~ "^{NUMBERS}[0-9][0-9][0-9][0-9]$"' in out
    assert f"{CALLED_AT} + $(rU{{s.substr,-4,0}}{{s.int}})" in out
    assert called_port(f"{NUMBERS}0042") == CALLED_AT + 42
    ringing_ms = int(re.findall(r"t_set_fr\((\d+), \d+\)", out)[0])
    assert ringing_ms > CALL_BACK.ring_s * 1000
