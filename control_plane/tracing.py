"""OpenTelemetry traces of requests, where the settings name somewhere to send them.

Nothing of OpenTelemetry is imported or sent where they do not. A span tells names and ids: of a
route, a permission, a table's statement without its values, a kind of record. No number, no name of
a person, no text of an error ever stands in one.

Spans belong to a request: what runs by itself (carrying, publishing, following) has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeAlias

from aiohttp import web
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.db.database import Database
from control_plane.settings import Settings, Traces

SERVICE: Final = "everline-control-plane"
Word: TypeAlias = str | int | bool


class Span(Protocol):
    """What happens now."""

    def tell(self, words: Mapping[str, Word]) -> None:
        """Add words by their names."""
        ...

    def fail(self, what: str) -> None:
        """Say that it went wrong, in one constant word."""
        ...


class _NoSpan:
    def tell(self, words: Mapping[str, Word]) -> None:
        pass

    def fail(self, what: str) -> None:
        pass


class _RealSpan:
    def __init__(self, span: Any) -> None:  # noqa: ANN401 - OpenTelemetry's
        self._span = span

    def tell(self, words: Mapping[str, Word]) -> None:
        self._span.set_attributes({name: value for name, value in words.items() if value != ""})

    def fail(self, what: str) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where it is used

        self._span.set_attribute("error.type", what)
        self._span.set_status(StatusCode.ERROR)


_NOTHING: Final = _NoSpan()
_tracer: ContextVar[Any] = ContextVar("tracer", default=None)


@contextmanager
def span(name: str, words: Mapping[str, Word]) -> Iterator[Span]:
    """Let something happen in a span of its own, if there are traces of this request.

    `words`: attributes by name, by OpenTelemetry's conventions where it has any; empty: not told.
    """
    tracer = _tracer.get()
    if tracer is None:
        yield _NOTHING
        return
    with tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as made:
        told = _RealSpan(made)
        told.tell(words)
        try:
            yield told
        except BaseException as error:
            told.fail(type(error).__name__)
            raise


def trace_id() -> str:
    """Return the trace that goes on, as 32 hex digits; empty: none."""
    if _tracer.get() is None:
        return ""
    from opentelemetry import trace  # noqa: PLC0415 - only where it is used

    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else ""


class Tracing:
    """Makes spans of requests, and sends them."""

    def __init__(self, traces: Traces, site: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415

        self._provider = TracerProvider(
            resource=Resource({"service.name": SERVICE, "everline.site": site}),
            sampler=TraceIdRatioBased(traces.share),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=traces.endpoint, timeout=traces.timeout_s)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Let spans be made while entered."""
        before = _tracer.set(self._tracer)
        try:
            yield
        finally:
            _tracer.reset(before)

    async def close(self) -> None:
        """Send what waits, and let go."""
        await asyncio.to_thread(self._provider.shutdown)


TRACING = web.AppKey("tracing", Tracing)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Send what waits before the application ends."""
    yield
    if (tracing := app.get(TRACING)) is not None:
        await tracing.close()


def add(app: web.Application, settings: Settings, database: Database) -> None:
    """Trace the requests of `app`, and what its database is asked, if the settings say so."""
    if settings.traces is None:
        return
    app[TRACING] = Tracing(settings.traces, settings.site)
    for engine in {database.engine, database.readers}:
        _trace_statements(engine)


def _trace_statements(engine: AsyncEngine) -> None:
    """Give each statement a span: its text, in which values are placeholders."""
    began: dict[int, Any] = {}
    system = engine.dialect.name

    def begin(*about: Any) -> None:  # noqa: ANN401 - SQLAlchemy's words, as in its documentation
        _connection, _cursor, text, _values, context, _is_many = about
        if (tracer := _tracer.get()) is None:
            return
        made = began[id(context)] = tracer.start_span(f"database {text.split(maxsplit=1)[0]}")
        made.set_attributes({"db.system.name": system, "db.query.text": text})

    def end(*about: Any) -> None:  # noqa: ANN401 - likewise
        if (made := began.pop(id(about[4]), None)) is not None:
            made.end()

    def fail(about: ExceptionContext) -> None:
        if (made := began.pop(id(about.execution_context), None)) is not None:
            _RealSpan(made).fail(type(about.original_exception).__name__)
            made.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)
