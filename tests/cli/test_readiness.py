"""What would happen if a site died now, by Erlang and by the matcher."""

from __future__ import annotations

from contextlib import nullcontext

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from drills.cli import readiness as command
from drills.cli.errors import Exit
from drills.desk.answers import Readiness
from drills.desk.readiness import readiness, shown
from state import keys
from state.model import (
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    PresenceState,
    QueueId,
    SiteId,
    TicketState,
    Unreplicated,
)
from state.space import QUOTA_BYTES, Space
from tests.acd.worlds import NOW, WALL_MS, World, call_id, ticket

SALES = QueueId("sales")


def center(agents: dict[str, int]) -> World:
    world = World()
    world.queue("sales", sales=1)
    world.did("15550100", "sales")
    for site, count in agents.items():
        for number in range(count):
            world.agent(f"s{site}{number}", site=site, sales=3)
    return world


def lately(count: int, talk_s: float) -> list[CallRecord]:
    """Return calls that came evenly within the last two minutes."""
    first_ms = WALL_MS - 120_000
    return [
        CallRecord(
            call=call_id(number),
            did=DidNumber("15550100"),
            queue=SALES,
            outcome=Outcome.ANSWERED,
            cause="caller_hung_up",
            edge=EdgeId("a1"),
            site=SiteId("a"),
            via=SiteId("a"),
            sip_call_id=str(number),
            arrived_ms=first_ms + number * 120_000 // count,
            queued_ms=first_ms,
            connected_ms=first_ms,
            ended_ms=first_ms + round(talk_s * 1000),
        )
        for number in range(count)
    ]


def ask(world: World, records: list[CallRecord]) -> Readiness:
    return readiness(1, world.snapshot, records, NOW)


def test_a_center_with_people_to_spare_may_lose_any_site() -> None:
    answer = ask(center({"a": 6, "b": 6, "c": 6}), lately(30, 15.0))
    assert answer.can_lose_any
    assert [site.site for site in answer.sites] == ["a", "b", "c"]
    for site in answer.sites:
        (queue,) = site.queues
        assert (queue.suited, queue.fits, queue.short) == (12, True, 0)
        assert queue.imagined_level is not None
        assert queue.imagined_level > 0.9
        assert (site.sites_left, site.quorum_left, site.agents_lost) == (2, True, 6)


def test_who_has_signed_out_or_is_at_work_elsewhere_is_not_lost_with_a_site() -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    world.presence("sa0", state=PresenceState.SIGNED_OUT)
    world.presence("sa1", state=PresenceState.PAUSED)
    world.presence("sa2", site="b")
    by_site = {site.site: site for site in ask(world, lately(30, 15.0)).sites}
    assert by_site[SiteId("a")].agents_lost == 4, "who only takes a break has to come in elsewhere"


def test_long_talks_that_are_on_are_a_load_though_no_record_tells_of_them() -> None:
    """Of twenty who came in the last ten minutes five have talked, and fifteen still do."""
    world, short = center({"a": 6, "b": 6, "c": 6}), lately(5, 60.0)
    assert ask(world, short).can_lose_any
    for number in range(15):
        came_ms = WALL_MS - 20_000 * (number + 1)
        told = replace(
            ticket(100 + number, state=TicketState.CONNECTED, sales=1),
            did=DidNumber("15550100"),
            arrived_ms=came_ms,
            connected_ms=came_ms + 1_000,
        )
        world.set_ticket(told)
    answer = ask(world, short)
    assert answer.as_it_is.queues[0].erlangs > 12.0
    assert not answer.can_lose_any


def test_the_loss_of_the_site_where_most_people_are_is_the_alarm() -> None:
    answer = ask(center({"a": 8, "b": 1, "c": 1}), lately(40, 15.0))
    by_site = {site.site: site for site in answer.sites}
    assert not answer.can_lose_any
    assert by_site[SiteId("b")].can_be_lost
    lost = by_site[SiteId("a")]
    (queue,) = lost.queues
    assert not lost.can_be_lost
    assert queue.mean_wait_s is None, "the line would grow for ever"
    assert queue.short >= 5
    assert queue.imagined_level is not None
    assert queue.imagined_level < 0.5


def test_with_one_site_gone_already_no_other_may_be_lost() -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    world.drop("/everline/state/edge/c1")
    answer = ask(world, lately(30, 15.0))
    assert not answer.can_lose_any
    by_site = {site.site: site for site in answer.sites}
    assert not by_site[SiteId("a")].quorum_left
    assert not by_site[SiteId("c")].is_serving


def test_nobody_called_and_nothing_is_short() -> None:
    answer = ask(center({"a": 1, "b": 1, "c": 1}), [])
    assert answer.can_lose_any
    assert answer.as_it_is.queues == ()


def test_where_nobody_answers_those_who_call_no_site_may_be_lost() -> None:
    """Else a center whose agents are all gone would look like one that nobody calls."""
    given_up = [
        replace(each, outcome=Outcome.ABANDONED, connected_ms=None) for each in lately(30, 40.0)
    ]
    answer = ask(center({"a": 0, "b": 0, "c": 0}), given_up)
    (queue,) = answer.as_it_is.queues
    assert (queue.suited, queue.fits, queue.imagined_level) == (0, False, 0.0)
    assert not answer.can_lose_any
    assert "nobody has called lately" not in printed(answer)


def test_a_caller_who_gave_up_in_a_quiet_hour_is_no_alarm() -> None:
    (one,) = lately(1, 5.0)
    one = replace(one, outcome=Outcome.ABANDONED, connected_ms=None, arrived_ms=WALL_MS - 6_000)
    answer = ask(center({"a": 2, "b": 2, "c": 2}), [one])
    assert answer.can_lose_any


def test_where_no_site_serves_it_is_not_said_that_any_may_be_lost() -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    for site in "abc":
        world.drop(f"/everline/state/edge/{site}1")
    answer = ask(world, lately(30, 15.0))
    assert not answer.can_lose_any
    assert "ALARM: no site serves." in printed(answer)


def test_the_table_shows_the_alarm_and_the_answer_survives_json() -> None:
    answer = ask(center({"a": 8, "b": 1, "c": 1}), lately(40, 15.0))
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as printed:
        console.print(shown(answer))
    text = printed.get()
    assert "ALARM" in text
    assert "for ever" in text
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Readiness) == answer
    good = replace(answer, can_lose_any=True)
    with console.capture() as printed:
        console.print(shown(good))
    assert "Any site may be lost" in printed.get()


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (Space(size_bytes=QUOTA_BYTES // 2, used_bytes=1), None),
        (
            Space(size_bytes=1, used_bytes=1, quota_bytes=1),
            "nearly full (100% of its quota is taken)",
        ),
        (
            Space(size_bytes=1, used_bytes=1, is_full=True),
            "no space left, and each site serves alone",
        ),
        (None, None),
    ],
    ids=["has room", "nearly full", "full", "nobody says"],
)
def test_an_etcd_that_is_nearly_full_is_an_alarm_with_its_remedy(
    space: Space | None, told: str | None
) -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    answer = readiness(1, world.snapshot, [], NOW, space=space)
    assert answer.can_lose_any, "that is another alarm"
    assert answer.is_well is (told is None)
    text = " ".join(printed(answer).split())
    assert ("ALARM" in text) is (told is not None)
    assert ("./everline state mend" in text) is (told is not None)
    assert told is None or told in text


def alone(site: str, recordings: int, *, is_late: bool) -> tuple[str, Unreplicated]:
    told = Unreplicated(
        site=SiteId(site),
        recordings=recordings,
        recorded_s=30 * recordings,
        under_way=1,
        under_way_s=12,
        is_late=is_late,
    )
    return keys.unreplicated(told.site), told


def test_recordings_that_no_other_site_has_are_told_and_are_no_alarm_if_copied() -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    world.put(*alone("b", 2, is_late=False))
    answer = ask(world, lately(30, 15.0))
    by_site = {site.site: site for site in answer.sites}
    told = by_site[SiteId("b")].unreplicated
    assert told is not None
    assert (told.recordings, told.recorded_s, told.under_way, told.under_way_s) == (2, 60, 1, 12)
    assert by_site[SiteId("a")].unreplicated is None
    assert answer.can_lose_any
    assert "3, 1 min" in printed(answer)


def test_a_site_whose_recordings_are_not_copied_any_more_cannot_be_lost() -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    world.put(*alone("b", 240, is_late=True))
    answer = ask(world, lately(30, 15.0))
    assert not answer.can_lose_any
    assert [site.site for site in answer.sites if not site.can_be_lost] == [SiteId("b")]
    text = " ".join(printed(answer).split())
    assert "site b: 240 recordings (2.0 h) are nowhere else, and copies are late" in text


def test_of_a_site_that_is_gone_it_is_still_told_what_went_with_it() -> None:
    world = center({"a": 6, "b": 6, "c": 6})
    world.put(*alone("c", 3, is_late=False))
    world.drop("/everline/state/edge/c1")
    told = ask(world, []).sites[2]
    assert told.unreplicated is not None
    assert (told.is_serving, told.unreplicated.recordings) == (False, 3)


def printed(answer: Readiness) -> str:
    console = Console(width=180)
    with console.capture() as text:
        console.print(shown(answer))
    return text.get()


def test_where_nobody_watches_each_look_is_a_table_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = [ask(center({"a": 6, "b": 6, "c": 6}), []), ask(center({"a": 1, "b": 1}), [])]

    class Line:
        def ask(self, *_: object) -> Readiness:
            if not looks:
                raise KeyboardInterrupt
            return looks.pop(0)

    monkeypatch.setattr(command, "asking", lambda _: nullcontext(Line()))
    monkeypatch.setattr(command, "QUIET_EVERY_S", 0.0)
    assert command.readiness(watch=True) is Exit.OK
    assert capsys.readouterr().out.count("If this site died now") == 2
