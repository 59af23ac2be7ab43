from __future__ import annotations

import json
from contextlib import suppress
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from state import keys
from state.codec import (
    RECORD_TYPES,
    Record,
    decode,
    decode_at,
    decode_with_extras,
    encode,
)
from state.errors import BadKeyError, CodecError, FutureVersionError
from state.keys import Kind
from state.model import (
    Agent,
    AgentId,
    Queue,
    QueueId,
    Readiness,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Wish,
    Work,
)
from tests.state.records import TEXTS, keyed_records, records, unhurried

WISH = Wish(agent=AgentId("anna"), readiness=Readiness.PAUSED, reason="lunch")
KEY = keys.wish(AgentId("anna"))


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
@unhurried
@given(data=st.data())
def test_a_record_comes_back_as_it_went(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(records(kind))
    assert decode(RECORD_TYPES[kind], encode(value), "k") == value


@unhurried
@given(keyed_records())
def test_a_record_is_found_under_its_own_key(pair: tuple[str, Record]) -> None:
    key, value = pair
    assert decode_at(key, encode(value)) == value


def test_bytes_are_a_json_object_with_its_version() -> None:
    assert json.loads(encode(WISH)) == {
        "v": 1,
        "agent": "anna",
        "readiness": "paused",
        "reason": "lunch",
        "by": "",
    }


def test_fields_left_out_take_their_defaults() -> None:
    data = b'{"v":1,"agent":"anna","readiness":"ready"}'
    assert decode(Wish, data, KEY) == replace(WISH, readiness=Readiness.READY, reason="")


def test_unknown_fields_are_ignored_when_read() -> None:
    data = b'{"v":1,"agent":"anna","readiness":"paused","reason":"lunch","mood":{"a":[1]}}'
    assert decode(Wish, data, KEY) == WISH


@unhurried
@given(st.dictionaries(TEXTS.filter(lambda name: name != "v"), st.integers() | TEXTS, max_size=4))
def test_unknown_fields_survive_a_rewrite(unknown: dict[str, int | str]) -> None:
    raw = unknown | json.loads(encode(WISH))
    read = decode_with_extras(Wish, json.dumps(raw).encode(), KEY)
    rewritten = encode(replace(read.value, readiness=Readiness.READY), read.extras)
    assert json.loads(rewritten) == raw | {"readiness": "ready"}


def test_unknown_fields_of_a_nested_record_survive_a_rewrite() -> None:
    queue = Queue(id=QueueId("q"), needs=(SkillNeed(skill=SkillId("s")),))
    raw = json.loads(encode(queue))
    raw["weights"]["recency"] = 0.5
    raw["colour"] = "red"
    read = decode_with_extras(Queue, json.dumps(raw).encode(), "k")
    assert json.loads(encode(read.value, read.extras)) == raw


def test_a_field_of_this_version_is_never_taken_from_extras() -> None:
    assert decode(Wish, encode(WISH, {"reason": "other"}), KEY) == WISH


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"v":1',
        b'{"v":1}',
        b'{"v":"1","agent":"anna","readiness":"ready"}',
        b'{"v":1,"agent":"anna","readiness":"asleep"}',
        b'{"v":1,"agent":7,"readiness":"ready"}',
        b'{"v":0,"agent":"anna","readiness":"ready"}',
        b'{"v":1,"agent":"\xff","readiness":"ready"}',
        b"[" * 100_000,
    ],
)
def test_a_corrupt_record_is_an_error_that_names_its_key(data: bytes) -> None:
    with pytest.raises(CodecError, match=r"^/everline/state/wish/anna: .*delete the key$"):
        decode(Wish, data, KEY)


@pytest.mark.parametrize("unknown", [b'"\xff"', b"[" * 100_000 + b"]" * 100_000])
def test_an_unknown_field_that_cannot_be_kept_is_an_error_that_names_the_key(
    unknown: bytes,
) -> None:
    data = b'{"v":1,"agent":"anna","readiness":"ready","mood":' + unknown + b"}"
    with pytest.raises(CodecError, match=r"^/everline/state/wish/anna: .*delete the key$"):
        decode_with_extras(Wish, data, KEY)


@pytest.mark.parametrize("data", [b'{"v":2,"who":"anna"}', b'{"v":2}'])
def test_a_record_of_a_later_version_says_so(data: bytes) -> None:
    with pytest.raises(
        FutureVersionError, match=r"version 2 of Wish.*update it, or delete the key"
    ):
        decode(Wish, data, KEY)


@unhurried
@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_a_codec_error(data: bytes) -> None:
    with suppress(CodecError):
        decode(Work, data, "k")


def test_a_record_under_anothers_key_is_refused() -> None:
    with pytest.raises(CodecError, match="'agent' names another record"):
        decode_at(keys.wish(AgentId("bert")), encode(WISH))


def test_a_record_under_no_key_of_ours_is_refused() -> None:
    with pytest.raises(BadKeyError):
        decode_at("/everline/state/mood/anna", encode(WISH))


def test_any_mapping_may_stand_in_a_record() -> None:
    skills = MappingProxyType({SkillId("s"): 3})
    agent = Agent(id=AgentId("anna"), name="Anna", site=SiteId("a"), skills=skills)
    assert decode(Agent, encode(agent), "k").skills == {"s": 3}


def test_what_json_cannot_hold_is_an_error_that_names_the_type() -> None:
    with pytest.raises(CodecError, match=r"^Wish: cannot be written as JSON"):
        encode(replace(WISH, reason="\udcff"))
    odd = Site(id=SiteId("a"), name="A", sip="h:1", distance_ms={SiteId("b"): object()})  # type: ignore[dict-item]
    with pytest.raises(CodecError, match=r"^Site: cannot be written as JSON"):
        encode(odd)


def test_not_a_number_is_refused_when_written_not_when_read() -> None:
    with pytest.raises(CodecError, match=r"^Work: "):
        encode(Work(agent=AgentId("anna"), busy_s=float("nan")))


@pytest.mark.parametrize("number", ["9" * 19, "9" * 400, "-" + "9" * 400], ids=len)
def test_a_number_that_no_float_holds_is_an_error_that_names_its_key(number: str) -> None:
    data = b'{"v":1,"agent":"anna","ended_ms":%s}' % number.encode()
    key = keys.work(AgentId("anna"))
    with pytest.raises(CodecError, match=key):
        decode_at(key, data)


def test_errors_quote_no_value() -> None:
    with pytest.raises(CodecError) as caught:
        decode(Agent, msgspec.json.encode({"v": 1, "id": 5, "ha1": "secret"}), "k")
    assert "secret" not in str(caught.value)
