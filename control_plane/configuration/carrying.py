"""A change that whoever made it waits for: a version is made, and every edge is to go by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control_plane.api.ask import Ask
from control_plane.configuration import telling
from control_plane.configuration.book import Newest, Outcome
from control_plane.configuration.desk import DESK
from control_plane.configuration.document import Edit
from control_plane.configuration.moving import note_forced
from control_plane.configuration.publisher import APPLIED_S
from control_plane.configuration.schemas import Done, MoveView, Reason, Trial


async def carry_out(
    ask: Ask[Any, Any, Any],
    edits: Callable[[Newest], list[Edit]],
    *,
    what: str,
    moved: MoveView | None = None,
) -> Done:
    """Make a version, and wait until every edge goes by it, or the time is over."""
    desk = ask.request.app[DESK]
    trial: Trial = ask.query
    why = ask.body.why if isinstance(ask.body, Reason) else trial.why
    outcome: Outcome
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await note_forced(ask, moved, why)
        outcome = await desk.book.write(
            ask, connection, edits, what=what, why=why, dry_run=trial.dry_run
        )
    wait_s = APPLIED_S if outcome.is_written else 0.0
    published = await desk.wait(outcome.number, wait_s)
    told = telling.written(outcome, ask.tenant)
    return Done(
        version=told.version,
        is_written=told.is_written,
        findings=told.findings,
        changes=told.changes,
        publication=published,
        move=moved,
    )
