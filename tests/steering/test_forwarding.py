"""Backup numbers outside: which trunk, which row, and what is no longer to come."""

from __future__ import annotations

from msgspec.structs import replace

from edge.steering import forwards
from edge.steering.coming import Coming, Stream, redirected
from edge.steering.forwarding import trunk_for
from state import keys
from state.model import MAIN, Did, DidNumber, QueueId, SiteId, TenantId, Trunk, TrunkId
from tests.acd.worlds import NOW, World

OUT = "+493012345678"
ACME = TenantId("acme")


def trunk(name: str, *prefixes: str, sip: str = "h:5060", tenant: TenantId = MAIN) -> Trunk:
    return Trunk(
        id=TrunkId(name), addresses=("192.0.2.1",), sip=sip, dial_out=prefixes, tenants=(tenant,)
    )


def test_the_first_trunk_by_id_that_may_dial_it_does() -> None:
    silent, narrow = trunk("a", "+49", sip=""), trunk("b", "+4989")
    theirs, later, first = (
        trunk("c", "+49", tenant=ACME),
        trunk("e", "+"),
        trunk("d", "+1", "+4930"),
    )
    trunks = [silent, narrow, theirs, later, first]
    assert trunk_for(OUT, MAIN, trunks) == first
    assert trunk_for(OUT, ACME, trunks) == theirs
    assert trunk_for("+44123456789", MAIN, trunks) == later


def test_nothing_is_dialled_that_no_trunk_allows() -> None:
    assert trunk_for(OUT, MAIN, [trunk("a"), trunk("b", "49"), trunk("c", "+43")]) is None
    assert trunk_for(OUT, MAIN, []) is None


def world() -> World:
    made = World()
    made.queue("sales")
    for number, forward in (("1", OUT), ("2", ""), ("3", "+4312345678")):
        did = Did(number=DidNumber(number), queue=QueueId("sales"), forward=forward)
        made.put(keys.did(did.number), did)
    made.put(keys.trunk(TrunkId("t2")), trunk("t2", "+49"))
    return made


def test_a_did_has_a_row_where_a_trunk_may_dial_its_number() -> None:
    assert forwards(world().snapshot) == {"1": f"t2 {OUT}"}


def test_calls_that_go_outside_come_to_nobody_here() -> None:
    there = world()
    there.did("1", "sales")
    before = there.snapshot
    stream = Stream(
        did=DidNumber("1"), via=SiteId("a"), queue=QueueId("sales"), calls=3, talk_s=60.0
    )
    other = replace(stream, did=DidNumber("2"))
    what = Coming(from_ms=0, to_ms=60_000, streams=(stream, other))
    assert redirected(what, before, before, NOW).streams == (stream, other)
    assert redirected(what, before, world().snapshot, NOW).streams == (other,)
