"""Before traffic moves: what it would come to, and whether it may.

Owns when a move is refused. What it would come to is `edge.steering.judgement`'s, by the newest
snapshot and the calls of the last while.

The laws:

- What would not fit because of the move is refused, and shown with its waits; whoever may force it
  and says why goes on, and that is written down.
- An emergency is never refused, and waits for no reckoning: calls leave a site that is dead or
  fails, whatever that comes to. A dry run says what that is.
- Of two who move traffic at once the second is judged by what the first has made of it.
- A way back is a move like another: of a plan that is reverted, or a configuration rolled back to.
- What cannot be looked at, and what the prediction stumbles over, is not refused either, and is
  said not to have been checked.
- A plan does not wait for a reckoning that takes long, nor is it carried out unseen: whoever asks
  hears that it is not known yet, and asks again a little later, when it is, or forces it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import structlog

from control_plane.api.ask import Ask
from control_plane.api.model import instant
from control_plane.calls import store as calls
from control_plane.configuration import traffic
from control_plane.configuration.book import Newest
from control_plane.configuration.check import check
from control_plane.configuration.desk import DESK
from control_plane.configuration.document import Document, Edit, applied, difference
from control_plane.configuration.errors import does_not_fit, not_predicted
from control_plane.configuration.reckoning import NotKnown, key_of
from control_plane.configuration.schemas import MoveTrial, MoveView, QueueOutlook, SiteOutlook
from control_plane.errors import FORBIDDEN, ApiError, ControlPlaneError, invalid
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from edge.steering.coming import coming
from edge.steering.judgement import Move, move
from edge.steering.prediction import QueuePrediction, SitePrediction
from edge.steering.standing import ill_sites
from state.configuration import Configuration
from state.mirror import Mirror, MirrorState
from state.model import MAIN, CallRecord, SiteId
from state.snapshot import Snapshot

log = structlog.get_logger()

T = TypeVar("T")
AnyAsk = Ask[Any, Any, Any]
Edits: TypeAlias = Callable[[Newest], list[Edit]]
WINDOW_S: Final = 600.0
"""What came in so long is what is reckoned with."""
MOST_RECORDS: Final = 20_000
UNSEEN: Final = MoveView(why_unchecked="the shared state cannot be seen from here")
PLAN_WAITS_S: Final = 1.5
"""A plan is to be live everywhere in two seconds, which is what the rest is for."""
TOO_LATE: Final = MoveView(
    why_unchecked="it took too long to reckon for what is to be live in two seconds, and was forced"
)
UNPREDICTED: Final = MoveView(why_unchecked="the prediction failed, by a fault that the log tells")


class OvertakenError(ControlPlaneError):
    """Somebody else has moved traffic since a change was judged."""


async def moved(
    ask: AnyAsk,
    edits: Edits,
    write: Callable[[MoveView | None, Edits], Awaitable[T]],
    sites: Callable[[Newest], Iterable[str]] | None = None,
    *,
    within_s: float | None = None,
) -> T:
    """Write a change with what it comes to, or raise `move-does-not-fit`, `move-not-predicted`.

    `write` takes that (None: nothing moves, or it would be broken), and the edits to be written: if
    somebody else was quicker, they raise `OvertakenError`, and the change is judged anew.
    `sites`: those that the change takes calls from; left out, what it does to sites says so.
    `within_s`: so long it may take to reckon; a dry run takes as long as it takes.
    """
    while True:
        view, by = await _judged(ask, edits, sites, within_s)
        try:
            return await write(view, partial(_still, edits, by))
        except OvertakenError:
            log.info("judged_again", version=by.number)


def _still(edits: Edits, by: Newest, now: Newest) -> list[Edit]:
    """Return the edits, if traffic and plans are as they were judged by. Raise `OvertakenError`."""
    if now.number != by.number:
        since = difference(by.document, now.document)
        if traffic.is_moved(since) or any(each.section == "plans" for each in since):
            raise OvertakenError
    return edits(now)


async def _judged(
    ask: AnyAsk,
    edits: Edits,
    sites: Callable[[Newest], Iterable[str]] | None,
    within_s: float | None,
) -> tuple[MoveView | None, Newest]:
    """Return what a change comes to, and by which version that was judged."""
    _may_force(ask, ask.query)
    async with ask.services.database.read() as connection:
        newest = await ask.request.app[DESK].book.newest(connection)
        wanted = edits(newest)
        after = applied(newest.document, wanted, newest.number + 1)
        changes = difference(newest.document, after, [each.key for each in wanted])
        if sites is None and not traffic.is_moved(changes):
            return None, newest
        since_ms = ask.now_ms - round(WINDOW_S * 1000)
        records = await calls.since(connection, None, since_ms, MOST_RECORDS)
    losing = frozenset(traffic.left(changes) if sites is None else sites(newest))
    return await _outlook(ask, newest, after, records, losing, within_s), newest


async def _outlook(  # noqa: PLR0913, PLR0917 - what it is reckoned from
    ask: AnyAsk,
    newest: Newest,
    after: Document,
    records: Sequence[CallRecord],
    losing: frozenset[str],
    within_s: float | None,
) -> MoveView | None:
    """Return what it comes to that `after` takes the place of `newest`; None: it would be broken.

    `losing`: the sites that calls are taken from.
    """
    desk, trial = ask.request.app[DESK], ask.query
    if desk.mirror is None or not can_see(desk.mirror):
        return UNSEEN
    snapshot = desk.mirror.snapshot
    failing = losing & failing_sites(snapshot, ask.services.settings.site)
    if failing and not trial.dry_run:
        return MoveView(why_unchecked="it is an emergency", emergency=_emergency(failing))
    checked = await asyncio.to_thread(check, after)
    if checked.errors:
        return None  # and that is what is answered
    tickets = (entry.value for entry in snapshot.tickets.values())
    reckoning = partial(
        move,
        snapshot,
        checked.configuration,
        coming(records, ask.now_ms, WINDOW_S, on=tickets, known_from_ms=known_from_ms(records)),
        ask.services.clock.now(),
        # A version that was written a moment ago is not in the snapshot yet.
        present=newest.checked.configuration,
    )
    key = key_of(checked.configuration, newest.checked.configuration)
    waits_s = None if trial.dry_run else within_s
    found = await desk.reckonings.found(key, reckoning, waits_s)
    if isinstance(found, NotKnown):
        return _unknown(found, waits_s, is_forced=trial.force)
    view = told(found, checked.configuration, ask.tenant, failing)
    if not (view.fits or view.emergency or trial.dry_run or trial.force):
        raise does_not_fit(view.model_dump(mode="json"))
    return view


def _unknown(why: NotKnown, waited_s: float | None, *, is_forced: bool) -> MoveView:
    """Return what is said of a move that is made although nobody knows, or raise that it is not."""
    if why is NotKnown.FAILED:
        return UNPREDICTED
    if is_forced:
        return TOO_LATE
    raise not_predicted(waited_s)


def known_from_ms(records: Sequence[CallRecord]) -> int | None:
    """PURE. Return since when all of these are here that came, the latest first; None: all are."""
    return records[-1].arrived_ms if len(records) >= MOST_RECORDS else None


def can_see(mirror: Mirror) -> bool:
    """Return whether the shared state has been heard of lately."""
    return mirror.state is MirrorState.LIVE


def _may_force(ask: AnyAsk, trial: MoveTrial) -> None:
    """Raise `forbidden`, or `invalid` without a reason."""
    if not trial.force:
        return
    thing = Thing(kind="move", tenant=ask.tenant, id=getattr(ask.at, "id", ""))
    if not ask.sees(thing, Permission.MOVE_FORCE):
        raise ApiError(FORBIDDEN, "What does not fit may be forced by who has move:force.")
    if not (trial.why or getattr(ask.body, "why", "")):
        raise invalid("query.why", "say why it is to be done although it does not fit")


def failing_sites(snapshot: Snapshot, own: str) -> frozenset[str]:
    """PURE. Return the sites that are dead, or ill by the others' word."""
    lit = {life.value.site for life in snapshot.edges.values()}
    return frozenset(set(snapshot.sites) - lit) | frozenset(ill_sites(snapshot, SiteId(own)))


def told(
    found: Move, rules: Configuration, tenant: str, failing: frozenset[str] = frozenset()
) -> MoveView:
    """PURE. Return a move as a tenant may see it: its own queues, and of a site whether it fits.

    The center's own, which runs the sites, is told what they carry, and how many queues of others
    would fall short.
    """
    own = {queue.id for queue in rules.queues if queue.tenant == tenant}
    unfit = {each.queue for each in found.queues}
    was_queues = {each.queue: each for each in found.before.queues}
    was_sites = {each.site: each for each in found.before.sites}
    others = len(unfit - own) if tenant == MAIN else 0
    sites = {each.site for each in found.sites}
    return MoveView(
        is_checked=True,
        fits=not (unfit & own or others or sites or found.is_unserved),
        emergency=_emergency(failing),
        others_short=others,
        since=instant(found.from_ms),
        target_s=found.target_s,
        level=found.level,
        seed=found.seed,
        formula=found.formula,
        queues=tuple(
            _queue(each, was_queues.get(each.queue), fits=each.queue not in unfit)
            for each in found.after.queues
            if each.queue in own
        ),
        sites=tuple(
            _site(each, was_sites.get(each.site), fits=each.site not in sites)
            if tenant == MAIN
            else _bare_site(each, fits=each.site not in sites)
            for each in found.after.sites
        ),
    )


async def note_forced(ask: AnyAsk, moved: MoveView | None, why: str) -> None:
    """Write down, beside the version's own entry, who went on although they were shown this.

    Or, by their own word, although nobody could say what it comes to.
    """
    if moved is None or ask.query.dry_run:
        return
    if moved.fits and (moved.is_checked or not ask.query.force):
        return
    detail = {
        "why": why,
        "unchecked": moved.why_unchecked,
        "emergency": moved.emergency,
        "queues": [each.queue for each in moved.queues if not each.fits],
        "sites": [each.site for each in moved.sites if not each.fits],
        "others_short": moved.others_short,
    }
    await ask.audit(getattr(ask.at, "id", ""), action="move.forced", detail=detail)


def _emergency(failing: frozenset[str]) -> str:
    return ", ".join(f"{each} is dead or fails" for each in sorted(failing))


def _queue(now: QueuePrediction, was: QueuePrediction | None, *, fits: bool) -> QueueOutlook:
    forecast = now.forecast
    wait = forecast.mean_wait_s
    return QueueOutlook(
        queue=now.queue,
        fits=fits,
        erlangs=round(forecast.erlangs, 2),
        agents=round(forecast.agents, 2),
        suited=forecast.suited,
        short=forecast.short,
        wait_s=None if math.isinf(wait) else round(wait, 1),
        level=round(forecast.level, 3),
        was_level=None if was is None else round(was.forecast.level, 3),
        imagined_calls=now.calls,
        imagined_wait_s=_rounded(now.wait_s, 1),
        imagined_level=_rounded(now.level, 3),
        imagined_was_level=None if was is None else _rounded(was.level, 3),
        turned_away=now.turned_away,
        never=now.never,
    )


def _site(now: SitePrediction, was: SitePrediction | None, *, fits: bool) -> SiteOutlook:
    return SiteOutlook(
        site=now.site,
        fits=fits,
        is_draining=now.is_draining,
        agents=now.agents,
        calls_per_s=round(now.calls_per_s, 3),
        was_calls_per_s=0.0 if was is None else round(was.calls_per_s, 3),
        erlangs=round(now.erlangs, 2),
        lines=now.lines,
        room=now.room,
        lines_short=now.lines_short,
        most_calls_per_s=now.most_calls_per_s,
    )


def _bare_site(now: SitePrediction, *, fits: bool) -> SiteOutlook:
    """Return a site without what all tenants together have there."""
    return SiteOutlook(
        site=now.site,
        fits=fits,
        is_draining=now.is_draining,
        lines_short=now.lines_short,
        most_calls_per_s=now.most_calls_per_s,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
