"""Writes files of figures, such as those of `--json`: as JSON that every reader takes, and whole.

What is no number (not a number, endless) is null there: JSON has no word for it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from custody.disk import write_whole


def write_figures(file: Path, figures: object) -> None:
    """Write figures to a file, which is there whole or as it was before; OSError: it cannot be.

    A device or a pipe is written to, and stays what it is.
    """
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n"
    file = file.resolve()
    if file.exists() and not file.is_file():
        file.write_bytes(text)
    else:
        write_whole(file, text, mode=0o666)
