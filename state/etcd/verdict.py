"""What a failed request tells: whether it was done, and whether another member may be asked.

What proves that a request was not carried out: it was never handed to a connection that stood, or
etcd said so in a text that it gives only before it proposes. Everything else may have been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from enum import Enum, auto
from typing import Final, TypeVar

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]

from state.errors import (
    CompactedError,
    FutureRevisionError,
    LeaseGoneError,
    RejectedError,
    StoreFullError,
)
from state.space import REMEDY

T = TypeVar("T")


class Verdict(Enum):
    """What a failed request tells."""

    NOT_DONE = auto()
    """Provably not carried out; another member may take it."""
    UNKNOWN = auto()


class BrokenStreamError(Exception):
    """A stream ended, or fell silent, without an error of grpc's."""


async def unless_cut(asking: Awaitable[T]) -> T:
    """Return what grpc answers; BrokenStreamError if the channel was closed under the request.

    grpc says CancelledError then, as if somebody had cancelled the task that asks: that would end
    it without a word.
    """
    try:
        return await asking
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise BrokenStreamError("its connection was closed") from None


def is_cancelled() -> bool:
    """Tell whether somebody cancels the task at hand."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


LEASE_EXISTS: Final = "lease already exists"
_FULL: Final = "database space exceeded"
_NEVER_DONE: Final = ("etcdserver: no leader", "etcdserver: too many requests")
"""Texts that etcd gives only before it proposes."""
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


_REASON_CHARS: Final = 200


def judge(what: str, error: grpc.aio.AioRpcError | BrokenStreamError) -> Verdict:
    """Return what the failure tells of the request; raise where no member would do better."""
    if isinstance(error, BrokenStreamError):
        return Verdict.UNKNOWN
    code, details = error.code(), error.details() or ""
    if any(text in details for text in _NEVER_DONE):
        return Verdict.NOT_DONE
    if "required revision has been compacted" in details:
        raise CompactedError(0, 0) from error
    if "required revision is a future revision" in details:
        raise FutureRevisionError(f"etcd {what}: {details}") from error
    if "lease not found" in details:
        raise LeaseGoneError(f"etcd {what}: the lease has ended: grant a new one") from error
    if _FULL in details:
        # Not proof that it was not done: a member says so, too, of what it has just written when
        # it came to its quota by that.
        raise StoreFullError(f"etcd {what}: {details}; {REMEDY}") from error
    if code in _REFUSALS:
        raise RejectedError(f"etcd {what} refused: {details}") from error
    return Verdict.UNKNOWN


def reason_of(error: BaseException) -> str:
    """Return one line that says why a request failed."""
    if isinstance(error, grpc.aio.AioRpcError):
        text = " ".join((error.details() or "no reason given").split())
        text = text.removeprefix("failed to connect to all addresses; last error: ")
        return f"{error.code().name.lower().replace('_', ' ')}: {text[:_REASON_CHARS]}"
    return str(error)
