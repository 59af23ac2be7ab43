"""A site whose relay has ports for a few calls only refuses the next with 503, and recovers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from drills.lab.lab import Lab
from drills.lab.plan import plan_lab
from edge.sip import events as sip
from tests.integration.center import Center, configure
from tests.integration.people import Leg

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

SITE = "198.18.1.10"
FEW_PORTS = (
    *("rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=5"),
    *("--table=-1", f"--interface={SITE}", "--listen-ng=127.0.0.1:2223"),
    *("--port-min=30000", "--port-max=30015", "--delete-delay=0", "--endpoint-learning=off"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Lab]:
    """Serve with one site that has too few ports."""
    async with Lab(plan_lab(sites=1, commands={"rtpengine-a": FEW_PORTS})) as lab:
        assert lab.addresses["a"] == SITE
        yield lab


@pytest_asyncio.fixture(loop_scope="module")
async def center(site: Lab) -> AsyncIterator[Center]:
    """People to move."""
    center = Center(site)
    await configure(center)
    await center.serving()
    yield center
    for telephone in center.telephones:
        telephone.give_up()
        telephone.close()
    await center.store.close()


async def test_a_port_range_that_is_used_up_refuses_the_next_and_keeps_the_others(
    center: Center,
) -> None:
    caller = center.caller()
    up: list[Leg] = []
    refused: Leg | None = None
    while refused is None and len(up) < 10:
        leg = center.dial(caller)
        event = await leg.outcome()
        if isinstance(event, sip.Rejected):
            assert event.status == 503
            assert "retry-after" in event.headers
            refused = leg
        else:
            up.append(leg)
    assert refused is not None
    assert up
    assert not any(leg.is_over for leg in up)
    for leg in up:
        await caller.hang_up(leg)
    await center.nothing_is_left()
    again = center.dial(caller)
    await again.wait(sip.Answered)
    await caller.hang_up(again)
    await center.nothing_is_left()
