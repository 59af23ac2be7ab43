"""A decision of the policy, in a span of its own."""

from __future__ import annotations

from control_plane.authz import Authz, Decision
from control_plane.subjects import Question
from control_plane.tracing import span


def decided(authz: Authz, question: Question) -> Decision:
    """Return what the policy says."""
    words = {
        "everline.permission": question.permission.value,
        "everline.subject": question.subject.id,
        "everline.tenant": question.tenant,
        "everline.thing": question.thing.id,
    }
    with span("authorise", words) as told:
        decision = authz.decide(question)
        told.tell({"everline.allowed": decision.allowed, "everline.why": decision.why.value})
        return decision
