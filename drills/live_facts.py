"""What the desk of sites that are up says of them, as a drill there goes by it. PURE."""

from __future__ import annotations

from collections.abc import Mapping

from drills.desk.answers import Health, Readiness, Stakes, Status
from drills.live_books import PRESENT
from edge.steering.loss import RecordingsRisk
from state.model import SiteId


def incidents(status: Status) -> tuple[str, ...]:
    """Return what is wrong at sites that are up, in words."""
    found = [f"site {row.site} is cut off" for row in status.sites if row.is_cut_off]
    found += [f"site {row.site} drains" for row in status.sites if row.is_draining]
    for row in status.sites:
        found += [f"{name} is {how}" for name, how in row.processes.items() if how is not Health.UP]
    found += [
        f"edge {row.edge} {'has no lease' if row.answers else 'does not answer'}"
        for row in status.edges
        if not (row.answers and row.has_lease)
    ]
    found += [f"site {site} serves alone" for site in status.alone]
    out = {f"{site} is {why}" for row in status.edges for site, why in row.out.items()}
    found += [f"for some edges {each}" for each in sorted(out)]
    found += ["nobody reads the shared state"] if status.snapshot != "live" else []
    if status.bad_records:
        # What they say may be just what a guard has to know. Keys may name people's things.
        found.append(
            f"records of the shared state that cannot be read: {len(status.bad_records)}"
            " (./everline status names them)"
        )
    return tuple(found)


def peak_of(stakes: Stakes, ready: Readiness) -> float | None:
    """Return the load to reckon with, in Erlangs; None: the calls that came could not be read.

    What comes now tells no peak by itself, and goes by the same records.
    """
    if stakes.peak_erlangs is None:
        return None
    return max(stakes.peak_erlangs, sum(queue.erlangs for queue in ready.as_it_is.queues))


def recordings_alone(ready: Readiness) -> Mapping[SiteId, RecordingsRisk]:
    """Return what each site's death would cost in recordings, where any site tells of it."""
    return {
        risk.site: risk.unreplicated
        for risk in ready.sites
        if risk.site is not None and risk.unreplicated is not None
    }


def present(status: Status) -> dict[SiteId, int]:
    """Return how many agents are signed in, by the site by which they are rung."""
    return {
        site: sum(count for state, count in states.items() if state in PRESENT)
        for site, states in status.agents.items()
    }


def serving(status: Status) -> frozenset[SiteId]:
    """Return the sites that serve: with an edge that lives, and not cut off."""
    up = {row.site for row in status.edges if row.answers and row.has_lease}
    return frozenset(row.site for row in status.sites if row.site in up and not row.is_cut_off)
