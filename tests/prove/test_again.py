"""Who has come again: the checker, which has nothing of the edge's, and the edge say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drills.prove.again import places_of_heirs
from drills.prove.history import Stored
from drills.prove.world import World as History
from edge.acd.heirs import at_their_places, heirs
from state import keys
from state.model import EdgeId, Heir, TicketState
from tests.acd.test_heirs import of_caller
from tests.acd.worlds import PATIENT, World, call_id

TICKETS = st.builds(
    of_caller,
    st.integers(0, 9),
    again_of=st.lists(st.integers(0, 9).map(call_id), max_size=3, unique=True).map(tuple),
    holder=st.sampled_from(["a1", "b1", "c1"]),
    state=st.sampled_from(TicketState),
    place=st.sampled_from([None, None, 1, 2]),
)


@given(
    tickets=st.lists(TICKETS, max_size=12),
    had=st.sets(st.integers(0, 9), max_size=2),
    silent=st.sampled_from(["", "b1", "b1 c1"]),
    is_dead=st.booleans(),
)
@PATIENT
def test_the_checker_comes_to_the_same(
    tickets: list[object], had: set[int], silent: str, *, is_dead: bool
) -> None:
    world, history = World(), History()
    for each in tickets:
        world.set_ticket(each)  # type: ignore[arg-type]  # they are tickets
    for number in had:
        record = Heir(call=call_id(number), heir=call_id(99))
        world.put(keys.heir(record.call), record)
    if is_dead:
        world.drop(keys.edge(EdgeId("c1")))
    for delta in world.deltas:
        entry = delta.after or delta.before
        assert entry is not None
        history.apply(
            [
                Stored(
                    at_s=0.0,
                    revision=entry.mod_revision,
                    kind=delta.kind,
                    id=delta.id,
                    value=None if delta.after is None else delta.after.value,
                )
            ]
        )
    unheard = frozenset(map(EdgeId, silent.split()))
    found = heirs(world.snapshot, unheard)
    tickets_seen = at_their_places(world.snapshot, found).tickets
    expected = {heir: tickets_seen[heir].value.place for heir in found}
    assert places_of_heirs(history, unheard) == expected
