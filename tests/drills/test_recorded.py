"""What control planes have recorded of a drill's calls, and why one tells nothing."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from drills.drill import recorded
from drills.drill.onlooking import Answer
from drills.drill.recorded import MAY_NOT, records
from drills.onlookers import Recorded, SeenCall, SeenCalls
from state.model import CallId, SiteId

APIS = {SiteId("a"): "https://a", SiteId("b"): "https://b"}
NOW_MS = 1_700_000_000_000
CAME = {CallId("x"): NOW_MS, CallId("y"): NOW_MS + 4_000}


class Planes:
    """Control planes that have recorded the same, two calls a page."""

    def __init__(self, **ended: str) -> None:
        self.ended = ended
        self.unlisted: set[str] = set()
        self.status = {"a": 200, "b": 200}
        self.asked: list[str] = []
        self.body: bytes | None = None

    async def __call__(self, url: str) -> Answer:
        """Answer a listing, or one call."""
        self.asked.append(url)
        parts = urlsplit(url)
        status, body = self.status[parts.netloc], b"{}"
        if status < 0:
            raise TimeoutError
        _, _, call = parts.path.partition("/v1/calls/")
        if status == 200 and call and call not in self.ended:
            status = 404
        elif status == 200:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = msgspec.json.encode(self.one(call) if call else self.page(query))
        return Answer(status=status, body=self.body or body, before_ms=0, after_ms=0)

    def one(self, call: str) -> SeenCall:
        """Return one call."""
        return SeenCall(id=call, state="ended", outcome=self.ended[call])

    def page(self, query: dict[str, str]) -> SeenCalls:
        """Return a page."""
        assert query["is_live"] == "false"
        listed = [each for each in sorted(self.ended) if each not in self.unlisted]
        first = int(query.get("cursor", "0"))
        more = str(first + 2) if first + 2 < len(listed) else None
        found = tuple(self.one(each) for each in listed[first : first + 2])
        return SeenCalls(items=found, next=more)


async def test_every_control_plane_is_read_page_by_page_for_the_calls_of_the_drill() -> None:
    planes = Planes(s="lost", t="lost", u="lost", x="answered", y="lost")
    told = {"x": "answered", "y": "lost"}
    found = await records(APIS, planes, CAME)
    assert found == (Recorded(site="a", calls=told), Recorded(site="b", calls=told))
    assert "since=2023-11-14T22%3A13%3A20.000%2B00%3A00" in planes.asked[0]
    assert len(planes.asked) == 6


async def test_a_call_that_came_long_before_is_read_by_its_id() -> None:
    planes = Planes(x="answered", y="lost")
    planes.unlisted = {"x"}
    long_before = {CallId("x"): NOW_MS - 3_600_000, CallId("y"): NOW_MS}
    (found, _) = await records(APIS, planes, long_before)
    assert found.calls == {"x": "answered", "y": "lost"}
    assert "since=2023-11-14T22%3A03%3A20" in planes.asked[0]
    assert planes.asked[1] == "https://a/v1/calls/x"


async def test_a_call_that_is_not_for_these_eyes_is_not_told() -> None:
    (found, _) = await records(APIS, Planes(x="answered"), CAME)
    assert found.calls == {"x": "answered"}
    assert found.why_not == ""


async def test_of_very_many_that_are_missing_only_some_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorded, "MOST_BY_ID", 1)
    planes = Planes()
    await records({SiteId("a"): "https://a"}, planes, CAME)
    assert len(planes.asked) == 2


async def test_who_may_not_read_calls_is_refused_once_and_asks_no_further() -> None:
    planes = Planes()
    planes.status = {"a": 403, "b": 403}
    found = await records(APIS, planes, CAME)
    assert [each.why_not for each in found] == [MAY_NOT, MAY_NOT]
    assert len(planes.asked) == 1


@pytest.mark.parametrize(("status", "why"), [(-1, "it does not answer"), (503, "it answers 503")])
async def test_a_control_plane_that_is_away_keeps_no_other_from_telling(
    status: int, why: str
) -> None:
    planes = Planes(x="answered", y="lost")
    planes.status["a"] = status
    one, other = await records(APIS, planes, CAME)
    assert (one.why_not, one.calls) == (why, {})
    assert set(other.calls) == {"x", "y"}


async def test_an_answer_that_cannot_be_read_is_said_to_be_none() -> None:
    planes = Planes()
    planes.body = b"\xff"
    (found, _) = await records(APIS, planes, CAME)
    assert found.why_not == "it answers what cannot be read"


async def test_where_no_call_was_over_nobody_is_asked() -> None:
    planes = Planes()
    assert [each.calls for each in await records(APIS, planes, {})] == [{}, {}]
    assert planes.asked == []


@pytest.mark.parametrize("came_ms", [-(10**15), 10**18])
async def test_a_record_with_a_stamp_that_is_no_time_loses_no_evidence(came_ms: int) -> None:
    (found, _) = await records(APIS, Planes(x="answered"), {CallId("x"): came_ms})
    assert found.calls == {"x": "answered"}
