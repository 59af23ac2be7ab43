"""Which fields of the answers that the OpenAPI document declares have come back to somebody.

A field is a property of a schema, where some endpoint of a resource answers with that schema. What
an endpoint's own permission decides is there, or the whole answer is refused; the groups of fields
that have permissions of their own are in `fields`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from control_plane.api.route import AnyRoute, Public
from tests.control_plane.center import Reply
from tests.control_plane.outside.crawl import DOCUMENT, SCHEMAS

Schema = Mapping[str, Any]
_STORE: Final = "no store of recordings is served here: tests/control_plane/recordings"
_RECORDINGS: Final = (
    "Page_RecordingView_", "PartView", "RecordingView", "SpanView", "WaveformView",
    "control_plane__recordings__schemas__TransferView",
)  # fmt: skip
_DELETIONS: Final = ("DeletionView", "Page_DeletionView_", "SiteDeletionView")
_OLD: Final = "nothing moves, since who asks has an old version: tests/control_plane/live"
_MOVED: Final = ("Moved", "MoveView")
_EDGELESS: Final = "no edge serves here: tests/control_plane/live"
_UNWAITED: Final = "nobody was told how long they would wait: tests/control_plane/live"
UNTOLD: Final[Mapping[tuple[str, str], str]] = {
    **{("recordings", each): _STORE for each in _RECORDINGS},
    **{("recording-deletions", each): _STORE for each in _DELETIONS},
    ("readiness", "RecordingsRiskView"): _STORE,
    **{(noun, each): _OLD for noun in ("dids", "queues") for each in _MOVED},
    ("sites", "Moved"): _OLD,
    **{(noun, "EdgeApplied"): _EDGELESS for noun in ("configuration", "plans", "sites")},
    ("live", "EdgeView"): _EDGELESS,
    **{(noun, "EstimatesView"): _UNWAITED for noun in ("live", "queues")},
    (
        "queues",
        "CallBackTable",
    ): "no trunk calls back here: tests/control_plane/test_configuration.py",
    ("calls", "PassedOverView"): "no edge is silent here: tests/control_plane/live",
    ("calls", "RecordingPauseView"): "no recorder answers here: tests/control_plane/live",
    ("me", "PhoneCredentialsView"): "no phone's secrets are here: tests/control_plane/phones",
}
"""Schemas of a resource of which no answer here tells all, why, and where they are seen."""
BY_CHANCE: Final = frozenset({"FindingView", "QueueOutlook", "SiteOutlook"})
"""What is found of a configuration, or predicted of it, depends on what others did just before."""


class Field(NamedTuple):
    """One that may be told."""

    resource: str
    schema: str
    name: str


def resource(route: AnyRoute) -> str:
    """Return what a route is of: what is done to one thing is driven together."""
    return route.path.split("/")[2]


def declared(routes: Iterable[AnyRoute]) -> frozenset[Field]:
    """Return all fields that answers to whoever is signed in may have."""
    return frozenset(
        Field(resource(route), schema, name)
        for route in routes
        if not isinstance(route.access, Public)
        for answer in _answers(route)
        for schema in _reached(answer, set()) - BY_CHANCE
        for name in SCHEMAS[schema].get("properties", {})
    )


def in_answer(route: AnyRoute, reply: Reply) -> Iterator[Field]:
    """Yield the fields that an answer has."""
    if "json" not in reply.headers.get("Content-Type", "json"):
        return
    for answer in _answers(route):
        for schema, name in _walk(answer, json.loads(reply.body)):
            yield Field(resource(route), schema, name)


def untold(routes: Iterable[AnyRoute], told: Iterable[Field]) -> tuple[str, ...]:
    """Return the fields that nobody was told, and that no reason stands beside."""
    missing = declared(routes) - frozenset(told)
    return tuple(sorted(
        f"/v1/{each.resource}: {each.schema}.{each.name}"
        for each in missing if (each.resource, each.schema) not in UNTOLD
    ))  # fmt: skip


def told_after_all(routes: Iterable[AnyRoute], told: Iterable[Field]) -> tuple[str, ...]:
    """Return the reasons that hold no more: all of such a schema was told."""
    missing = {(each.resource, each.schema) for each in declared(routes) - frozenset(told)}
    known = {(each.resource, each.schema) for each in declared(routes)}
    return tuple(sorted(f"/v1/{noun}: {name}" for noun, name in UNTOLD.keys() & known - missing))


def _answers(route: AnyRoute) -> Iterator[Schema]:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values() if status.startswith("2") else ():
            if "schema" in content:
                yield content["schema"]


def _reached(schema: Schema, known: set[str]) -> set[str]:
    """Return the names of the schemas that an answer may hold."""
    if (name := _name(schema)) and name not in known:
        known.add(name)
        _reached(SCHEMAS[name], known)
    for part in _parts(schema):
        _reached(part, known)
    return known


def _parts(schema: Schema) -> Iterator[Schema]:
    yield from schema.get("anyOf", ())
    yield from schema.get("properties", {}).values()
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), Mapping):
            yield schema[key]


def _walk(schema: Schema, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    name = _name(schema)
    found = SCHEMAS[name] if name else schema
    for each in found.get("anyOf", ()):
        yield from _walk(each, value)
    if isinstance(value, list):
        for one in value:
            yield from _walk(found.get("items", {}), one)
    if isinstance(value, dict) and found.get("type") == "object":
        others = found.get("additionalProperties")
        for key, one in value.items():
            if key in found.get("properties", {}):
                yield name, key
                yield from _walk(found["properties"][key], one)
            elif isinstance(others, Mapping):
                yield from _walk(others, one)


def _name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]
