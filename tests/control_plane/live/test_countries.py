"""A tenant's line about a country: what it denies is denied through every door."""

from __future__ import annotations

from control_plane.permissions import Role
from control_plane.policies.loader import LOADER
from tests.control_plane.events.stage import listening
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id
from tests.control_plane.live.test_calls import over
from tests.control_plane.policies_api.test_policies import apply, propose

__all__ = ["database_url"]

AUSTRIAN = "+43142000"
NOT_AUSTRIA = (
    "p, role:manager, main, call, *, from_country:AT, deny",
    "p, role:manager, main, customer.contact, read_full, from_country:AT, deny",
)


async def test_calls_and_customers_of_a_country_are_kept_from_a_role_through_every_door(
    scene: Scene,
) -> None:
    admin = await scene.center.administrator()
    manager = await scene.center.person(Role.MANAGER)
    for name, number in (("Anna", ANNA_CALLS), ("Toni", AUSTRIAN)):
        made = await manager.post("/v1/customers", {"name": name, "numbers": [number]})
        assert made.status == 201
    applied = await apply(scene.center, admin, (await propose(admin, *NOT_AUSTRIA)).json)
    assert applied.status == 200, applied.body
    await scene.center.app[LOADER].look()
    async with listening(manager, "?topics=calls") as ear:
        await scene.connect(1, "ann", caller=AUSTRIAN)
        await scene.connect(2, "ben", caller=ANNA_CALLS)
        assert (await ear.of("calls"))["id"] == call_id(2)
        listed = (await manager.get("/v1/calls")).json["items"]
        assert [each["id"] for each in listed] == [call_id(2)]
        for path in ("", "/explanation"):
            assert (await manager.get(f"/v1/calls/{call_id(1)}{path}")).status == 404
        await scene.end(1, "ann")
        await scene.end(2, "ben")
        await over(manager, 2)
        assert (await manager.get(f"/v1/calls/{call_id(1)}")).status == 404
        assert AUSTRIAN.encode() not in ear.bytes_heard
    found = (await manager.get("/v1/customers?name=toni")).json["items"]
    assert [each["contact"] for each in found] == [None]
    assert (await manager.get("/v1/customers?name=anna")).json["items"][0]["contact"]["numbers"]
