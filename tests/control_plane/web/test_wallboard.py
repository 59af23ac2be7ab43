"""The wallboard in a real browser: what it shows is what goes on, and only what one may see."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from playwright.async_api import ConsoleMessage, Locator, Page, expect

from control_plane.events.hub import HUB
from control_plane.events.listener import Over
from control_plane.permissions import Role
from state import keys
from state.clock import SystemClock
from state.memory import MemoryStore
from state.model import AgentId, SiteId
from tests.control_plane.live.stage import Scene, agent
from tests.control_plane.outside.served import served

pytestmark = pytest.mark.parts
PASSWORD = "a manager's long secret"  # noqa: S105 - of a test's people


class Stage(NamedTuple):
    """A center that a browser reaches."""

    url: str
    scene: Scene

    async def person(self, role: Role, *others: Role, **values: str) -> str:
        """Make somebody who signs in by password; return the id."""
        admin = await self.scene.center.administrator()
        words = {"login": role.value.partition(":")[2], "name": "Somebody", "password": PASSWORD}
        made = await admin.post("/v1/users", {**words, "roles": [role, *others], **values})
        assert made.status == 201, made.body
        return str(made.json["id"])


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    store = MemoryStore(SystemClock(), heartbeat_s=0.2)
    async with served(shared=store) as made:
        scene = Scene(store, made.center.clock, made.center)
        await scene.furnish()
        await scene.mirror.wait_until(lambda snapshot: "current" in snapshot.releases, 10)
        yield Stage(made.url, scene)


async def sign_in(page: Page, url: str, login: str) -> None:
    await page.goto(f"{url}/")
    await page.get_by_label("Login").fill(login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("status")).to_have_text("Live")


def cell(page: Page, row: str, name: str) -> Locator:
    return page.locator(f"tr[data-id='{row}'] td[data-label='{name}']")


async def test_what_goes_on_is_shown_as_it_happens_and_after_a_cut(
    stage: Stage, page: Page
) -> None:
    said: list[ConsoleMessage] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message))  # noqa: PLW0108 - it marks it
    page.on("request", lambda request: asked.append(request.url))
    scene = stage.scene
    await stage.person(Role.MANAGER)
    await scene.arrive(1)
    await sign_in(page, stage.url, "manager")
    await expect(cell(page, "sales", "Waiting")).to_have_text("1")
    await expect(page.locator("#sites li")).to_have_count(2)
    await scene.arrive(2)
    await expect(cell(page, "sales", "Waiting")).to_have_text("2")
    await expect(cell(page, "sales", "Longest wait")).to_have_text(re.compile(r"^\d+:\d\d$"))
    await scene.connect(1, "ann")
    await expect(cell(page, "ann", "State")).to_have_text("talking")
    await expect(page.locator("#states .talking .figure")).to_have_text("1")
    site = scene.mirror.snapshot.sites[SiteId("b")].value
    await scene.put((keys.site(site.id), replace(site, draining=True)))
    await expect(page.locator("#sites li[data-id='b'] .mode")).to_have_text("draining")

    # The stream is cut, and things happen meanwhile: it goes on where it was.
    hub = scene.center.app[HUB]
    for each in tuple(hub._listeners):  # noqa: SLF001 - nothing else lets one go
        each.end(Over.GOING_AWAY)
    await expect(page.get_by_role("status")).to_have_text(re.compile("Cut off"))
    await scene.arrive(3)
    await scene.end(1, "ann")
    await expect(page.get_by_role("status")).to_have_text("Live")
    await expect(cell(page, "sales", "Waiting")).to_have_text("2")
    await expect(cell(page, "ann", "State")).to_have_text("wrapping up")

    assert all(url.startswith((stage.url, stage.url.replace("http", "ws"))) for url in asked), asked
    assert [each.text for each in said if "Content Security Policy" in each.text] == []
    stored = await page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert stored == '[{},{},""]'


async def test_of_very_many_agents_all_are_counted_and_the_first_are_named(
    stage: Stage, page: Page
) -> None:
    crowd = [record for n in range(250) for record in agent(f"many{n:03}", team="north")]
    for first in range(0, len(crowd), 100):
        await stage.scene.put(*crowd[first : first + 100])
    await stage.person(Role.MANAGER)
    await sign_in(page, stage.url, "manager")
    await expect(page.locator("#more")).to_have_text("And 53 more, who are counted above.")
    await expect(page.locator("#states .ready .figure")).to_have_text("253")
    assert await page.locator("#agents tr").count() == 200


async def test_everybody_sees_what_the_policy_lets_them_see(stage: Stage, page: Page) -> None:
    await stage.person(Role.SUPERVISOR, team="north", site="a")
    await sign_in(page, stage.url, "supervisor")
    await expect(page.locator("#agents tr")).to_have_count(1)
    await expect(page.locator("#agents th")).to_have_text("Ann")
    await expect(page.locator("#queues tr")).to_have_count(1)
    await expect(page.locator("#sites-part")).to_be_hidden()
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert "Ann" not in await page.content(), "nothing is left of what was shown"

    await stage.person(Role.AUDITOR)
    await sign_in(page, stage.url, "auditor")
    await expect(page.locator("#nothing")).to_be_visible()


async def test_who_is_disabled_is_shown_nothing_any_more(stage: Stage, page: Page) -> None:
    user = await stage.person(Role.MANAGER)
    await sign_in(page, stage.url, "manager")
    await expect(page.locator("#agents tr")).to_have_count(3)
    admin = await stage.scene.center.administrator()
    path = f"/v1/users/{user}"
    etag = (await admin.get(path)).headers["ETag"]
    gone = await admin.ask("PATCH", path, {"is_active": False}, {"If-Match": etag})
    assert gone.status == 200
    await expect(page.get_by_role("alert")).to_contain_text("session has ended", timeout=15_000)
    assert "Ann" not in await page.content()
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).not_to_be_empty()


async def test_names_are_no_markup_and_the_page_can_be_used_without_eyes_or_mouse(
    stage: Stage, page: Page
) -> None:
    name = "<img src=x onerror=alert(1)>"
    ann = stage.scene.mirror.snapshot.agents[AgentId("ann")].value
    await stage.scene.put((keys.agent(ann.id), replace(ann, name=name)))
    await stage.person(Role.MANAGER)
    await page.goto(f"{stage.url}/wallboard")
    assert await page.locator("html").get_attribute("lang") == "en"
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await page.get_by_label("Login").focus()
    await page.keyboard.type("manager")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("#agents tr[data-id='ann'] th")).to_have_text(name)
    assert await page.locator("#board img").count() == 0
    headless = await page.locator("th:not([scope])").count()
    unnamed = await page.locator("section:not([aria-labelledby]), button:empty").count()
    assert (headless, unnamed) == (0, 0)
    await page.set_viewport_size({"width": 360, "height": 800})
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide), "it has to be pushed sideways"


async def test_who_goes_to_the_other_page_is_still_signed_in_and_nothing_is_left_behind(
    stage: Stage, page: Page
) -> None:
    await stage.person(Role.MANAGER)
    await sign_in(page, stage.url, "manager")
    await page.get_by_role("link", name="Recordings").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/recordings$"))
    assert await page.evaluate("sessionStorage.length") == 0
    await page.go_back()
    await expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0


async def test_a_page_that_is_opened_beside_the_first_asks_who_one_is(
    stage: Stage, page: Page
) -> None:
    await stage.person(Role.MANAGER)
    await sign_in(page, stage.url, "manager")
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Recordings").click(modifiers=["ControlOrMeta"])
    beside = await opened.value
    await expect(beside.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    await expect(page.get_by_role("status")).to_have_text("Live")
