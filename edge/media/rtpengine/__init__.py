"""The shell of this package: the only code that talks to an rtpengine."""

from edge.media.plan import AGENT, CALLER, QUEUE, Party
from edge.media.rtpengine.engine import FOREVER, MediaEngine

__all__ = ["AGENT", "CALLER", "FOREVER", "QUEUE", "MediaEngine", "Party"]
