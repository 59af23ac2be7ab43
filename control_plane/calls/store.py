"""Calls that are over, in the database.

Every statement names the tenant, but for the carrying, and for the load of the center as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.calls.tables import CallRow, CarriedRow, RestRow
from control_plane.db.inserting import inserting
from edge.acd.handling import as_rested
from state.model import CallRecord, Outcome, Rested

LEDGER: Final = "ledger"
CODES: Final = "codes"
RESTS: Final = "rests"
FILTERS: Final = ("queue", "agent", "site", "did", "outcome", "code", "callback_of")


class PastCall(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    id: str
    tenant: str
    did: str
    queue: str
    site: str
    agent: str
    agent_site: str
    team: str
    employer: str
    caller: str
    outcome: str
    arrived_ms: int
    ended_ms: int
    revision: int
    record: CallRecord
    """Its wrap-ups as they really were, where that is known."""
    callback_of: str = ""
    code: str = ""

    def __repr__(self) -> str:
        """Say nothing of the caller."""
        return f"PastCall({self.id})"


_COLUMNS = [getattr(CallRow, name) for name in PastCall.__struct_fields__]


def _with_rests() -> Select[Any]:
    """Return the query for calls, each with what was said of its wrap-ups afterwards."""
    return select(*_COLUMNS, RestRow.told).outerjoin(RestRow, RestRow.call == CallRow.id)


async def latest(
    connection: AsyncConnection,
    tenant: str,
    wanted: Mapping[str, Any],
    after: tuple[int, str] | None,
    most: int,
) -> list[PastCall]:
    """Return the calls that came last, or last before `after` (arrival and id).

    `wanted`: filters by name, `since` and `until`, `callers` (a query for numbers), `among` (one
    for calls), `min_s` and `max_s` (how long they talked), `has_talk`; None filters nothing.
    """
    statement = _with_rests().where(CallRow.tenant == tenant)
    for name in FILTERS:
        if wanted.get(name) is not None:
            statement = statement.where(getattr(CallRow, name) == wanted[name])
    if wanted.get("since") is not None:
        statement = statement.where(CallRow.arrived_ms >= wanted["since"])
    if wanted.get("until") is not None:
        statement = statement.where(CallRow.arrived_ms < wanted["until"])
    if wanted.get("callers") is not None:
        statement = statement.where(CallRow.caller.in_(wanted["callers"]))
    if wanted.get("among") is not None:
        statement = statement.where(CallRow.id.in_(wanted["among"]))
    statement = statement.where(*_of_talk(connection, wanted))
    if after is not None:
        at, call = after
        earlier = and_(CallRow.arrived_ms == at, CallRow.id < call)
        statement = statement.where(or_(CallRow.arrived_ms < at, earlier))
    order = (CallRow.arrived_ms.desc(), CallRow.id.desc())
    return [_read(row) for row in await connection.execute(statement.order_by(*order).limit(most))]


def _of_talk(
    connection: AsyncConnection, wanted: Mapping[str, Any]
) -> Iterable[ColumnElement[bool]]:
    """Yield what the filters say of the talk in a call; whether there was one, as `has_talk`."""
    if wanted.get("has_talk"):
        yield or_(CallRow.outcome == Outcome.ANSWERED.value, CallRow.agent != "")
    if wanted.get("min_s") is not None:
        yield _talked_ms(connection) >= wanted["min_s"] * 1000
    if wanted.get("max_s") is not None:
        yield _talked_ms(connection) <= wanted["max_s"] * 1000


def has_talk(call: PastCall) -> bool:
    """Tell whether an agent talked with the caller, also if a fault ended that."""
    return call.outcome == Outcome.ANSWERED or call.agent != ""


def _talked_ms(connection: AsyncConnection) -> ColumnElement[int]:
    """Return how long agent and caller talked, which the call's record tells."""
    name = "connected_ms"
    connected: ColumnElement[Any] = (
        func.json_extract(CallRow.record, f"$.{name}")
        if connection.dialect.name == "sqlite"
        else cast(cast(CallRow.record, JSON)[name].as_string(), BigInteger)
    )
    return CallRow.ended_ms - connected


async def find(connection: AsyncConnection, tenant: str, call: str) -> PastCall | None:
    """Return one, or None."""
    statement = _with_rests().where(CallRow.tenant == tenant, CallRow.id == call)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _read(row)


async def find_all(connection: AsyncConnection, calls: Iterable[str]) -> tuple[PastCall, ...]:
    """Return these, of whatever tenant: for who asks the policy about each of them."""
    statement = _with_rests().where(CallRow.id.in_(tuple(calls))).order_by(CallRow.id)
    return tuple(_read(row) for row in await connection.execute(statement))


async def since(
    connection: AsyncConnection,
    tenant: str | None,
    since_ms: int,
    most: int,
    *,
    queue: str | None = None,
) -> tuple[CallRecord, ...]:
    """Return the records of the calls that came since then, the latest first, at most `most`.

    With their wrap-ups as long as they really were. `tenant` None: of all, for what concerns the
    center as a whole. `queue`: of that one alone.
    """
    whose = () if tenant is None else (CallRow.tenant == tenant,)
    if queue is not None:
        whose = (*whose, CallRow.queue == queue)
    statement = (
        select(CallRow.record, RestRow.told)
        .outerjoin(RestRow, RestRow.call == CallRow.id)
        .where(*whose, CallRow.arrived_ms >= since_ms)
        .order_by(CallRow.arrived_ms.desc(), CallRow.id.desc())
        .limit(most)
    )
    found = (await connection.execute(statement)).all()
    # In a thread: of a busy center there are thousands, and others are served meanwhile.
    return await asyncio.to_thread(lambda: tuple(_as_it_was(row.record, row.told) for row in found))


# ---- carrying ------------------------------------------------------------------------------------


async def carried(connection: AsyncConnection, name: str = LEDGER) -> int:
    """Return up to which revision this has been carried over; 0: never."""
    statement = select(CarriedRow.revision).where(CarriedRow.name == name)
    return (await connection.execute(statement)).scalar_one_or_none() or 0


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """What the database has learnt of some calls, and learns once.

    Whoever else carries the same calls gets none of these.
    """

    callers: tuple[PastCall, ...]
    """Those of whose caller it learns only now."""
    ends: tuple[PastCall, ...]
    """Of the others whose caller it knows, those of which it has a later record now."""


async def carry(connection: AsyncConnection, calls: Sequence[PastCall]) -> Learnt:
    """Add `calls`."""
    news = [*await _insert(connection, calls)]
    fresh = {each.id for each in news}
    ends = []
    for call in calls:
        if call.id in fresh:
            continue
        caller = await _supersede(connection, call)
        if call.caller and await _tell_caller(connection, call):
            news.append(call)
        elif caller:
            ends.append(msgspec.structs.replace(call, caller=caller))
    return Learnt(callers=tuple(each for each in news if each.caller), ends=tuple(ends))


async def _insert(connection: AsyncConnection, calls: Sequence[PastCall]) -> Iterable[PastCall]:
    if not calls:
        return ()
    statement = (
        inserting(connection, CallRow)
        .values([_values(each) for each in calls])
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(CallRow.id)
    )
    added = set((await connection.execute(statement)).scalars())
    return [each for each in calls if each.id in added]


async def _supersede(connection: AsyncConnection, call: PastCall) -> str | None:
    """Let a later record of the same call stand: an edge had refused it, and another took it.

    Return the caller, empty if not known; None: it is no later one.
    """
    values = {name: value for name, value in _values(call).items() if name not in _LEARNT}
    done = await connection.execute(
        update(CallRow)
        .where(CallRow.id == call.id, CallRow.revision < call.revision)
        .values(**values)
        .returning(CallRow.caller)
    )
    return done.scalar_one_or_none()


async def _tell_caller(connection: AsyncConnection, call: PastCall) -> bool:
    done = await connection.execute(
        update(CallRow)
        .where(CallRow.id == call.id, CallRow.caller == "", CallRow.is_caller_erased.is_(False))
        .values(caller=call.caller)
    )
    return done.rowcount == 1


async def set_code(connection: AsyncConnection, call: str, code: str, revision: int) -> bool:
    """Let a call have been about this, unless something newer was said. False: no such call."""
    mine = CallRow.id == call
    change = (
        update(CallRow)
        .where(mine, CallRow.code_revision < revision)
        .values(code=code, code_revision=revision)
    )
    while (await connection.execute(change)).rowcount == 0:
        stands = (await connection.execute(select(CallRow.code_revision).where(mine))).scalar()
        if stands is None or stands >= revision:
            return stands is not None
        # The call has come between the two: write it now.
    return True


async def set_rests(connection: AsyncConnection, rested: Rested, revision: int) -> None:
    """Let the wrap-ups of a call have been so, unless something newer was said."""
    told = msgspec.json.encode(rested).decode()
    made = inserting(connection, RestRow).values(
        call=rested.call, revision=revision, at_ms=rested.at_ms, told=told
    )
    await connection.execute(
        made.on_conflict_do_update(
            index_elements=["call"],
            set_={
                "revision": made.excluded.revision,
                "at_ms": made.excluded.at_ms,
                "told": made.excluded.told,
            },
            where=RestRow.revision < made.excluded.revision,
        )
    )


async def note(
    connection: AsyncConnection, name: str, site: str, revision: int, now_ms: int
) -> None:
    """Let all up to `revision` be carried over, by the control plane of this site too."""
    for each in (name, f"{name}@{site}"):
        made = inserting(connection, CarriedRow).values(name=each, revision=revision, at_ms=now_ms)
        await connection.execute(
            made.on_conflict_do_update(
                index_elements=["name"],
                set_={"revision": made.excluded.revision, "at_ms": made.excluded.at_ms},
                where=CarriedRow.revision < made.excluded.revision,
            )
        )


async def restart(connection: AsyncConnection, name: str) -> None:
    """Forget how far the carrying has come: what was carried is another one."""
    mine = or_(CarriedRow.name == name, CarriedRow.name.startswith(f"{name}@", autoescape=True))
    await connection.execute(delete(CarriedRow).where(mine))


async def first_since(connection: AsyncConnection, since_ms: int) -> int | None:
    """Return the least revision of the calls that ended since then; None: there are none."""
    statement = select(func.min(CallRow.revision)).where(CallRow.ended_ms >= since_ms)
    return (await connection.execute(statement)).scalar_one_or_none()


async def taken_by_all(connection: AsyncConnection, name: str, since_ms: int) -> int:
    """Return up to which revision everybody has carried this over who has since then; 0: none."""
    lively = CarriedRow.name.startswith(f"{name}@", autoescape=True) & (
        CarriedRow.at_ms >= since_ms
    )
    statement = select(func.min(CarriedRow.revision)).where(or_(CarriedRow.name == name, lively))
    return (await connection.execute(statement)).scalar_one_or_none() or 0


# ---- forgetting ----------------------------------------------------------------------------------


async def forget_callers(connection: AsyncConnection, tenant: str, numbers: Iterable[str]) -> None:
    """Let calls from these numbers be of nobody known, whoever remembers who it was."""
    await connection.execute(
        update(CallRow)
        .where(CallRow.tenant == tenant, CallRow.caller.in_(tuple(numbers)))
        .values(caller="", is_caller_erased=True)
    )


async def ended_before(
    connection: AsyncConnection, tenant: str, calls: Sequence[str], before_ms: int
) -> tuple[frozenset[str], frozenset[str]]:
    """Return which of these ended before then, and which there are at all."""
    statement = select(CallRow.id, CallRow.ended_ms).where(
        CallRow.tenant == tenant, CallRow.id.in_(tuple(calls))
    )
    rows = list(await connection.execute(statement))
    old = frozenset(row.id for row in rows if row.ended_ms < before_ms)
    return old, frozenset(row.id for row in rows)


async def all_from(
    connection: AsyncConnection, tenant: str, numbers: Iterable[str]
) -> tuple[str, ...]:
    """Return the calls that came from these numbers, whatever became of them."""
    statement = select(CallRow.id).where(
        CallRow.tenant == tenant,
        CallRow.caller.in_(tuple(numbers)),
    )
    return tuple((await connection.execute(statement)).scalars())


async def drop_older(
    connection: AsyncConnection,
    tenant: str,
    before_ms: int,
    most: int,
    *,
    spare: ColumnElement[bool],
) -> int:
    """Delete the oldest calls that ended before then, but for those that `spare` holds of.

    `most` at once; return how many that were. A call came before it ended: that finds them by an
    index, though there are many others.
    """
    mine = (CallRow.tenant == tenant, CallRow.arrived_ms < before_ms)
    old = select(CallRow.id).where(*mine, CallRow.ended_ms < before_ms, ~spare)
    some = old.order_by(CallRow.arrived_ms, CallRow.id).limit(most)
    done = await connection.execute(delete(CallRow).where(CallRow.id.in_(some)))
    if done.rowcount:
        # Of calls that are gone, or never came.
        rests = (RestRow.at_ms < before_ms, ~exists().where(CallRow.id == RestRow.call))
        await connection.execute(delete(RestRow).where(*rests))
    return done.rowcount


_LEARNT: Final = frozenset({"caller", "code"})
"""What a call's record does not tell."""


def _values(call: PastCall) -> dict[str, Any]:
    told = msgspec.structs.asdict(call)
    return told | {"record": msgspec.json.encode(call.record).decode()}


def _as_it_was(record: str, told: str | None) -> CallRecord:
    """Return a record with what was said of its wrap-ups afterwards."""
    rested = None if told is None else msgspec.json.decode(told, type=Rested)
    return as_rested(msgspec.json.decode(record, type=CallRecord), rested)


def _read(row: Any) -> PastCall:  # noqa: ANN401 - a row of the columns above
    told = dict(row._mapping)  # noqa: SLF001 - its documented way
    record = _as_it_was(told["record"], told.pop("told"))
    return PastCall(**told | {"record": record})
