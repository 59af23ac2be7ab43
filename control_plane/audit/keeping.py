"""What keeps the log while a control plane runs: written, sealed, countersigned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from control_plane.audit import ledger, store
from control_plane.audit.ledger import BATCH
from control_plane.audit.witness import Seen, Witness, look_once
from control_plane.background import running
from control_plane.errors import DatabaseUnavailableError
from control_plane.services import SERVICES, Services
from state.discreet import fault

log = structlog.get_logger()

EVERY_S: Final = 1.0
"""What is not sealed at once is, within about this time; and so soon another site looks at it."""


async def context(app: web.Application) -> AsyncIterator[None]:
    """Keep the log while the application runs."""
    services = app[SERVICES]
    async with running("audit", services.journal.run, partial(_keep, services)):
        yield


async def _keep(services: Services) -> None:
    witness = Witness(services.ledger, services.database, services.clock)
    while services.ledger.signer is not None:
        try:
            await seal_waiting(services)
            seen = await look_once(witness)
            services.metrics.audit_is_whole.set(seen is not Seen.BROKEN)
        except DatabaseUnavailableError:
            pass  # it is told of elsewhere, and the log goes on when it is back
        except ledger.FAILURES as error:
            services.metrics.audit_is_whole.set(0)
            log.error("audit_not_sealed", **fault(error))  # noqa: TRY400 - its text stays out
        except Exception:
            services.metrics.audit_is_whole.set(0)  # nobody knows
            raise
        await asyncio.sleep(EVERY_S)


async def seal_waiting(services: Services) -> None:
    """Seal what waits, a batch in a transaction."""
    while True:
        async with services.database.read() as connection:
            if not await store.is_waiting(connection):
                return
        async with services.database.write() as connection:
            await services.ledger.seal(connection, most=BATCH)
