"""What an edge's next life makes of its calls, by the journal and by what the store still has."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd.call import Rules, State
from edge.acd.call_events import Side
from edge.journal import CallNote
from edge.sip.dialog import Dialog
from edge.sip.events import Address, LegId
from edge.takeover import Takeover
from state import keys
from state.mirror import MirrorState
from state.model import Outcome, QueueId, Ticket, TicketState
from tests.acd.worlds import ticket
from tests.edge.fake_telephony import CALLER_SDP
from tests.edge.stage import SALES, Edge, center
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

LEG = LegId("caller")
PLACE: Ticket = replace(
    ticket(1, holder="a1", talking=3),
    call=keys.call_id_for("before", "theirs"),
    did=SALES,
    queue=QueueId("sales"),
    sip_call_id="before",
)


def _takeover(edge: Edge, state: State, place: Ticket = PLACE) -> Takeover:
    note = CallNote(
        ticket=place,
        rules=Rules(greeting=place.state is TicketState.GREETING),
        state=state,
        caller=Dialog(
            sip_call_id="before",
            local_tag=LEG,
            remote_tag="them",
            local=f"<sip:everline>;tag={LEG}",
            remote="<sip:them>;tag=them",
            local_seq=1,
            remote_seq=1,
            remote_target="sip:them@192.0.2.1",
            route_set=(),
            caller=False,
            hop=Address("192.0.2.1", 5060),
        ),
        said={Side.CALLER: CALLER_SDP},
        told={},
        is_joined=False,
    )
    return Takeover(
        edge=edge.name,
        clock=LoopClock(),
        snapshot=lambda: edge.mirror.snapshot,
        is_current=lambda: edge.mirror.state is MirrorState.LIVE,
        switchboard=edge.switchboard,
        notes={place.call: note},
    )


@in_virtual_time
@pytest.mark.parametrize("state", [State.GREETING, State.QUEUED])
async def test_a_caller_whose_place_the_former_life_could_not_write_waits_on(state: State) -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await _takeover(a1, state, replace(PLACE, state=TicketState.GREETING)).run()
        await until(lambda: bool(a1.snapshot.tickets), "there is a place")
        await settle()
        assert [each.state for each in await made.tickets()] == [TicketState.QUEUED]
        await made.agent("ann")
        assert await a1.rung("ann")


@in_virtual_time
async def test_a_caller_who_had_no_place_and_leaves_has_a_record_all_the_same() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        a1.store.is_away = True
        takeover = _takeover(a1, State.QUEUED)
        a1.sip.hang_up(LEG)
        await settle()
        a1.store.is_away = False
        await takeover.run()
        assert (await made.record(a1, LEG)).outcome is Outcome.ABANDONED


@in_virtual_time
async def test_a_caller_whose_call_was_closed_meanwhile_is_let_go() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await made.put(keys.ended(PLACE.call), b'{"v":1}')
        await _takeover(a1, State.QUEUED).run()
        await settle()
        assert a1.sip.open[LEG].said == ["ask", "bye"]
        assert not await made.tickets()
