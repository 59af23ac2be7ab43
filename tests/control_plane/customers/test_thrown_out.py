"""Whoever is thrown out while a file comes or goes is cut off, as they are let in nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from control_plane.customers import files
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person
from tests.control_plane.customers.stage import approval

OUT = ["disabled", "without the role", "signed out"]
SECONDS = 3.0


async def _throw_out(center: Center, person: Person, how: str) -> None:
    admin, path = await center.administrator(), f"/v1/users/{person.id}"
    if how == "signed out":
        done = await admin.ask("DELETE", f"{path}/sessions")
    else:
        change = {"is_active": False} if how == "disabled" else {"roles": ["role:auditor"]}
        version = {"If-Match": (await admin.get(path)).headers["ETag"]}
        done = await admin.ask("PATCH", path, change, version)
    assert done.status in {200, 204}, done.body
    center.clock.advance(SECONDS)


async def _names(center: Center) -> list[str]:
    manager = await center.person(Role.MANAGER)
    found = (await manager.get("/v1/customers")).json["items"]
    return sorted(each["basic"]["name"] for each in found)


@pytest.mark.parametrize("how", [*OUT, ""])
async def test_of_a_file_nothing_more_is_added_once_its_sender_is_thrown_out(
    center: Center, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(files, "BATCH", 1)
    manager, goes_on = await center.person(Role.MANAGER), asyncio.Event()

    async def file() -> AsyncIterator[bytes]:
        yield b"name\nAda\n"
        await goes_on.wait()
        yield b"Bo\nCy\n"

    headers = {"Authorization": f"Bearer {manager.token}", "Content-Type": "text/csv"}
    url = f"http://{center.host}/v1/customer-import"
    async with center.client.post(url, data=file(), headers=headers) as reply:
        assert reply.status == 200
        assert await reply.content.readline()
        if how:
            await _throw_out(center, manager, how)
        goes_on.set()
        if not how:
            await reply.read()
        else:
            with pytest.raises(aiohttp.ClientError):
                await reply.read()
    assert await _names(center) == (["Ada"] if how else ["Ada", "Bo", "Cy"])


@pytest.mark.parametrize("how", OUT)
async def test_an_export_ends_once_whoever_asked_for_it_is_thrown_out(
    center: Center, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    manager = await center.person(Role.MANAGER)
    given: list[bytes] = []

    async def everybody(_ask: object) -> AsyncIterator[bytes]:
        for each in (b"one\n", b"two\n", b"three\n"):
            given.append(each)
            yield each
            if each == b"two\n":
                await _throw_out(center, manager, how)

    monkeypatch.setattr(files, "_all", everybody)
    sent = await approval(center, "customer:export", files.ALL, files.ALL)
    with pytest.raises(aiohttp.ClientError):
        await manager.ask("POST", "/v1/customer-export", None, sent)
    assert given == [b"one\n", b"two\n", b"three\n"], "it was cut off before it was thrown out"
