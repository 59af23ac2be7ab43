"""What another tenant has leaves the same traces as what is not there, for whoever looks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from control_plane.permissions import Role
from state import keys
from state.model import TenantId
from tests.control_plane.center import Center, Person
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id, eventually

TOLD = ("action", "kind", "thing", "decision", "purpose", "detail")
"""Of an entry, what depends on what was asked for."""


async def logged(center: Center, person: Person) -> list[dict[str, Any]]:
    """Return what an auditor reads of somebody."""
    await center.services.journal.flush()
    auditor = await center.person(Role.AUDITOR)
    reply = await auditor.get(f"/v1/audit?actor={person.id}")
    return [{name: each[name] for name in TOLD} for each in reply.json["items"]]


def figures(center: Center) -> Counter[tuple[str, ...]]:
    """Return how often the policy has decided what: the metrics need no token."""
    (family,) = center.services.metrics.decisions.collect()
    counts = [each for each in family.samples if each.name.endswith("_total")]
    return Counter({tuple(each.labels.values()): int(each.value) for each in counts})


async def traces(center: Center, method: str, path: str) -> tuple[object, object]:
    """Return what is left of a try: in the log, and in the figures."""
    person = await center.person(Role.MANAGER)
    before = figures(center)
    version = {} if method == "GET" else {"If-Match": '"1"'}
    assert (await person.ask(method, path, headers=version)).status == 404
    return await logged(center, person), figures(center) - before


@pytest.mark.parametrize(
    ("method", "path", "theirs", "none"),
    [
        ("GET", "/v1/calls/{}", call_id(1), call_id(99)),
        ("GET", "/v1/calls/{}/explanation", call_id(1), call_id(99)),
        ("GET", "/v1/queues/{}", "t2.sales", "t2.none"),
        ("GET", "/v1/queues/{}/live", "t2.sales", "t2.none"),
        ("GET", "/v1/agents/{}/live", "t2.zoe", "t2.none"),
        ("GET", "/v1/dids/{}", "200", "299"),
        ("GET", "/v1/users/{}", "{user}", "usr_none"),
        ("DELETE", "/v1/queues/{}", "t2.sales", "t2.none"),
    ],
)
async def test_neither_log_nor_figures_tell_which_ids_another_tenant_has(
    scene: Scene, method: str, path: str, theirs: str, none: str
) -> None:
    other = await scene.center.person(Role.MANAGER, tenant="t2")
    await scene.arrive(1, did="200")
    theirs = theirs.format(user=other.id)
    found, counted = await traces(scene.center, method, path.format(theirs))
    said, also_counted = await traces(scene.center, method, path.format(none))
    assert str(found).replace(theirs, "ID") == str(said).replace(none, "ID")
    assert counted == also_counted
    assert "foreign" in str(found), "that somebody has tried is in the log all the same"


async def test_why_a_call_waits_tells_nothing_of_other_tenants_agents_and_callers(
    scene: Scene,
) -> None:
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")
    call = call_id(2)
    await scene.connect(3, "ann")
    await scene.arrive(1)
    waits = scene.ticket(2, did="200", tenant=TenantId("t2"))
    await scene.put((keys.ticket(call), waits))
    told = (await theirs.get(f"/v1/calls/{call}/explanation")).json
    assert told["source"] == "present"
    assert (told["place"], told["excluded"]) == (1, {})
    assert [each["agent"] for each in told["candidates"]] == ["t2.zoe"]
    await scene.end(2, "t2.zoe", did="200")
    ended = await eventually(lambda: over(theirs, call), "carried")
    assert (ended["source"], ended["excluded"]) == ("record", {}), "a record counts everybody"


async def over(person: Person, call: str) -> dict[str, Any] | None:
    """Return the explanation of a call that is over, once it has been carried."""
    reply = await person.get(f"/v1/calls/{call}/explanation")
    is_over = reply.status == 200 and reply.json["source"] != "present"
    return dict(reply.json) if is_over else None


async def test_a_number_that_is_asked_for_as_an_id_is_not_written_down(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    assert (await manager.get(f"/v1/dids/{ANNA_CALLS}")).status == 404
    (entry,) = await logged(scene.center, manager)
    assert (entry["decision"], entry["thing"]) == ("foreign", "")


async def test_who_is_not_signed_in_writes_nothing_into_the_log(scene: Scene) -> None:
    before = figures(scene.center)
    assert (await scene.center.ask("GET", f"/v1/calls/{call_id(99)}")).status == 401
    assert scene.center.services.journal.count == 0
    assert figures(scene.center) == before
