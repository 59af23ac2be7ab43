"""Whose silence tells that they are gone: of telephones whose like answers when it is asked."""

from __future__ import annotations

from edge.acd.answering_hosts import MOST_HOSTS, AnsweringHosts
from edge.acd.fallen_silent import LOOK_S, PATIENCE_S, Line, Next, answered, asked, looked, tried

HOST = "192.0.2.1"
HEARD = looked(None, 5, 0.0)
LATER_S = LOOK_S + PATIENCE_S


def _knowing(*hosts: str) -> AnsweringHosts:
    known = AnsweringHosts()
    for host in hosts:
        known.learn(host)
    return known


def test_who_falls_silent_is_asked_and_given_up_where_others_have_answered() -> None:
    hosts = _knowing(HOST)
    assert hosts.due(HEARD, HOST, 0.0) is Next.NOTHING
    assert hosts.due(HEARD, HOST, LOOK_S) is Next.ASK
    silent = answered(asked(HEARD, LOOK_S), is_there=False)
    assert hosts.due(silent, HOST, LOOK_S + PATIENCE_S) is Next.GIVE_UP


def test_at_a_host_of_which_nothing_is_known_it_is_tried_once() -> None:
    hosts = _knowing("192.0.2.2")
    assert hosts.due(HEARD, HOST, 0.0) is Next.TRY
    line = tried(HEARD, HOST)
    assert hosts.due(line, HOST, LATER_S) is Next.NOTHING
    assert hosts.due(looked(line, 9, LATER_S), HOST, LATER_S) is Next.NOTHING, "heard since"


def test_who_comes_to_speak_from_elsewhere_is_tried_there() -> None:
    assert _knowing().due(tried(HEARD, HOST), "192.0.2.2", LATER_S) is Next.TRY


def test_it_is_not_tried_with_who_was_never_heard_or_whose_host_nobody_knows() -> None:
    assert _knowing().due(Line(packets=0, since_s=0.0), HOST, LATER_S) is Next.NOTHING
    assert _knowing().due(HEARD, "", LATER_S) is Next.NOTHING


def test_what_comes_of_a_try_says_nothing_of_the_telephone() -> None:
    line = answered(tried(HEARD, HOST), is_there=False)
    assert _knowing().due(line, HOST, 60.0) is Next.NOTHING
    assert _knowing(HOST).due(line, HOST, 60.0) is Next.ASK


def test_of_too_many_hosts_the_one_that_was_learnt_first_is_forgotten() -> None:
    hosts = _knowing(*(f"host-{number}" for number in range(MOST_HOSTS)), "host-1", HOST)
    assert hosts.due(HEARD, "host-0", LOOK_S) is Next.TRY
    for known in ("host-1", HOST):
        assert hosts.due(HEARD, known, LOOK_S) is Next.ASK
