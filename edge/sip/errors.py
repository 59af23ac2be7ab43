"""Errors of the SIP stack, split by blame.

SipError
├── LocalError    the caller of the stack asked for what the leg's state forbids
└── RemoteError   the peer sent what no one can accept; `status` is what it deserves
"""

from __future__ import annotations


class SipError(Exception):
    """Base of everything the SIP stack raises."""


class LocalError(SipError):
    """A command that does not fit: unknown leg, wrong state, a value that cannot go on the wire."""


class RemoteError(SipError):
    """The peer's message is wrong. `status` is the response that it deserves."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
