"""A browser for the pages of the control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Dialog, Page, async_playwright

from tests.control_plane.outside.test_docs_page import FLAGS


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """Open a page whose own errors, and whatever asks its reader something, fail the test."""
    # Noted, and told at the end: what a listener raises stops Playwright, and fails nothing.
    errors: list[str] = []

    async def note(dialog: Dialog) -> None:
        errors.append(f"a script ran: {dialog.message}")
        await dialog.dismiss()

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        try:
            made = await browser.new_page()
            made.on("pageerror", lambda error: errors.append(str(error)))
            made.on("dialog", note)
            yield made
        finally:
            await browser.close()
    assert errors == []
