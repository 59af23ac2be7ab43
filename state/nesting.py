"""Transactions with others nested in them: what they name, and what of them is done. PURE.

A store that carries transactions out itself (`state.memory`, `state.overlay`) chooses first, by
what stands before any of it, as etcd does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from state.store import Compare, Delete, Get, Nested, Operation, Put, Response, TxnResult


def keys_of(parts: Iterable[Compare | Operation]) -> Iterator[str]:
    """Yield every key that conditions and operations name, those of nested ones included."""
    for each in parts:
        if isinstance(each, Nested):
            yield from keys_of((*each.compares, *each.success, *each.failure))
        else:
            yield each.key


def all_of(operations: Iterable[Operation]) -> Iterator[Put | Delete | Get]:
    """Yield every operation that might be done, those of nested ones included."""
    for each in operations:
        if isinstance(each, Nested):
            yield from all_of((*each.success, *each.failure))
        else:
            yield each


def done_by(
    result: TxnResult, success: Sequence[Operation], failure: Sequence[Operation]
) -> Iterator[Put | Delete | Get]:
    """Yield the operations that a transaction has done, those of nested ones included."""
    for each, response in zip(
        success if result.succeeded else failure, result.responses, strict=True
    ):
        if not isinstance(each, Nested):
            yield each
        elif isinstance(response, TxnResult):
            yield from done_by(response, each.success, each.failure)


class Chosen(Struct, frozen=True):
    """A nested transaction of which it is known whether its conditions hold."""

    succeeded: bool
    operations: tuple[Put | Delete | Get, ...]


def chosen(
    operations: Sequence[Operation], holds: Callable[[Compare], bool]
) -> tuple[Put | Delete | Get | Chosen, ...]:
    """Return what is to be done, each nested transaction by what stands before any of it."""

    def choose(nested: Nested) -> Chosen:
        succeeded = all(holds(each) for each in nested.compares)
        return Chosen(succeeded, nested.success if succeeded else nested.failure)

    return tuple(choose(each) if isinstance(each, Nested) else each for each in operations)


def flat(operations: Iterable[Put | Delete | Get | Chosen]) -> tuple[Put | Delete | Get, ...]:
    """Return all that is done, one after the other."""
    return tuple(
        one
        for each in operations
        for one in (each.operations if isinstance(each, Chosen) else (each,))
    )


def responses_of(
    operations: Iterable[Put | Delete | Get | Chosen],
    revision: int,
    do: Callable[[Put | Delete | Get], Response],
) -> tuple[Response, ...]:
    """Do everything, in order; return what came of it, at `revision`."""
    return tuple(
        TxnResult(
            succeeded=each.succeeded,
            revision=revision,
            responses=tuple(do(one) for one in each.operations),
        )
        if isinstance(each, Chosen)
        else do(each)
        for each in operations
    )
