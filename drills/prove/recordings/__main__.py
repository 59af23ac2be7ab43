"""`python -m drills.prove.recordings`, inside the lab's namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from custody.errors import CustodyError
from custody.keyring import Keyring
from custody.library import Library
from custody.providers import LocalFile
from custody.store import RecordingStore
from drills.cli.errors import Exit
from drills.cli.progress import console
from drills.demo.hearing import Recorded
from drills.demo.ledger import Ledger, join
from drills.demo.recorded import Listening
from drills.demo.run import DemoError, Stage, count, read_records, staged
from drills.demo.scenario import plan
from drills.demo.screen import Screen
from drills.demo.stock import settle
from drills.lab import recorders
from drills.lab.control_plane import process_name
from drills.lab.disks import Away
from drills.lab.errors import LabError
from drills.lab.lab import Lab
from drills.prove.recordings.absences import absences, is_explained
from drills.prove.recordings.erasing import Erasing, ErasingError
from drills.prove.recordings.proof import Proof, complaints, table
from drills.prove.recordings.tampering import Found, copied, tamper
from drills.prove.recordings.telling import told
from drills.setup.say import note
from state.errors import StateError
from state.model import MAIN, Outcome, SiteId

CALLS_BEGIN_IN_S: Final = 1.0
BETWEEN_S: Final = (1.5, 4.0)
STORE_AWAY_S: Final = (2.0, 8.0)
ERASED: Final = 10
"""Callers who become customers, and are erased."""
TAMPERED: Final = 6
"""Recordings that are changed in every way."""
COPIED_WITHIN_S: Final = 20.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; it comes as JSON, the one argument."""

    calls: int
    seed: int
    json: str = ""


async def prove(options: Options) -> Exit:
    """Play, break, listen; print, and say whether all held."""
    own = asyncio.current_task()
    if own is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own.cancel)
    screen = Screen(scenario=plan(seed=options.seed, calls=options.calls))
    async with screen.shown(), staged(screen) as stage:
        proof = await _prove(stage, options.seed)
    if options.json:
        Path(options.json).write_text(json.dumps(proof.as_json(), indent=2) + "\n")  # noqa: ASYNC240 - the end
    console().print(table(proof))
    for line in complaints(proof):
        console().print(line)
    return Exit.OK if proof.held else Exit.FAILED


async def _prove(stage: Stage, seed: int) -> Proof:
    screen, loop = stage.screen, asyncio.get_running_loop()
    kills: dict[str, int] = {}
    erasing = Erasing(stage.lab)
    planned = stage.scenario.calls[:: max(1, len(stage.scenario.calls) // ERASED)][:ERASED]
    await erasing.prepare([each.number for each in planned])
    screen.began_s = loop.time() + CALLS_BEGIN_IN_S
    calling = asyncio.create_task(stage.people.let_call(screen.began_s))
    counting = asyncio.create_task(count(stage))
    killing = asyncio.create_task(_kill(stage, seed, kills))
    try:
        await calling
        await stage.people.callers_over()
    finally:
        killing.cancel()
        calling.cancel()
        counting.cancel()
        # Not before each store is back; a fault of ours that has ended the kills is told.
        with contextlib.suppress(asyncio.CancelledError):
            await killing
    lab = stage.lab
    edges = [
        (edge, lab.paths.of(site) / f"edge-{edge}.sock")
        for site in lab.plan.sites
        for edge in lab.plan.edges(site)
    ]
    await settle(edges, stage.store)
    await stage.people.send_home()
    screen.say("listening to what was recorded")
    book = join(
        stage.scenario,
        stage.people.caller_reports(),
        stage.people.agent_reports(),
        await read_records(stage.store),
    )
    listening = Listening(lab, None)
    recorded = await listening.listen(book.rows)
    unrecorded = _unrecorded(lab, book)
    unexplained = tuple(
        each for each in recorded if not _is_explained(each) and each.call not in unrecorded
    )
    # Before a site is destroyed.
    notes = {each.call: told(lab.paths.run, each) for each in unexplained}
    sought, plaintext = await listening.plaintext()
    screen.say("changing recordings in every way")
    tampered = await _tamper(stage, book, recorded, seed)
    await _until_copied(stage)
    screen.say("erasing some of the callers")
    erased = await erasing.erase(_calls_by_number(book))
    screen.say("losing a site, with its keys")
    lost, counted, left, played = await _lose(stage, erasing.gone)
    return Proof(
        recorded=recorded,
        answered=sum(1 for row in book.rows if row.by_edges is Outcome.ANSWERED),
        kills=kills,
        unrecorded=frozenset(each.call for each in recorded if each.fault) & unrecorded,
        unexplained=tuple(each.call for each in unexplained),
        told=notes,
        plaintext=plaintext,
        sounds_sought=sought,
        tampered=tampered,
        lost_site=lost,
        replicated=counted,
        not_replicated=left,
        played=played,
        erased=erased,
    )


def _calls_by_number(book: Ledger) -> dict[str, list[str]]:
    """Return the calls that came from each number."""
    found: dict[str, list[str]] = {}
    for row in book.rows:
        if row.record is not None:
            found.setdefault(row.planned.number, []).append(row.record.call)
    return found


def _unrecorded(lab: Lab, book: Ledger) -> frozenset[str]:
    """Return the calls that could not be recorded, as their records say."""
    epoch_ms = time.time_ns() / 1e6 - time.monotonic() * 1000
    gone = {
        site: absences(lab.events, recorders.process_name(site), epoch_ms)
        for site in lab.plan.sites
    }
    records = [row.record for row in book.rows if row.record is not None]
    return frozenset(each.call for each in records if is_explained(each, gone[each.site]))


def _is_explained(recorded: Recorded) -> bool:
    """Tell whether both parties are heard, or the manifest says what is missing and why."""
    return recorded.is_heard or (not recorded.fault and not recorded.is_complete)


async def _kill(stage: Stage, seed: int, kills: dict[str, int]) -> None:
    """Break processes and stores at random moments, until cancelled; all come back."""
    chance = random.Random(seed)  # noqa: S311 - the same every time
    lab = stage.lab
    kinds = ("recorder", "recorder", "edge", "control_plane", "rtpengine", "store")
    without: dict[SiteId, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            await asyncio.sleep(chance.uniform(*BETWEEN_S))
            site, kind = chance.choice(lab.plan.sites), chance.choice(kinds)
            if kind == "store":
                if site in without and not without[site].done():
                    continue
                lasting = _without_store(lab, site, chance.uniform(*STORE_AWAY_S))
                without[site] = group.create_task(lasting)
            else:
                name = _process_of(lab, site, kind, chance)
                if not lab.supervisor.is_ready(name):
                    continue
                lab.supervisor.kill(name)
            kills[kind] = kills.get(kind, 0) + 1


def _process_of(lab: Lab, site: SiteId, kind: str, chance: random.Random) -> str:
    match kind:
        case "edge":
            return f"edge-{chance.choice(lab.plan.edges(site))}"
        case "control_plane":
            return process_name(site)
        case _:
            return f"{kind}-{site}"


async def _without_store(lab: Lab, site: SiteId, seconds: float) -> None:
    """Let a site's recordings have no store for a while."""
    store = Away(recorders.store_of(lab.paths.of(site)))
    try:
        store.take()
        await asyncio.sleep(seconds)
    finally:
        store.bring_back()


async def _tamper(stage: Stage, book: Ledger, recorded: tuple[Recorded, ...], seed: int) -> Found:
    """Change copies of some recordings, those with gaps among them."""
    lab, found = stage.lab, Found()
    site_of = {row.record.call: row.record.site for row in book.rows if row.record is not None}
    opened = sorted((each for each in recorded if not each.fault), key=lambda e: e.is_complete)
    for number, each in enumerate(opened[:TAMPERED]):
        site = next(site for call, site in site_of.items() if call == each.call)
        to = lab.paths.run / "tampered" / str(number)
        copied(recorders.store_of(lab.paths.of(site)), MAIN, [each.call], to)
        library = Library(
            RecordingStore.open(str(to)),
            Keyring(recorders.keyring_of(lab.paths.of(site))),
            providers={site: LocalFile.load(lab.paths.of(site) / recorders.PROVIDER)},
            recorders=lab.trusted.recorders,
        )
        found = found.plus(await tamper(library, to, MAIN, each.call, f"{seed}-{number}"))
        shutil.rmtree(to)
    return found


async def _until_copied(stage: Stage) -> None:
    """Give the sites the time to copy what has just ended."""
    ends_s = asyncio.get_running_loop().time() + COPIED_WITHIN_S
    while asyncio.get_running_loop().time() < ends_s:
        if all(not _uncounted(stage, site) for site in stage.lab.plan.sites):
            return
        await asyncio.sleep(0.2)


def _counted(stage: Stage, site: SiteId) -> set[str]:
    return recorders.counted(stage.lab.paths.of(site), site)


def _uncounted(stage: Stage, site: SiteId) -> set[str]:
    """Return the recordings of the site's own that it has not counted as replicated."""
    run = stage.lab.paths.of(site)
    spooled = {path.name for path in recorders.spool_of(run).iterdir() if path.is_dir()}
    manifests = recorders.store_of(run) / MAIN / "manifests"
    own = {
        path.stem
        for path in (manifests.glob("*.json") if manifests.exists() else ())
        if f'"site":"{site}"' in path.read_text()
    }
    return (own | spooled) - _counted(stage, site)


async def _lose(stage: Stage, gone: Collection[str]) -> tuple[SiteId, int, int, int]:
    """Kill the site that has recorded most, destroy all that it had, and listen elsewhere.

    But for what is `gone`, since it was erased.

    Return it, what it had counted as replicated, what it had not, and what a survivor plays.
    """
    lab = stage.lab
    lost = max(lab.plan.sites, key=lambda site: len(_counted(stage, site)))
    counted, left = _counted(stage, lost) - set(gone), _uncounted(stage, lost)
    lab.kill_site(lost)
    shutil.rmtree(lab.paths.of(lost), ignore_errors=True)
    played = 0
    for call in sorted(counted):
        for site in lab.plan.sites:
            if site != lost and await _plays(lab.library(site, keys_of=site), call):
                played += 1
                break
    return lost, len(counted), len(left), played


async def _plays(library: Library, call: str) -> bool:
    """Tell whether all is heard that the manifest lists: of some it lists nothing but a gap."""
    try:
        account = await library.manifest(MAIN, call)
        listed = sum(each.frames for each in account.segments)
        return len([frame async for frame in library.frames(account)]) == listed
    except (FileNotFoundError, CustodyError):
        return False


def main(argv: list[str]) -> int:
    """Run once."""
    options = msgspec.json.decode(argv[0], type=Options)
    try:
        return asyncio.run(prove(options))
    except (DemoError, ErasingError, LabError, StateError) as error:
        note(str(error))
        return Exit.FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
