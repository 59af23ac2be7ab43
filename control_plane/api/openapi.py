"""PURE. The OpenAPI 3.1 document, made from the route table and the models it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    models_json_schema,
)
from pydantic_core import core_schema

from control_plane.api.model import Nothing
from control_plane.api.route import PROBLEM_TYPE, AnyRoute, Public, Routes
from control_plane.audit.errors import AUDIT_UNAVAILABLE
from control_plane.errors import (
    COMMON,
    FORBIDDEN,
    INVALID,
    KEY_REUSED,
    NOT_FOUND,
    NOT_JSON,
    SIGN_IN_NEEDED,
    TOO_LARGE,
    VERSION_MISMATCH,
    VERSION_NEEDED,
    Problem,
)

REF: Final = "#/components/schemas/{model}"
_Doc = dict[str, Any]
About: TypeAlias = Callable[[type], Mapping[str, str]]
_OK: Final = 200

PROBLEM_SCHEMA: Final[_Doc] = {
    "type": "object",
    "description": "RFC 9457. Compare `error_id`; the rest is for people.",
    "required": ["type", "title", "status", "error_id", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "error_id": {"type": "string"},
        "request_id": {"type": "string"},
        "trace_id": {"type": "string"},
        "detail": {"type": "string"},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "fault": {"type": "string"}},
            },
        },
    },
}


def silent(_model: type) -> Mapping[str, str]:
    """Say nothing of a model's fields."""
    return {}


def document(routes: Routes, version: str, about: About = silent) -> _Doc:
    """Return the document; `about` says of a model what its fields are."""
    schemas, refs = _schemas(routes, about)
    paths: dict[str, _Doc] = {}
    nouns = frozenset(_first(route.path) for route in routes)
    for route in routes:
        operation = _operation(route, refs, schemas, nouns)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Everline",
            "version": version,
            "description": "Sign in with POST /v1/sessions, then send the access token as Bearer.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM_SCHEMA},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def tag(path: str, nouns: frozenset[str]) -> str:
    """Return the resource that a path is of: `customer-import` is of `customers`."""
    first = _first(path)
    return next(
        (each for each in sorted(nouns) if first.startswith(f"{each.removesuffix('s')}-")), first
    )


def _first(path: str) -> str:
    return path.removeprefix("/v1/").partition("/")[0]


def _schemas(routes: Routes, about: About) -> tuple[dict[str, _Doc], dict[tuple[type, str], _Doc]]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for route in routes:
        for model in (route.at, route.query, route.body):
            wanted[model, "validation"] = None
        wanted[route.answer, "serialization"] = None
    refs, made = models_json_schema(
        list(wanted), ref_template=REF, schema_generator=_telling(about)
    )
    return made.get("$defs", {}), {(key[0], key[1]): value for key, value in refs.items()}


def _telling(about: About) -> type[GenerateJsonSchema]:
    class Telling(GenerateJsonSchema):
        """Says of each field what it is."""

        def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
            made = super().model_schema(schema)
            fields = made.get("properties", {})
            for name, told in about(schema["cls"]).items():
                if name in fields:
                    fields[name].setdefault("description", told)
            return made

    return Telling


def _operation(
    route: AnyRoute,
    refs: dict[tuple[type, str], _Doc],
    schemas: dict[str, _Doc],
    nouns: frozenset[str],
) -> _Doc:
    access = route.access
    made: _Doc = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [tag(route.path, nouns)],
        "parameters": [
            *_parameters(route.at, "path", refs, schemas),
            *_parameters(route.query, "query", refs, schemas),
            *_headers(route),
        ],
        "responses": {**_success(route, refs), **_problems(route)},
    }
    if route.body is not Nothing:
        made["requestBody"] = {
            "required": True,
            "content": {route.takes: {"schema": refs[route.body, "validation"]}},
        }
    elif route.takes != "application/json":
        made["requestBody"] = {"required": True, "content": {route.takes: {}}}
    if isinstance(access, Public):
        made["security"] = []
        made["x-public-because"] = access.because
    else:
        made["security"] = [{"bearer": []}]
        made["x-permission"] = access.value
    return made


def _parameters(
    model: type[BaseModel],
    where: str,
    refs: dict[tuple[type, str], _Doc],
    schemas: dict[str, _Doc],
) -> Iterator[_Doc]:
    name = refs[model, "validation"]["$ref"].rpartition("/")[2]
    schema = schemas[name]
    required = schema.get("required", [])
    for field, shape in schema.get("properties", {}).items():
        about = {"description": shape["description"]} if "description" in shape else {}
        yield {
            "name": field,
            "in": where,
            **about,
            "required": where == "path" or field in required,
            "schema": {name: value for name, value in shape.items() if name != "description"},
        }


def _headers(route: AnyRoute) -> Iterator[_Doc]:
    if not isinstance(route.access, Public):
        about = "Where to act; left out: the subject's own tenant."
        yield _header("Everline-Tenant", about, pattern=r"^[A-Za-z0-9_.+-]{1,64}$")
        yield _header("Everline-Purpose", "What it is for, where the policy asks.")
    if route.takes_approval:
        yield _header("Everline-Approval", "A second person's approval.")
    if route.takes_glass:
        yield _header("Everline-Glass", "A permit for an incident, of POST /v1/break-glass.")
    if route.needs_version:
        about = "The ETag it was read with."
        yield _header("If-Match", about, required=True, pattern=r'^"[0-9]{1,18}"$')
    if route.is_idempotent:
        about = "Makes sending it again harmless for a day."
        yield _header("Idempotency-Key", about, pattern=r"^[\x20-\x7e]{1,128}$")


def _header(name: str, about: str, *, required: bool = False, pattern: str | None = None) -> _Doc:
    schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return {
        "name": name, "in": "header", "description": about, "required": required, "schema": schema
    }  # fmt: skip


def _success(route: AnyRoute, refs: dict[tuple[type, str], _Doc]) -> _Doc:
    if route.answer is Nothing and route.gives == "application/json":
        return {"204": {"description": "Done"}}
    if route.answer is Nothing:
        return {str(route.status): {"description": "OK", "content": {route.gives: {}}}}
    made: _Doc = {
        "description": "OK",
        "content": {route.gives: {"schema": refs[route.answer, "serialization"]}},
    }
    if route.is_versioned:
        made["headers"] = {"ETag": {"schema": {"type": "string"}}}
    answers: _Doc = {str(route.status): made}
    if route.status != _OK and "dry_run" in route.query.model_fields:
        answers[str(_OK)] = {**made, "description": "Nothing was written"}
    if route.can_be_unchanged:
        answers["304"] = {"description": "It still has the ETag that If-None-Match names"}
    return answers


def problems_of(route: AnyRoute) -> tuple[Problem, ...]:
    """Return every problem that `route` may answer."""
    found = [*COMMON, *route.problems]
    if not isinstance(route.access, Public):
        found += [SIGN_IN_NEEDED, FORBIDDEN]
    if route.thing or route.at is not Nothing:
        found.append(NOT_FOUND)
    if route.query is not Nothing or route.body is not Nothing:
        found.append(INVALID)
    if route.body is not Nothing or route.takes != "application/json":
        found += [NOT_JSON, TOO_LARGE]
    if route.needs_version:
        found += [VERSION_NEEDED, VERSION_MISMATCH]
    if route.is_idempotent:
        found.append(KEY_REUSED)
    if route.is_sealed:
        found.append(AUDIT_UNAVAILABLE)
    return tuple(dict.fromkeys(found))


def _problems(route: AnyRoute) -> _Doc:
    by_status: dict[int, list[Problem]] = {}
    for each in problems_of(route):
        by_status.setdefault(each.status, []).append(each)
    return {str(status): _problem(each) for status, each in sorted(by_status.items())}


def _problem(kinds: Iterable[Problem]) -> _Doc:
    said = "; ".join(f"`{each.error_id}`: {each.title}" for each in kinds)
    schema = {"$ref": REF.format(model="Problem")}
    return {"description": said, "content": {PROBLEM_TYPE: {"schema": schema}}}
