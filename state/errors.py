"""What can go wrong with the shared state.

    StateError
    ├── BadKeyError            a key or an id that is not ours             (whoever wrote it)
    ├── CodecError             a record that cannot be read or written     (whoever wrote it)
    │   └── FutureVersionError   a record of a later version than this one
    ├── ConfigurationError     a configuration that cannot be published    (whoever wrote the file)
    └── StoreError             the store did not do what it was asked
        ├── UnavailableError   nobody took the request: nothing was done, asking again is safe
        ├── OutcomeUnknownError  sent, but no answer: it may or may not have been done
        │   └── StoreFullError     its quota of space is used up: it takes no writes
        ├── CompactedError     the revision asked for is no longer kept
        ├── FutureRevisionError  the revision asked for does not exist yet
        ├── LeaseGoneError     the lease has expired or was revoked
        └── RejectedError      the store understood and refused; asking again will not help

Every text is one line that names the thing and, where there is one, the way out. None quotes a
value.
"""

from __future__ import annotations


class StateError(Exception):
    """Base of everything that the package `state` raises on purpose."""


class BadKeyError(StateError, ValueError):
    """A key or an id that does not follow `state.keys`."""


class CodecError(StateError, ValueError):
    """A record's bytes cannot be read as what its key says, or a value cannot be written."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class FutureVersionError(CodecError):
    """A record of a later version of Everline. Never overwrite one."""


class ConfigurationError(StateError, ValueError):
    """A configuration is wrong; `problems` holds one line for each thing to mend."""

    def __init__(self, source: str, problems: tuple[str, ...]) -> None:
        super().__init__(f"{source}: " + "; ".join(problems))
        self.source = source
        self.problems = problems


class StoreError(StateError):
    """The store did not do what it was asked."""


class UnavailableError(StoreError):
    """No member took the request. Provably nothing was done."""


class OutcomeUnknownError(StoreError):
    """The request was sent and no answer came. Read before deciding anything on it."""


class StoreFullError(OutcomeUnknownError):
    """The store has no room left and takes no writes, until somebody makes some (`state.space`).

    Read before deciding anything on it all the same: etcd says so also of the very writes with
    which it has come to its quota, and these it has done.
    """


class CompactedError(StoreError):
    """The revision asked for has been compacted away; list again."""

    def __init__(self, asked: int, kept_from: int) -> None:
        oldest = kept_from or "a later one"
        super().__init__(f"revision {asked} has been compacted, {oldest} is kept: list again")
        self.asked = asked
        self.kept_from = kept_from
        """The oldest revision still kept; 0 when the store did not say."""


class FutureRevisionError(StoreError):
    """The revision asked for does not exist yet: the store went back, or the question is wrong."""


class LeaseGoneError(StoreError):
    """The lease has expired or was revoked, and its keys with it; grant a new one."""


class RejectedError(StoreError):
    """The store refused the request as it stands."""
