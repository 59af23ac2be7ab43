"""One site with two edges for each file, or more, in namespaces of their own (lab/inside.py)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from drills.lab.lab import Lab
from drills.lab.plan import plan_lab
from tests.integration.center import Center, configure
from tests.lab.inside import pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["pytest_runtest_logreport", "pytest_runtest_protocol"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """Serve with one site, or with `SITES` of the module that asks.

    EVERLINE_KEEP_LOGS names a directory for its logs.
    """
    async with Lab(plan_lab(sites=getattr(request.module, "SITES", 1))) as lab:
        yield lab
        if directory := os.environ.get("EVERLINE_KEEP_LOGS"):
            lab.keep_logs(Path(directory))


@pytest_asyncio.fixture(loop_scope="module")
async def center(site: Lab) -> AsyncIterator[Center]:
    """People to move, who are gone after each test; and nothing of theirs is left."""
    center = Center(site)
    await configure(center)
    await center.serving()
    yield center
    site.wan.heal_all()
    for telephone in center.telephones:
        telephone.give_up()
    for telephone in center.telephones:
        if telephone.home:
            await center.sign_out(telephone)
    for telephone in center.telephones:
        telephone.close()
    await center.store.close()
