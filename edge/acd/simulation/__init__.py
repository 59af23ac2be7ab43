"""The real matcher and its rules, let loose on callers of a day that was, or is imagined. PURE."""

from edge.acd.simulation.day import KINDS, Caller, Day, kind_of
from edge.acd.simulation.simulate import Replayed, replay
from edge.acd.simulation.suppose import supposed
from edge.acd.simulation.world import World

__all__ = ["KINDS", "Caller", "Day", "Replayed", "World", "kind_of", "replay", "supposed"]
