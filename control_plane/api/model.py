"""What pydantic models of the API stand on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)


class ApiModel(BaseModel):
    """The base: a field that nobody declared is an error, and values do not change."""

    # A model is built when it is first used, in a few milliseconds, or by the OpenAPI document: all
    # of them at once were a tenth of a start, and most are of routes that are seldom asked.
    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True
    )

    told_by: ClassVar[tuple[type, ...]] = ()
    """Of a model that was made from other classes: these say what its fields are."""


class Nothing(ApiModel):
    """No parameters, or no body."""


def instant(ms: int) -> datetime:
    """Return the time that is `ms` milliseconds after 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def milliseconds(at: datetime | None) -> int | None:
    """Return how many milliseconds after 1970 that is; of no time none."""
    return None if at is None else round(at.timestamp() * 1000)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[
    AwareDatetime,
    PlainSerializer(_rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""RFC 3339 on the wire; milliseconds since 1970 (see `instant`) in the database."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should hold printable characters only")
    return text


Line = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
"""One line of text, which may be empty."""
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.+-]+$")]
