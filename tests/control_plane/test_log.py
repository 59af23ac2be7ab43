"""The lines of the log."""

from __future__ import annotations

import msgspec

from control_plane import log


def test_a_line_of_what_is_no_text_is_still_a_line() -> None:
    line = log.render(None, "", {"event": "audit_lost", "purpose": "\udcff", "at_ms": 3})
    assert msgspec.json.decode(line) == {
        "event": "audit_lost",
        "purpose": "\\udcff",
        "at_ms": "3",
    }
