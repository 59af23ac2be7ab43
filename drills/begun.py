"""That a drill was begun: what is kept of it before anything is broken. PURE.

A piece of the chain of its own, so that a drill whose end nobody lived to write down is known all
the same. The evidence that tells of its end names it.
"""

from __future__ import annotations

from msgspec import Struct

from drills.evidence import VERSION
from drills.experiment import Experiment
from drills.permit import Permit


class Begun(Struct, frozen=True, kw_only=True, tag_field="piece", tag="begun"):
    """The guards have allowed it, the steady state is there, and its first fault comes now."""

    v: int = VERSION
    run: str
    """The name of this piece, and not of the evidence that tells of its end."""
    previous: str
    experiment: Experiment
    plan_hash: str
    seed: int
    code: str = ""
    machine: str = ""
    at_ms: int
    approvals: tuple[Permit, ...] = ()

    @property
    def due(self) -> tuple[str, str, int]:
        """Of which drill, by which plan, and with which seed it is a run."""
        return self.experiment.name, self.plan_hash, self.seed

    def told(self) -> str:
        """Return it in words."""
        where = "on live sites" if self.approvals else f"with seed {self.seed}"
        return f"{self.run} ({self.experiment.name}, {where})"
