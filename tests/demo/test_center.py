"""The demo's center, as the edges read it."""

from __future__ import annotations

import msgspec
import pytest

from drills.demo.center import CARRIER, configuration
from drills.demo.phones import called_plan, called_port
from edge.acd.callback import rules_for
from state.codec import encode
from state.configuration import Configuration
from state.configuration_findings import dangling
from state.model import AgentId
from state.raw import Change
from state.snapshot import Snapshot, apply
from tests.demo.invented import SCENARIO

ADDRESSES: dict[str, str] = {
    str(site): f"198.18.1.{number}" for number, site in enumerate(SCENARIO.sites, start=1)
}
ADDRESSES["carrier"] = "198.18.10.10"
PASSWORDS = {AgentId(agent.id): "x" for agent in SCENARIO.agents}


def center(*, calls_back: bool) -> Configuration:
    return configuration(SCENARIO, ADDRESSES, PASSWORDS, calls_back=calls_back)


def snapshot(of: Configuration) -> Snapshot:
    changes = [
        Change(key=key, value=encode(value), create_revision=1, mod_revision=1)
        for key, value in of.by_key().items()
    ]
    return apply(Snapshot(), changes, 1, 0.0)


@pytest.mark.parametrize("calls_back", [False, True])
def test_who_was_cut_off_may_be_called_back_in_a_center_that_does_and_in_no_other(
    *, calls_back: bool
) -> None:
    made = center(calls_back=calls_back)
    assert list(dangling(made)) == []
    world = snapshot(made)
    for queue in SCENARIO.queues:
        for call in SCENARIO.calls:
            rules = rules_for(world, world.queues[queue.id].value, call.number)
            assert (rules is not None and rules.after_lost_s is not None) is calls_back
        assert rules_for(world, world.queues[queue.id].value, "4930777") is None
    trunk = world.trunks[CARRIER].value
    assert trunk.sip == ("198.18.10.10:5060" if calls_back else "")


def test_every_caller_has_a_telephone_of_their_own_to_be_called_at() -> None:
    plan = msgspec.json.decode(called_plan(SCENARIO))
    told = {each["id"]: each for each in plan["agents"]}
    assert set(told) == {call.number for call in SCENARIO.calls}
    assert {each["registrar"] for each in told.values()} == {""}
    ports = {each["port"] for each in told.values()}
    assert ports == {called_port(call.number) for call in SCENARIO.calls}
    assert len(ports) == len(SCENARIO.calls)
    assert max(ports) < 30_000, "above are the relays' ports"
