"""`./everline completion`."""

from __future__ import annotations

from typing import Annotated, Literal

import cyclopts

from drills.cli.errors import Exit

Shell = Annotated[
    Literal["bash", "zsh", "fish"], cyclopts.Parameter(help="For which shell: bash, zsh or fish.")
]


def completion(shell: Shell, /) -> int:
    """Print what lets a shell complete the commands of everline, and of ctl.

    What ctl can do it asks no control plane for: it is what the last one
    told. The script calls everline by the name that you type.

    For example:
      eval "$(./everline completion bash)"
      ./everline completion zsh > ~/.zfunc/_everline
      ./everline completion fish > ~/.config/fish/completions/everline.fish
    """
    from drills.cli.app import build  # noqa: PLC0415 - the table of commands names this one

    print(build(None).generate_completion(prog_name="everline", shell=shell))  # noqa: T201
    return Exit.OK
