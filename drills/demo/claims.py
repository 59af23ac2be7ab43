"""What the demo stands for, claim by claim. PURE.

Owns when a claim is broken. The shell prints what stands here and exits by it; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from msgspec import Struct

from drills.demo import failover
from drills.demo.figures import Figures, Run
from drills.demo.management import is_everywhere, told
from state.model import EdgeId, SiteId

RTO_LIMIT_S = 5.0
NOTICE_LIMIT_S = 5.0
BACK_LIMIT_S = 15.0
SETUP_LIMIT_S = 15.0
HEARD_LIMIT_S = 2.0


class Claim(Struct, frozen=True, kw_only=True):
    """One sentence that the demo stands for, and whether it held."""

    text: str
    held: bool
    numbers: str


def claims(run: Run, figures: Figures) -> tuple[Claim, ...]:
    """Return every claim, held or broken, with its numbers."""
    return (
        *_claims_of_calls(run, figures),
        *_claims_of_routing(figures),
        *_claims_of_audio(figures),
        *_claims_of_recordings(run),
        *_claims_of_failover(figures),
        *_claims_of_management(run),
        *_claims_of_housekeeping(figures),
    )


def _claims_of_calls(run: Run, figures: Figures) -> tuple[Claim, ...]:
    people, edges = figures.by_people, figures.by_edges
    planned = len(run.scenario.calls)
    return (
        Claim(
            text="Every call of the plan was placed",
            held=figures.offered == planned,
            numbers=f"{figures.offered} of {planned}",
        ),
        Claim(
            text="Every call came to exactly one end",
            held=people.adds_up and edges.adds_up,
            numbers=f"{people.offered} = {people.answered} answered + {people.abandoned} abandoned"
            f" + {people.refused} refused + {people.lost} lost",
        ),
        Claim(
            text="Callers and edges tell the same story of every call",
            held=people == edges and not figures.mismatches,
            numbers=f"{len(figures.mismatches)} differ",
        ),
        Claim(
            text="Calls were answered, and some had to queue first",
            held=people.answered > 0 and figures.waits.queued > 0,
            numbers=f"{people.answered} answered, {figures.waits.queued} of them queued",
        ),
    )


def _claims_of_routing(figures: Figures) -> tuple[Claim, ...]:
    return (
        Claim(
            text="Nobody was rung for a call that they lack the skill for",
            held=not figures.wrong_skill,
            numbers=f"{len(figures.wrong_skill)} wrong",
        ),
        Claim(
            text="No agent was offered two calls, and no call two agents",
            held=not figures.double_offers,
            numbers=f"{len(figures.double_offers)} double",
        ),
    )


def _claims_of_audio(figures: Figures) -> tuple[Claim, ...]:
    checked, both = figures.audio_checked, figures.audio_both_ways
    return (
        Claim(
            text="Audio was checked on every answered call of our phones, and on half of all",
            held=figures.audio_due_checked == figures.audio_due
            and 2 * checked >= figures.by_people.answered > 0,
            numbers=f"{figures.audio_due_checked} of {figures.audio_due};"
            f" {checked} of {figures.by_people.answered}",
        ),
        Claim(
            text="Each side heard the other, and nobody else",
            held=both == checked > 0,
            numbers=f"{both} of {checked}",
        ),
    )


def _claims_of_recordings(run: Run) -> tuple[Claim, ...]:
    due = run.recordings
    opened = [each for each in due if not each.fault]
    heard = [each for each in due if each.is_heard]
    why = "".join(f"; {each.call[:8]}: {each.fault}" for each in due if each.fault)
    managed = run.managed
    return (
        Claim(
            text="Every answered call of a living site has a recording, opened by another's key",
            held=len(opened) == len(due) > 0,
            numbers=f"{len(opened)} of {len(due)}{why}",
        ),
        Claim(
            text="On each, the caller is heard left, the agent right, and nobody else",
            held=len(heard) == len(due) > 0,
            numbers=f"{len(heard)} of {len(due)}, {sum(each.seconds for each in opened):.0f} s",
        ),
        Claim(
            text="No file of any site holds a sound of them in the clear",
            held=not run.plaintext and run.sounds_sought > 0,
            numbers=f"{run.sounds_sought} sounds sought, in {len(run.plaintext)} files",
        ),
        Claim(
            text="What was copied is heard at another living site, with that site's keys alone",
            held=run.copies.is_whole,
            numbers=f"{run.copies.copied} of {run.copies.due} since the kill; of the dead site's"
            f" {run.copies.played} of {run.copies.counted} that it had counted",
        ),
        Claim(
            text=f"A manager heard one over the API, the first sound within {HEARD_LIMIT_S:g} s",
            held=managed.is_heard_right and managed.first_sound_ms <= 1000 * HEARD_LIMIT_S,
            numbers=f"at {managed.heard_at or 'none'}, {managed.first_sound_ms:.0f} ms,"
            f" {'the right' if managed.is_heard_right else 'other'} bytes",
        ),
    )


def _claims_of_failover(figures: Figures) -> tuple[Claim, ...]:
    rto = "never" if figures.rto_s is None else f"{figures.rto_s:.2f} s"
    return (
        Claim(
            text="The site that was killed held the etcd leader, and another took over",
            held=figures.killed is not None
            and figures.killed == figures.leader
            and figures.successor not in {None, figures.killed},
            numbers=f"{figures.killed or 'none'} killed; leader at {figures.leader or 'none'},"
            f" then at {figures.successor or 'none'}",
        ),
        Claim(
            text=f"The dead site's callers were served elsewhere within {RTO_LIMIT_S:g} s",
            held=figures.rto_s is not None and figures.rto_s <= RTO_LIMIT_S,
            numbers=f"{rto}, {figures.redirected} such calls, {figures.slow} slow",
        ),
        Claim(
            text=f"Carrier, edges and etcd each noticed within {NOTICE_LIMIT_S:g} s",
            held=all(
                figures.noticed_s.get(each, inf) <= NOTICE_LIMIT_S for each in failover.Detector
            ),
            numbers=", ".join(
                f"{each} {figures.noticed_s[each]:.2f} s"
                if each in figures.noticed_s
                else f"{each} never"
                for each in failover.Detector
            ),
        ),
        Claim(
            text=f"After {NOTICE_LIMIT_S:g} s nobody was sent to an agent at the dead site",
            held=figures.killed is not None and figures.last_offer_s <= NOTICE_LIMIT_S,
            numbers=f"the last {figures.last_offer_s:.2f} s after the kill"
            if figures.last_offer_s
            else "none after the kill",
        ),
        Claim(
            text=f"Its agents took calls at other sites within {BACK_LIMIT_S:g} s",
            held=len(figures.back_s) == figures.homed
            and max(figures.back_s.values(), default=inf) <= BACK_LIMIT_S,
            numbers=f"{len(figures.back_s)} of {figures.homed}, the last after "
            f"{max(figures.back_s.values(), default=inf):.2f} s",
        ),
        Claim(
            text="No call was lost that was not on the dead site",
            held=not figures.lost_elsewhere,
            numbers=f"{len(figures.lost_elsewhere)} lost elsewhere",
        ),
    )


def _claims_of_management(run: Run) -> tuple[Claim, ...]:
    managed, sites = run.managed, run.scenario.sites
    dead = run.kill.site if run.kill else None
    alive = tuple(site for site in sites if site != dead)
    edges, survivors = _edges(run, sites), _edges(run, alive)
    why = "".join(f"; {fault}" for fault in managed.faults)
    return (
        Claim(
            text="A manager signed in at one site and edited a queue at another, for every edge",
            held=managed.signed_in_at is not None
            and managed.edit is not None
            and managed.edit.site != managed.signed_in_at
            and is_everywhere(managed.edit, edges),
            numbers=f"signed in at {managed.signed_in_at or 'none'},"
            f" {told(managed.edit, edges)}{why}",
        ),
        Claim(
            text="After the kill the same session went on at every survivor, and edited again",
            held=dead is not None
            and managed.went_on_at == alive
            and managed.renewed_at in alive
            and managed.later_edit is not None
            and managed.later_edit.site in alive
            and is_everywhere(managed.later_edit, survivors),
            numbers=f"{len(managed.went_on_at)} of {len(alive)} sites,"
            f" {told(managed.later_edit, survivors)}",
        ),
    )


def _edges(run: Run, sites: Sequence[SiteId]) -> tuple[EdgeId, ...]:
    return tuple(edge for edge in run.edges if run.edges[edge] in sites)


def _claims_of_housekeeping(figures: Figures) -> tuple[Claim, ...]:
    silent = "".join(f", {edge} did not answer" for edge in figures.unanswered_stock)
    return (
        Claim(
            text="Nothing is left behind: no leg, media, ticket or offer",
            held=figures.leaks == 0 and not figures.unanswered_stock,
            numbers=f"{figures.leaks} left{silent}",
        ),
        Claim(
            text=f"The three sites were up within {SETUP_LIMIT_S:g} s",
            held=figures.setup_s <= SETUP_LIMIT_S,
            numbers=f"{figures.setup_s:.1f} s",
        ),
    )
