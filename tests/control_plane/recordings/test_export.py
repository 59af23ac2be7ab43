"""Recordings as files: for whom, once, exactly those, and with what proves it beside them."""

from __future__ import annotations

import io
import tarfile
import wave

import pytest

from control_plane import policy
from control_plane.approvals.request import GLASS_MS
from control_plane.audit import export, verify
from control_plane.permissions import Role
from custody import manifest
from tests.control_plane.approvals.test_requests import ask, say
from tests.control_plane.center import Person, Reply
from tests.control_plane.recordings.test_recordings import (
    CALL,
    OTHERS,
    SECONDS,
    Served,
    path,
    served,
)
from tests.recorder.made import PUBLIC

__all__ = ["served"]


@pytest.fixture
async def approved(served: Served) -> tuple[Person, str]:
    """Give a manager, and a request to export CALL that another has approved."""
    first = await served.center.person(Role.MANAGER, team="north")
    second = await served.center.person(Role.MANAGER, team="south")
    request = await ask(first, act="recording:export", things=[CALL], why="court order 3")
    assert (await say(second, request)).status == 200
    return first, request


async def give(person: Person, request: str, *calls: str) -> Reply:
    """Export."""
    body = {"recordings": list(calls)}
    return await person.post("/v1/recording-export", body, {"Everline-Approval": request})


async def test_the_sound_goes_out_with_its_manifest_and_its_trail(
    served: Served, approved: tuple[Person, str]
) -> None:
    first, request = approved
    await first.get(path(), **{"Everline-Purpose": "listened before"})
    given = await give(first, request, CALL)
    assert given.status == 200, given.body
    assert given.headers["Content-Disposition"].startswith("attachment")
    with tarfile.open(fileobj=io.BytesIO(given.body)) as archive:
        files = {each.name: archive.extractfile(each) for each in archive}
        content = {name: file.read() for name, file in files.items() if file is not None}
    with wave.open(io.BytesIO(content[f"{CALL}/audio.wav"])) as heard:
        assert heard.getparams()[:4] == (2, 2, 8000, SECONDS * 8000)
    whole = await first.get(path(), **{"Everline-Purpose": "compare"})
    assert content[f"{CALL}/audio.wav"] == whole.body
    assert manifest.read(content[f"{CALL}/manifest.json"], {"a": PUBLIC}).recording == CALL
    trail = export.read(content[f"{CALL}/audit.jsonl"].splitlines())
    done = [(each.entry["action"], each.entry["purpose"]) for each in trail.entries]
    assert done == [
        ("recording:play", "listened before"), ("recording:export", "court order 3")
    ]  # fmt: skip
    signer = served.center.services.ledger.signer
    assert signer is not None
    assert verify.verify(trail, signer.keys, witnesses=0).is_good


async def test_an_export_is_of_exactly_what_was_approved_and_once(
    served: Served, approved: tuple[Person, str]
) -> None:
    first, request = approved
    await served.call(OTHERS)
    assert (await give(first, request, OTHERS)).status in (403, 404)
    assert (await give(first, request, CALL, OTHERS)).status in (403, 404)
    assert (await give(first, request, CALL)).status == 200
    assert (await give(first, request, CALL)).status == 403


async def test_a_second_one_that_is_hidden_is_as_good_as_none(served: Served) -> None:
    await served.call(OTHERS, team="south")
    hidden = [
        f"p, role:manager, main, recording, {act}, same_team, deny"
        for act in ("read_metadata", "export")
    ]
    own = policy.parse("\n".join(hidden), tenant="main")
    served.center.services.authz.set_tenant("main", own)
    first = await served.center.person(Role.MANAGER, team="south", site="a")
    second = await served.center.person(Role.MANAGER, team="east", site="a")
    request = await ask(first, act="recording:export", things=[CALL], why="court order 3")
    assert (await say(second, request)).status == 200
    told = [await give(first, request, CALL, each) for each in (OTHERS, "f" * 24)]
    assert [(each.status, each.error_id) for each in told] == [(404, "not-found")] * 2
    assert (await give(first, request, CALL)).status == 200


async def test_without_a_yes_or_the_right_nothing_goes_out(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    assert (await give(manager, "", CALL)).status == 403
    quality = await served.center.person(Role.QUALITY)
    assert (await give(quality, "", CALL)).status == 403
    await served.center.tenant("t3")
    theirs = await served.center.person(Role.MANAGER, tenant="t3")
    assert (await give(theirs, "", CALL)).status == 404
    asked = {"act": "recording:export", "things": [CALL], "why": "x"}
    assert (await theirs.post("/v1/approval-requests", asked)).status == 404


async def test_without_the_log_nothing_goes_out_and_the_approval_is_still_good(
    served: Served, approved: tuple[Person, str]
) -> None:
    first, request = approved
    ledger = served.center.services.ledger
    whole, ledger._signer = ledger._signer, None  # noqa: SLF001 - taken away
    refused = await give(first, request, CALL)
    assert (refused.status, refused.error_id) == (503, "audit-unavailable")
    played = await first.get(path(), **{"Everline-Purpose": "goes on"})
    assert played.status == 200
    ledger._signer = whole  # noqa: SLF001
    assert (await give(first, request, CALL)).status == 200


async def test_through_broken_glass_an_sre_sees_what_it_names_and_for_a_time(
    served: Served,
) -> None:
    await served.call(OTHERS)
    sre = await served.center.person(Role.SRE)
    second = await served.center.person(Role.MANAGER, team="south")
    asked = {"act": "glass:break", "things": [CALL], "ticket": "INC-7", "why": "no audio"}
    request = await ask(sre, **asked)
    await say(second, request)
    seeing = {"Everline-Glass": request}
    assert (await sre.get(path(part=""), **seeing)).status == 404, "it is not broken yet"
    broken = await sre.post("/v1/break-glass", None, {"Everline-Approval": request})
    assert broken.status == 201
    assert (await sre.get(path(part=""), **seeing)).json["is_kept"] is True
    assert (await sre.get(path(part=""))).status == 404, "nothing names it"
    assert (await sre.get(path(OTHERS, ""), **seeing)).status == 404, "it names another"
    assert (await sre.get(path(), **seeing)).status == 403, "and it plays nothing"
    other = await served.center.person(Role.SRE)
    assert (await other.get(path(part=""), **seeing)).status == 404, "it is somebody else's"
    served.center.clock.advance(GLASS_MS / 1000)
    assert (await sre.get(path(part=""), **seeing)).status == 404, "its time is over"
