"""PURE. Which changes of the configuration move traffic, and from which sites they take calls.

Owns the list of what steers: a site's own say about its calls, where a number's calls are served
and in which queue they wait, whom a queue's callers can get and how long each keeps one busy, and
which plans are active. What only orders callers (priority, weights), what they hear, and when a
number is open, takes no agent's or site's room from anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from control_plane.configuration.document import Body, Change
from control_plane.configuration.nouns import ACTIVATIONS

_STEERING: Final = {
    "dids": ("closed_queue", "queue", "sites"),
    "queues": (
        "any_of",
        "attributes",
        "longest_estimate_s",
        "longest_queue",
        "longest_wait_s",
        "needs",
        "scope",
        "steps",
        "wrap_up_s",
    ),
    "sites": ("backups", "distance_ms", "draining", "shares"),
}
"""Fields by which calls go elsewhere, or wait for others, when they change."""
REPLACED: Final = frozenset(_STEERING)
"""Sections of which one record, replaced or deleted, can move traffic."""


def is_moved(changes: Iterable[Change]) -> bool:
    """Return whether calls would go elsewhere than they do."""
    return any(_steers(each) for each in changes)


def left(changes: Iterable[Change]) -> Iterator[str]:
    """Yield the sites that calls are taken from: they drain, share their calls anew, or go."""
    for each in changes:
        if each.section == "sites" and each.before is not None and _steers(each):
            yield each.id


def _steers(change: Change) -> bool:
    if change.section == ACTIVATIONS:
        return True
    if change.before is None:
        return False  # a site, number or queue that is new takes nothing from others by itself
    fields = _STEERING.get(change.section, ())
    if change.after is None:
        return bool(fields)
    return any(_of(change.before, name) != _of(change.after, name) for name in fields)


def _of(body: Body, name: str) -> Any:  # noqa: ANN401 - a field of any kind
    """Return a field; one that says nothing is as one that is left out."""
    return body.get(name) or None
