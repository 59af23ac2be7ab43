"""The only etcd client, on grpc's asyncio API; keeps the contract of `state.store`.

Owns connections, deadlines, and what may be asked again; `state.etcd.wire` owns the messages.

Members are used in the order in which they are given: a site's own first. One that fails or is
silent is benched: nothing is sent to it until a probe has read through it, with a quorum behind it.
So a dead or frozen member costs its first caller one deadline, and nobody after that. When it is
back, requests return to it at once; a watch stays where it is until that breaks.

What proves that a request was not carried out: it was never handed to a connection that stood, or
etcd said so in a text that it gives only before it proposes. Everything else may have been done.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]
import structlog

from state.errors import (
    CompactedError,
    LeaseGoneError,
    OutcomeUnknownError,
    RejectedError,
    StoreFullError,
    UnavailableError,
)
from state.etcd import wire
from state.etcd.census import Census
from state.etcd.joined import Joiner
from state.etcd.member import METADATA, Member
from state.etcd.pulse import Pulse, next_reply
from state.etcd.settings import EtcdSettings, Tls
from state.etcd.verdict import (
    LEASE_EXISTS,
    BrokenStreamError,
    Verdict,
    judge,
    reason_of,
    unless_cut,
)
from state.etcdpb import rpc_pb2 as pb
from state.members import EtcdMember
from state.space import UNDONE, Space
from state.store import (
    Compare,
    LeaseId,
    Operation,
    RangeResult,
    TxnResult,
    WatchBatch,
)

log = structlog.get_logger(__name__)

_PROBE_GROWTH: Final = 1.5
_PROBE_GROWS_TO: Final = 5


_Ask = Callable[[Member, float], Awaitable[Any]]
"""Sends one request to one member, within so many seconds."""


class EtcdStore:
    """A Store on an etcd cluster. Make it inside a running event loop; `close` it at the end."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        tls: Tls | None = None,
        settings: EtcdSettings | None = None,
    ) -> None:
        """Take `host:port` endpoints in order of preference."""
        if not endpoints:
            raise ValueError("name at least one etcd endpoint, as host:port")
        self._tls = tls
        pem = None if tls is None else tls.read()
        self._settings = settings or EtcdSettings()
        self._members = tuple(Member(address, pem) for address in endpoints)
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._back = asyncio.Event()
        self._joiner = Joiner(self._send_txn)
        self._census = Census(self._members, lambda: None if tls is None else tls.read())
        self._is_closed = False
        self.benched_total = 0
        self.watch_resumes = 0

    @property
    def benched(self) -> tuple[str, ...]:
        """The addresses of the members that are not used at the moment."""
        return tuple(member.address for member in self._members if member.is_benched)

    # ---- the Store -------------------------------------------------------------------------------

    async def range(  # noqa: PLR0913 - each is one word of etcd's own range
        self,
        key: str,
        *,
        prefix: bool = False,
        after: str = "",
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
    ) -> RangeResult:
        """Read a key or a prefix; see `Store.range`."""
        request = pb.RangeRequest(
            key=wire.key_bytes(after) + b"\0" if after else wire.key_bytes(key),
            range_end=wire.end_of_prefix(key) if prefix else b"",
            revision=revision,
            limit=limit,
            keys_only=keys_only,
        )
        reply: pb.RangeResponse
        try:
            reply = await self._ask(
                "range", lambda member, s: member.range(request, timeout=s, metadata=METADATA)
            )
        except CompactedError as error:
            raise CompactedError(revision, error.kept_from) from error
        return RangeResult(
            revision=reply.header.revision,
            records=tuple(wire.record(kv) for kv in reply.kvs),
            more=reply.more,
        )

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do; see `Store.txn`."""
        return await self._joiner.txn(compares, success, failure, patience_s)

    async def _send_txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        reply: pb.TxnResponse = await self._ask(
            "txn",
            lambda member, s: member.txn(request, timeout=s, metadata=METADATA),
            may_repeat=False,
        )
        return reply

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yield changes; see `Store.watch`."""
        if from_revision < 1:
            raise RejectedError(f"a watch starts at revision 1 or later, not {from_revision}")
        told = from_revision - 1
        while True:
            member = await self._usable_member(self._settings.total_s)
            try:
                async for batch in self._stream(member, prefix, told):
                    told = batch.revision
                    yield batch
            except (BrokenStreamError, grpc.aio.AioRpcError) as error:
                self.watch_resumes += 1
                self._bench(member, reason_of(error))

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """Grant a lease; see `Store.lease_grant`."""
        if ttl_s < 1:
            raise RejectedError(f"a lease lives 1 s or longer, not {ttl_s}")
        lease = LeaseId(secrets.randbits(62) + 1)
        request = pb.LeaseGrantRequest(TTL=ttl_s, ID=lease)

        async def grant(member: Member, timeout_s: float) -> None:
            try:
                await member.grant(request, timeout=timeout_s, metadata=METADATA)
            except grpc.aio.AioRpcError as error:
                # An earlier attempt of ours, whose answer was lost, made it: nobody else has this
                # id.
                if LEASE_EXISTS not in (error.details() or ""):
                    raise

        await self._ask("lease grant", grant)
        return lease

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """Keep a lease; see `Store.lease_keepalive`."""
        request = pb.LeaseKeepAliveRequest(ID=lease)

        async def keep(member: Member, timeout_s: float) -> int:
            call = member.keepalive(timeout=timeout_s, metadata=METADATA)
            try:
                await call.write(request)
                reply = await call.read()
                if reply is grpc.aio.EOF:
                    raise BrokenStreamError("the keepalive stream ended")
                return int(reply.TTL)
            finally:
                call.cancel()

        ttl_s: int = await self._ask("lease keepalive", keep)
        if ttl_s <= 0:
            raise LeaseGoneError(f"lease {lease:x} has ended: grant a new one")
        return ttl_s

    async def lease_revoke(self, lease: LeaseId) -> None:
        """End a lease; see `Store.lease_revoke`."""
        request = pb.LeaseRevokeRequest(ID=lease)
        try:
            await self._ask(
                "lease revoke", lambda m, s: m.revoke(request, timeout=s, metadata=METADATA)
            )
        except LeaseGoneError:
            return

    async def close(self) -> None:
        """Close all connections and stop probing."""
        self._is_closed = True
        self._joiner.close()
        probes = tuple(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await self._census.close()
        for member in self._members:
            await member.channel.close()

    async def compact(self, revision: int) -> None:
        """Forget every revision before `revision`, on all members."""
        request = pb.CompactionRequest(revision=revision)
        await self._ask("compact", lambda m, s: m.compact(request, timeout=s, metadata=METADATA))

    async def space(self) -> Space:
        """Return how full the first usable member is, by its own word: that costs no consensus."""
        request = pb.StatusRequest()
        reply: pb.StatusResponse = await self._ask(
            "status", lambda m, s: m.status(request, timeout=s, metadata=METADATA)
        )
        return wire.space(reply)

    async def members(self) -> tuple[EtcdMember, ...]:
        """Return who has a vote, and whether each takes part: every one is asked by itself."""
        try:
            return await self._census.look()
        except OSError as error:
            raise UnavailableError(f"etcd's members cannot be asked: {error}") from error

    async def takes_writes(self) -> bool:
        """Ask whether there is room; see `state.space`."""
        try:
            # By itself: of what goes with others etcd 3.4 does not see that it writes.
            await self._send_txn(wire.txn_request(*UNDONE, ()))
        except StoreFullError:
            return False
        return True

    # ---- asking ----------------------------------------------------------------------------------

    async def _ask(self, what: str, ask: _Ask, *, may_repeat: bool = True) -> Any:  # noqa: ANN401 - grpc has no types
        """Return the first member's answer; go on to the next where that is safe."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._settings.total_s
        while True:
            member = await self._usable_member(ends_s - loop.time())
            attempt_s = min(self._settings.attempt_s, ends_s - loop.time())
            if attempt_s <= 0:
                raise UnavailableError(f"etcd {what}: no member took it in time")
            try:
                return await unless_cut(ask(member, attempt_s))
            except (grpc.aio.AioRpcError, BrokenStreamError) as error:
                verdict = judge(what, error)
                self._bench(member, reason_of(error))
                if verdict is Verdict.UNKNOWN and not may_repeat:
                    raise OutcomeUnknownError(
                        f"etcd {what} at {member.address}: {reason_of(error)}; "
                        "it may have been done: read before asking again"
                    ) from error

    async def _usable_member(self, timeout_s: float) -> Member:
        """Return the first member that is not benched and to which a connection stands."""
        if self._is_closed:
            raise UnavailableError("this etcd client was closed")
        for member in self._members:
            if not member.is_benched:
                if member.is_connected():
                    return member
                break
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                while True:
                    # From before looking, so that who comes back while we look is not overlooked.
                    back = self._back
                    for member in self._members:
                        if member.is_benched:
                            continue
                        if await member.is_ready(self._settings.connect_s):
                            return member
                        self._bench(member, "no connection")
                    await back.wait()
        except TimeoutError:
            troubles = "; ".join(f"{each.address}: {each.trouble}" for each in self._members)
            raise UnavailableError(
                f"no etcd member is usable; bring up a majority of the members ({troubles})"
            ) from None

    def _bench(self, member: Member, reason: str) -> None:
        member.trouble = reason
        if member.is_benched or self._is_closed:
            return
        member.is_benched = True
        self.benched_total += 1
        log.warning("etcd_member_benched", member=member.address, reason=reason)
        task = asyncio.create_task(self._probe_until_back(member))
        self._probes[member.address] = task
        task.add_done_callback(lambda _: self._probes.pop(member.address, None))

    async def _probe_until_back(self, member: Member) -> None:
        """Read through the member until that works, then let it be used again.

        A member may have refused us because our certificate has expired: a new one is taken up.
        """
        request = pb.RangeRequest(key=b"\0", count_only=True)
        every_s = self._settings.probe_every_s
        grows_to_s = every_s * _PROBE_GROWS_TO
        while True:
            await asyncio.sleep(every_s)
            every_s = min(every_s * _PROBE_GROWTH, grows_to_s)
            try:
                if self._tls is not None:
                    await member.renew(self._tls.read())
                await member.range(request, timeout=self._settings.probe_s, metadata=METADATA)
            except (grpc.aio.AioRpcError, OSError) as error:
                member.trouble = reason_of(error)
                continue
            member.is_benched = False
            # Another event for who looks from now on: none of them clears it for the others.
            back, self._back = self._back, asyncio.Event()
            back.set()
            log.info("etcd_member_back", member=member.address)
            return

    # ---- watching --------------------------------------------------------------------------------

    async def _stream(
        self, member: Member, prefix: str, told: int
    ) -> AsyncGenerator[WatchBatch, None]:
        """Yield what one member tells after revision `told`, until it breaks off or falls silent.

        Resumption rests on the mod_revision of events alone: etcd 3.4's progress notifications may
        run ahead of events that are still to come.
        """
        call = member.watch(metadata=METADATA)
        pulse = Pulse(call, self._settings)
        create = pb.WatchCreateRequest(
            key=wire.key_bytes(prefix),
            range_end=wire.end_of_prefix(prefix),
            start_revision=told + 1,
            fragment=True,
        )
        try:
            await unless_cut(call.write(pb.WatchRequest(create_request=create)))
            events: list[pb.Event] = []
            while True:
                reply = await next_reply(call, pulse)
                if reply.canceled:
                    if reply.compact_revision:
                        raise CompactedError(told + 1, reply.compact_revision)
                    raise BrokenStreamError(reply.cancel_reason or "watch cancelled")
                events.extend(reply.events)
                if reply.fragment or (reply.created and reply.header.revision > told):
                    # Not complete yet; or just made, with what happened meanwhile still to come.
                    continue
                if events:
                    told = events[-1].kv.mod_revision
                yield WatchBatch(revision=told, changes=wire.changes(events))
                events.clear()
        finally:
            pulse.stop()
            call.cancel()
