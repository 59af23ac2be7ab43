from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import keys
from state.errors import BadKeyError
from state.keys import Key, Kind
from state.model import AgentId, CallId, DidNumber, EdgeId, QueueId, SiteId, TrunkId
from tests.state.records import ids, unhurried

CALL = CallId("0123456789abcdef01234567")


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (keys.site(SiteId("a")), "/everline/state/config/site/a"),
        (keys.trunk(TrunkId("t")), "/everline/state/config/trunk/t"),
        (keys.did(DidNumber("+4930100")), "/everline/state/config/did/+4930100"),
        (keys.queue(QueueId("q")), "/everline/state/config/queue/q"),
        (keys.agent(AgentId("x")), "/everline/state/config/agent/x"),
        (keys.wish(AgentId("x")), "/everline/state/wish/x"),
        (keys.presence(AgentId("x")), "/everline/state/presence/x"),
        (keys.edge(EdgeId("a1")), "/everline/state/edge/a1"),
        (keys.probe(EdgeId("a1")), "/everline/state/probe/a1"),
        (keys.ticket(CALL), f"/everline/state/ticket/{CALL}"),
        (keys.place(CALL), f"/everline/state/place/{CALL}"),
        (keys.offer(AgentId("x")), "/everline/state/offer/x"),
        (keys.work(AgentId("x")), "/everline/state/work/x"),
        (keys.ended(CALL), f"/everline/ended/{CALL}"),
    ],
)
def test_each_key_is_spelt_as_the_architecture_says(built: str, expected: str) -> None:
    assert built == expected


@unhurried
@given(st.sampled_from(Kind).flatmap(lambda kind: st.tuples(st.just(kind), ids(kind))))
def test_a_key_parses_to_what_it_was_built_from(pair: tuple[Kind, str]) -> None:
    kind, identifier = pair
    assert keys.parse(keys.build(kind, identifier)) == Key(kind=kind, id=identifier)


@pytest.mark.parametrize(
    "identifier", ["", "a/b", "a b", "x" * 65, "ä", "a\n", "a\0", "..\x7f", "a:b", "*"]
)
def test_what_is_no_id_makes_no_key(identifier: str) -> None:
    with pytest.raises(BadKeyError, match="is no id for agent"):
        keys.agent(AgentId(identifier))
    assert not keys.is_id(identifier)


def test_a_call_id_of_other_shape_makes_no_ticket_key() -> None:
    with pytest.raises(BadKeyError, match="24 hex digits"):
        keys.ticket(CallId("call-1"))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/everline/state/",
        "/everline/state/wish/",
        "/everline/state/wish",
        "/everline/state/wishes/x",
        "/everline/state/wish/x/y",
        "/everline/state/ticket/XYZ",
        "everline/state/wish/x",
        "/other/state/wish/x",
        "/everline/state/wish/\udcff",
    ],
)
def test_a_key_that_is_none_of_ours_does_not_parse(key: str) -> None:
    with pytest.raises(BadKeyError):
        keys.parse(key)


@unhurried
@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused_and_nothing_else(text: str) -> None:
    try:
        parsed = keys.parse(text)
    except BadKeyError:
        return
    assert keys.build(parsed.kind, parsed.id) == text


def test_the_same_invite_makes_the_same_call_on_every_edge() -> None:
    first = keys.call_id_for("abc@198.18.10.10", "tag1")
    assert first == keys.call_id_for("abc@198.18.10.10", "tag1")
    assert re.fullmatch(r"[0-9a-f]{24}", first)
    assert keys.parse(keys.ticket(first)).id == first


def test_call_id_and_tag_do_not_run_into_each_other() -> None:
    assert keys.call_id_for("ab", "c") != keys.call_id_for("a", "bc")


def test_bytes_of_no_charset_in_a_call_id_are_taken_as_they_are() -> None:
    assert keys.call_id_for("a\udcff", "t") != keys.call_id_for("a\udcfe", "t")
