"""Requests to every endpoint, with ids and words of one's choice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from control_plane.api.openapi import document
from control_plane.api.route import AnyRoute, Public
from control_plane.app import ROUTES
from tests.control_plane.center import Person, Reply

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document(ROUTES, "1")))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OF_SECTION = {
    "sites": "site", "trunks": "trunk", "dids": "did", "queues": "queue", "calendars": "calendar",
    "agents": "agent", "skills": "skill", "prompts": "prompt", "pause-codes": "pause_code",
    "wrap-up-codes": "wrap_up_code", "plans": "plan", "teams": "team",
}  # fmt: skip
"""What `{id}` means in a path."""
NOT_CRAWLED = frozenset({"sign_in_end"})
"""It ends the session of all that comes after it."""


WORDS = frozenset({"word", "name", "tag", "q", "field", "value", "team", "number", "agent"})


@dataclass(frozen=True)
class Sent:
    """One request."""

    route: AnyRoute
    path: str
    headers: Mapping[str, str]
    body: Any = None

    @property
    def words(self) -> str:
        """Return all that it says."""
        return f"{self.path} {dict(self.headers)} {self.body!r}"

    async def by(self, person: Person) -> Reply:
        """Send it."""
        return await person.ask(self.route.method, self.path, self.body, self.headers)


def everything(ids: Mapping[str, str]) -> Iterator[Sent]:
    """Yield a request to every endpoint that needs a token; KeyError: a path wants what is new."""
    for route in ROUTES:
        if not isinstance(route.access, Public) and route.name not in NOT_CRAWLED:
            yield one(route, ids)


def one(route: AnyRoute, ids: Mapping[str, str]) -> Sent:
    """Return a request to `route` about these ids, with a body that fits."""
    path = route.path
    section = path.split("/")[2]
    # Of a caller, or of a version.
    number = "version" if "versions" in path else "number"
    for name in route.at.model_fields:
        key = OF_SECTION[section] if name == "id" else {"number": number}.get(name, name)
        path = path.replace(f"{{{name}}}", quote(ids[key], safe=""))
    headers = {"Everline-Purpose": "a crawl"}
    if route.needs_version:
        headers["If-Match"] = '"1"'
    if "approval" in ids and route.takes_approval:
        headers["Everline-Approval"] = ids["approval"]
    body: Any = None
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    if content := operation.get("requestBody", {}).get("content"):
        schema = next(iter(content.values())).get("schema")
        if schema is None:
            headers["Content-Type"] = route.takes
            body = b"name,numbers\nSomebody,+4930333333\n"
        else:
            # Ids of things; the words in them would come back as one's own.
            body = example(schema, {k: v for k, v in ids.items() if k not in WORDS})
    return Sent(route, path, headers, body)


def filtered(sent: Sent, ids: Mapping[str, str]) -> Iterator[Sent]:
    """Yield the request with each of its filters and orders."""
    for name, field in sent.route.query.model_fields.items():
        if name in ("limit", "cursor", "dry_run"):
            continue
        words = [ids.get(name), ids.get("word")]
        if name == "sort":
            words = ["name", "-name", "created", "id", "-version"]
        if name == "field":
            words = []
        for word in words:
            if word is not None:
                yield replace(sent, path=f"{sent.path}?{urlencode({name: word})}")
        if name == "value":
            query = urlencode({"field": ids["field"], "value": ids["value"]})
            yield replace(sent, path=f"{sent.path}?{query}")
        del field


def example(schema: Mapping[str, Any], ids: Mapping[str, str], name: str = "") -> Any:  # noqa: ANN401, PLR0911 - JSON
    """Return a value that fits, made of the ids where a field is called like one."""
    found = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for each in found.get("anyOf", ()):
        if each.get("type") != "null":
            return example(each, ids, name)
    if "const" in found or "enum" in found:
        return found.get("const", found.get("enum", [None])[0])
    match found.get("type"):
        case "object":
            fields = found.get("properties", {})
            needed = [each for each in fields if each in found.get("required", ()) or each in ids]
            return {each: example(fields[each], ids, each) for each in needed}
        case "array":
            items = found.get("items")
            singular = name.removesuffix("s")
            return [example(items, ids, singular)] if items and singular in ids else []
        case "integer" | "number":
            return max(1, found.get("minimum", 1))
        case "boolean":
            return True
        case _:
            return ids.get(name, "+4930333334" if name == "number" else "text")
