"""What a lab's stores have of the calls that were answered, and what they should have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace
from obstore.exceptions import BaseError

from control_plane.live.talks import tenant_of
from custody.errors import CustodyError
from custody.findings import Rotation, Sample
from custody.frame import RATE_HZ
from custody.keyring import Keyring
from custody.library import Library
from custody.manifest import Manifest
from custody.providers import LocalFile
from custody.rotation import look as look_at
from custody.sampling import sample
from custody.store import RecordingStore
from drills.desk.errors import RefusedError
from drills.desk.recording_answers import RecordingRow, Recordings, Samples, SegmentRow
from drills.lab import recorders
from drills.lab.lab import Lab
from drills.lab.plan import Part
from state.codec import UNREADABLE
from state.model import CallRecord, Outcome, SiteId
from state.snapshot import Snapshot

NO_RECORDER = "the lab runs no recorder"
NOT_THERE = "no recording"


async def look(
    lab: Lab,
    launcher: int,
    records: Sequence[CallRecord],
    snapshot: Snapshot,
    *,
    thoroughly: bool,
) -> Recordings:
    """Return a row for every call in which an agent talked; `thoroughly`: hash and open each.

    Each is opened with the keys of another site than its own, where there is another. Whose a call
    is, its queue in `snapshot` tells.
    """
    rows = [
        await _row(lab, each, tenant_of(snapshot, each.did, each.queue), thoroughly=thoroughly)
        for each in records
        if has_talk(each)
    ]
    samples = tuple(filter(None, (_last_sample(lab, site) for site in lab.plan.sites)))
    return Recordings(lab=launcher, is_thorough=thoroughly, recordings=tuple(rows), samples=samples)


def has_talk(record: CallRecord) -> bool:
    """Tell whether an agent talked with the caller, also if a fault cut that off."""
    return record.outcome is Outcome.ANSWERED or record.agent is not None


def _last_sample(lab: Lab, site: SiteId) -> Sample | None:
    try:
        raw = recorders.sample_of(lab.paths.of(site)).read_bytes()
        return msgspec.json.decode(raw, type=Sample)
    except (OSError, *UNREADABLE):
        return None


async def sampled(lab: Lab, most: int, now_ms: int) -> Samples:
    """Open copies at every site with that site's own keys alone. Raise `RefusedError`."""
    _check(lab)
    found = []
    for site in lab.plan.sites:
        store = RecordingStore.open(str(recorders.store_of(lab.paths.of(site))))
        library = lab.library(site, keys_of=site)
        found.append(await sample(store, library, site, at_ms=now_ms, most=most))
    return Samples(samples=tuple(found))


async def rotation(lab: Lab, site: SiteId, *, is_to_begin: bool) -> Rotation:
    """Return how far a site's provider has been rotated, after beginning it if asked to.

    Raise `RefusedError`.
    """
    _check(lab)
    if site not in lab.plan.sites:
        raise RefusedError(f"there is no site {site}: {', '.join(lab.plan.sites)}")
    run = lab.paths.of(site)
    try:
        provider = LocalFile.load(run / recorders.PROVIDER)
        if is_to_begin:
            await asyncio.to_thread(provider.begin_rotation)
        return look_at(site, provider, Keyring(recorders.keyring_of(run)))
    except (CustodyError, OSError) as error:
        raise RefusedError(f"site {site} has no keys here: {error}") from error


def _check(lab: Lab) -> None:
    if Part.RECORDER not in lab.plan.parts:
        raise RefusedError(NO_RECORDER)


async def _row(lab: Lab, record: CallRecord, tenant: str, *, thoroughly: bool) -> RecordingRow:
    if Part.RECORDER not in lab.plan.parts:
        return _empty(record, NO_RECORDER)
    others = [site for site in lab.plan.sites if site != record.site]
    library = lab.library(record.site, keys_of=(others or [record.site])[0])
    try:
        account = await library.manifest(tenant, record.call)
        faults = list(await _faults(library, account)) if thoroughly else []
    except FileNotFoundError:
        # What a fault cut off may be gone with what was lost in it.
        is_due = record.outcome is Outcome.ANSWERED and not record.unrecorded
        return _empty(record, NOT_THERE if is_due else "")
    except CustodyError as error:
        return replace(_empty(record, str(error)), is_kept=True)
    except (OSError, BaseError) as error:
        fault = f"the store does not give it: {type(error).__name__}"
        return replace(_empty(record, fault), is_kept=True)
    return RecordingRow(
        call=record.call,
        queue=record.queue,
        agent=record.agent,
        site=record.site,
        ended_ms=record.ended_ms,
        cut_off=_cut_off(record),
        is_kept=True,
        is_complete=account.is_complete,
        unrecorded=record.unrecorded,
        length_s=round(account.samples / RATE_HZ, 2),
        size=sum(each.size for each in account.segments),
        faults=tuple(faults),
        gaps=tuple(
            f"{each.start / RATE_HZ:.2f} to {each.end / RATE_HZ:.2f} s: {each.because}"
            for each in account.gaps
        ),
        segments=tuple(
            SegmentRow(
                number=each.number,
                start_s=round(each.start / RATE_HZ, 2),
                length_s=round(each.samples / RATE_HZ, 2),
                size=each.size,
                sha256=each.sha256,
                key=each.key_id,
                is_complete=each.is_complete,
                lost=each.caller.lost + each.agent.lost,
            )
            for each in account.segments
        ),
    )


async def _faults(library: Library, account: Manifest) -> Iterable[str]:
    wrong = await library.verify(account.tenant, account.recording)
    if wrong:
        return wrong
    try:
        async for _ in library.frames(account):
            await asyncio.sleep(0)
    except CustodyError as error:
        return [str(error)]
    return []


def _cut_off(record: CallRecord) -> str:
    return "" if record.outcome is Outcome.ANSWERED else record.cause


def _empty(record: CallRecord, fault: str) -> RecordingRow:
    return RecordingRow(
        call=record.call,
        queue=record.queue,
        agent=record.agent,
        site=record.site,
        ended_ms=record.ended_ms,
        cut_off=_cut_off(record),
        faults=(fault,) if fault else (),
        unrecorded=record.unrecorded,
    )
