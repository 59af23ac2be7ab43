"""What can go wrong between an edge and its Kamailio.

ProxyError
├── ProxyUnreachableError   no answer: it is not running, or frozen
├── ProxyRefusedError       it answered, with a fault
└── TablesFileError         tables.json is not what we write
"""

from __future__ import annotations


class ProxyError(Exception):
    """Base of this package's errors."""


class ProxyUnreachableError(ProxyError):
    """Kamailio did not answer in time, or its socket is not there."""


class ProxyRefusedError(ProxyError):
    """Kamailio answered a request with a fault."""

    def __init__(self, method: str, code: int, text: str) -> None:
        super().__init__(f"Kamailio refused {method}: {code} {text}")
        self.method = method
        self.code = code
        self.text = text


class TablesFileError(ProxyError):
    """tables.json cannot be read, or is of another version."""
