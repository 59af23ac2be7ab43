"""A crawl over every endpoint, by every role of one tenant: no byte is another tenant's.

What is another's are all the texts in its rows that the crawler's own tenant does not have too,
though it is furnished in the same way. A new table has to be furnished, or the test fails.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.api.route import Method
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person, Reply
from tests.control_plane.events.stage import listening
from tests.control_plane.live.stage import Scene, call_id
from tests.control_plane.outside.crawl import Sent, everything, filtered
from tests.control_plane.outside.pair import THEIRS, both, two_tenants
from tests.control_plane.outside.tenants import Furnished, words_of

pytestmark = pytest.mark.parts
UNFURNISHED = frozenset({"tenants"})
"""Tables of tenants in which a tenant need have nothing."""


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with two_tenants(tmp_path) as made:
        yield made


async def secrets_of(center: Center, theirs: Furnished, ours: Furnished) -> frozenset[str]:
    """Return what is theirs alone."""
    async with center.services.database.read() as connection:
        found = await words_of(connection, theirs.tenant)
        known = await words_of(connection, ours.tenant)
    empty = {name for name, words in found.items() if not words} - UNFURNISHED
    assert not empty, f"nothing of theirs stands in {empty}: furnish() has to make it"
    everything_ours = set().union(*known.values())
    return frozenset(set().union(*found.values()) - everything_ours - {theirs.tenant})


async def everybody(center: Center, ours: Furnished) -> list[tuple[str, Person]]:
    """Return somebody of ours in each role, and in all of them."""
    about = {"agent": ours.ids["agent"], "team": ours.ids["team"], "site": "a"}
    made = [(role.value, await center.person(role, **about)) for role in Role]
    return [*made, ("all roles", await center.person(*Role, **about))]


def leaked(reply: Reply, sent: Sent, theirs: frozenset[str]) -> set[str]:
    """Return what is told of theirs, and was not said by the asker."""
    told = reply.body.decode(errors="replace") + repr(dict(reply.headers))
    return {word for word in theirs if word in told and word not in sent.words}


def without_own_attempts(reply: Reply, sent: Sent, asked: set[str]) -> Reply:
    """Return an answer of the audit log without what our own people have asked for in vain.

    Who reached for what is another tenant's stands in the log of their own, with the id that they
    gave: how much of that is on a page depends on how far the log is behind.
    """
    if not sent.route.path.startswith("/v1/audit") or reply.status != 200:
        return reply
    try:
        told = reply.json
    except ValueError:
        return reply
    for entry in told.get("items", [told]):
        if entry.get("decision") == "foreign" and entry.get("thing") in asked:
            del entry["thing"]
    return replace(reply, body=json.dumps(told).encode())


async def test_no_byte_of_another_tenant_is_told_to_any_role(scene: Scene) -> None:
    ours, theirs = await both(scene)
    words = await secrets_of(scene.center, theirs, ours)
    assert len(words) > 80
    leaks: list[str] = []
    said: set[str] = set()
    asked_for: set[str] = set()
    count = 0
    people = await everybody(scene.center, ours)
    asked = [
        each for sent in everything(theirs.ids) for each in (sent, *filtered(sent, theirs.ids))
    ]
    # First who only reads: what somebody has written may come back to them.
    for is_reading in (True, False):
        for role, person in people:
            for sent in (e for e in asked if (e.route.method is Method.GET) is is_reading):
                for tenant in ({}, {"Everline-Tenant": "t2"}):
                    each = replace(sent, headers={**sent.headers, **tenant})
                    reply = await each.by(person)
                    assert reply.status != 500, (role, each)
                    count += 1
                    names = {word for word in words if word in each.words}
                    asked_for |= names
                    if not is_reading:
                        said |= names
                    told = without_own_attempts(reply, each, asked_for)
                    if found := leaked(told, each, words) - said:
                        leaks.append(f"{role}: {each.route.name} {each.path}: {found}")
    assert not leaks, "\n".join(leaks[:20])
    assert count > 3000


async def test_what_is_theirs_looks_like_what_is_not_there(scene: Scene) -> None:
    ours, theirs = await both(scene)
    nothing = {name: _like(value) for name, value in theirs.ids.items()}
    nothing |= {"site": "a", "trunk": "carrier"}
    for role, person in await everybody(scene.center, ours):
        pairs = zip(everything(theirs.ids), everything(nothing), strict=True)
        for foreign, missing in pairs:
            if not foreign.route.at.model_fields or _is_shared(foreign):
                continue
            told, said = await foreign.by(person), await missing.by(person)
            assert _bare(told) == _bare(said), (role, foreign, missing)


async def test_their_own_people_see_what_the_crawl_looks_for(scene: Scene) -> None:
    """Else it would find nothing because there is nothing to find."""
    ours, theirs = await both(scene)
    words = await secrets_of(scene.center, theirs, ours)
    seen: set[str] = set()
    person = await scene.center.person(*set(Role) - {Role.OUTSOURCED_AGENT}, tenant="t2")
    for sent in list(everything(theirs.ids)):
        if sent.route.method == "GET":
            reply = await sent.by(person)
            if leaked(reply, sent, words):
                seen.add(sent.route.name)
    assert len(seen) >= 25, sorted(seen)


async def test_no_stream_tells_of_another_tenant(scene: Scene) -> None:
    ours, theirs = await both(scene)
    words = await secrets_of(scene.center, theirs, ours)
    async with AsyncExitStack() as stack:
        ears = {
            role: await stack.enter_async_context(listening(person))
            for role, person in await everybody(scene.center, ours)
        }
        own = await stack.enter_async_context(listening(theirs.manager))
        path = f"/v1/customers/{theirs.ids['customer']}"
        changed = {"notes": f"{THEIRS} 2 notes"}
        etag = (await theirs.manager.get(path)).headers["ETag"]
        assert (await theirs.manager.ask("PATCH", path, changed, {"If-Match": etag})).status == 200
        for number, who in ((31, theirs), (32, ours)):
            await scene.arrive_for(
                number,
                queue=who.ids["queue"],
                did=who.ids["did"],
                caller=who.ids["number"],
            )
        await own.of("calls", call_id(31))
        for role in ("role:manager", "all roles"):
            await ears[role].of("calls", call_id(32))
        for role, ear in ears.items():
            told = ear.bytes_heard.decode()
            assert call_id(31) not in told, role
            assert not {word for word in words if word in told}, role


def _is_shared(sent: Sent) -> bool:
    """Whether the path names what is of no tenant."""
    return sent.route.path.startswith(("/v1/sites", "/v1/trunks"))


def _like(value: str) -> str:
    """Return another word of the same shape that nothing has."""
    head, _, _ = value.rpartition("_")
    if value.startswith("+") or value.isdigit():
        return re.sub(r"\d{4}$", "9999", value)
    if re.fullmatch(r"[0-9a-f]{24}", value):
        return secrets.token_hex(12)
    if head:
        return f"{head}_{secrets.token_hex(13)}"
    return f"{value}{secrets.token_hex(3)}"


def _bare(reply: Reply) -> tuple[int, bytes]:
    return reply.status, re.sub(rb'"request_id":"[^"]*"', b"", reply.body)
