"""Histories of agents who ask a colleague about a caller."""

from __future__ import annotations

from msgspec.structs import replace

from drills.prove.history import ConsultationOver, Consults
from state.keys import Kind
from state.model import AgentId, TicketState
from tests.prove.histories import Tale, call_id


def consults(tale: Tale, call: str, agent: str, to: str) -> None:
    """Let the agent of a call call a colleague."""
    tale.note(Consults(at_s=tale.now(), agent=AgentId(agent), call=call_id(call), to=AgentId(to)))


def colleague(tale: Tale, call: str, agent: str) -> None:
    """Let a colleague be reserved for a call, whose ticket stays as it is."""
    tale.store((Kind.OFFER, agent, tale.offer_of(call, agent)))


def consultation_ends(tale: Tale, call: str, agent: str, to: str) -> None:
    """Let the asker's telephone be through with it."""
    tale.note(
        ConsultationOver(
            at_s=tale.now(),
            agent=AgentId(agent),
            call=call_id(call),
            to=AgentId(to),
            how="hung up",
        )
    )


def is_handed_over(tale: Tale, call: str, to: str) -> None:
    """Let the colleague have the caller."""
    ticket = replace(tale.ticket_of(call), state=TicketState.OFFERED, agent=AgentId(to))
    tale.store(tale.ticket(ticket))
