"""The page at /docs: what its files may load, and that somebody can use it in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import ConsoleMessage, Dialog, Page, async_playwright, expect

from control_plane.app import ROUTES
from control_plane.docs_page import serve as docs_page
from control_plane.permissions import Role
from control_plane.web.serve import PAGES
from tests.control_plane.center import PASSWORD, Center
from tests.control_plane.outside.served import Served, served

expect.set_options(timeout=30_000)  # ms: the machine does other things, too
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


ALL = ((docs_page.ROOT, docs_page.PAGE, docs_page.OTHERS), *PAGES)
TEXTS = {f"{root}/{file.name}": file.read_text() for root, _, others in ALL for file in others}
TEXTS |= {root: page for root, page, _ in ALL}
PATHS = tuple(
    path for root, _, others in ALL for path in (root, *(f"{root}/{file.name}" for file in others))
)


async def test_the_page_is_served_with_a_policy_that_lets_nothing_in(center: Center) -> None:
    for path in PATHS:
        reply = await center.ask("GET", path)
        assert reply.status == 200
        rules = dict(
            each.split(" ", 1) for each in reply.headers["Content-Security-Policy"].split("; ")
        )
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert rules["frame-ancestors"] == rules["form-action"] == rules["base-uri"] == "'none'"
        assert "unsafe" not in reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_root_leads_to_the_wallboard(center: Center) -> None:
    for path, to in (("/", "/wallboard"), ("/docs/", "/docs"), ("/wallboard/", "/wallboard")):
        reply = await center.client.get(f"http://center{path}", allow_redirects=False)
        assert (reply.status, reply.headers["Location"]) == (308, to)
    assert (await center.ask("GET", "/docs/../settings.py")).status == 404
    assert (await center.ask("GET", "/docs/serve.py")).status == 404


def test_the_files_name_no_other_server_and_hold_no_inline_script() -> None:
    for file, text in TEXTS.items():
        assert not re.search(r"(?:https?:)?//[a-z0-9]", text.replace("// ", "")), file
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text), (
            file
        )
    for _, text, _ in ALL:
        assert re.findall(r"<script[^>]*>([^<]*)</script>", text) == [""]
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)


@pytest.fixture
async def serving() -> AsyncIterator[Served]:
    async with served() as made:
        yield made


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


@pytest.mark.parts
async def test_a_manager_signs_in_edits_a_queue_and_is_told_what_is_wrong(
    serving: Served, page: Page
) -> None:
    said: list[ConsoleMessage] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message))  # noqa: PLW0108 - it marks it
    page.on("request", lambda request: asked.append(request.url))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    manager = await serving.center.person(Role.MANAGER)
    await manager.post("/v1/queues", {"id": "sales", "needs": {"sales": 3}})
    await page.goto(f"{serving.url}/docs")
    await expect(page.locator("nav a")).to_have_count(len(ROUTES))

    # Without a token the API says no, and the page shows it.
    await page.get_by_label("Filter endpoints").fill("queues/{id}")
    await page.locator("nav a", has_text="GET").click()
    await expect(page.locator("main h2")).to_have_text("Show a queue")
    await page.get_by_label("id", exact=True).fill("sales")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".status")).to_have_text("401 Unauthorized")
    await expect(page.locator(".answer pre")).to_contain_text("sign-in-needed")

    # A wrong password is told; a token opens it.
    await page.get_by_label("Login").fill("admin")
    await page.get_by_label("Password").fill("not that one at all")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#notice")).not_to_be_empty()
    await page.get_by_text("or a token").click()
    await page.get_by_label("Access token").fill(manager.token)
    await page.get_by_role("button", name="Use it").click()
    await expect(page.locator("#who")).to_contain_text("manager")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".status")).to_have_text("200 OK")
    etag = f'"{(await manager.get("/v1/queues/sales")).json["version"]}"'
    await expect(page.locator(".answer")).to_contain_text(f"ETag: {etag}")

    # The ETag that was seen goes along with the change.
    await page.locator("nav a", has_text="PUT").click()
    # The form of before has an id, too: what is filled in there goes with it.
    await expect(page.locator("main h2")).to_have_text("Replace a queue")
    await page.get_by_label("id", exact=True).fill("sales")
    await page.get_by_label("body").fill('{"needs": {"sales": 5}}')
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".status")).to_have_text("200 OK")
    assert (await manager.get("/v1/queues/sales")).json["needs"] == {"sales": 5}

    assert all(url.startswith(serving.url) for url in asked), asked
    blocked = [each.text for each in said if "Content Security Policy" in each.text]
    assert not blocked
    assert errors == []


@pytest.mark.parts
async def test_what_a_customer_is_called_cannot_become_markup(serving: Served, page: Page) -> None:
    manager = await serving.center.person(Role.MANAGER)
    name = "<img src=x onerror=alert(1)>"
    made = await manager.post("/v1/customers", {"name": name})
    ran: list[str] = []

    async def note(dialog: Dialog) -> None:
        ran.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", note)
    await page.goto(f"{serving.url}/docs#customers_show")
    await page.get_by_text("or a token").click()
    await page.get_by_label("Access token").fill(manager.token)
    await page.get_by_role("button", name="Use it").click()
    await expect(page.locator("#who")).to_contain_text("manager")
    await page.get_by_label("customer", exact=True).fill(made.json["id"])
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".answer pre")).to_contain_text(name)
    assert await page.locator(".answer img").count() == 0
    assert ran == []


@pytest.mark.parts
async def test_the_first_administrator_signs_in_with_the_password_and_out_again(
    serving: Served, page: Page
) -> None:
    await page.goto(f"{serving.url}/docs#sign_in_me")
    await page.get_by_label("Login").fill("admin")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#who")).to_contain_text("tenant_admin")
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".status")).to_have_text("401 Unauthorized")
    stored = await page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert stored == '[{},{},""]'
