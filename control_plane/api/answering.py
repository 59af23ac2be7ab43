"""From what a handler returns, or raises, to what goes over the wire."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import msgspec
from aiohttp import web

from control_plane.api.model import Nothing
from control_plane.api.route import PROBLEM_TYPE, Answer, AnyRoute, Stream
from control_plane.errors import ApiError
from control_plane.tracing import trace_id

HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def render(route: AnyRoute, given: object) -> Answer[Any]:
    """Return what the handler gave as an `Answer`. Raise TypeError if it is not what it declared.

    The check is what keeps a field that nobody declared from leaving the process.
    """
    answer: Answer[Any]
    answer = given if isinstance(given, Answer) else Answer(body=cast("Any", given))
    body = answer.body
    if body is None and route.answer is Nothing:
        return answer
    if type(body) is not route.answer:
        raise TypeError(f"{route.name} gave a {type(body).__name__}, not what it declared")
    return answer


def response(route: AnyRoute, answer: Answer[Any], request: web.Request) -> web.Response:
    """Return the response."""
    headers = {**HEADERS, **answer.headers}
    if answer.version is not None:
        headers["ETag"] = etag = f'"{answer.version}"'
        if route.can_be_unchanged and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
    if answer.body is None or route.answer is Nothing:
        return web.Response(status=answer.status or 204, headers=headers)
    return web.Response(
        status=answer.status or route.status,
        body=answer.body.model_dump_json(by_alias=True).encode(),
        content_type="application/json",
        headers=headers,
    )


async def stream(given: Stream, request: web.Request, send_s: float) -> web.StreamResponse:
    """Send a stream. A client that takes nothing for `send_s` seconds is cut off."""
    made = web.StreamResponse(status=given.status, headers={**HEADERS, **given.headers})
    made.content_type = given.media_type
    await made.prepare(request)
    try:
        async for chunk in given.chunks:
            async with asyncio.timeout(send_s):
                await made.write(chunk)
        await made.write_eof()
    except BaseException:
        # What has begun as a success cannot become a problem: the client sees it cut short.
        if request.transport is not None:
            request.transport.abort()
        raise
    return made


def sign(response: web.StreamResponse, request_id: str) -> None:
    """Let an answer say which request it is of, and of its server no versions."""
    response.headers["X-Request-Id"] = request_id
    response.headers["Server"] = "Everline"


def problem(error: ApiError, request_id: str) -> web.Response:
    """Return RFC 9457's document."""
    kind = error.problem
    document: dict[str, object] = {
        "type": f"urn:everline:problem:{kind.error_id}",
        "title": kind.title,
        "status": kind.status,
        "error_id": kind.error_id,
        "request_id": request_id,
    }
    if trace := trace_id():
        document["trace_id"] = trace
    if error.detail:
        document["detail"] = error.detail
    return web.Response(
        status=kind.status,
        body=msgspec.json.encode(document | error.details),
        content_type=PROBLEM_TYPE,
        headers={**HEADERS, **error.headers},
    )
