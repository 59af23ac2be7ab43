"""The current snapshot of the shared state, kept current, and its copy on disk."""

from state.mirror.disk import DiskCopy
from state.mirror.mirror import Mirror, MirrorCounters, MirrorSettings, MirrorState

__all__ = ["DiskCopy", "Mirror", "MirrorCounters", "MirrorSettings", "MirrorState"]
