"""What a drill on a live system reads of control planes, with the rights of whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from control_plane.permissions import Role
from drills.ctl import client
from drills.ctl.account import Account, Book
from drills.drill import onlooking
from drills.drill.ledgers import MAY_NOT as MAY_NOT_COUNT
from drills.drill.ledgers import Ledgers
from drills.drill.recorded import MAY_NOT, records
from drills.live_counts import books_of, silent_because
from drills.onlookers import PATH, SeenEdge, SeenSites, changes
from state import keys
from state.model import EdgeId, Outcome, SiteId
from state.store import Delete
from tests.control_plane.center import Person
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.stage import Scene, call_id, eventually

__all__ = ["database_url"]


async def test_who_may_run_drills_may_ask_how_sites_stand_and_what_time_it_is_there(
    scene: Scene,
) -> None:
    sre = await scene.center.person(Role.SRE)
    before = msgspec.json.decode((await sre.get(PATH)).body, type=SeenSites)
    assert before.at_ms == scene.clock.now().wall_ms
    assert [each.edges for each in before.items] == [
        (SeenEdge(edge="a1"),),
        (SeenEdge(edge="b1"),),
    ]
    await scene.write(Delete(key=keys.edge(EdgeId("a1"))))
    now = msgspec.json.decode((await sre.get(PATH)).body, type=SeenSites)
    assert list(changes(before, now)) == ["a1 of site a no longer in the shared state"]


APIS = {SiteId("a"): "http://a", SiteId("b"): "http://b"}


@pytest.fixture
def book(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """Return a file of accounts; whoever is asked answers at the one control plane there is."""

    @asynccontextmanager
    async def session(_ca: str = "") -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.UnixConnector(path=str(scene.center.socket))
        async with aiohttp.ClientSession(connector=connector) as made:
            yield made

    monkeypatch.setattr(client, "session", session)
    return Book(tmp_path)


def sign_in(book: Book, person: Person) -> None:
    """Let this machine's user be somebody, at site a."""
    book.keep(
        Account(
            url=APIS[SiteId("a")],
            tenant="main",
            user=person.id,
            access_token=person.token,
            refresh_token="none",  # noqa: S106 - it is not used
            until_s=4e9,
        )
    )


async def test_whoever_is_signed_in_at_one_site_asks_the_control_planes_of_all(
    scene: Scene, book: Book
) -> None:
    sign_in(book, await scene.center.person(Role.SRE))
    async with onlooking.signed_in(APIS, book) as onlookers, onlookers.looking():
        async with asyncio.timeout(10.0):
            while len(onlookers.clocks()) < len(APIS):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
    for bound in onlookers.clocks():
        theirs_ms = scene.clock.now().wall_ms
        assert bound.least_ms < theirs_ms - onlooking.precise_ms() + 10_000
        assert bound.least_ms < bound.most_ms < bound.least_ms + 2_001
    assert onlookers.notes == ()
    assert onlookers.findings() == ()


async def test_who_may_not_see_sites_learns_of_no_clock(scene: Scene, book: Book) -> None:
    sign_in(book, await scene.center.person(Role.QUALITY))
    async with onlooking.signed_in(APIS, book) as onlookers, onlookers.looking():
        async with asyncio.timeout(10.0):
            while len(onlookers.notes) < len(APIS):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    assert onlookers.clocks() == ()
    assert {each.what for each in onlookers.notes} == {
        "the control plane of a answers 403",
        "the control plane of b answers 403",
    }


async def test_who_may_read_calls_reads_how_each_ended(scene: Scene, book: Book) -> None:
    manager = await scene.center.person(Role.MANAGER)
    sign_in(book, manager)
    await scene.connect(1, "ann")
    await scene.end(1, "ann")
    await scene.arrive(2)
    await scene.end(2)
    await eventually(lambda: manager.get(f"/v1/calls/{call_id(2)}"), "carried")
    came_ms = {call_id(each): scene.clock.now().wall_ms for each in (1, 2, 3)}
    async with onlooking.signed_in(APIS, book) as onlookers:
        found = await records(onlookers.apis, onlookers.ask, came_ms)
    told = {call_id(1): Outcome.ANSWERED, call_id(2): Outcome.ABANDONED}
    assert [(each.calls, each.why_not) for each in found] == [(told, ""), (told, "")]


async def test_who_runs_the_machinery_may_read_no_calls(scene: Scene, book: Book) -> None:
    sign_in(book, await scene.center.person(Role.SRE))
    async with onlooking.signed_in(APIS, book) as onlookers:
        found = await records(onlookers.apis, onlookers.ask, {call_id(1): 0})
    assert [each.why_not for each in found] == [MAY_NOT, MAY_NOT]


async def test_who_runs_the_machinery_counts_what_calls_came_to(scene: Scene, book: Book) -> None:
    sign_in(book, await scene.center.person(Role.SRE))
    await scene.end(1, "ben")
    await scene.connect(2, "ann")
    await scene.arrive(3)
    async with onlooking.signed_in(APIS, book) as onlookers:
        ledgers = Ledgers(onlookers.apis, onlookers.patient)
        await ledgers.begin()
        await scene.end(2, "ann")
        await scene.arrive(4)
        await scene.end(4, outcome=Outcome.LOST, cause="edge_died")
        await scene.arrive(5)
        await scene.write(Delete(key=keys.ticket(call_id(5))))
        await ledgers.end()
    made = books_of(ledgers.told)
    assert made is not None
    names = ("offered", "answered", "lost", "still_on", "unaccounted", "ledger_sums")
    assert [made.figures[each] for each in names] == [4, 1, 1, 1, 1, 0.0]
    assert made.by == ("a control plane",)
    assert made.findings[0] == "calls lost, by the sites' own records: 1 (edge_died 1)"


async def test_who_may_not_count_calls_makes_no_ledger(scene: Scene, book: Book) -> None:
    sign_in(book, await scene.center.person(Role.QUALITY))
    async with onlooking.signed_in(APIS, book) as onlookers:
        ledgers = Ledgers(onlookers.apis, onlookers.patient)
        await ledgers.begin()
        await ledgers.end()
    assert books_of(ledgers.told) is None
    assert silent_because(ledgers.told) == f"a: {MAY_NOT_COUNT}"
