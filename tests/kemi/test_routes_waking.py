"""The routes without Kamailio: a proxy that stood still takes no new call for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.kemi.fake_ksr import World
from tests.kemi.script import E1, EDGE, PHONE, TRUNK, Script, says, sealed

STALE = [(503, "Just Woken Up")]
OFFER = {"X-Everline-Offer": "c 1 7"}
DIAL = {"X-Everline-Dial": "t1"}


@dataclass
class Clock:
    """The monotonic clock, which is moved by hand, and the timer that the proxy has by it."""

    script: Script
    now_ms: int = 5_000_000

    def beats(self, *, for_ms: int) -> None:
        """Let time pass, and the timer tell of it four times a second."""
        for _ in range(0, for_ms, 250):
            self.now_ms += 250
            self.script.routes.ksr_beat(None, "rtimer")

    def stands_still(self, for_ms: int) -> None:
        """Let time pass, and no process of the proxy notice."""
        self.now_ms += for_ms


@pytest.fixture
def clock(script: Script, world: World) -> Iterator[Clock]:
    """Return the clock of a proxy that has run for a while, with an edge that listens."""
    assert world.locked == []
    clock = Clock(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script.modules["calls"], "now_ms", lambda: clock.now_ms)
        says(script, world, {"do": "listen", "name": "a1"})
        clock.beats(for_ms=3000)
        yield clock


@pytest.mark.parametrize("is_timer_first", [False, True])
def test_what_a_carrier_sent_while_the_proxy_stood_still_goes_to_no_edge(
    script: Script,
    world: World,
    clock: Clock,
    is_timer_first: bool,  # noqa: FBT001 - a row of a table
) -> None:
    clock.stands_still(14_000)
    if is_timer_first:
        script.routes.ksr_beat(None, "rtimer")
    script.request(world, source=TRUNK)
    assert world.was_done("reply") == STALE
    assert world.was_done("relay") == []
    assert world.reply_headers == ["Retry-After: 2\r\n"]


def test_it_takes_calls_again_two_seconds_after_it_woke_up(
    script: Script, world: World, clock: Clock
) -> None:
    clock.stands_still(14_000)
    clock.beats(for_ms=2000)
    script.request(world, source=TRUNK)
    assert world.was_done("reply") == STALE
    clock.beats(for_ms=250)
    script.request(world, source=TRUNK)
    assert world.was_done("relay") == [(f"sip:{E1}",)]


@pytest.mark.parametrize("late_ms", [0, 500, 1750])
def test_a_proxy_whose_timer_is_late_on_a_busy_machine_takes_calls(
    script: Script, world: World, clock: Clock, late_ms: int
) -> None:
    clock.stands_still(late_ms)
    script.request(world, source=TRUNK)
    assert world.was_done("relay") == [(f"sip:{E1}",)]
    clock.beats(for_ms=250)
    script.request(world, source=TRUNK)
    assert world.was_done("relay") == [(f"sip:{E1}",)]


def test_a_proxy_whose_edges_died_while_it_lived_takes_calls_for_other_edges(
    script: Script, world: World, clock: Clock
) -> None:
    clock.beats(for_ms=10_000)
    del world.tables["listen"]["a1"]  # it expired
    script.request(world, source=TRUNK)
    assert world.was_done("relay") == [(f"sip:{E1}",)]


def test_a_proxy_that_has_just_begun_takes_calls(script: Script, world: World) -> None:
    assert "beat" not in world.tables
    script.request(world, source=TRUNK)
    assert world.was_done("relay") == [(f"sip:{E1}",)]
    script.routes.ksr_beat(None, "rtimer")
    script.request(world, source=TRUNK)
    assert world.was_done("relay") == [(f"sip:{E1}",)]


def test_nobody_is_rung_or_dialled_or_asked_for_a_proof_for_what_was_sent_long_ago(
    script: Script, world: World, clock: Clock
) -> None:
    world.tables["dial"] = {"t1": "198.18.10.10:5060 +49"}
    clock.stands_still(3000)  # less than what an edge that listened is believed for
    ruri = "sip:alice@everline"
    script.request(world, source=EDGE, ruri=ruri, headers=OFFER, call_id="leg-1")
    assert world.was_done("reply") == [(503, "nobody listens")], "a word that edges know"
    assert world.tables["gate"] == {}
    script.request(world, source=EDGE, ruri="sip:+4930222@t1", headers=DIAL)
    assert world.was_done("reply") == STALE
    script.request(world, source=PHONE, ruri="sip:4930111@everline", headers={})
    assert world.was_done("reply") == STALE
    assert world.was_done("challenge") == []


def test_a_number_with_a_backup_outside_is_not_handed_on_a_second_time(
    script: Script, world: World, clock: Clock
) -> None:
    world.tables["dial"] = {"t1": "198.18.10.10:5060 +49"}
    world.tables["forward"] = {"4930111": "t1 +4930999999"}
    clock.stands_still(14_000)
    script.request(world, source=TRUNK)
    assert world.was_done("reply") == STALE
    assert world.was_done("relay") == []


def test_what_belongs_to_a_dialog_passes_and_probes_are_answered(
    script: Script, world: World, clock: Clock
) -> None:
    clock.stands_still(14_000)
    route, hop = sealed(script, world), (EDGE[0], str(EDGE[1]))
    for method in ("BYE", "ACK", "INVITE"):
        script.request(
            world, source=TRUNK, method=method, to_tag="t", route_uri=route, next_hop=hop
        )
        assert len(world.was_done("relay")) == 1, method
    script.request(world, source=TRUNK, method="CANCEL", to_tag="", route_uri="")
    assert len(world.was_done("relay")) == 1
    script.request(world, source=TRUNK, method="OPTIONS")
    assert world.was_done("reply") == [(200, "OK")]
