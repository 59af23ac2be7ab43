"""PURE. The commands, derived from the OpenAPI document that a control plane gives.

A path's words become the command's: its first word is the resource, and the method the verb.

    GET    /v1/queues               queues list
    GET    /v1/queues/{id}          queues show ID
    POST   /v1/queues               queues add
    PUT    /v1/queues/{id}          queues replace ID, and queues change ID: what is there, changed
    POST   /v1/plans/{id}/activate  plans activate ID
    POST   /v1/customer-import      customers import FILE

So a new endpoint is a new command without a line of code here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from drills.ctl.schema import Schemas

_VERBS: Final = {
    "get": "show",
    "post": "add",
    "put": "replace",
    "patch": "change",
    "delete": "delete",
}
_TAIL_VERBS: Final = {"get": "show", "post": "add", "put": "set", "patch": "change"}
_HEADER: Final = "Everline-"
_OWN_HEADERS: Final = frozenset({"If-Match", "Idempotency-Key", "Everline-Tenant"})
"""What `ctl` itself sees to."""
RESERVED: Final = frozenset(
    {"json", "all", "tenant", "url", "from", "if-match", "again", "output", "help", "yes"}
)
"""Options of `ctl` itself; a field of that name is typed `--body-tenant`."""
JSON: Final = "application/json"
PREFIX: Final = "/v1/"
_SWITCHES: Final = "101"
"""The status of what becomes a WebSocket."""


class Field(Struct, frozen=True, kw_only=True):
    """Something that a command can be given."""

    name: str
    """As the terminal has it: `dry-run`."""
    wire: str
    """As the API has it: `dry_run`."""
    where: str
    """`path`, `query`, `header` or `body`."""
    schema: Mapping[str, Any]
    is_needed: bool
    about: str = ""


class Command(Struct, frozen=True, kw_only=True):
    """One thing to do."""

    words: tuple[str, ...]
    method: str
    path: str
    summary: str
    permission: str
    places: tuple[Field, ...]
    """What comes without a name, in this order."""
    options: tuple[Field, ...]
    takes: str
    """The body's media type; empty: none."""
    gives: str
    needs_version: bool
    is_part: bool
    """It sets a part of the thing at the path above: the ETag is that one's."""
    is_once: bool
    """Takes an Idempotency-Key."""
    is_listing: bool
    is_stream: bool = False
    """A WebSocket, which tells until one has enough."""
    merges: bool = False
    """Reads what is there, changes what is named, and puts the whole back."""

    @property
    def name(self) -> str:
        """Return the words as they are typed."""
        return " ".join(self.words)

    @property
    def takes_file(self) -> bool:
        """Whether the body is a file, sent as it is."""
        return bool(self.takes) and self.takes != JSON


def commands(document: Mapping[str, Any]) -> tuple[Command, ...]:
    """Return all of them, in the order of their names. ValueError: two have one name."""
    schemas = Schemas(document.get("components", {}).get("schemas", {}))
    paths: Mapping[str, Mapping[str, Any]] = document["paths"]
    nouns = {_segments(path)[0] for path in paths}
    made: dict[tuple[str, ...], Command] = {}
    for path, verbs in paths.items():
        for method in (each for each in _VERBS if each in verbs and not _is_public(verbs[each])):
            for command in _of(path, method, paths, nouns, schemas):
                if command.words in made:
                    raise ValueError(f"{command.name!r} would be {path} and another path")
                made[command.words] = command
    return tuple(made[words] for words in sorted(made))


def _of(
    path: str,
    method: str,
    paths: Mapping[str, Mapping[str, Any]],
    nouns: Iterable[str],
    schemas: Schemas,
) -> Iterator[Command]:
    operation = paths[path][method]
    media, body = _body(operation)
    said = schemas.properties(body) if media == JSON else {}
    # What is said in the body need not be said beside it, too.
    fields = [
        each
        for each in _fields(operation)
        if each.where != "query" or each.is_needed or each.wire not in said
    ]
    taken = {each.name for each in fields}
    fields += _body_fields(schemas, body, taken) if media == JSON else []
    places = [each for each in fields if each.where == "path"]
    if method == "post" or (method == "put" and not path.endswith("}")):
        places += _first_of_body(fields, schemas)
    sent = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "header"}
    answers = operation.get("responses", {})
    gives = next(
        (kind for status in ("200", "201") for kind in answers.get(status, {}).get("content", {})),
        "",
    )
    command = Command(
        words=_words(path, method, paths, nouns, is_listing=_is_listing(operation, schemas)),
        method=method.upper(),
        path=path,
        summary=str(operation.get("summary", "")),
        permission=str(operation.get("x-permission", "")),
        places=tuple(places),
        options=tuple(each for each in fields if each not in places),
        takes=media,
        gives=gives,
        needs_version="If-Match" in sent,
        is_part="If-Match" in sent and not _has_etag(paths[path]),
        is_once="Idempotency-Key" in sent,
        is_listing=method == "get" and _is_listing(operation, schemas),
        is_stream=_SWITCHES in answers,
    )
    yield command
    if method == "put" and "get" in paths[path] and "patch" not in paths[path] and media == JSON:
        yield _changing(command)


def _first_of_body(fields: Iterable[Field], schemas: Schemas) -> list[Field]:
    """Return the one field that goes without saying: the id, or all there is to say."""
    needed = [each for each in fields if each.where == "body" and each.is_needed]
    named = [each for each in needed if each.wire == "id"] or needed
    return named if len(named) == 1 and schemas.is_plain(named[0].schema) else []


def _changing(command: Command) -> Command:
    """Return what reads the whole, and changes what is named."""
    words = (*command.words[:-1], "change")
    options = tuple(
        Field(
            name=each.name,
            wire=each.wire,
            where=each.where,
            schema=each.schema,
            is_needed=False,
            about=each.about,
        )
        for each in command.options
    )
    return Command(
        words=words,
        method=command.method,
        path=command.path,
        summary=command.summary.replace("Replace", "Change some fields of"),
        permission=command.permission,
        places=command.places,
        options=options,
        takes=command.takes,
        gives=command.gives,
        needs_version=command.needs_version,
        is_part=command.is_part,
        is_once=command.is_once,
        is_listing=False,
        merges=True,
    )


def _is_public(operation: Mapping[str, Any]) -> bool:
    """Whether it is how one signs in, which `ctl` does by commands of its own."""
    return operation.get("security") == []


def _words(
    path: str,
    method: str,
    paths: Mapping[str, Mapping[str, Any]],
    nouns: Iterable[str],
    *,
    is_listing: bool,
) -> tuple[str, ...]:
    segments = _segments(path)
    literals = [each for each in segments if not each.startswith("{")]
    words = [*_noun(literals[0], nouns), *literals[1:]]
    if _SWITCHES in paths[path][method].get("responses", {}):
        return tuple(words)
    if segments[-1].startswith("{"):
        collection = path.rpartition("/")[0]
        is_lone = collection not in paths and len(literals) > 1
        return tuple(words) if is_lone and method == "get" else (*words, _VERBS[method])
    is_collection = (
        is_listing
        or any(other.startswith(f"{path}/{{") for other in paths)
        or _lists(paths[path])
        or _makes(paths[path].get("post"))
    )
    if is_collection:
        return (*words, "list" if method == "get" else _VERBS[method])
    if len(words) == 1:
        return (*words, _TAIL_VERBS.get(method, _VERBS[method]))
    if len(paths[path]) == 1 and method != "delete":
        return tuple(words)
    return (*words, _TAIL_VERBS.get(method, _VERBS[method]))


def _noun(first: str, nouns: Iterable[str]) -> tuple[str, ...]:
    """Return `customers import` for `customer-import`, where there are `customers`."""
    for noun in nouns:
        if noun.endswith("s") and first.startswith(f"{noun[:-1]}-"):
            return noun, first.removeprefix(f"{noun[:-1]}-")
    return (first,)


def _segments(path: str) -> list[str]:
    return path.removeprefix(PREFIX).strip("/").split("/")


def _has_etag(verbs: Mapping[str, Any]) -> bool:
    answer = verbs.get("get", {}).get("responses", {}).get("200", {})
    return "ETag" in answer.get("headers", {})


def _lists(verbs: Mapping[str, Any]) -> bool:
    shape = _answer(verbs.get("get"))
    return shape is not None and str(shape.get("$ref", "")).rpartition("/")[2].startswith("Page_")


def _makes(operation: Mapping[str, Any] | None) -> bool:
    return operation is not None and "201" in operation.get("responses", {})


def _answer(operation: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if operation is None:
        return None
    content = operation.get("responses", {}).get("200", {}).get("content", {})
    found: Mapping[str, Any] | None = content.get(JSON, {}).get("schema")
    return found


def _is_listing(operation: Mapping[str, Any], schemas: Schemas) -> bool:
    shape = _answer(operation)
    return shape is not None and {"items", "next"} <= schemas.properties(shape).keys()


def _body(operation: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    content = operation.get("requestBody", {}).get("content", {})
    for media, found in content.items():
        return str(media), found.get("schema", {})
    return "", {}


def _fields(operation: Mapping[str, Any]) -> Iterator[Field]:
    for each in operation.get("parameters", ()):
        wire = each["name"]
        if wire in _OWN_HEADERS:
            continue
        plain = wire.removeprefix(_HEADER) if each["in"] == "header" else wire
        yield Field(
            name=_typed(plain.lower(), each["in"], ()),
            wire=wire,
            where=each["in"],
            schema=each.get("schema", {}),
            is_needed=bool(each.get("required")),
            about=str(each.get("description", "")),
        )


def _typed(wire: str, where: str, taken: Container[str]) -> str:
    name = wire.replace("_", "-")
    return f"{where}-{name}" if name in taken or name in RESERVED else name


def _body_fields(schemas: Schemas, body: Mapping[str, Any], taken: set[str]) -> list[Field]:
    needed = schemas.needed(body)
    made = []
    for wire, schema in schemas.properties(body).items():
        made.append(
            Field(
                name=_typed(wire, "body", taken),
                wire=wire,
                where="body",
                schema=schema,
                is_needed=wire in needed,
                about=str(schema.get("description", "")),
            )
        )
    return made
