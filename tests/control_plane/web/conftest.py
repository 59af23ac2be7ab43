"""A browser for the pages of the control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

from tests.control_plane.outside.test_docs_page import FLAGS


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """Open a page whose own errors fail the test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        try:
            made = await browser.new_page()
            made.on("pageerror", lambda error: pytest.fail(str(error)))
            yield made
        finally:
            await browser.close()
