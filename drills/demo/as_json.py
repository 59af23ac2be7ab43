"""The demo's figures as others read them: the names in the JSON of `--json`. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from drills.demo.claims import Claim
from drills.demo.figures import Count, Figures, Run
from drills.demo.management import Edit

_Values = dict[str, object]


def as_json(run: Run, figures: Figures, found: Sequence[Claim]) -> _Values:
    """Return the figures as JSON values."""
    return {
        "seed": run.scenario.seed,
        "calls": {**_count(figures.by_people), "by_edges": _count(figures.by_edges)},
        "mismatches": [
            {"call": each.call, "people": each.people, "edges": each.edges}
            for each in figures.mismatches
        ],
        "sites": {"same": figures.same_site, "other": figures.other_site},
        "waits": {
            "mean_s": round(figures.waits.mean_s, 3),
            "p95_s": round(figures.waits.p95_s, 3),
            "max_s": round(figures.waits.max_s, 3),
            "queued": figures.waits.queued,
        },
        "routing": _routing(figures),
        "audio": {
            "checked": figures.audio_checked,
            "both_ways": figures.audio_both_ways,
            "faults": list(figures.audio_faults),
        },
        "failover": _failover(figures),
        "management": _management(run),
        "recordings": _recordings(run),
        "leaks": figures.leaks + len(figures.unanswered_stock),
        "setup_s": round(figures.setup_s, 2),
        "claims": [
            {"text": each.text, "held": each.held, "numbers": each.numbers} for each in found
        ],
        "held": all(each.held for each in found),
    }


def _count(count: Count) -> dict[str, int]:
    return {
        "offered": count.offered,
        "answered": count.answered,
        "abandoned": count.abandoned,
        "refused": count.refused,
        "lost": count.lost,
    }


def _routing(figures: Figures) -> _Values:
    faults = (*figures.wrong_skill, *figures.double_offers)
    return {
        "wrong_skill": len(figures.wrong_skill),
        "double_offers": len(figures.double_offers),
        "faults": [f"{fault.agent}: {fault.why}" for fault in faults],
    }


def _failover(figures: Figures) -> _Values:
    return {
        "killed": figures.killed,
        "leader": figures.leader,
        "successor": figures.successor,
        "rto_s": figures.rto_s,
        "redirected": figures.redirected,
        "noticed_s": {each: round(s, 3) for each, s in figures.noticed_s.items()},
        "last_offer_s": round(figures.last_offer_s, 3),
        "agents_back_s": {
            agent: round(after_s, 3) for agent, after_s in sorted(figures.back_s.items())
        },
        "lost_elsewhere": len(figures.lost_elsewhere),
        "lost_elsewhere_calls": list(figures.lost_elsewhere),
        "timeline": [
            {"after_s": round(each.after_s, 3), "who": each.who, "what": each.what}
            for each in figures.timeline
        ],
    }


def _management(run: Run) -> _Values:
    return {
        "signed_in_at": run.managed.signed_in_at,
        "edit": _edit(run.managed.edit),
        "went_on_at": list(run.managed.went_on_at),
        "renewed_at": run.managed.renewed_at,
        "later_edit": _edit(run.managed.later_edit),
        "heard_at": run.managed.heard_at,
        "first_sound_ms": run.managed.first_sound_ms,
        "faults": list(run.managed.faults),
    }


def _edit(edit: Edit | None) -> _Values | None:
    if edit is None:
        return None
    return {
        "site": edit.site,
        "version": edit.version,
        "edges": list(edit.edges),
        "missing": list(edit.missing),
        "took_s": round(edit.took_s, 3),
    }


def _recordings(run: Run) -> _Values:
    return {
        "due": len(run.recordings),
        "opened": sum(1 for each in run.recordings if not each.fault),
        "heard": sum(1 for each in run.recordings if each.is_heard),
        "incomplete": sum(1 for each in run.recordings if not each.fault and not each.is_complete),
        "faults": [
            f"{each.call}: {each.fault or 'heard otherwise'}"
            for each in run.recordings
            if not each.is_heard
        ],
        "copies": {
            "due": run.copies.due,
            "copied": run.copies.copied,
            "dead_counted": run.copies.counted,
            "dead_played": run.copies.played,
        },
        "sounds_sought": run.sounds_sought,
        "plaintext": list(run.plaintext),
    }
