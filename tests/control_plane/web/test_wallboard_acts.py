"""What is done from the wallboard: signing in by a provider, agents' states, drains. The alarm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from control_plane.permissions import Role
from control_plane.readiness.http import READINESS
from state import keys
from state.clock import SystemClock
from state.memory import MemoryStore
from state.model import AgentId, EdgeId, Readiness, SiteId
from state.snapshot import Snapshot
from tests.control_plane.live.stage import Scene, life
from tests.control_plane.live.test_moves import busy
from tests.control_plane.oidc import stage as provider_stage
from tests.control_plane.oidc.provider import PAGES
from tests.control_plane.oidc.provider import PASSWORD as THEIRS
from tests.control_plane.oidc.stage import Provider, put, settings_of
from tests.control_plane.outside.served import served
from tests.control_plane.web.test_wallboard import Stage, sign_in, stage

__all__ = ("stage",)
pytestmark = pytest.mark.parts


async def until(scene: Scene, holds: object) -> Snapshot:
    assert callable(holds)
    return await scene.mirror.wait_until(holds, 10)


async def test_a_supervisor_pauses_whom_they_may_by_keyboard_alone(
    stage: Stage, page: Page
) -> None:
    await stage.person(Role.SUPERVISOR, team="north", site="a")
    await sign_in(page, stage.url, "supervisor")
    button = page.get_by_role("button", name="Pause: Ann")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Pause: Ann")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(button).to_be_focused()
    await page.keyboard.press("Enter")
    await page.get_by_label("Reason").fill("coaching")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    snapshot = await until(stage.scene, lambda now: AgentId("ann") in now.wishes)
    wish = snapshot.wishes[AgentId("ann")].value
    assert (wish.readiness, wish.reason) == (Readiness.PAUSED, "coaching")


async def test_who_may_do_nothing_is_offered_nothing(stage: Stage, page: Page) -> None:
    await stage.person(Role.AGENT, agent="ann", team="north", site="a")
    await sign_in(page, stage.url, "agent")
    await expect(page.locator("#agents tr[data-id='ben'] button, #sites button")).to_have_count(0)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await stage.person(Role.QUALITY)
    await sign_in(page, stage.url, "quality")
    await expect(page.locator("#board button")).to_have_count(0)


async def test_a_drain_shows_what_it_comes_to_and_is_forced_with_a_reason_alone(
    stage: Stage, page: Page
) -> None:
    await busy(stage.scene, room=2)
    await stage.person(Role.SRE)
    await sign_in(page, stage.url, "sre")
    await page.get_by_role("button", name="Drain: A").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("have not enough room")
    await expect(dialog.get_by_role("listitem")).to_contain_text("site b")
    await dialog.get_by_role("button", name="Drain all the same").click()
    await expect(dialog).to_be_visible()
    assert not stage.scene.mirror.snapshot.sites[SiteId("a")].value.draining
    await dialog.get_by_label("Why all the same").fill("water in the cellar")
    await page.keyboard.press("Enter")
    await until(stage.scene, lambda now: now.sites[SiteId("a")].value.draining)
    await expect(page.locator("#sites li[data-id='a'] .mode")).to_have_text("draining")
    await expect(page.get_by_role("button", name="End draining: A")).to_be_visible()


async def test_the_alarm_stands_at_the_top_until_a_site_may_be_lost_again(
    stage: Stage, page: Page
) -> None:
    await stage.person(Role.MANAGER)
    await sign_in(page, stage.url, "manager")
    await expect(page.locator("#alarm")).to_contain_text("the center cannot lose A, B")
    await expect(page.locator("#readiness li[data-id='a']")).to_contain_text("no quorum")
    scene = stage.scene
    third = scene.mirror.snapshot.sites[SiteId("a")].value
    await scene.put(
        (keys.site(SiteId("c")), type(third)(id=SiteId("c"), name="C", sip="c:1")),
        (keys.edge(EdgeId("c1")), life("c")),
    )
    await scene.center.app[READINESS].look()
    await expect(page.locator("#alarm")).to_be_empty()
    await expect(page.locator("#readiness .mode")).to_have_text(["can be lost"] * 3)


# ---- by a provider -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider_stage.running(tmp_path_factory.mktemp("provider")) as made:
        yield made


@pytest.mark.parametrize("where", ["wallboard", "recordings"])
async def test_one_signs_in_by_the_tenants_provider_and_leaves_no_trace(
    provider: Provider, page: Page, where: str
) -> None:
    store = MemoryStore(SystemClock(), heartbeat_s=0.2)
    async with served(shared=store, oidc_issuers=(provider.issuer,)) as made:
        scene = Scene(store, made.center.clock, made.center)
        await scene.furnish()
        await page.goto(f"{made.url}/{where}")
        by_provider = page.get_by_role("button", name="Use your identity provider")
        await by_provider.click()
        await expect(page.locator("#refused")).not_to_be_empty()  # there is none yet
        admin = await made.center.administrator()
        body = settings_of(
            provider, redirect_uris=list(PAGES), creates_users=True,
            roles={"leads": ["role:manager"]},
        )  # fmt: skip
        assert (await put(admin, body)).status == 200
        await by_provider.click()
        await page.get_by_label("Username").fill("ada")
        await page.get_by_label("Password").fill(THEIRS)
        await page.get_by_role("button", name="in").click()
        await expect(page.locator("#who")).to_have_text("manager")
        await expect(page.locator("#sign-in")).to_be_hidden()
        if where == "wallboard":
            await expect(page.get_by_role("status").first).to_have_text("Live")
            await expect(page.locator("#agents tr")).to_have_count(3)
        else:
            await expect(page.locator("#library")).to_be_visible()
            await expect(page.locator("#problem")).to_be_empty()
        assert page.url == f"{made.url}/{where}", "the code is in no history"
        stored = await page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        assert stored == "[{},{}]"
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await expect(page.locator("#sign-in")).to_be_visible()
        await expect(page.locator("#who")).to_be_hidden()
        # An answer that this page has not asked for is not taken.
        await page.goto(f"{made.url}/{where}?state=somebody&code=elses")
        await expect(page.locator("#refused")).to_contain_text("not begun here")


async def test_the_board_fits_a_desk_and_a_telephone(
    stage: Stage, page: Page, tmp_path: Path
) -> None:
    await busy(stage.scene, room=2)
    await stage.scene.arrive(100)
    await stage.person(Role.MANAGER, Role.SRE)
    await sign_in(page, stage.url, "manager")
    await expect(page.locator("#alarm")).not_to_be_empty()
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    for width, height in ((1440, 900), (360, 740)):
        await page.set_viewport_size({"width": width, "height": height})
        await page.screenshot(path=tmp_path / f"board-{width}.png", full_page=True)
        assert not await page.evaluate(wide), f"at {width} it has to be pushed sideways"
        await page.get_by_role("button", name="Drain: A").click()
        await expect(page.get_by_role("dialog")).to_contain_text("have not enough room")
        await page.screenshot(path=tmp_path / f"drain-{width}.png")
        await page.keyboard.press("Escape")
