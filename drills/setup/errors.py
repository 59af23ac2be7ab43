"""What can go wrong while setting up, said in one line with the way out."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class SetupError(Exception):
    """The machine cannot be made ready. The text names the thing and what to do about it."""


class InterruptedSetupError(SetupError):
    """Someone asked us to stop (SIGTERM, SIGHUP). What was half done is mended by the next run."""


def not_writable(error: PermissionError) -> SetupError:
    """Say whose the place is that we may not write."""
    place = Path(error.filename)
    while not place.exists():
        place = place.parent
    owner, me = (pwd.getpwuid(uid).pw_name for uid in (place.stat().st_uid, os.geteuid()))
    return SetupError(
        f"{me} cannot write {place}, which belongs to {owner}. Run this as {owner}, "
        f"or give it away: chown -R {me} {place}"
    )


def stop_politely() -> None:
    """Turn SIGTERM and SIGHUP into an exception, so that what is half done is put right first."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise InterruptedSetupError(
            f"stopped by {signal.Signals(number).name}; run it again to go on"
        )

    for wanted in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(wanted) is not signal.SIG_IGN:  # nohup asks us to stay
            signal.signal(wanted, stop)
