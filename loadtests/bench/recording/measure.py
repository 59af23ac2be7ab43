"""`bench recording`: calls a core, sealing, what is added, and how soon one hears something."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from custody import frame as frames
from custody import stream
from custody.frame import BLOCK, BLOCKS, SAMPLES, Frame, State
from custody.manifest import Manifest
from drills.cli.progress import progress
from drills.lab.enter import RUN_ROOT
from loadtests.bench.cpu import CpuMeter
from loadtests.bench.errors import BenchError
from loadtests.bench.recording import listening
from loadtests.bench.recording.recorder import TENANT, Recorder, recording
from loadtests.bench.recording.relay import PACKET_S, Relay
from loadtests.bench.stats import percentile

KEPT_WITHIN_S: Final = 60.0
SETTLE_S: Final = 1.0
LATE_SENDER_S: Final = 0.1
"""Further behind than that the sender has not sent what was to be recorded in time."""
FULL: Final = 0.97
"""A recorder that is on a core for so much of the time has no more to give."""


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rungs: tuple[int, ...] = (50, 100, 150, 200, 250, 300, 400)
    slice_s: float = 12.0
    seal_s: float = 3.0
    requests: int = 300


QUICK: Final = Effort(rungs=(10, 20), slice_s=3.0, seal_s=0.5, requests=40)


class Rung(Struct, frozen=True, kw_only=True):
    """So many calls at once."""

    calls: int
    cores: float
    """How much of a core the recorder was on."""
    packets: int
    lost: int
    """Packets that were sent and are not in a recording."""
    memory_bytes: int
    """A call, beyond what the recorder has without any."""
    sender_behind_s: float

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost."""
        return self.lost == 0


class RecordingFigures(Struct, frozen=True, kw_only=True):
    """What was found."""

    rungs: tuple[Rung, ...]
    sealed_mb_per_s: float
    overhead: float
    """What the store holds beyond the codec's own bytes, as a share of them."""
    first_audio_ms: dict[str, float]

    @property
    def best(self) -> Rung | None:
        """The most calls of which nothing was lost."""
        clean = [rung for rung in self.rungs if rung.is_clean]
        return max(clean, key=lambda rung: rung.calls, default=None)

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        best = self.best
        return {
            "calls_per_core": best.calls if best else 0,
            "cores_at_that": round(best.cores, 3) if best else None,
            "cpu_ms_per_call_second": round(1000 * best.cores / best.calls, 3) if best else None,
            "memory_kib_per_call": round(best.memory_bytes / 1024, 1) if best else None,
            "rungs": [
                {
                    "calls": rung.calls,
                    "cores": round(rung.cores, 3),
                    "packets": rung.packets,
                    "lost": rung.lost,
                    "sender_behind_ms": round(1000 * rung.sender_behind_s, 1),
                }
                for rung in self.rungs
            ],
            "sealed_mb_per_s": round(self.sealed_mb_per_s, 1),
            "overhead": round(self.overhead, 5),
            "first_audio_ms": {name: round(ms, 1) for name, ms in self.first_audio_ms.items()},
        }


async def measure(effort: Effort) -> RecordingFigures:
    """Measure everything. BenchError: this machine cannot."""
    relay = Relay()
    port = await relay.start()
    sending = asyncio.create_task(relay.run())
    rungs: list[Rung] = []
    kept: list[Manifest] = []
    try:
        async with recording(RUN_ROOT, port) as recorder:
            with progress("calls at once", total=len(effort.rungs)) as task:
                for calls in effort.rungs:
                    task.advance(f"{calls} calls")
                    rung, accounts = await _climb(recorder, relay, calls, effort.slice_s)
                    if not rung.is_clean and rung.sender_behind_s > LATE_SENDER_S:
                        # What was sent too late proves nothing against who received it: once more.
                        again = await _climb(recorder, relay, calls, effort.slice_s, turn=1)
                        rung, accounts = again[0], accounts + again[1]
                    rungs.append(rung)
                    kept += accounts
                    if not rung.is_clean or rung.cores > FULL:
                        break
            overhead = _overhead(recorder.folder, kept)
            with progress("first sounds over the API"):
                times = await listening.first_sounds(recorder, kept, effort.requests)
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        relay.close()
    return RecordingFigures(
        rungs=tuple(rungs),
        sealed_mb_per_s=await asyncio.to_thread(_sealing, effort.seal_s),
        overhead=overhead,
        first_audio_ms={
            name: 1000 * percentile(times, share)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
    )


async def _climb(
    recorder: Recorder, relay: Relay, calls: int, slice_s: float, *, turn: int = 0
) -> tuple[Rung, list[Manifest]]:
    """Record so many calls at once; compare what was sent with what is in the recordings."""
    names = [f"{calls:04x}{turn:04x}{number:016x}" for number in range(calls)]
    sent_before = relay.sent
    for name in names:
        await recorder.ask(
            cmd="record", call=name, tenant=TENANT, queue="q", agent="a", media=f"a1:{name}"
        )
    await asyncio.sleep(SETTLE_S)
    meter, relay.behind_s = CpuMeter([recorder.pid]), 0.0
    began_s, spent_s = time.monotonic(), meter.read_s()
    await asyncio.sleep(slice_s)
    cores = (meter.read_s() - spent_s) / (time.monotonic() - began_s)
    memory = max(0, recorder.resident_bytes() - recorder.idle_bytes) // calls
    # The last packets have to have left the kernel before anybody is told to stop.
    for stream_ in relay.streams.values():
        stream_.goal = None
    await asyncio.sleep(10 * PACKET_S)
    for name in names:
        await recorder.ask(cmd="stop", call=name)
    accounts = [await _kept(recorder, name) for name in names]
    sent = relay.sent - sent_before
    late = sum(e.segments[-1].caller.late + e.segments[-1].agent.late for e in accounts)
    got = sum(e.segments[-1].caller.received + e.segments[-1].agent.received for e in accounts)
    rung = Rung(
        calls=calls,
        cores=cores,
        packets=sent,
        lost=sent - got + late,
        memory_bytes=memory,
        sender_behind_s=relay.behind_s,
    )
    return rung, accounts


async def _kept(recorder: Recorder, name: str) -> Manifest:
    library = recorder.library()
    ends_s = time.monotonic() + KEPT_WITHIN_S
    while True:
        try:
            return await library.manifest(TENANT, name)
        except FileNotFoundError:
            if time.monotonic() > ends_s:
                raise BenchError(f"recording {name} was not kept") from None
        await asyncio.sleep(0.05)


def _overhead(folder: Path, accounts: list[Manifest]) -> float:
    """Return what the store holds beyond the codec's own bytes, as a share of them."""
    raw = sum(2 * each.samples for each in accounts)
    stored = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())
    return stored / raw - 1


def _sealing(seconds: float) -> float:
    """Return how many MB a second one core packs and seals, levels and all."""
    cipher = stream.FrameCipher(bytes(32), b"here", stream.header(bytes(32), bytes(7)))
    one = Frame(
        start=0,
        codecs=(0, 0),
        states=(bytes([State.AUDIO] * BLOCKS), bytes([State.AUDIO] * BLOCKS)),
        left=bytes(range(BLOCK)) * BLOCKS,
        right=bytes(range(BLOCK)) * BLOCKS,
    )
    count, began_s = 0, time.thread_time()
    while (spent_s := time.thread_time() - began_s) < seconds:
        cipher.seal(count, frames.pack(one, count), is_last=False)
        count += 1
    return count * 2 * SAMPLES / spent_s / 1e6
