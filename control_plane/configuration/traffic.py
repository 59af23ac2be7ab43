"""PURE. Which changes of the configuration move traffic, and from which sites they take calls.

Owns the list of what steers: a site's own say about its calls, where a number's calls are served
and in which queue they wait, and which plans are active.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from control_plane.configuration.document import Body, Change
from control_plane.configuration.nouns import ACTIVATIONS

_STEERING: Final = {
    "dids": ("queue", "sites"),
    "sites": ("backups", "distance_ms", "draining", "shares"),
}
"""Fields by which calls go elsewhere when they change."""
_WHOLE: Final = frozenset({ACTIVATIONS, "queues"})
"""Whatever changes in these: a queue's steps and needs, a plan's being active."""
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
    if change.section in _WHOLE:
        return True
    if change.before is None:
        return False  # a site or number that is new takes nothing from others by itself
    fields = _STEERING.get(change.section, ())
    if change.after is None:
        return bool(fields)
    return any(_of(change.before, name) != _of(change.after, name) for name in fields)


def _of(body: Body, name: str) -> Any:  # noqa: ANN401 - a field of any kind
    """Return a field; one that says nothing is as one that is left out."""
    return body.get(name) or None
