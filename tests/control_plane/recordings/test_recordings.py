"""Recordings over the API: who may know of one, who may hear it, and which bytes they get."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from obstore.exceptions import GenericError
from sqlalchemy import insert, select

from control_plane.audit.tables import AuditRow
from control_plane.calls.tables import CallRow
from control_plane.errors import ApiError
from control_plane.permissions import Role
from control_plane.recordings.ranges import wanted
from custody import keyfile
from custody.store import RecordingStore
from state.model import (
    CallId,
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    QueueId,
    SiteId,
)
from tests.control_plane.center import Center, Person, running, settings
from tests.recorder.made import LOUDNESS, PUBLIC, SECRETS, Archive

CALL = CallId("1" * 24)
OTHERS = CallId("2" * 24)
MISSED = CallId("3" * 24)
WHY = {"Everline-Purpose": "complaint 7"}
SECONDS = 2.5


class Served:
    """A control plane with an archive of its own."""

    def __init__(self, center: Center, archive: Archive) -> None:
        self.center = center
        self.archive = archive

    async def call(
        self,
        call: str,
        *,
        team: str = "north",
        tenant: str = "main",
        outcome: Outcome = Outcome.ANSWERED,
        agent: str = "ann",
    ) -> None:
        """Let a call have been answered, or have ended otherwise."""
        record = CallRecord(
            call=CallId(call),
            did=DidNumber("1"),
            queue=QueueId("sales"),
            outcome=outcome,
            cause="caller_hung_up",
            edge=EdgeId("a1"),
            site=SiteId("a"),
            via=SiteId("a"),
            sip_call_id=call,
            arrived_ms=1_000,
            queued_ms=1_000,
            connected_ms=2_000,
            ended_ms=9_000,
        )
        values = {
            "id": call, "tenant": tenant, "did": "1", "queue": "sales", "site": "a",
            "agent": agent, "agent_site": "a", "team": team, "employer": "", "caller": "",
            "outcome": outcome.value, "arrived_ms": 1_000, "ended_ms": 9_000, "revision": 1,
            "record": msgspec.json.encode(record).decode(),
        }  # fmt: skip
        async with self.center.services.database.write() as connection:
            await connection.execute(insert(CallRow).values(**values))

    async def audited(self) -> list[dict[str, Any]]:
        """Return what the log has of plays."""
        async with self.center.services.database.read() as connection:
            rows = await connection.execute(
                select(AuditRow.actor, AuditRow.thing, AuditRow.purpose, AuditRow.detail).where(
                    AuditRow.action == "recording:play", AuditRow.decision == "allowed"
                )
            )
            return [{"actor": a, "thing": t, "purpose": p, **json.loads(d)} for a, t, p, d in rows]


@pytest.fixture
async def served(database_url: str) -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        archive = Archive(folder)
        await archive.make_key()
        archive.record(CALL, SECONDS)
        archive.end()
        await archive.ship()
        keyfile.make(folder / "provider.key", SECRETS["b"])
        recordings = {
            "store": str(archive.store),
            "keyring": folder / "keyring",
            "provider": "b",
            "provider_file": folder / "provider.key",
            "recorders": {"a": base64.b64encode(PUBLIC).decode()},
        }
        async with running(settings(folder, database_url, recordings=recordings)) as center:
            await center.tenant("t2")
            served = Served(center, archive)
            await served.call(CALL)
            yield served


def path(call: str = CALL, part: str = "/audio") -> str:
    return f"/v1/recordings/{call}{part}"


async def test_a_manager_hears_both_parties_each_on_their_side(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    reply = await manager.get(path(), **WHY)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "audio/wav"
    with wave.open(io.BytesIO(reply.body)) as heard:
        assert heard.getparams()[:4] == (2, 2, 8000, SECONDS * 8000)
        samples = np.frombuffer(heard.readframes(heard.getnframes()), "<i2").reshape(-1, 2)
    for side, loudness in enumerate(LOUDNESS):
        assert abs(int(abs(samples[:, side].astype(int)).max()) - loudness) < loudness / 10


async def test_every_range_is_the_same_bytes_as_of_the_whole(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    whole = (await manager.get(path(), **WHY)).body
    size = len(whole)
    for asked, start, end in (
        ("0-0", 0, 1),
        ("0-43", 0, 44),
        ("40-51", 40, 52),
        ("1001-70003", 1001, 70_004),
        (f"{size - 7}-", size - 7, size),
        ("-5", size - 5, size),
        (f"64043-{size + 9}", 64_043, size),
    ):
        reply = await manager.get(path(), Range=f"bytes={asked}", **WHY)
        assert reply.status == 206
        assert reply.body == whole[start:end], asked
        assert reply.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    reply = await manager.get(path(), Range=f"bytes={size}-", **WHY)
    assert (reply.status, reply.error_id) == (416, "range-not-satisfiable")


@pytest.mark.parametrize("said", [None, "", "bytes=-", "items=0-1", "bytes=0-1,5-6", "bytes=9-3"])
def test_what_is_no_single_range_is_ignored(said: str | None) -> None:
    assert wanted(said, 100) is None


@pytest.mark.parametrize("said", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_what_is_beyond_the_end_cannot_be_had(said: str) -> None:
    with pytest.raises(ApiError):
        wanted(said, 100)


async def _may(served: Served) -> dict[str, tuple[int, int, int]]:
    """Return, by who asks, the status of metadata, sound and waveform."""
    person = served.center.person
    people: dict[str, Person] = {
        "manager": await person(Role.MANAGER),
        "agent": await person(Role.AGENT, agent="ann"),
        "outsourced": await person(Role.OUTSOURCED_AGENT, agent="ann", employer="x"),
        "own team's supervisor": await person(Role.SUPERVISOR, team="north", site="a"),
        "other team's supervisor": await person(Role.SUPERVISOR, team="south", site="a"),
        "other site's supervisor": await person(Role.SUPERVISOR, team="north", site="b"),
        "sre": await person(Role.SRE),
        "auditor": await person(Role.AUDITOR),
        "other tenant's manager": await person(Role.MANAGER, tenant="t2"),
    }
    return {
        name: tuple(  # type: ignore[misc]  # three of them
            [
                (await each.get(path(CALL, part), **WHY)).status
                for part in ("", "/audio", "/waveform")
            ]
        )
        for name, each in people.items()
    }


async def test_only_those_hear_it_whom_the_policy_lets(served: Served) -> None:
    assert await _may(served) == {
        "manager": (200, 200, 200),
        "agent": (403, 403, 403),
        "outsourced": (403, 403, 403),
        "own team's supervisor": (200, 200, 200),
        # Who may not even know of it cannot tell it from none.
        "other team's supervisor": (404, 404, 404),
        "other site's supervisor": (404, 404, 404),
        "sre": (404, 403, 403),
        "auditor": (403, 403, 403),
        "other tenant's manager": (404, 404, 404),
    }


async def test_without_a_purpose_a_manager_hears_nothing(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    for part in ("/audio", "/waveform"):
        assert (await manager.get(path(CALL, part))).status == 403
    assert await served.audited() == []


async def test_whoever_hears_something_stands_in_the_audit_log(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    await manager.get(path(), Range="bytes=0-99", **WHY)
    await manager.get(path(CALL, "/waveform"), **WHY)
    assert await served.audited() == [
        {"actor": manager.id, "thing": CALL, "purpose": "complaint 7", "part": "0-100"},
        {"actor": manager.id, "thing": CALL, "purpose": "complaint 7", "part": "waveform"},
    ]


async def test_a_listing_says_of_every_answered_call_whether_its_recording_is_kept(
    served: Served,
) -> None:
    await served.call(MISSED)
    await served.call(OTHERS, tenant="t2")
    manager = await served.center.person(Role.MANAGER)
    reply = await manager.get("/v1/recordings")
    assert {each["id"]: each["is_kept"] for each in reply.json["items"]} == {
        CALL: True,
        MISSED: False,
    }
    (kept,) = (each for each in reply.json["items"] if each["is_kept"])
    assert (kept["length_s"], kept["is_complete"], kept["agent"]) == (SECONDS, True, "ann")
    supervisor = await served.center.person(Role.SUPERVISOR, team="south", site="a")
    assert (await supervisor.get("/v1/recordings")).json["items"] == []
    assert (await manager.get(path(MISSED, "/audio"), **WHY)).status == 404


async def test_what_was_said_before_a_fault_cut_the_talk_off_is_found_heard_and_held(
    served: Served,
) -> None:
    served.archive.record(OTHERS, SECONDS)
    served.archive.end()
    await served.archive.ship()
    await served.call(OTHERS, outcome=Outcome.LOST)
    await served.call(MISSED, outcome=Outcome.LOST, agent="")
    manager = await served.center.person(Role.MANAGER)
    listed = (await manager.get("/v1/recordings")).json["items"]
    assert {each["id"] for each in listed} == {CALL, OTHERS}, "nobody talked with who was missed"
    assert (await manager.get(path(OTHERS), **WHY)).status == 200
    assert (await manager.get(path(MISSED, ""), **WHY)).status == 404
    officer = await served.center.person(Role.PRIVACY_OFFICER)
    kept = {"has_legal_hold": True, "because": "court order 7"}
    held = await officer.ask("PUT", path(OTHERS, "/hold"), kept, WHY | {"If-Match": '"0"'})
    assert held.status == 200


async def test_a_gap_is_as_long_as_it_was_and_silent(served: Served) -> None:
    archive = served.archive
    archive.record(OTHERS, 2.5)
    archive.last.abandon()
    archive.record(OTHERS, 1, take_up_s=4)
    archive.end()
    await archive.ship()
    await served.call(OTHERS)
    manager = await served.center.person(Role.MANAGER)
    reply = await manager.get(path(OTHERS, ""))
    (gap,) = reply.json["gaps"]
    assert (gap["start_s"], gap["end_s"]) == (2.0, 4.0)
    heard = (await manager.get(path(OTHERS), **WHY)).body[44:]
    samples = np.frombuffer(heard, "<i2").reshape(-1, 2)
    assert len(samples) == 5 * 8000
    assert not samples[16_000:32_000].any()
    assert samples[32_000:].any()


async def test_a_changed_recording_is_not_played(served: Served) -> None:
    (audio,) = (served.archive.store / "main/audio" / CALL).iterdir()
    changed = bytearray(audio.read_bytes())
    changed[500] ^= 1
    audio.write_bytes(changed)
    manager = await served.center.person(Role.MANAGER)
    reply = await manager.get(path(), Range="bytes=44-99", **WHY)
    assert (reply.status, reply.error_id) == (409, "recording-damaged")


async def test_a_changed_manifest_is_told_of_and_hides_no_other_recording(served: Served) -> None:
    served.archive.record(OTHERS, 1)
    served.archive.end()
    await served.archive.ship()
    await served.call(OTHERS)
    signed = served.archive.store / "main/manifests" / f"{CALL}.json"
    signed.write_bytes(signed.read_bytes().replace(b'"queue":"', b'"queue":"x'))
    manager = await served.center.person(Role.MANAGER)
    listed = {each["id"]: each for each in (await manager.get("/v1/recordings")).json["items"]}
    told = {call: (each["is_kept"], each["is_damaged"]) for call, each in listed.items()}
    assert told == {CALL: (True, True), OTHERS: (True, False)}
    assert (listed[CALL]["is_complete"], listed[CALL]["length_s"]) == (False, 0)
    assert (await manager.get(path(CALL, ""))).json == listed[CALL]
    assert (await manager.get(path(), **WHY)).error_id == "recording-damaged"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the calls whose manifests the store's disk does not give; add to it."""
    calls: set[str] = set()
    reading = RecordingStore.get

    async def get(self: RecordingStore, name: str) -> bytes:
        if "/manifests/" in name and name.rpartition("/")[2].removesuffix(".json") in calls:
            raise GenericError("Input/output error")
        return await reading(self, name)

    monkeypatch.setattr(RecordingStore, "get", get)
    return calls


async def test_a_manifest_that_cannot_be_read_is_told_of_and_hides_no_other_recording(
    served: Served, unreadable: set[str]
) -> None:
    served.archive.record(OTHERS, 1)
    served.archive.end()
    await served.archive.ship()
    await served.call(OTHERS)
    unreadable.add(CALL)
    manager = await served.center.person(Role.MANAGER)
    reply = await manager.get("/v1/recordings")
    assert reply.status == 200
    listed = {each["id"]: each for each in reply.json["items"]}
    told = {call: (each["is_unreadable"], each["length_s"]) for call, each in listed.items()}
    assert told == {CALL: (True, 0), OTHERS: (False, 1)}
    assert (listed[CALL]["is_kept"], listed[CALL]["digest"]) == (True, "unknown")
    assert (await manager.get(path(CALL, ""))).json == listed[CALL]


async def test_one_whose_manifest_cannot_be_read_is_shown_alone_as_it_is_listed(
    served: Served, unreadable: set[str]
) -> None:
    """Else nobody learns by which digest it can be deleted, or that it is under hold."""
    unreadable.add(CALL)
    manager = await served.center.person(Role.MANAGER)
    listed = (await manager.get("/v1/recordings")).json["items"]
    shown = await manager.get(path(CALL, ""))
    assert (shown.status, [shown.json]) == (200, listed)
    told = {name: shown.json[name] for name in ("is_kept", "is_unreadable", "digest", "agent")}
    agent = told.pop("agent")
    assert told == {"is_kept": True, "is_unreadable": True, "digest": "unknown"}
    assert agent
    for part in ("/audio", "/waveform"):
        refused = await manager.get(path(CALL, part), **WHY)
        assert refused.error_id == "recording-store-away"
        assert f"the manifest of {CALL}" in refused.json["detail"]
        assert 'to the digest "unknown"' in refused.json["detail"]


@pytest.mark.parametrize("missing", [0, 1])
async def test_a_store_that_gives_no_manifest_is_away(
    served: Served, unreadable: set[str], missing: int
) -> None:
    calls = [CALL, *(CallId(f"{number:024x}") for number in range(3 + missing))]
    for call in calls[1:]:
        await served.call(call)
    unreadable.update(calls[: len(calls) - missing])
    manager = await served.center.person(Role.MANAGER)
    assert (await manager.get("/v1/recordings")).error_id == "recording-store-away"


async def test_a_recording_whose_key_was_destroyed_is_gone(served: Served) -> None:
    for sealed in (served.archive.store / "main/keys" / CALL).iterdir():
        sealed.unlink()
    manager = await served.center.person(Role.MANAGER)
    reply = await manager.get(path(), Range="bytes=44-99", **WHY)
    assert (reply.status, reply.error_id) == (410, "recording-locked")
    assert (await manager.get(path(CALL, ""))).status == 200


async def test_where_no_store_is_configured_nothing_is_served(center: Center) -> None:
    served = Served(center, Archive(Path(tempfile.mkdtemp())))
    await served.call(CALL)
    manager = await center.person(Role.MANAGER)
    assert (await manager.get(path(), **WHY)).error_id == "recordings-not-served"
