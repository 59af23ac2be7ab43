"""Around every request: its id, its figures, its one line in the log, and problems for errors."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from aiohttp import web

from control_plane.api import answering
from control_plane.api.binding import REQUEST_ID
from control_plane.errors import (
    BAD_REQUEST,
    FAULT,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TIMED_OUT,
    TOO_LARGE,
    UNAVAILABLE,
    ApiError,
    DatabaseUnavailableError,
)
from control_plane.services import SERVICES
from control_plane.tracing import TRACING, Span, span, trace_id
from state.discreet import fault

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ID: Final = re.compile(r"(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{8,64}")
"""It stands in the log, so that it is no telephone number: one letter at least."""
_CLOSING: Final = frozenset({TIMED_OUT})
"""After these, the rest of what the client sends is not waited for."""


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer `request`; whatever happens, with a response that says what."""
    sent = request.headers.get("X-Request-Id", "")
    request_id = request[REQUEST_ID] = sent if _ID.fullmatch(sent) else secrets.token_hex(12)
    metrics = request.app[SERVICES].metrics
    route = request.match_info.handler.__name__ if request.match_info.http_exception is None else ""
    began = time.perf_counter()
    with _traced(request, route, request_id) as bound:
        with metrics.under_way.track_inprogress():
            response = await _answer(request, handler)
        bound.tell({"http.response.status_code": response.status})
        took_s = time.perf_counter() - began
        metrics.requests.labels(route, request.method, response.status).inc()
        metrics.seconds.labels(route).observe(took_s)
        log.info("answered", route=route, status=response.status, took_ms=round(took_s * 1000, 2))
    return response


async def sign(request: web.Request, response: web.StreamResponse) -> None:
    """Sign what goes out: streams, too, whose head has gone long before their end.

    Also what aiohttp refuses before `around`: an expectation that is none (RFC 9110 10.1.1).
    """
    answering.sign(response, request.get(REQUEST_ID) or secrets.token_hex(12))


@contextmanager
def _traced(request: web.Request, route: str, request_id: str) -> Iterator[Span]:
    """Bind what every line of the log bears; and let there be a trace, where they are made."""
    words = {
        "http.request.method": request.method,
        "http.route": _path(request),
        "everline.operation": route,
        "everline.request": request_id,
    }
    found = request.app.get(TRACING)
    with (
        contextlib.nullcontext() if found is None else found.request(),
        span(f"{request.method} {words['http.route']}".strip(), words) as told,
    ):
        bound = {"request": request_id}
        if trace := trace_id():
            bound["trace"] = trace
        with structlog.contextvars.bound_contextvars(**bound):
            yield told


def _path(request: web.Request) -> str:
    """Return the path with names in the place of ids: `/v1/users/{user}`."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _problem(request, error)
    except DatabaseUnavailableError as error:
        log.warning("database_unavailable", **fault(error))
        return _problem(request, ApiError(UNAVAILABLE, headers={"Retry-After": "2"}))
    except web.HTTPException as error:
        return _problem(request, _translate(error))
    except (web.RequestPayloadError, ConnectionError) as error:
        return _problem(request, _not_come(error))
    except Exception as error:  # noqa: BLE001 - the top of a request
        log.error("request_failed", **fault(error))  # noqa: TRY400 - its text stays out
        return _problem(request, ApiError(FAULT))


def _not_come(error: web.RequestPayloadError | ConnectionError) -> ApiError:
    """Return what to say of a request of which not all has come.

    Who has gone will not hear it; but what is raised aiohttp writes down as an error of ours.
    """
    if isinstance(error, ConnectionError):
        log.info("client_gone", **fault(error))
        return ApiError(BAD_REQUEST, "It has not come as a whole.")
    log.warning("body_not_understood", **fault(error))
    return ApiError(BAD_REQUEST, "Its body is not coded as it says.")


def _problem(request: web.Request, error: ApiError) -> web.Response:
    made = answering.problem(error, request[REQUEST_ID])
    if error.problem in _CLOSING:
        made.force_close()
    return made


def _translate(error: web.HTTPException) -> ApiError:
    """Return what aiohttp itself raises as ours."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return ApiError(
            METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(error.allowed_methods))}
        )
    known = {404: NOT_FOUND, 413: TOO_LARGE}
    return ApiError(known.get(error.status, BAD_REQUEST if error.status < 500 else FAULT))  # noqa: PLR2004
