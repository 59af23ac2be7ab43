"""The whole of `/everline/state/` at one revision, as a frozen value. PURE.

A snapshot shares its parts with the one before it, so keeping an old one costs little. It holds
each key twice: as it came (`raw`, for saving, comparing and healing) and decoded. A record that
cannot be decoded stands in `bad` with the reason and in no other map; it harms nobody but itself.

An agent who was moved (`moves`) stands in `agents` at the site where they are, and whoever asks for
an agent's home need not know of it. Only `raw` has where they are configured to be.
"""

from state.snapshot.delta import Delta, Listener
from state.snapshot.home import configured_site
from state.snapshot.replacing import Replacing, Restored, replace, restore
from state.snapshot.snapshot import FIELDS, Snapshot, version_of
from state.snapshot.steps import apply, mended, step

__all__ = [
    "FIELDS",
    "Delta",
    "Listener",
    "Replacing",
    "Restored",
    "Snapshot",
    "apply",
    "configured_site",
    "mended",
    "replace",
    "restore",
    "step",
    "version_of",
]
