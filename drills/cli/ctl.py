"""`./everline ctl`. What there is to do, the control plane's own document says."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.ctl.run import HELP, main

Words = Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True, show=False)]

app = cyclopts.App(name="ctl", help=HELP, help_format="plaintext", help_flags=(), version_flags=())


@app.default
def ctl(*words: Words) -> int:
    """Ask a control plane for something."""
    return main(words)
