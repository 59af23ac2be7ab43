"""Bugs by which one tenant's agents get another tenant's calls."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

import edge.acd.relaxation
import edge.calls.transfers
from edge.acd.relaxation import Effective
from state.model import MAIN, AgentId, QueueId
from tests.prove import replacing
from tests.prove.replacing import of


def tenant_ignored() -> None:
    """Take every caller for the main tenant's."""
    at_first = of(edge.acd.relaxation, "_at_first")

    def mutated(queue: Any, _tenant: Any, *more: Any) -> Effective:  # noqa: ANN401 - as it is
        effective: Effective = at_first(queue, MAIN, *more)
        return effective

    replacing.put_in(edge.acd.relaxation, "_at_first", mutated)


def tenant_ignored_by_overflow() -> None:
    """Take the queue to which callers overflow for one of their own tenant."""
    after = of(edge.acd.relaxation, "_after")

    def mutated(effective: Any, step: Any, queues: Any) -> Effective:  # noqa: ANN401 - as it is
        other = None if queues is None else queues.get(step.overflow)
        if other is not None:
            needs = replace(effective.needs, tenant=other.value.tenant)
            effective = replace(effective, needs=needs)
        stepped: Effective = after(effective, step, queues)
        return stepped

    replacing.put_in(edge.acd.relaxation, "_after", mutated)


def tenant_ignored_by_transfers() -> None:
    """Take whomever a caller is passed on to for one of the caller's tenant."""
    destination = of(edge.calls.transfers, "destination")

    def mutated(snapshot: Any, ticket: Any, by: Any, to: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401 - as it is
        found = snapshot.agents.get(AgentId(to)) or snapshot.queues.get(QueueId(to))
        if found is not None:
            ticket = replace(ticket, tenant=found.value.tenant)
        return destination(snapshot, ticket, by, to, *more, **named)

    replacing.put_in(edge.calls.transfers, "destination", mutated)


OF_TENANTS = (tenant_ignored, tenant_ignored_by_overflow, tenant_ignored_by_transfers)
