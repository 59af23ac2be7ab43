"""A change that whoever made it waits for: a version is made, and every edge is to go by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from control_plane.configuration import telling
from control_plane.configuration.book import Newest, Outcome
from control_plane.configuration.desk import DESK
from control_plane.configuration.moving import AnyAsk, Edits, moved, note_forced
from control_plane.configuration.publisher import APPLIED_S
from control_plane.configuration.schemas import Done, MoveView, Reason, Trial


async def carry_out(
    ask: AnyAsk,
    edits: Edits,
    *,
    what: str,
    sites: Callable[[Newest], Iterable[str]] | None = None,
    within_s: float | None = None,
) -> Done:
    """Make a version, and wait until every edge goes by it, or the time is over.

    What it does to traffic is judged first: `sites` and `within_s` as `moving.moved` has them.
    """
    desk = ask.request.app[DESK]
    trial: Trial = ask.query
    why = ask.body.why if isinstance(ask.body, Reason) else trial.why

    async def write(view: MoveView | None, still: Edits) -> tuple[MoveView | None, Outcome]:
        async with ask.services.database.write() as connection:
            ask.connection = connection
            await note_forced(ask, view, why)
            return view, await desk.book.write(
                ask, connection, still, what=what, why=why, dry_run=trial.dry_run
            )

    view, outcome = await moved(ask, edits, write, sites, within_s=within_s)
    wait_s = APPLIED_S if outcome.is_written else 0.0
    published = await desk.wait(outcome.number, wait_s)
    told = telling.written(outcome, ask.tenant)
    return Done(
        version=told.version,
        is_written=told.is_written,
        findings=told.findings,
        changes=told.changes,
        publication=published,
        move=view,
    )
