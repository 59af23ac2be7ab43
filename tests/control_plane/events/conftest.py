"""The same center as for live state."""

from tests.control_plane.live.conftest import scene

__all__ = ["scene"]
