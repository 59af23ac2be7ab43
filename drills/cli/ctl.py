"""`./everline ctl`. What there is to do, the control plane's own document says."""

from __future__ import annotations

from typing import Annotated

import cyclopts
from cyclopts.completion import CompletionContext

from drills.ctl.completion import candidates, kept
from drills.ctl.run import HELP, main


def _next(context: CompletionContext) -> list[str]:
    """Return what may be typed next."""
    typed = [token.value for token in context.argument.tokens]
    return list(candidates(typed, kept()))


Words = Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True, completer=_next)]

app = cyclopts.App(name="ctl", help=HELP, help_format="plaintext", help_flags=(), version_flags=())


@app.default
def ctl(*words: Words) -> int:
    """Ask a control plane for something."""
    return main(words)
