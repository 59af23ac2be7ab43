"""A control plane with two tenants, each furnished with everything, and with calls."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import func, select

from control_plane.audit import keeping
from control_plane.audit.tables import AuditRow
from control_plane.permissions import Role
from state.clock import ManualClock
from state.memory import MemoryStore
from tests.control_plane.center import Center, running, settings
from tests.control_plane.customers.stage import key_settings
from tests.control_plane.live.stage import Scene, call_id, eventually
from tests.control_plane.outside.tenants import Furnished, furnish, well, words_of

OURS, THEIRS = "q7ours", "q7theirs"


@asynccontextmanager
async def two_tenants(home: Path) -> AsyncIterator[Scene]:
    """Serve on SQLite in `home`, following a shared state in memory."""
    clock = ManualClock()
    store = MemoryStore(clock, heartbeat_s=0.2)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        issuers = tuple(f"https://{mark}.example.org" for mark in (OURS, THEIRS))
        given = key_settings(folder) | {"oidc_issuers": issuers}
        made = settings(folder, f"sqlite:///{home / 'everline.db'}", **given)
        async with running(made, clock, store) as center:
            await center.tenant("t2")
            yield Scene(store, clock, center)


async def _entry(center: Center, who: Furnished) -> str:
    """Return the newest entry of the audit log that is of this tenant."""
    await center.services.journal.flush()
    newest = select(func.max(AuditRow.number)).where(AuditRow.tenant == who.tenant)
    async with center.services.database.read() as connection:
        return str((await connection.execute(newest)).scalar_one())


async def both(scene: Scene) -> tuple[Furnished, Furnished]:
    """Furnish our tenant and theirs, and let each have a call that runs and one that is over."""
    center = scene.center
    main = await center.person(Role.MANAGER, Role.SRE)
    await main.post("/v1/sites", {"id": "a", "sip": "198.18.1.10:5060"})
    await main.post("/v1/trunks", {"id": "carrier", "addresses": ["198.51.100.1"]})
    ours = await furnish(center, main, "main", OURS, 111_111)
    theirs = await furnish(center, main, "t2", THEIRS, 222_222)
    for number, who in ((1, ours), (2, theirs)):
        about = {"queue": who.ids["queue"], "did": who.ids["did"], "caller": who.ids["number"]}
        for call in (10, 20):
            await scene.arrive_for(call + number, **about)
        place = {"queue": who.ids["queue"], "did": who.ids["did"]}
        await scene.end(20 + number, who.ids["agent"], rest_s=30.0, **place)
        call_over = call_id(20 + number)
        who.ids |= {"call": call_over, "recording": call_over, "site": "a", "trunk": "carrier"}
        who.ids |= {"word": who.mark, "name": f"{who.mark}first", "tag": f"{who.mark}tag"}
        who.ids |= {"q": f"{who.mark}", "field": f"{who.mark}field", "value": f"{who.mark} value"}
        who.ids |= {"thing": who.ids["customer"], "to": "1", "entry": await _entry(center, who)}

        async def is_carried(tenant: str = who.tenant) -> bool:
            async with center.services.database.read() as connection:
                return bool((await words_of(connection, tenant))["calls"])

        await eventually(is_carried, f"the call of {who.tenant} is carried into the database")
        well(await who.manager.ask("PUT", f"/v1/recordings/{call_over}/tags/{who.ids['tag']}"))
    # Of what is not sealed yet the audit log has no trail.
    await center.services.journal.flush()
    await keeping.seal_waiting(center.services)
    return ours, theirs
