"""What people of a load do whom no site answers. Locust patches its process: one of its own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

PREAMBLE = """
    import time
    from locust import HttpUser
    from loadtests.load.people import api
    from loadtests.load.people.agent import Agent
    from loadtests.load.people.api import GONE, Person
    from loadtests.load.plan import SiteRef

    asked, answers, errors = [], [], []

    class Playing(Agent):
        _agent = "ann"

        def __init__(self):
            self._seat, self._wanted, self._renew_at_s = object(), "", time.monotonic() + 60
            self._login = self._password = ""
            self._session, self._first = {"access_token": "old"}, "a"
            self._sites = [SiteRef(id=each, api="", sip="") for each in "abc"]

        def _ask(self, request):
            asked.append((request.method, request.path))
            status, *error_id = answers.pop(0), *errors[:1]
            errors[:1] = []
            return status, {"access_token": "new", "error_id": "".join(error_id)}, {}

        def _hear(self, seat):
            return None
"""


def played(scene: str) -> None:
    """Play a scene in a process of its own; what it asserts has to hold."""
    text = dedent(PREAMBLE) + dedent(scene)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_agent_whose_wish_no_site_could_write_down_asks_again() -> None:
    played("""
        ann = Playing()
        answers += [200, GONE, GONE, 200]
        ann._be("paused")
        ann._be("ready")
        ann.work()
        assert ann._wanted == "ready"
        ann.work()
        ann.work()
        assert asked == [("PUT", "/v1/agents/ann/state")] * 4, asked
    """)


def test_agent_whom_somebody_else_changes_just_then_asks_again() -> None:
    played("""
        ann = Playing()
        answers += [409, 200]
        errors += ["changing"]
        ann._be("ready")
        assert ann._wanted == "ready"
        ann.work()
        ann.work()
        assert asked == [("PUT", "/v1/agents/ann/state")] * 2, asked
    """)


@pytest.mark.parametrize("status", [403, 409])
def test_agent_who_is_refused_asks_no_more(status: int) -> None:
    played(f"""
        ann = Playing()
        answers.append({status})
        ann._be("ready")
        ann.work()
        assert len(asked) == 1
    """)


def test_whose_site_did_not_answer_looks_at_home_when_they_sign_in_anew() -> None:
    played("""
        ann = Playing()
        ann._go_on_elsewhere()
        ann._go_on_elsewhere()
        assert ann.here.id == "c"
        ann._renew_at_s = 0.0
        answers += [201, 200]
        ann.ask("GET", "/v1/me/call")
        assert [each.id for each in ann._sites] == ["a", "c", "b"], ann._sites
    """)


def test_stream_of_somebody_who_has_gone_to_another_site_goes_with_them() -> None:
    played("""
        ann = Playing()
        import gevent
        from types import SimpleNamespace

        api._AGAIN_S, at = 0.0, []

        def connect(query, cursor):
            at.append(ann.here.id)
            if len(at) == 2:
                raise gevent.GreenletExit
            return SimpleNamespace(close=lambda: None)

        def next_one(stream):
            ann._go_on_elsewhere()
            return {"revision": 7}

        ann._connect, ann._next = connect, next_one
        try:
            ann._stream("")
        except gevent.GreenletExit:
            pass
        assert at == ["a", "b"], at
    """)


def test_agent_passes_on_from_the_desktop_the_call_that_rang_and_says_so() -> None:
    played("""
        from types import SimpleNamespace
        from loadtests.load.people import agent
        from loadtests.load.telling import Told

        ann, noted = Playing(), []
        agent.ASKS_FIRST_S = (0.0, 0.0)
        ann._rung_s, ann._calls = {}, {}
        ann._dice = SimpleNamespace(random=lambda: 0.0, uniform=lambda *_: 0.0)
        ann._somebody_else = lambda: "bob"
        ann._phones = SimpleNamespace(note=noted.append)
        told = iter((
            Told(event="invite", phone="ann", role="agent", call="c1", sip_call_id="x@y"),
            Told(event="answered", phone="ann", role="agent", sip_call_id="x@y"),
            Told(event="answered", phone="ann", role="agent", sip_call_id="x@y"),
        ))
        ann._hear = lambda seat: next(told)
        answers += [200, 200, 200, 409]
        ann.work()
        ann.work()
        ann.work()
        assert asked[1::2] == [("POST", "/v1/calls/c1/transfer")] * 2, asked
        (line,) = noted
        assert b'"passed_on"' in line and b'"x@y"' in line, line
    """)


def test_engineer_whose_command_hangs_has_a_failed_row() -> None:
    played("""
        from loadtests.load.people import engineer

        found = []
        engineer.enter = lambda _, row: found.append(row)
        engineer.COMMAND_S = 0.05

        class Playing(engineer.Engineer):
            environment = None

            def __init__(self):
                pass

        Playing().list_drills()
        (row,) = found
        assert (row.name, row.fault) == ("drill list", "not done within 0.05 s"), row
    """)


def test_stream_of_somebody_whose_token_is_over_signs_in_anew() -> None:
    played("""
        import gevent
        from websocket import WebSocketBadStatusException

        ann, tokens = Playing(), []
        api._AGAIN_S = 0.0

        def connect(query, cursor):
            tokens.append(ann._session["access_token"])
            if tokens[-1] == "new":
                raise gevent.GreenletExit
            raise WebSocketBadStatusException("refused %d %s", 401)

        ann._connect = connect
        answers.append(201)
        try:
            ann._stream("")
        except gevent.GreenletExit:
            pass
        assert tokens == ["old", "new"], tokens
        assert asked == [("POST", "/v1/sessions")], asked
    """)
