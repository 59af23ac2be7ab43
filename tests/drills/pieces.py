"""A piece of evidence as a drill leaves it, who allowed the drill, and the key that signs it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drills.course import End
from drills.evidence import CallRow, ClockBound, Evidence, Moment, judge
from drills.experiment import Bound
from drills.guards import Verdict
from drills.library import experiment_of
from drills.permit import Permit
from drills.sealing import FIRST, chained, hash_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
EXPERIMENT = experiment_of("site_killed")
PERMIT = Permit(
    request="apq_1",
    drill="site_killed",
    plan_hash=EXPERIMENT.plan_hash,
    asked_by="usr_sre",
    asked_by_name="Olga",
    approved_by="usr_manager",
    why="quarterly",
    ticket="",
    approved="2026-11-28T18:00:00Z",
    used="2026-11-28T19:00:00Z",
)
FILES = {"callers.pcap": b"packets"}


def piece(run: str = "r1", previous: str = FIRST, rto_s: float = 2.5) -> Evidence:
    """Return that of a drill that held."""
    figures: dict[str, float | None] = {"rto_s": rto_s, "offered": 3, "answered": 3}
    return Evidence(
        run=run,
        previous=previous,
        experiment=EXPERIMENT,
        plan_hash=EXPERIMENT.plan_hash,
        seed=1,
        began_ms=1_700_000_000_000,
        approvals=(),
        end=End.COMPLETED,
        why="the method was carried out",
        guards=(Verdict(guard="quorum", allows=True, why="3 of 3"),),
        judgements=judge((Bound(figure="rto_s", at_most=5.0),), figures),
        figures=figures,
        timeline=chained(
            Moment(after_s=at_s, at_ms=round(at_s * 1000), who=who, what=f"thing {at_s}")
            for at_s, who in ((1.5, "b edge b1"), (0.0, "fault"), (2.0, "c edge c1"))
        ),
        clocks=(ClockBound(who="b edge b1", least_ms=-1.0, most_ms=2.0),),
        calls=(
            CallRow(
                call="1",
                meant_for="a",
                served_by="b",
                agent_at="c",
                people="answered",
                edges="answered",
                placed_s=1.0,
                setup_ms=40.0,
            ),
        ),
        moved={"a -> b": 1},
        findings=("<script>",),
        files={name: hash_of(content) for name, content in FILES.items()},
    )
