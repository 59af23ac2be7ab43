"""What a client sent, checked against the models of its route. Faults never quote a value."""

from __future__ import annotations

import asyncio
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from control_plane.api.model import Nothing
from control_plane.api.route import AnyRoute
from control_plane.errors import (
    BAD_REQUEST,
    INVALID,
    NOT_FOUND,
    NOT_JSON,
    TIMED_OUT,
    TOO_LARGE,
    VERSION_MISMATCH,
    VERSION_NEEDED,
    ApiError,
    Faults,
    FieldFault,
    invalid,
)

ModelT = TypeVar("ModelT", bound=BaseModel)
JSON = "application/json"
_COUNTED = re.compile(r"^\w+ (should have at \w+ \d+ items?) after validation, not .*$")
"""pydantic names Python's types: "Tuple should have at least 1 item after validation, not 0"."""


def path(route: AnyRoute, request: web.Request) -> Any:  # noqa: ANN401 - the route's own model
    """Return the path's parameters. What cannot be an id is of nothing that exists."""
    try:
        return route.at.model_validate(dict(request.match_info))
    except ValidationError as error:
        raise ApiError(NOT_FOUND) from error


def query(model: type[ModelT], sent: MultiMapping[str]) -> ModelT:
    """Return the query. A parameter comes once, unless its field is a tuple."""
    values: dict[str, Any] = {}
    faults: list[FieldFault] = []
    for name in dict.fromkeys(sent.keys()):
        all_ = sent.getall(name)
        field = model.model_fields.get(name)
        if field is not None and _is_many(field.annotation):
            values[name] = all_
        elif len(all_) > 1:
            faults.append(FieldFault(f"query.{name}", "comes more than once"))
        else:
            values[name] = all_[0]
        if any("\0" in each for each in all_):
            faults.append(FieldFault(f"query.{name}", "holds a NUL"))
    if faults:
        raise ApiError(INVALID, details=Faults(tuple(faults)).details())
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _invalid("query", model, error) from error


async def body(
    route: AnyRoute, request: web.Request, limit: int, wait_s: float
) -> tuple[BaseModel, bytes]:
    """Return the body as the route's model, and as it came.

    `Nothing` and no bytes where the route takes none, or reads it itself.
    """
    if route.body is Nothing or route.takes != JSON:
        if route.takes == JSON and request.can_read_body and await _read(request, limit, wait_s):
            raise ApiError(BAD_REQUEST, "This takes no body.")
        return Nothing(), b""
    if request.content_type != JSON:
        raise ApiError(NOT_JSON, f"It should be {JSON}.")
    raw = await _read(request, limit, wait_s)
    try:
        found: BaseModel = route.body.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _invalid("body", route.body, error) from error
    if b"\\u0000" in raw and _has_nul(found.model_dump(mode="json")):
        raise invalid("body", "holds a NUL")
    return found, raw


async def _read(request: web.Request, limit: int, wait_s: float) -> bytes:
    if (request.content_length or 0) > limit:
        # Said before it is sent: nobody has to wait for it.
        raise ApiError(TOO_LARGE, f"It may be {limit} bytes long.")
    try:
        async with asyncio.timeout(wait_s):
            return await request.clone(client_max_size=limit).read()
    except TimeoutError as error:
        raise ApiError(TIMED_OUT) from error
    except web.HTTPRequestEntityTooLarge as error:
        raise ApiError(TOO_LARGE, f"It may be {limit} bytes long.") from error


def version(request: web.Request) -> int:
    """Return what If-Match names. It is one ETag that we gave."""
    sent = request.headers.get("If-Match")
    if sent is None:
        raise ApiError(VERSION_NEEDED)
    number = sent.strip().removeprefix('"').removesuffix('"')
    if not (number.isascii() and number.isdecimal() and f'"{number}"' == sent.strip()):
        raise ApiError(VERSION_MISMATCH)
    return int(number[:18])


def _invalid(where: str, model: type[BaseModel], error: ValidationError) -> ApiError:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    faults = tuple(
        FieldFault(".".join((where, *(str(part) for part in each["loc"]))), _said(each, model))
        for each in found
    )
    return ApiError(INVALID, details=Faults(faults).details())


def _said(found: ErrorDetails, model: type[BaseModel]) -> str:
    if found["type"] != "extra_forbidden":
        return _COUNTED.sub(r"\1", found["msg"].removeprefix("Value error, "))
    if len(found["loc"]) > 1:
        return "There is no such field; /docs shows those that there are"
    known = ", ".join(model.model_fields)
    return f"There is no such field; there are {known}" if known else "There is no such field"


def _is_many(annotation: object) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_is_many(each) for each in get_args(annotation))
    return origin in (tuple, list, frozenset)


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    return isinstance(value, Sequence) and any(_has_nul(each) for each in value)
