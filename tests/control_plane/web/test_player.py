"""The recordings in a real browser: found, opened for a purpose, heard from any mark."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, expect

from control_plane.permissions import Role
from custody import keyfile
from custody.frame import RATE_HZ
from tests.control_plane.outside.served import served
from tests.control_plane.recordings.test_recordings import CALL, OTHERS, Served
from tests.recorder.made import PUBLIC, SECRETS, Archive

pytestmark = pytest.mark.parts
SECRET = "a listener's long secret"  # noqa: S105 - of a test's people
DRAWN = """() => {
  const canvas = document.getElementById("waveform"), pen = canvas.getContext("2d");
  const column = Math.floor(canvas.width / 20);
  const colours = [0.25, 0.75].map((lane) => {
    const [r, g, b] = pen.getImageData(column, canvas.height * lane, 1, 1).data;
    return `${r},${g},${b}`;
  });
  return colours[0] !== colours[1] && !colours.includes("0,0,0");
}"""
"""Whether one second from the beginning the lanes have a colour each."""


def record(archive: Archive) -> None:
    """Let two agents talk, one after the other, with everything in it that is marked."""
    archive.record(CALL, 4.0)
    one = archive.last
    happens: dict[int, Callable[[int], None]] = {
        4: lambda now: one.hold(now, on=True),
        6: lambda now: one.hold(now, on=False),
        7: lambda now: one.pause(now, "agent"),
        9: one.resume,
        10: one.leave,
        12: lambda now: one.join("ben", now),
        14: lambda now: one.timeline.sides[0].key(now, RATE_HZ // 10),
    }
    for second in range(4, 20):
        if second in happens:
            happens[second](second * RATE_HZ)
        one.tick(second * RATE_HZ)
    archive.now = 20 * RATE_HZ
    archive.end()


@pytest.fixture
async def stage() -> AsyncIterator[tuple[str, Served]]:
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        archive = Archive(folder)
        await archive.make_key()
        record(archive)
        await archive.ship()
        keyfile.make(folder / "provider.key", SECRETS["b"])
        recordings = {
            "store": str(archive.store),
            "keyring": folder / "keyring",
            "provider": "b",
            "provider_file": folder / "provider.key",
            "recorders": {"a": base64.b64encode(PUBLIC).decode()},
        }
        async with served(recordings=recordings) as made:
            one = Served(made.center, archive)
            await one.call(CALL)
            await one.call(OTHERS)
            yield made.url, one


async def test_somebody_finds_a_recording_and_hears_it_from_its_marks(
    stage: tuple[str, Served], page: Page
) -> None:
    url, one = stage
    admin = await one.center.administrator()
    words = {"login": "quality", "name": "Quinn", "password": SECRET, "roles": [Role.QUALITY.value]}
    assert (await admin.post("/v1/users", words)).status == 201
    manager = await one.center.person(Role.MANAGER)
    assert (await manager.ask("PUT", f"/v1/recordings/{CALL}/tags/training")).status == 204
    ranges: list[str] = []
    purposes: set[str | None] = set()
    blocked: list[str] = []

    async def note(request: Request) -> None:
        if request.url.endswith("/audio"):
            ranges.append(await request.header_value("range") or "all")
            purposes.add(await request.header_value("everline-purpose"))

    page.on("request", note)
    page.on("console", lambda said: blocked.append(said.text))
    await page.goto(f"{url}/recordings")
    await page.get_by_label("Login").fill("quality")
    await page.get_by_label("Password").fill(SECRET)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#found tr")).to_have_count(2)
    await page.locator("#search").get_by_label("Tag").fill("training")
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("#found tr")).to_have_count(1)
    await expect(page.locator(f"#found tr[data-id='{CALL}'] td[data-label=Length]")).to_have_text(
        "0:20"
    )
    await page.locator("#found button").click()
    await expect(page.locator("#marks button")).to_have_text(
        [
            "0:04 to 0:06 On hold",
            "0:06 to 0:09 Paused: by agent",
            "0:10 to 0:12 Transfer: ann to ben",
            "0:13 to 0:14 Digits masked",
        ]
    )
    assert ranges == [], "nothing is fetched before somebody has said why"
    await page.get_by_label("Why you listen").fill("complaint 7")
    await page.get_by_role("button", name="Open").click()
    await expect(page.locator("#position")).to_have_text("0:00 of 0:20")
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.locator("#position")).to_have_text("0:01 of 0:20")
    assert ranges[0] == "bytes=44-64043", "two seconds first, so that it begins soon"
    await page.get_by_role("button", name="Transfer: ann to ben").click()
    await expect(page.locator("#position")).to_have_text("0:11 of 0:20")
    assert f"bytes={44 + 10 * 32_000}-{44 + 12 * 32_000 - 1}" in ranges
    await page.get_by_role("button", name="Pause", exact=True).click()
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert await page.evaluate(DRAWN), "both parties are drawn"
    assert [each for each in blocked if "Content Security Policy" in each] == []
    heard = await one.audited()
    assert purposes == {each["purpose"] for each in heard} == {"complaint 7"}

    await page.get_by_label("Another tag").fill("escalated")
    await page.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("button", name="Take away escalated")).to_be_visible()
    await page.get_by_role("button", name="Take away training").click()
    await expect(page.locator("#tags button")).to_have_count(1)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert "ann" not in await page.locator("main").inner_text(), "nothing is left of what was shown"


async def test_who_may_hear_nothing_is_told_so(stage: tuple[str, Served], page: Page) -> None:
    url, one = stage
    admin = await one.center.administrator()
    words = {"login": "quality", "name": "Quinn", "password": SECRET, "roles": [Role.QUALITY.value]}
    assert (await admin.post("/v1/users", words)).status == 201
    await page.goto(f"{url}/recordings")
    await page.get_by_label("Login").fill("quality")
    await page.get_by_label("Password").fill(SECRET)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#found tr")).to_have_count(2)
    await expect(page.locator("#listed")).to_have_text("2 recordings.")
    await page.locator("#search").get_by_label("Tag").fill("nobody-has-this")
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("#listed")).to_contain_text("No recording that you may see")
