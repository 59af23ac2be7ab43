"""What would happen if a site died now, as the command shows it. PURE.

What that is, is `edge.steering.loss`'s: the same that is asked before traffic moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from drills.desk.answers import Readiness
from drills.desk.tables import spaced, table
from drills.desk.words import lasting
from edge.steering.loss import SiteRisk, outlook
from state.members import EtcdMember
from state.model import CallRecord, Now
from state.snapshot import Snapshot
from state.space import REMEDY, Space


def readiness(  # noqa: PLR0913, PLR0917 - all that is known
    lab: int,
    snapshot: Snapshot,
    records: Iterable[CallRecord],
    now: Now,
    members: Sequence[EtcdMember] = (),
    space: Space | None = None,
) -> Readiness:
    """Return, for each site of a lab, how callers would fare without it."""
    found = outlook(snapshot, records, now, members=members)
    return Readiness(
        lab=lab,
        etcd_taken=None if space is None else round(space.share(), 3),
        etcd_has_room=space is None or not space.is_nearly_full(),
        etcd_is_full=space is not None and space.is_full,
        **{name: getattr(found, name) for name in found.__struct_fields__},
    )


# ---- as a table ----------------------------------------------------------------------------------


def shown(answer: Readiness) -> RenderableType:
    """Return the answer for a terminal."""
    rows = table(
        "If this site died now",
        "site",
        "agents lost",
        "calls there",
        "lines short",
        "only there",
        "quorum",
        "queue",
        "load",
        "agents left",
        "wait",
        f"in {answer.target_s:g} s",
        "imagined",
        "short",
    )
    for risk in (answer.as_it_is, *answer.sites):
        name = "none" if risk.site is None else risk.site
        head = (
            name if risk.is_serving else f"{name} (gone)",
            str(risk.agents_lost),
            str(risk.calls_there),
            str(risk.lines_short or "-"),
            _only_there(risk),
            "kept" if risk.quorum_left else "LOST",
        )
        for number, queue in enumerate(risk.queues):
            wait = "for ever" if queue.mean_wait_s is None else f"{queue.mean_wait_s:.1f} s"
            imagined = "-" if queue.imagined_level is None else f"{queue.imagined_level:.0%}"
            rows.add_row(
                *(head if number == 0 else ("",) * len(head)),
                queue.queue,
                f"{queue.erlangs:.2f}",
                f"{queue.agents:.1f} of {queue.suited}",
                wait,
                f"{queue.level:.0%}",
                imagined,
                str(queue.short) if queue.short else "-",
                style="" if queue.fits else "red",
            )
        if not risk.queues:
            rows.add_row(*head, "nobody has called lately", *[""] * 6)
    return spaced((rows, *_silent(answer), *_no_room(answer), _verdict(answer)))


def _silent(answer: Readiness) -> list[Text]:
    """Say which members of etcd do not take part, by which the quorum is reckoned."""
    if not answer.members_silent:
        return []
    silent = ", ".join(answer.members_silent)
    told = f"etcd: {len(answer.members_silent)} of {answer.members} members silent: {silent}"
    return [Text(told, style="red")]


def _no_room(answer: Readiness) -> list[Text]:
    """Say that etcd is full, or soon will be, and what makes room."""
    if answer.etcd_has_room:
        return []
    taken = "" if answer.etcd_taken is None else f"{answer.etcd_taken:.0%} of its quota is taken"
    told = (
        "etcd has no space left, and each site serves alone."
        if answer.etcd_is_full
        else f"etcd is nearly full ({taken}); once it is full, each site serves alone."
    )
    return [Text(f"ALARM: {told}\nMake room: {REMEDY}", style="bold red")]


def _verdict(answer: Readiness) -> Text:
    if answer.can_lose_any:
        return Text("Any site may be lost.", style="green")
    told = [
        f"site {risk.site}: {'; '.join(against(risk))}"
        for risk in answer.sites
        if risk.is_serving and not risk.can_be_lost
    ]
    if not answer.as_it_is.sites_left:
        return Text("ALARM: no site serves.", style="bold red")
    alarm = "\n".join(["ALARM: a site's loss could not be borne.", *told])
    return Text(alarm, style="bold red")


def against(risk: SiteRisk) -> list[str]:
    """Return why a site cannot be lost, each in a few words."""
    alone = risk.unreplicated
    found = [] if risk.sites_left else ["no site would be left"]
    found += [] if risk.quorum_left else ["no quorum would be left"]
    found += [f"{risk.lines_short} lines short"] if risk.lines_short else []
    found += [
        f"queue {queue.queue}: {queue.short} agents short"
        if queue.short
        else f"queue {queue.queue}: waits too long"
        for queue in risk.queues
        if not queue.fits
    ]
    if alone is not None and alone.is_late:
        found.append(
            f"{alone.recordings} recordings ({lasting(alone.recorded_s)}) are nowhere else,"
            " and copies are late"
        )
    return found or ["some imagined callers would not be served"]


def _only_there(risk: SiteRisk) -> str:
    """Say how many recordings, and how much talk, no other site has; calls under way count."""
    alone = risk.unreplicated
    if alone is None:
        return "-"
    count = alone.recordings + alone.under_way
    if not count:
        return "LATE" if alone.is_late else "-"
    told = f"{count}, {lasting(alone.recorded_s + alone.under_way_s)}"
    return f"{told} LATE" if alone.is_late else told
