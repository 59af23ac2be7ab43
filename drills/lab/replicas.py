"""How far the members of etcd of a lab are behind."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from drills.lab.lab import Lab
from drills.lab.probes import http_get
from drills.lab.site import ETCD_HEALTH_PORT
from state.model import SiteId

ANSWER_TIMEOUT_S = 1.0
_COUNTS = (b"etcd_server_proposals_committed_total", b"etcd_server_proposals_applied_total")


async def raft_lags(lab: Lab) -> Mapping[SiteId, int | None]:
    """Return how many log entries each member has not applied that some member knows committed.

    None: it does not answer. The members are asked one after the other, so that a busy one may seem
    a few entries behind.
    """
    sites = lab.plan.sites
    told = dict(zip(sites, await asyncio.gather(*map(_ask, sites)), strict=True))
    newest = max((each[0] for each in told.values() if each), default=0)
    return {site: None if each is None else max(0, newest - each[1]) for site, each in told.items()}


async def _ask(site: SiteId) -> tuple[int, int] | None:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return indexes(await http_get(site, "127.0.0.1", ETCD_HEALTH_PORT, "/metrics"))
    except OSError:
        return None


def indexes(metrics: bytes) -> tuple[int, int] | None:
    """Return up to which log entry a member knows of, and up to which it has applied all."""
    found = [re.search(rb"^" + name + rb" (\S+)$", metrics, re.MULTILINE) for name in _COUNTS]
    if not all(found):
        return None
    committed, applied = (int(float(each[1])) for each in found if each)
    return committed, applied
