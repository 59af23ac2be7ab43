"""The typed route table: an endpoint is declared once, and all else is derived from that.

From a `Route` come aiohttp's route, the check of what is sent, the decision of the policy, the
transaction, the audit's duty, ETag, Idempotency-Key, and the endpoint's part of the OpenAPI
document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Generic, TypeAlias, TypeVar

from aiohttp import web
from pydantic import BaseModel

from control_plane.api.model import Nothing
from control_plane.errors import Problem
from control_plane.permissions import Permission

PathT = TypeVar("PathT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=BaseModel)
BodyT = TypeVar("BodyT", bound=BaseModel)
AnswerT = TypeVar("AnswerT", bound=BaseModel)


class Method(StrEnum):
    """Of HTTP."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class Tx(StrEnum):
    """What of the database a handler gets."""

    READ = "read"
    WRITE = "write"
    NONE = "none"
    """It takes its own, for instance because it computes long."""


class Check(StrEnum):
    """When the policy is asked."""

    THING = "thing"
    """Before the handler, about what `Route.thing` loads, or about the kind as a whole."""
    EACH = "each"
    """Before the handler only whether it could ever be; the handler asks `sees` of each thing."""


@dataclass(frozen=True, slots=True)
class Public:
    """Nobody has to be signed in, for this reason."""

    because: str


Access: TypeAlias = Permission | Public


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[AnswerT]):
    """What a handler returns when it has to say more than the body."""

    body: AnswerT | None
    status: int | None = None
    version: int | None = None
    """Becomes the ETag."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A body that is made as it is sent."""

    chunks: AsyncIterator[bytes]
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[PathT, QueryT, BodyT, AnswerT]):
    """One endpoint."""

    method: Method
    path: str
    """`/v1/users/{user}`; every name in braces is a field of `at`."""
    summary: str
    access: Access
    handler: Callable[..., Awaitable[Any]]
    """Takes an `Ask[PathT, QueryT, BodyT]`; gives the answer, an `Answer` of it, or a `Stream`."""
    at: type[PathT] = Nothing  # type: ignore[assignment]
    query: type[QueryT] = Nothing  # type: ignore[assignment]
    body: type[BodyT] = Nothing  # type: ignore[assignment]
    answer: type[AnswerT] = Nothing  # type: ignore[assignment]
    """Nothing: no body."""
    status: int = 200
    thing: Callable[..., Awaitable[Any]] | None = None
    """Takes the same `Ask`, returns the `Thing` to decide on, or raises `not_found()`."""
    check: Check = Check.THING
    tx: Tx | None = None
    """Left out: GET reads, all else writes."""
    is_versioned: bool = False
    """Answers bear an ETag; whoever changes it has to send If-Match."""
    varies: bool = False
    """What it shows depends on who looks and when, too: a version that is the same says nothing of
    that, so that If-None-Match spares no answer."""
    is_idempotent: bool = False
    """Takes an Idempotency-Key. Not where the answer holds a secret: it is kept for a day.
    A handler that takes its own transactions sees to the key itself."""
    is_sealed: bool = False
    """It is done only with its entry under a signed checkpoint of the audit log (`Ask.seal`)."""
    takes_approval: bool = False
    """`Everline-Approval` may name a second person's yes."""
    takes_glass: bool = False
    """`Everline-Glass` may name a permit of broken glass."""
    problems: tuple[Problem, ...] = ()
    """Beyond those that follow from the rest."""
    body_bytes: int | None = None
    """Another limit than the settings' own. A streamed body is read by the handler itself."""
    takes: str = "application/json"
    """The body's media type; with another one than JSON, the handler reads `ask.request`."""
    gives: str = "application/json"
    is_socket: bool = False
    """A WebSocket: browsers, which send no headers of their own, may say the token as a subprotocol
    `bearer.TOKEN` and the tenant in the query."""

    @property
    def name(self) -> str:
        """Return what it is called in metrics, logs and OpenAPI: the handler's own name."""
        folder = self.handler.__module__.rpartition(".")[0].rpartition(".")[2]
        return f"{folder}_{self.handler.__name__}"

    @property
    def transaction(self) -> Tx:
        """Return what the handler gets."""
        if self.tx is not None:
            return self.tx
        return Tx.READ if self.method is Method.GET else Tx.WRITE

    @property
    def needs_version(self) -> bool:
        """Whether If-Match has to be sent."""
        return self.is_versioned and self.method in (Method.PUT, Method.PATCH, Method.DELETE)

    @property
    def can_be_unchanged(self) -> bool:
        """Whether who names in If-None-Match what they have may be told that it still stands."""
        return self.is_versioned and self.method is Method.GET and not self.varies


AnyRoute: TypeAlias = Route[Any, Any, Any, Any]
Routes: TypeAlias = tuple[AnyRoute, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A folder of the control plane as the application sees it."""

    name: str
    routes: Routes = ()
    context: Callable[[web.Application], AsyncIterator[None]] | None = None
    """aiohttp's cleanup context: put services into the application, run what runs, end it."""
    shutdown: Callable[[web.Application], Awaitable[None]] | None = None
    """Let go of clients who would stay, before the server stops."""


PROBLEM_TYPE: Final = "application/problem+json"
