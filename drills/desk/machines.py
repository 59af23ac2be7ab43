"""Asks the machines of a lab how they are: etcd members, edges, and the lab's own supervisor."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from drills.desk.answers import EdgeRow, Health, Role, SiteRow
from drills.desk.asks import WrapUpAsk
from drills.desk.errors import RefusedError
from drills.desk.rooms import RoomRow, Rooms
from drills.lab import room
from drills.lab.lab import Lab
from drills.lab.probes import http_get
from drills.lab.site import ETCD_HEALTH_PORT
from edge.steering import home_edge
from state.errors import StoreError
from state.members import EtcdMember, Membered
from state.model import CallId, EdgeId, SiteId
from state.snapshot import Snapshot
from state.space import Roomy, Space
from state.store import Store

ANSWER_TIMEOUT_S = 1.0
_LINE_LIMIT = 1 << 20


class EdgeWord(Struct, frozen=True, kw_only=True):
    """What an edge says of itself."""

    row: EdgeRow
    bad_records: Mapping[str, str]


async def ask_edges(lab: Lab, snapshot: Snapshot) -> tuple[EdgeWord, ...]:
    """Ask all edges at once; who is silent for a second is told so."""
    places = [(edge, site) for site in lab.plan.sites for edge in lab.plan.edges(site)]
    return tuple(
        await asyncio.gather(
            *(
                _ask_edge(edge, site, lab.paths.of(site) / f"edge-{edge}.sock", snapshot)
                for edge, site in places
            )
        )
    )


async def _ask_edge(edge: EdgeId, site: SiteId, path: Path, snapshot: Snapshot) -> EdgeWord:
    has_lease = edge in snapshot.edges
    try:
        status, stock = await _exchange(path, ("status", "stock"))
        return edge_word(edge, site, status, stock, has_lease=has_lease)
    except (OSError, ValueError, KeyError, TypeError):
        row = EdgeRow(edge=edge, site=site, has_lease=has_lease, answers=False)
        return EdgeWord(row=row, bad_records={})


def edge_word(
    edge: EdgeId,
    site: SiteId,
    status: Mapping[str, object],
    stock: Mapping[str, object],
    *,
    has_lease: bool,
) -> EdgeWord:
    """Return what two answers of its command socket say. ValueError when they make no sense."""
    calls, won = _numbers(status["calls"]), _numbers(status["reservations"])
    bad, unreachable = status["bad_records"], status["unreachable"]
    serving = status["serving"]
    if not (isinstance(bad, dict) and isinstance(serving, dict) and isinstance(unreachable, list)):
        raise ValueError(f"edge {edge} says what is no status")  # noqa: TRY004 - one kind
    since_ms = serving["since_ms"]
    age_s, media_calls = status["snapshot_age_s"], stock["media_calls"]
    row = EdgeRow(
        edge=edge,
        site=site,
        has_lease=has_lease,
        answers=True,
        state=str(status["state"]),
        snapshot=str(status["snapshot"]),
        snapshot_age_s=age_s if isinstance(age_s, float) and age_s < float("inf") else None,
        revision=int(str(status["revision"])),
        proxy_is_in_step=status["proxy_is_in_step"] is True,
        unreachable=tuple(SiteId(str(each)) for each in unreachable),
        out=_out(status.get("out")),
        mode=str(serving["mode"]),
        because=str(serving.get("because") or ""),
        mode_since_ms=since_ms if isinstance(since_ms, int) else None,
        calls=calls,
        calls_taken=int(str(status["calls_taken"])),
        legs=int(str(stock["legs"])),
        media_calls=media_calls if isinstance(media_calls, int) else None,
        landed=won["landed"],
        refused=won["refused"],
    )
    return EdgeWord(row=row, bad_records={str(key): str(why) for key, why in bad.items()})


def alone_since(rows: Iterable[EdgeRow]) -> dict[SiteId, int]:
    """Return the sites of which an edge serves without a quorum, and since when the first does."""
    since: dict[SiteId, int] = {}
    for row in rows:
        if row.mode in _WITHOUT_QUORUM and row.mode_since_ms is not None:
            since[row.site] = min(row.mode_since_ms, since.get(row.site, row.mode_since_ms))
    return since


def full_at(rows: Iterable[EdgeRow]) -> tuple[SiteId, ...]:
    """Return the sites of which an edge serves alone because the store has no room left."""
    return tuple(sorted({row.site for row in rows if row.because == "store_full"}))


_WITHOUT_QUORUM = frozenset({"alone", "merging"})


def _out(value: object) -> dict[SiteId, str]:
    found = value if isinstance(value, dict) else {}
    return {SiteId(str(site)): str(why) for site, why in found.items()}


def _numbers(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} should be an object")  # noqa: TRY004 - one kind
    return {str(name): int(number) for name, number in value.items()}


async def _exchange(path: Path, commands: Iterable[str]) -> list[dict[str, object]]:
    """Ask one edge; OSError when it does not answer, ValueError when it refuses."""
    return await _say(path, [{"cmd": command} for command in commands])


async def _say(path: Path, requests: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    answers = []
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_LIMIT)
        try:
            for request in requests:
                writer.write(json.dumps(request).encode() + b"\n")
                line = await reader.readline()
                if not line:
                    raise ConnectionResetError("the edge has died while it was asked")
                answer = json.loads(line)
                if not (isinstance(answer, dict) and answer.get("ok")):
                    raise ValueError(_refusal(answer))
                answers.append(answer)
        finally:
            writer.close()
    return answers


def _refusal(answer: object) -> str:
    """Return why an edge did not do what it was asked."""
    error = answer.get("error") if isinstance(answer, dict) else None
    return str(error) if error else f"the edge answers what makes no sense: {answer!r}"


async def change_rest(lab: Lab, snapshot: Snapshot, ask: WrapUpAsk) -> float:
    """Have an agent's home edge end or prolong their rest; return how long it still is.

    RefusedError when there is none, or no edge of their home site answers.
    """
    edge = home_edge(snapshot, ask.agent)
    if edge is None:
        raise RefusedError(f"no edge of the home site of {ask.agent!r} lives")
    path = lab.paths.of(snapshot.agents[ask.agent].value.site) / f"edge-{edge}.sock"
    request = {"cmd": "wrap_up", "agent": ask.agent, "do": ask.do, "s": ask.by_s}
    try:
        return float(str((await _say(path, [request]))[0]["left_s"]))
    except ValueError as error:
        raise RefusedError(str(error)) from error
    except OSError as error:
        raise RefusedError(f"edge {edge} does not answer: see ./everline status") from error


async def etcd_members(store: Store) -> tuple[EtcdMember, ...]:
    """Return who of etcd's members takes part; none: nobody can say."""
    if not isinstance(store, Membered):
        return ()
    try:
        return await store.members()
    except StoreError:
        return ()


async def etcd_space(store: Store) -> Space | None:
    """Return how full the member is that answers first; None: nobody can say."""
    if not isinstance(store, Roomy):
        return None
    try:
        return await store.space()
    except StoreError:
        return None


async def cancel_callback(lab: Lab, snapshot: Snapshot, call: CallId) -> None:
    """Have an edge see to it that nobody is called back for a lost call.

    RefusedError when it will not, or none answers.
    """
    for edge, life in snapshot.edges.items():
        path = lab.paths.of(life.value.site) / f"edge-{edge}.sock"
        try:
            await _say(path, [{"cmd": "cancel_callback", "call": call}])
        except ValueError as error:
            raise RefusedError(str(error)) from error
        except OSError:
            continue
        else:
            return
    raise RefusedError("no edge answers: see ./everline status")


async def ask_etcd(lab: Lab) -> Mapping[SiteId, Role]:
    """Ask every etcd member for its role."""
    sites = lab.plan.sites
    roles = await asyncio.gather(*(_ask_member(site) for site in sites))
    return dict(zip(sites, roles, strict=True))


async def _ask_member(site: SiteId) -> Role:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return role(await http_get(site, "127.0.0.1", ETCD_HEALTH_PORT, "/metrics"))
    except OSError:
        return Role.SILENT


async def rooms(launcher: int, lab: Lab, *, make: bool) -> Rooms:
    """Return how full the members are; first have room made, if that is asked for."""
    before = await room.look(lab) if make else {}
    if make:
        await room.mend(lab)
    rows = tuple(
        RoomRow(
            site=site,
            leads=each is not None and each.leads,
            space=None if each is None else each.space,
        )
        for site, each in (await room.look(lab)).items()
    )
    was = {site: each.space.size_bytes for site, each in before.items() if each}
    return Rooms(lab=launcher, members=rows, was=was)


def role(metrics: bytes) -> Role:
    """Return the role that a member's metrics tell."""

    def says(name: bytes) -> bool:
        return re.search(rb"^" + name + rb" 1$", metrics, re.MULTILINE) is not None

    if says(b"etcd_server_is_leader"):
        return Role.LEADER
    return Role.FOLLOWER if says(b"etcd_server_has_leader") else Role.NO_LEADER


def site_rows(
    lab: Lab, snapshot: Snapshot, roles: Mapping[SiteId, Role], apis: Mapping[SiteId, str]
) -> tuple[SiteRow, ...]:
    """Return every site of the plan, with what the supervisor knows of its processes."""
    return tuple(
        _site_row(lab, snapshot, site, etcd=roles[site], api=apis.get(site, ""))
        for site in lab.plan.sites
    )


def _site_row(lab: Lab, snapshot: Snapshot, site: SiteId, *, etcd: Role, api: str) -> SiteRow:
    names = lab.supervisor.names(site)
    entry = snapshot.sites.get(site)
    return SiteRow(
        site=site,
        name=site if entry is None else entry.value.name,
        address=lab.plan.host(site).address,
        is_cut_off=site in lab.wan.state.isolated,
        is_draining=entry is not None and entry.value.draining,
        processes={name: _health(lab, name) for name in names},
        restarts=sum(max(0, lab.supervisor.starts(name) - 1) for name in names),
        etcd=etcd,
        calls=sum(1 for each in snapshot.tickets.values() if each.value.site == site),
        api=api,
    )


def _health(lab: Lab, name: str) -> Health:
    if lab.supervisor.pid(name) is None:
        return Health.DOWN
    return Health.UP if lab.supervisor.is_ready(name) else Health.STARTING
