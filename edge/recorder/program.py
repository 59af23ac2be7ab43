"""`python -m edge.recorder --config FILE`: one site's recorder."""

from __future__ import annotations

import argparse
import asyncio
import base64
import signal
import sys
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import keyfile, memory
from custody.errors import CustodyError
from custody.keyring import Keyring
from custody.store import RecordingStore
from edge import log
from edge.commands import CommandPort
from edge.errors import EdgeError
from edge.media.rtpengine.client import NgClient
from edge.recorder import receiving
from edge.recorder.backlog import Backlog
from edge.recorder.digits import DigitIntake
from edge.recorder.forks import Forks
from edge.recorder.intake import Intake
from edge.recorder.ledger import Ledger
from edge.recorder.peers import client_tls
from edge.recorder.receiving import Receiver
from edge.recorder.recorder import Recorder
from edge.recorder.replication import Replicator
from edge.recorder.settings import RecorderSettings, load
from edge.recorder.settling import Settler
from edge.recorder.shipping import Shipper
from edge.settings import address
from state import start
from state.discreet import fault

BAD_SETTINGS = 2
DIED = 70


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2: the settings are wrong; 70: a fault of ours."""
    parser = argparse.ArgumentParser(
        prog="python -m edge.recorder", description="A site's recorder: audio in, sealed files out."
    )
    parser.add_argument("--config", type=Path, required=True, help="its settings, a TOML file")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.config)
        Path(settings.spool).mkdir(mode=0o700, parents=True, exist_ok=True)
        signing_key = keyfile.load(Path(settings.signing_key))
    except (EdgeError, CustodyError, OSError) as error:
        print(f"recorder: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return BAD_SETTINGS
    log.configure(settings.log_level, recorder=settings.site)
    memory.dump_nothing()
    if not memory.swap_nothing():
        structlog.get_logger().warning(
            "memory_not_locked", remedy="allow it CAP_IPC_LOCK, or have no swap on this machine"
        )
    try:
        asyncio.run(_serve(settings, signing_key))
    except OSError as error:
        print(f"recorder {settings.site}: {error}", file=sys.stderr)  # noqa: T201 - for the operator
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, one line, and another life
        structlog.get_logger().critical("recorder_died", **fault(error))
        return DIED
    return 0


async def _serve(settings: RecorderSettings, signing_key: bytes) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log.note_fault)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    start.settle()
    host, _, port = settings.rtp.rpartition(":")
    intake = Intake(host, int(port))
    relay = NgClient(*address(settings.ng))
    await relay.start()
    spool = Path(settings.spool)
    store = RecordingStore.open(settings.store, settings.keys_store)
    shipper = Shipper(
        spool=spool,
        store=store,
        key=Ed25519PrivateKey.from_private_bytes(signing_key),
        recorder=settings.site,
    )
    settler = Settler(spool)
    recorder = Recorder(
        site=settings.site,
        spool=spool,
        keyring=Keyring(Path(settings.keyring)),
        intake=intake,
        forks=Forks(relay, intake.host, intake.port),
        shipper=shipper,
        settler=settler,
    )
    digits: asyncio.BaseTransport | None = None
    if settings.digits:
        digits, _ = await loop.create_datagram_endpoint(
            lambda: DigitIntake(recorder.keying.take), local_addr=address(settings.digits)
        )
    receiver, replicator = _copies(settings, store)
    if receiver is not None:
        tls = receiving.server_tls(*_certificates(settings))
        await receiver.start(*address(settings.replica_listen), tls)
    if replicator is not None:
        shipper.on_kept = replicator.wake
        recorder.replicated = lambda: replicator.count
        recorder.backlog = Backlog(spool, lambda: replicator.uncounted)
    commands = CommandPort(Path(settings.socket), recorder.commands)
    await commands.start()
    structlog.get_logger().info("recorder_started", port=intake.port)
    try:
        async with asyncio.TaskGroup() as group:
            running = (recorder.run(), shipper.run(), settler.run())
            tasks = [group.create_task(each) for each in running]
            if replicator is not None:
                tasks.append(group.create_task(replicator.run()))
            await stop.wait()
            for task in tasks:
                task.cancel()
    finally:
        await commands.close()
        if digits is not None:
            digits.close()
        if receiver is not None:
            await receiver.close()
        recorder.abandon()
        relay.close()
        intake.close()


def _copies(
    settings: RecorderSettings, store: RecordingStore
) -> tuple[Receiver | None, Replicator | None]:
    """Return what takes copies in and what sends ours, each if there is one."""
    known = {name: base64.b64decode(public) for name, public in settings.recorders.items()}
    ring = Keyring(Path(settings.keyring))
    ledger = Ledger(Path(settings.spool) / "replicated")
    receiver = None
    if settings.replica_listen:
        receiver = Receiver(
            site=settings.site, store=store, recorders=known, ring=ring, ledger=ledger
        )
    if not settings.peers:
        return receiver, None
    return receiver, Replicator(
        store=store,
        recorder=settings.site,
        recorders=known,
        peers=settings.peers,
        tls=client_tls(*_certificates(settings)),
        ledger=ledger,
    )


def _certificates(settings: RecorderSettings) -> tuple[Path, Path, Path]:
    return Path(settings.tls_ca), Path(settings.tls_cert), Path(settings.tls_key)
