"""Which member of etcd is asked, without one: who comes back is seen by all who wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from state.etcd import EtcdSettings, EtcdStore
from state.etcd import store as etcd
from tests.edge.virtual_time import in_virtual_time


class FakeMember:
    """A member to which a connection stands, or not, as a test says."""

    def __init__(self, address: str, _: object) -> None:
        self.address = address
        self.is_benched = False
        self.trouble = ""
        self.is_up = False
        self.takes_s = 1.0

    def is_connected(self) -> bool:
        """Say whether a connection stands."""
        return self.is_up

    async def is_ready(self, timeout_s: float) -> bool:
        """Say so after the time that making one takes."""
        await asyncio.sleep(0 if self.is_up else min(self.takes_s, timeout_s))
        return self.is_up

    async def range(self, *_: object, **__: object) -> None:
        """Answer a probe."""
        if not self.is_up:
            raise OSError("nobody there")


@in_virtual_time
async def test_a_member_that_is_back_is_seen_by_who_waits_though_another_looks_meanwhile() -> None:
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(etcd, "Member", FakeMember)
        store = EtcdStore(("near", "far"), settings=EtcdSettings(total_s=3.0))
    near, far = members = _members(store)
    store._bench(near, "silent")  # noqa: SLF001 - as after a request without an answer
    waiting = asyncio.create_task(store._usable_member(3.0))  # noqa: SLF001 - all that is asked goes by it
    await asyncio.sleep(0.2)
    near.is_up = True
    await asyncio.sleep(0.3)
    assert not near.is_benched
    # Its connection breaks off and is made anew, as somebody else asks.
    near.is_up, near.takes_s = False, 0.1
    asyncio.get_running_loop().call_later(0.05, setattr, near, "is_up", True)  # noqa: FBT003
    assert await store._usable_member(3.0) is near  # noqa: SLF001 - as above
    asked_s = asyncio.get_running_loop().time()
    assert await waiting is near
    assert asyncio.get_running_loop().time() - asked_s < 1.0
    assert far.is_benched
    for each in members:
        each.is_up = True
    await asyncio.sleep(1.0)


def _members(store: EtcdStore) -> Any:  # noqa: ANN401 - fakes in the place of members
    return store._members  # noqa: SLF001 - as above
