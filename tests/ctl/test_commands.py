"""The commands that follow from the API's document, and what is made of a typed line."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from control_plane.api import docstrings, openapi
from control_plane.api.route import Public
from control_plane.app import ROUTES
from drills.cli.progress import console
from drills.ctl import follow, line, manual, problems, run, show
from drills.ctl.client import Api, Reply
from drills.ctl.commands import RESERVED, Command, commands
from drills.ctl.line import LineError
from drills.ctl.problems import Problem
from drills.ctl.schema import BadValueError, Schemas

README = Path(__file__).parents[2] / "README.md"
DOCUMENT: dict[str, Any] = json.loads(
    json.dumps(openapi.document(ROUTES, "1", docstrings.of_fields))
)
ALL = commands(DOCUMENT)
SCHEMAS = Schemas(DOCUMENT["components"]["schemas"])


def typed(*words: str) -> line.Line:
    command, rest = line.find(ALL, words)
    return line.understand(command, rest)


def sent(*words: str) -> line.Request:
    found = typed(*words)
    return line.request(found, SCHEMAS, None, is_partial=found.command.merges)


def test_every_endpoint_that_needs_a_token_has_a_command() -> None:
    found = Counter((each.method, each.path) for each in ALL if not each.merges)
    wanted = {
        (route.method.value, route.path) for route in ROUTES if not isinstance(route.access, Public)
    }
    assert set(found) == wanted
    assert set(found.values()) == {1}


def test_what_needs_no_token_is_what_signing_in_is_made_of() -> None:
    """`ctl sign-in` asks these; another one would need a command of its own."""
    public = {route.path for route in ROUTES if isinstance(route.access, Public)}
    assert public == {
        "/v1/sessions", "/v1/sessions/refresh", "/v1/oidc/begin", "/v1/oidc/complete",
    }  # fmt: skip


def test_no_option_of_an_endpoint_hides_one_of_ctl_itself() -> None:
    for command in ALL:
        names = [each.name for each in (*command.options, *command.places)]
        assert not set(names) & RESERVED, command.name
        assert len(names) == len(set(names)), command.name
    assert set(line.OWN) == RESERVED


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("queues list", "GET", "/v1/queues"),
        ("queues show", "GET", "/v1/queues/{id}"),
        ("queues add", "POST", "/v1/queues"),
        ("queues replace", "PUT", "/v1/queues/{id}"),
        ("queues change", "PUT", "/v1/queues/{id}"),
        ("users change", "PATCH", "/v1/users/{user}"),
        ("plans activate", "POST", "/v1/plans/{id}/activate"),
        ("plans state", "GET", "/v1/plans/{id}/state"),
        ("sites drain", "POST", "/v1/sites/{id}/drain"),
        ("events", "GET", "/v1/events"),
        ("customers import", "POST", "/v1/customer-import"),
        ("customers by-number", "GET", "/v1/customers/by-number/{number}"),
        ("customers cases add", "POST", "/v1/customers/{customer}/cases"),
        ("configuration rollback", "POST", "/v1/configuration/rollback"),
        ("configuration versions list", "GET", "/v1/configuration/versions"),
    ],
)
def test_a_path_becomes_a_resource_and_a_verb(name: str, method: str, path: str) -> None:
    named = {each.name: each for each in ALL}
    assert (named[name].method, named[name].path) == (method, path)


def test_words_become_path_query_and_body() -> None:
    request = sent("queues", "add", "sales", "--needs", "sales=3,german=2", "--dry-run")
    assert request.path == "/v1/queues?dry_run=true"
    assert request.body == {"id": "sales", "needs": {"sales": 3, "german": 2}}
    assert sent("configuration", "rollback", "12").body == {"to": 12}
    request = sent("customers", "by-number", "+49 30 1/2", "--tenant", "t2", "--purpose", "x")
    assert request.path == "/v1/customers/by-number/%2B49%2030%201%2F2"
    assert request.headers == {"Everline-Tenant": "t2", "Everline-Purpose": "x"}
    request = sent("plans", "activate", "storm", "the line is down")
    assert (request.path, request.body) == ("/v1/plans/storm/activate", {"why": "the line is down"})
    request = sent("users", "change", "usr_1", "--roles", "role:agent,role:sre", "--team", "")
    assert request.body == {"roles": ["role:agent", "role:sre"], "team": ""}


def test_no_and_json_and_what_is_given_twice() -> None:
    assert sent("queues", "list", "--limit=5").path == "/v1/queues?limit=5"
    body = sent("sites", "drain", "a", "true", "--backups", "b", "--backups", "c").body
    assert body == {"draining": True, "backups": ["b", "c"]}
    assert sent("queues", "change", "s", "--weights", '{"load": 2}').body == {
        "weights": {"load": 2}
    }


@pytest.mark.parametrize("text", ["[INC-7] a site is down", "{urgent", '{"a": 1}', "[1]", "4111"])
def test_text_that_looks_like_json_stays_text(text: str) -> None:
    assert sent("plans", "activate", "storm", text).body == {"why": text}
    made = sent("customers", "add", "--name", "Anna", "--notes", text, "--sensitive", f"pin={text}")
    assert made.body == {"name": "Anna", "notes": text, "sensitive": {"pin": text}}


def test_what_a_map_holds_is_of_the_kind_that_it_wants() -> None:
    made = sent("customers", "change", "cus_1", "--sensitive", "pin=null,card=4111").body
    assert made == {"sensitive": {"pin": None, "card": "4111"}}
    assert sent("customers", "change", "cus_1", "--consent", "mail=no").body == {
        "consent": {"mail": False}
    }
    made = sent("agents", "change", "anna", "--attributes", 'floor=2,speaks=["de"]').body
    assert made == {"attributes": {"floor": "2", "speaks": ["de"]}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("quues", "list"), "there is nothing called 'quues'"),
        (("queues",), "which of these?"),
        (("queues", "show"), "ID is missing: queues show ID"),
        (("queues", "add", "s"), "--needs is missing"),
        (("queues", "show", "a", "b"), "'b' is too much"),
        (("queues", "list", "--limt", "3"), "--limt is not known here"),
        (("queues", "list", "--limit"), "--limit needs a value"),
        (("queues", "change", "s", "--no-greeting", ""), "--no-greeting is not known here"),
        (("queues", "add", "s", "--needs", "3"), "--needs should be NAME=VALUE"),
        (("queues", "add", "s", "--needs", "a=x"), "--needs should be a integer"),
    ],
)
def test_what_makes_no_sense_is_told_with_the_way_out(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(LineError) as caught:
        sent(*words)
    assert said in str(caught.value)


def test_the_command_lines_of_the_readme_make_sense() -> None:
    shown = re.findall(r"^\$ \./everline ctl (.*)$", README.read_text(), re.MULTILINE)
    lines = [shlex.split(each) for each in shown]
    lines = [each for each in lines if each[0] not in ("sign-in", "sign-out", "--help")]
    lines = [each for each in lines if each[-1] != "--help"]
    assert lines
    for words in lines:
        if "--from" in words:
            # What is needed stands in a file that the reader writes.
            line.request(typed(*words), SCHEMAS, None, is_partial=True)
        else:
            sent(*words)


async def test_all_pages_from_a_cursor_on_are_asked_for_by_one_cursor_each() -> None:
    """As what is printed below a page offers both: --all, or --cursor."""
    paths: list[str] = []

    class Asked(Api):
        def __init__(self) -> None:
            """Speak to nobody."""

        async def ask(self, method: str, path: str, **_words: object) -> Reply:
            """Return the last page."""
            paths.append(f"{method} {path}")
            return Reply(status=200, body=b'{"items": [{"id": "b"}], "next": null}', etag="")

    request = sent("queues", "list", "--limit", "1", "--cursor", "old", "--sort=-id")
    first = {"items": [{"id": "a"}], "next": "new"}
    found = [each["id"] async for each in run.pages(Asked(), request, first)]
    assert found == ["a", "b"]
    assert paths == ["GET /v1/queues?limit=1&sort=-id&cursor=new"]


def test_a_file_is_sent_as_it_is() -> None:
    found = typed("customers", "import", "people.csv", "--dry-run")
    assert (found.file, found.command.takes) == ("people.csv", "text/csv")
    assert line.request(found, SCHEMAS, None).path == "/v1/customer-import?dry_run=true"


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ALL:
        told = manual.help_of(command, SCHEMAS)
        assert all(f"--{each.name}" in told for each in command.options), command.name
        assert command.permission in told
    del capsys


def test_help_says_what_an_option_is_for_in_two_columns_that_fit() -> None:
    help_ = {each.name: manual.help_of(each, SCHEMAS, 80) for each in ALL}
    told = help_["queues add"]
    priority, music = (
        each for each in told.splitlines() if each[2:].startswith(("--prio", "--mu"))
    )
    assert priority.split(maxsplit=2)[2] == "Higher is served first. Left out: 0."
    assert priority.index("Higher") == music.index("What those who wait hear.")
    assert "With skill_fit, load, idle, distance." in " ".join(told.split())
    assert "--needs NAME=integer,..." in told
    assert "One of weighted, longest_idle," in " ".join(told.split())
    assert all(len(each) <= 80 for text in help_.values() for each in text.splitlines()[3:])


def test_help_offers_no_option_of_ctl_that_makes_no_difference() -> None:
    help_ = {each.name: manual.help_of(each, SCHEMAS) for each in ALL}
    for option, of_use, useless in (
        ("--again", "queues add", "queues show"),
        ("--if-match", "queues change", "queues add"),
        ("--output", "customers export", "queues list"),
        ("--from", "queues add", "customers import"),
        ("--all", "queues list", "queues show"),
        ("--yes", "sites drain", "queues list"),
    ):
        assert f"  {option} " in help_[of_use], (option, of_use)
        assert f"  {option} " not in help_[useless], (option, useless)
        with pytest.raises(LineError, match=f"{option} is not known here") as caught:
            typed(*useless.split(), option, "x")
        assert option not in str(caught.value).partition("there are")[2].split(", ")


def test_two_paths_of_one_name_are_refused() -> None:
    document: dict[str, Any] = {
        "paths": {
            "/v1/customers": {"get": {}},
            "/v1/customers/fields": {"get": {}},
            "/v1/customer-fields": {"get": {}},
        }
    }
    with pytest.raises(ValueError, match="customers fields"):
        commands(document)


def test_values_that_do_not_fit_are_refused() -> None:
    number = {"type": "integer"}
    assert SCHEMAS.value({"anyOf": [number, {"type": "null"}]}, [""]) is None
    for schema, word in (
        (number, "x"),
        ({"type": "boolean"}, "maybe"),
        ({"type": "object"}, "{"),
        ({"type": "array", "items": number}, "1,b"),
    ):
        with pytest.raises(BadValueError):
            SCHEMAS.value(schema, [word])


def test_problems_say_what_where_and_what_to_do() -> None:
    body = json.dumps({
        "type": "urn:x", "title": "It does not fit", "status": 422, "error_id": "invalid",
        "request_id": "r", "faults": [{"where": "body.name", "fault": "Field required"}],
    }).encode()  # fmt: skip
    told = problems.words(problems.read(422, body))
    assert told == "invalid: It does not fit.\n  body.name: Field required"
    assert "answered 502: <html>" in problems.words(problems.read(502, b"<html>"))
    over = {"title": "A token is needed", "error_id": "sign-in-needed", "status": 401}
    assert "ctl sign-in" in problems.words(problems.read(401, json.dumps(over).encode()))


def test_who_is_refused_hears_what_they_have_not_said() -> None:
    def hint(*words: str) -> str:
        return line.may_help(line.understand(*line.find(ALL, list(words))))

    assert hint("recordings", "waveform", "x") == (
        "Some rights count only with a purpose: --purpose WHY"
    )
    told = hint("customers", "export", "--purpose", "a move")
    assert "approval" in told
    assert "purpose" not in told
    assert hint("recordings", "waveform", "x", "--purpose", "y") == ""
    told = hint("customers", "export", "--purpose", "a move", "--approval", "apq_1")
    assert told.startswith("An approval is good once, for whoever asked for it")


CONTROL = {chr(each) for each in (*range(9), *range(11, 32), *range(127, 160))}


def event(notes: str) -> dict[str, Any]:
    return {"topic": "agents", "id": "ann", "what": "changed", "data": {"reason": notes}}


def printed(capsys: pytest.CaptureFixture[str], told: Any) -> str:  # noqa: ANN401 - JSON
    console().print(show.answer(told))
    return capsys.readouterr().out


def test_answers_become_tables(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "sales", "needs": {"a": 3}, "greeting": None}, {"id": "spare", "needs": {}}]
    told = printed(capsys, {"items": rows, "next": None})
    assert "greeting" not in told
    assert told.splitlines()[0].split() == ["id", "needs.a", "needs"][:2]
    assert "sales" in told
    assert printed(capsys, {"items": [], "next": None}) == "None.\n"
    thing = printed(capsys, {"version": 3, "findings": [{"id": "sales", "fault": "[odd] skill"}]})
    assert "[odd] skill" in thing, "brackets are no markup"
    assert printed(capsys, None) == "Done.\n"
    assert printed(capsys, {"customers": [], "call": None}) == "Nothing.\n"


def test_a_table_that_is_too_wide_leaves_out_what_says_least(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = [
        {
            "id": f"call{number}", "queue": "sales", "tenant": "main", "site": "a",
            "arrived": f"2026-11-28T19:36:2{number}.751Z", "ended": "2026-11-28T19:37:20.1Z",
            "agent": f"anna{number}", "caller": {"number": f"+49301234567{number}"},
            "service": {"level": {"of_all": 0.5 + number, "of_those_answered": number}},
        }
        for number in (1, 2)
    ]  # fmt: skip
    head, first, _, left = printed(capsys, {"items": told}).splitlines()
    names = ["id", "queue", "site", "arrived", "ended", "agent", "caller.number"]
    assert head.split() == [*names, "service.level.of_all"]
    assert first.split()[3:5] == ["2026-11-28", "19:36:21"]
    assert left == "No room for tenant, service.level.of_those_answered: --json tells all."
    narrow = Console(width=60, file=io.StringIO())
    narrow.print(show.answer({"items": told}))
    assert isinstance(narrow.file, io.StringIO)
    assert narrow.file.getvalue().split("\n")[0].split() == [
        "id",
        "queue",
        "arrived",
        "agent",
        "caller.number",
    ]


def test_what_one_looks_for_in_a_list_stays_and_what_is_not_so_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {
        "id": "apq_01m8jdqrn25xkzsj0nz7wpv3ej", "why": "x" * 50, "has_legal_hold": False,
        "by": "usr_01m8jdpe2cnrfzkcrt92wzhkqe", "contact": {"numbers": ["+49302000012"]},
        "state": "waiting",
    }  # fmt: skip
    head = printed(capsys, {"items": [row]}).splitlines()[0].split()
    assert head == ["id", "why", "contact.numbers", "state"]
    finding = {
        "severity": "warning", "section": "queues", "id": "orders", "field": "needs",
        "fault": "nobody has the skill 'sales' at level 3 or above",
        "remedy": "give an agent the skill, or ask for less",
    }  # fmt: skip
    assert "ask for less" in printed(capsys, {"items": [finding]}), "the way out is not left out"


def test_lists_are_lines_where_their_items_are_long_and_cut_where_they_are_many(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = ["p, role:agent, main, queue, read, always, deny", "p, role:sre"]
    assert f"  {lines[0]}\n  {lines[1]}\n" in printed(capsys, {"own": lines, "number": 1})
    told = printed(capsys, {"caller": list(range(700))})
    assert "28, 29, … (700 in all)" in told
    assert "30" not in told


@pytest.mark.parametrize("command", ["\x1b]52;c;cm0gLXJm\x07", "\x9b2J", "\x1b[8m", "a\rb", "\x7f"])
def test_what_people_have_written_is_no_command_to_the_terminal(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    notes = f"Zoë rang\n\ttwice {command} 😀"
    told = [
        printed(capsys, {"id": "cus_1", "notes": notes, "tags": [notes]}),
        printed(capsys, {"items": [{"id": "cus_1", "notes": notes}]}),
        problems.words(problems.read(502, notes.encode())),
        problems.words(Problem(status=422, error_id="unfit", title="No", detail=notes)),
        *follow.lines({"type": "events", "events": [event(notes)]}),
    ]
    for text in told:
        assert not set(command) & CONTROL & set(text), repr(text)
        assert "Zoë" in text
        assert "😀" in text


def test_a_conflict_shows_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(show.differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}))
    assert capsys.readouterr().out.splitlines()[1].split() == ["b.c", "2", "3"]


def test_what_was_changed_is_told_field_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    before = {"needs": {"orders": 1}, "priority": 0, "weights": {"load": 0.1 + 0.2}}
    changes = [
        {"section": "queues", "id": "orders", "before": before, "after": before | {"priority": 5}},
        {"section": "skills", "id": "sales", "before": None, "after": {"name": "Sales"}},
    ]
    told = printed(capsys, {"version": 4, "changes": changes})
    assert [each.split() for each in told.splitlines()[3:]] == [
        ["section", "id", "field", "was", "is"],
        ["queues", "orders", "priority", "0", "5"],
        ["skills", "sales", "name", "Sales"],
    ]
    assert printed(capsys, before).split()[-1] == "0.3"


def test_an_unchanged_command_is_a_value() -> None:
    assert isinstance(ALL[0], Command)
    assert commands(DOCUMENT) == ALL


def test_who_reads_no_further_is_no_fault() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "drills", "--help"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            cwd=README.parent,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")
