"""Says for an agent what one of their calls was about."""

from __future__ import annotations

from drills.desk.asks import CodeAsk
from drills.desk.errors import RefusedError
from drills.desk.ledger import Ledger
from edge.acd.coding import refused_because
from state import keys
from state.codec import encode
from state.model import CallId, Coding
from state.snapshot import Snapshot
from state.store import Exists, Put, Store


async def code(store: Store, snapshot: Snapshot, over: Ledger, ask: CodeAsk, at_ms: int) -> CallId:
    """Write it beside the newest of the calls that are over; return which. Or RefusedError."""
    theirs = [record for record in over.records if record.agent == ask.agent]
    if not theirs:
        which = f" whose id begins with {ask.call}" if ask.call else ""
        raise RefusedError(f"{ask.agent} has talked in no call{which} that is over")
    record = theirs[0]
    because = refused_because(snapshot, record, ask.agent, ask.code)
    if because is not None:
        raise RefusedError(because)
    coding = Coding(call=record.call, agent=ask.agent, code=ask.code, at_ms=at_ms, by=ask.by)
    put = Put(key=keys.coded(record.call), value=encode(coding))
    await store.txn((Exists(key=keys.ended(record.call)),), (put,))
    return record.call
