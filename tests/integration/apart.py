"""A site that is cut from the others."""

from __future__ import annotations

import time

from tests.integration.center import Center, eventually


def cut_off(center: Center, site: str) -> None:
    """Cut a site from the other sites; people still reach it."""
    for other in center.lab.plan.sites:
        if other != site:
            center.lab.wan.cut_between(site, other)


async def modes(center: Center, site: str) -> set[str]:
    """Return in which modes the edges of a site serve."""
    edges = [edge for edge in center.edges() if edge[0] == site]
    return {(await center.ask(edge, "status"))["serving"]["mode"] for edge in edges}


async def all_in(center: Center, site: str, mode: str, *, within_s: float) -> float:
    """Wait until both edges of a site are in a mode; return how long that took."""
    began_s = time.monotonic()

    async def is_so() -> bool:
        return await modes(center, site) == {mode}

    await eventually(is_so, f"site {site} is {mode}", within_s=within_s)
    return time.monotonic() - began_s


async def one_connected(center: Center, site: str) -> None:
    """Wait until one call is connected at a site: the others may be dead."""

    async def is_so() -> bool:
        edges = [edge for edge in center.edges() if edge[0] == site]
        answers = [await center.ask(edge, "status") for edge in edges]
        return sum(int(each["calls"].get("connected", 0)) for each in answers) == 1

    await eventually(is_so, "one connected", within_s=15)
