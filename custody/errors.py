"""What can be wrong with a recording or with its keys.

CustodyError
├── TamperedError    what is sealed, or signed, is not what was written
├── FormatError      not something that we have written, or by a version that is not known here
├── NoKeyError       there is no key to seal with, or none of the providers can open it
├── KeyFileError     a key file cannot be read, or others can: the operator's to mend
└── ConflictError    another object stands under the same name: nothing is overwritten
"""

from __future__ import annotations


class CustodyError(Exception):
    """Base of what this package raises."""


class TamperedError(CustodyError):
    """It does not open, or its signature does not hold: changed, moved, or under another key."""


class FormatError(CustodyError):
    """Not what we write."""


class NoKeyError(CustodyError):
    """No key: neither is anything written in the clear, nor can this be opened."""


class KeyFileError(CustodyError):
    """A key file that cannot be used; the text says how to mend it."""


class ConflictError(CustodyError):
    """An object of that name is there and is another."""
