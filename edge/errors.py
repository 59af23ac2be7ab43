"""The edge's own errors. Each client (`edge.sip`, `edge.media`, `edge.proxy`) has its own tree.

EdgeError
├── SettingsError      the file that starts an edge is wrong: the operator's to mend
├── CommandError       a command over the command socket cannot be done: the sender's to mend
│   └── NotRecordedError   a recorder's: this call cannot be recorded, in one word why
└── PartDiedError      a part that runs as long as the process has ended: ours, see the log
"""

from __future__ import annotations


class EdgeError(Exception):
    """Base of what the edge raises."""


class SettingsError(EdgeError):
    """The settings file is wrong; the text names the file, the key and what it should be."""


class CommandError(EdgeError):
    """A command that the edge cannot do; the text says why."""


class NotRecordedError(CommandError):
    """A call that the recorder cannot record."""

    def __init__(self, text: str, because: str) -> None:
        """`because` is a word of `edge.acd.recorded`."""
        super().__init__(text)
        self.because = because


class PartDiedError(EdgeError):
    """A part of the edge has ended; the process ends with it and is to be started again."""
