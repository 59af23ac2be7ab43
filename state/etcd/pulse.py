"""How a watch is known to live: it is asked when it is silent, and given up when it stays so."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]

from state.etcd.settings import EtcdSettings
from state.etcd.verdict import BrokenStreamError, is_cancelled
from state.etcdpb import rpc_pb2 as pb


class Pulse:
    """Asks a stream that is silent for a sign of life, and breaks it off when none comes.

    In a task of its own: a limit on the wait for each message costs ten times what reading does.
    """

    def __init__(self, call: Any, settings: EtcdSettings) -> None:  # noqa: ANN401 - grpc has no types
        self._call = call
        self._settings = settings
        self._messages = 0
        self._heard_s = asyncio.get_running_loop().time()
        self.silent_s: float | None = None
        """For how long the stream was silent when it was broken off."""
        self._task = asyncio.create_task(self._watch_over())

    def heard(self) -> None:
        """Note a message."""
        self._messages += 1
        self._heard_s = asyncio.get_running_loop().time()

    def stop(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _watch_over(self) -> None:
        every_s = self._settings.heartbeat_s
        try:
            while True:
                heard = self._messages
                await asyncio.sleep(self._heard_s + every_s - asyncio.get_running_loop().time())
                # Counted in turns that were really waited for: this process may have been frozen
                # itself, with answers waiting to be read.
                silent_s = every_s
                while self._messages == heard:
                    if silent_s >= self._settings.silence_s:
                        self.silent_s = silent_s
                        self._call.cancel()
                        return
                    request = pb.WatchRequest(progress_request=pb.WatchProgressRequest())
                    await self._call.write(request)
                    await asyncio.sleep(every_s)
                    silent_s += every_s
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # it has ended: whoever reads is told why


async def next_reply(call: Any, pulse: Pulse) -> pb.WatchResponse:  # noqa: ANN401 - grpc has no types
    """Return the stream's next message. BrokenStreamError if it ends or stays silent."""
    try:
        reply = await call.read()
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        # Else grpc says so of a stream that we broke off, or whose channel was closed.
        silent_s = pulse.silent_s
        reason = "its connection was closed" if silent_s is None else f"silent for {silent_s:.1f} s"
        raise BrokenStreamError(reason) from None
    if reply is grpc.aio.EOF:
        raise BrokenStreamError(f"the watch ended: {await call.details() or 'no reason given'}")
    pulse.heard()
    return reply  # type: ignore[no-any-return]  # grpc has no types
