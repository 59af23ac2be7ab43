"""The errors of the control plane, and the one kind that a client of the API gets to see.

A client sees `ApiError` only: a status, a stable `error_id`, a sentence, and details that hold
nothing the client may not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class ControlPlaneError(Exception):
    """The base of all errors of this package."""


class SettingsError(ControlPlaneError):
    """The settings are wrong; the text names the file, the key and what it should be."""


class DatabaseUnavailableError(ControlPlaneError):
    """The database did not answer; nothing is known to have been done."""


class PolicyError(ControlPlaneError):
    """A policy does not load; the text names the line and what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A kind of answer that is an error: declared once, named by the routes that may give it."""

    status: int
    error_id: str
    """Stable: clients compare it. Words with hyphens."""
    title: str


class ApiError(ControlPlaneError):
    """Ends a request with a problem (RFC 9457)."""

    def __init__(
        self,
        problem: Problem,
        detail: str = "",
        *,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(problem.error_id)
        self.problem = problem
        self.detail = detail
        self.details = dict(details or {})
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One thing wrong with what a client sent. Never holds the value itself."""

    where: str
    """`body.name`, `query.limit`, ..."""
    fault: str


@dataclass(frozen=True, slots=True)
class Faults:
    """All of them together, as `ApiError.details` takes them."""

    faults: tuple[FieldFault, ...] = field(default=())

    def details(self) -> dict[str, object]:
        """Return what stands in the problem beside its sentence."""
        return {"faults": [{"where": each.where, "fault": each.fault} for each in self.faults]}


BAD_REQUEST = Problem(status=400, error_id="bad-request", title="The request is malformed")
BAD_CURSOR = Problem(
    status=400, error_id="cursor-invalid", title="The cursor is not of this listing"
)
SIGN_IN_NEEDED = Problem(
    status=401, error_id="sign-in-needed", title="A valid access token is needed"
)
FORBIDDEN = Problem(status=403, error_id="forbidden", title="The policy does not allow this")
NOT_FOUND = Problem(status=404, error_id="not-found", title="There is no such thing")
METHOD_NOT_ALLOWED = Problem(
    status=405, error_id="method-not-allowed", title="This path does not know that method"
)
TIMED_OUT = Problem(
    status=408, error_id="request-timed-out", title="The request took too long to arrive"
)
CONFLICT = Problem(status=409, error_id="conflict", title="It contradicts what is there already")
VERSION_MISMATCH = Problem(
    status=412, error_id="version-mismatch", title="It has been changed since it was read"
)
TOO_LARGE = Problem(status=413, error_id="body-too-large", title="The body is too large")
NOT_JSON = Problem(
    status=415, error_id="media-type-unsupported", title="The body's media type is not taken here"
)
INVALID = Problem(status=422, error_id="invalid", title="The request does not fit the schema")
KEY_REUSED = Problem(
    status=422,
    error_id="idempotency-key-reused",
    title="This Idempotency-Key came with another request before",
)
VERSION_NEEDED = Problem(
    status=428, error_id="version-needed", title="If-Match is needed: the ETag it was read with"
)
TOO_MANY = Problem(status=429, error_id="too-many-requests", title="Too many requests")
FAULT = Problem(status=500, error_id="internal-fault", title="A fault of ours")
UNAVAILABLE = Problem(
    status=503, error_id="unavailable", title="Something this needs does not answer; try again"
)

COMMON = (BAD_REQUEST, TIMED_OUT, TOO_MANY, FAULT, UNAVAILABLE)
"""What any route may answer."""


def invalid(where: str, fault: str) -> ApiError:
    """Return that one place of a request (`body.code`) is not as it should be; quote nothing."""
    return ApiError(INVALID, details=Faults((FieldFault(where, fault),)).details())


def not_found() -> ApiError:
    """Return the one answer for what is missing, foreign, or not for these eyes."""
    return ApiError(NOT_FOUND)
