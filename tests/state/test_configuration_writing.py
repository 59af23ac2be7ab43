from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.calendar_tables import CalendarTable, calendar_of
from state.configuration import SECTIONS, Configuration, configuration_of, parse_configuration
from state.configuration_writing import table_of, tables_of
from state.model import Opening
from tests.state.records import IDS, unhurried
from tests.state.test_configuration import WHOLE

LEVELS = st.dictionaries(IDS, st.integers(1, 10), max_size=3)
WORDS = st.lists(IDS, max_size=2)
SCOPES = st.fixed_dictionaries({}, optional={"sites": WORDS, "teams": WORDS, "employers": WORDS})
STEPS = st.fixed_dictionaries(
    {"after_s": st.floats(0, 3600)},
    optional={
        "lower": LEVELS,
        "drop": WORDS,
        "drop_attributes": WORDS,
        "drop_preference": st.booleans(),
        "scope": SCOPES,
        "raise_priority": st.integers(0, 1000),
        "turn_away": st.sampled_from(["refuse", "callback"]),
    },
)
LIMITS = st.fixed_dictionaries(
    {"most": st.floats(0, 100_000)},
    optional={"overflow": IDS, "turn_away": st.sampled_from(["refuse", "callback"])},
)
COUNTRY = st.fixed_dictionaries(
    {}, optional={"announcement": IDS, "consent": IDS, "recorded": st.booleans()}
)
RECORDING = st.fixed_dictionaries(
    {},
    optional={
        "share": st.floats(0, 1),
        "announcement": IDS,
        "consent": IDS,
        "countries": st.dictionaries(st.sampled_from(["DE", "GB"]), COUNTRY, max_size=2),
        "key": st.sampled_from(["1", "#"]),
        "wait_s": st.floats(1, 20),
        "failure": st.sampled_from(["go_on", "end"]),
        "apology": IDS,
        "part_keyed": st.booleans(),
    },
)
CODES = st.fixed_dictionaries({}, optional={"name": st.text("abc", max_size=5), "tenant": IDS})
TABLES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "sites": st.fixed_dictionaries(
        {"sip": st.just("h:1")},
        optional={
            "name": st.text("abc", min_size=1, max_size=5),
            "distance_ms": st.dictionaries(IDS, st.integers(0, 60_000), max_size=2),
            "draining": st.booleans(),
            "shares": st.dictionaries(IDS, st.integers(0, 10), max_size=3),
            "backups": WORDS,
        },
    ),
    "trunks": st.fixed_dictionaries(
        {
            "addresses": st.lists(st.ip_addresses().map(str), min_size=1, max_size=3),
            "sip": st.just("198.18.10.10:5060"),
        },
        optional={
            "dial_out": st.lists(st.sampled_from(["+49", "1555", "0"]), max_size=2),
            "tenants": st.lists(IDS, min_size=1, max_size=2),
        },
    ),
    "queues": st.fixed_dictionaries(
        {"needs": LEVELS},
        optional={
            "priority": st.integers(-1000, 1000),
            "greeting": IDS,
            "music": IDS,
            "wrap_up_s": st.floats(0, 3600),
            "weights": st.fixed_dictionaries({}, optional={"load": st.floats(0, 1000)}),
            "any_of": st.lists(
                st.dictionaries(IDS, st.integers(1, 10), min_size=1, max_size=2), max_size=2
            ),
            "attributes": st.dictionaries(IDS, st.lists(IDS, min_size=1, max_size=2), max_size=2),
            "scope": SCOPES,
            "steps": st.lists(STEPS, max_size=3),
            "strategy": st.sampled_from(["weighted", "longest_idle"]),
            "aging_s": st.floats(1, 3600),
            "longest_queue": LIMITS,
            "longest_wait_s": LIMITS,
            "call_back": st.fixed_dictionaries(
                {"trunk": IDS},
                optional={
                    "tries": st.integers(1, 10),
                    "after_lost_s": st.floats(0, 3600),
                    "offer": st.sampled_from(["callback", "asked"]),
                    "key": st.sampled_from(["1", "*"]),
                    "wait_s": st.floats(1, 20),
                },
            ),
            "recording": RECORDING,
            "tenant": IDS,
        },
    ),
    "dids": st.fixed_dictionaries(
        {"queue": IDS},
        optional={
            "greeting": IDS,
            "tenant": IDS,
            "sites": WORDS,
            "calendar": IDS,
            "closed_queue": IDS,
            "closed": st.sampled_from(["refuse", "callback"]),
        },
    ),
    "calendars": st.fixed_dictionaries(
        {"zone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])},
        optional={
            "week": st.dictionaries(
                st.sampled_from(["mon", "sun"]),
                st.sampled_from([[], ["08:00-12:00"], ["13:30-24:00", "00:00-01:00"]]),
            ),
            "special": st.dictionaries(
                st.sampled_from(["2026-12-24", "2028-02-29"]), st.just(["10:00-11:00"])
            ),
            "tenant": IDS,
        },
    ),
    "pause_codes": CODES,
    "wrap_up_codes": CODES,
    "agents": st.fixed_dictionaries(
        {"site": IDS, "skills": LEVELS, "ha1": st.just("0" * 32)},
        optional={
            "name": st.text("abc", min_size=1, max_size=5),
            "attributes": st.dictionaries(IDS, st.lists(IDS, min_size=1, max_size=2), max_size=2),
            "team": IDS,
            "employer": IDS,
            "pause_after": st.integers(0, 100),
            "recorded": st.booleans(),
            "tenant": IDS,
        },
    ),
}


def test_every_section_is_written_back() -> None:
    assert set(TABLES) == set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
@unhurried
@given(data=st.data())
def test_a_noun_becomes_the_table_that_makes_it(section: str, data: st.DataObject) -> None:
    table = data.draw(TABLES[section])
    shape, make = SECTIONS[section].shape, SECTIONS[section].make
    noun = make("x", msgspec.convert(table, shape))
    again = msgspec.json.decode(msgspec.json.encode(table_of(noun)))
    assert make("x", msgspec.convert(again, shape)) == noun


def test_a_whole_configuration_goes_there_and_back() -> None:
    whole = parse_configuration(WHOLE)
    assert configuration_of(tables_of(whole)) == (whole, ())


def test_what_is_as_by_default_is_not_written() -> None:
    written = tables_of(parse_configuration(WHOLE))
    assert written["dids"] == {"+4930100": {"queue": "sales", "greeting": "hello"}}
    assert tables_of(Configuration())["queues"] == {}


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"zone": "Mars/Base"}, "no time zone"),
        ({"zone": "../etc/passwd"}, "no time zone"),
        ({"zone": "UTC", "week": {"mon": ["08:00-08:00"]}}, "end after it begins"),
        ({"zone": "UTC", "week": {"mon": ["23:00-24:01"]}}, "by 24:00"),
        ({"zone": "UTC", "week": {"mon": ["29:00-24:00"]}}, "end after it begins"),
        ({"zone": "UTC", "week": {"mon": ["08:00-12:00", "11:59-13:00"]}}, "overlap"),
        ({"zone": "UTC", "special": {"2026-02-29": []}}, "no date"),
    ],
)
def test_hours_that_make_no_sense_are_refused(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        calendar_of("x", msgspec.convert(table, CalendarTable))


def test_spans_that_touch_do_not_overlap() -> None:
    table = CalendarTable(zone="UTC", week={"mon": ["12:00-13:00", "08:00-12:00"]})
    assert calendar_of("x", table).week[0] == (
        Opening(begin=480, end=720),
        Opening(begin=720, end=780),
    )


DANGLING = """
[sites.a]
sip = "h:1"
backups = ["a"]
[queues.theirs]
needs = {}
tenant = "acme"
[queues.ours]
needs = {}
[[queues.ours.steps]]
after_s = 1
overflow = "theirs"
[calendars.theirs]
zone = "UTC"
tenant = "acme"
[dids.1]
queue = "theirs"
[dids.2]
queue = "ours"
calendar = "theirs"
closed_queue = "nowhere"
sites = ["z"]
"""


def test_each_finding_names_the_record_the_field_and_the_way_out() -> None:

    _, findings = configuration_of(tomllib.loads(DANGLING))
    assert not [each for each in findings if isinstance(each, str) or not each.remedy]
    assert {
        (each.section, each.id, each.field) for each in findings if not isinstance(each, str)
    } == {
        ("sites", "a", "backups"),
        ("queues", "ours", "steps"),
        ("dids", "1", "queue"),
        ("dids", "2", "calendar"),
        ("dids", "2", "closed_queue"),
        ("dids", "2", "sites"),
    }


def test_another_tenants_record_looks_as_if_it_were_missing() -> None:

    foreign = configuration_of(tomllib.loads(DANGLING))[1]
    missing = configuration_of(tomllib.loads(DANGLING.replace("[queues.theirs]", "[queues.x]")))[1]
    assert [str(each) for each in foreign] == [str(each) for each in missing]
