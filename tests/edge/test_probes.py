"""The edge's opinion of the sites: two misses and a site is down, one answer and it is up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from edge.duties.probes import SETTLED, Prober
from edge.sip.events import Address, ResponseReceived, TransactionId
from state.model import EdgeId, Probe, Site, SiteId
from tests.edge.fake_telephony import FakeTelephony
from tests.edge.virtual_time import in_virtual_time

A, B = SiteId("a"), SiteId("b")
SITES = {
    A: Site(id=A, name="a", sip="198.18.1.10:5060"),
    B: Site(id=B, name="b", sip="198.18.2.10:5060"),
}


class Net(FakeTelephony):
    """Answers probes, or does not."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.asked: list[tuple[str, TransactionId]] = []

    def options(self, *, to: Address, from_user: str, timeout_s: float) -> TransactionId:
        """Note who is asked."""
        transaction = super().options(to=to, from_user=from_user, timeout_s=timeout_s)
        self.asked.append((str(to), transaction))
        return transaction


def _answer(prober: Prober, net: Net, status: Mapping[str, int]) -> None:
    asked, net.asked = net.asked, []
    for to, transaction in asked:
        code = status.get(to, 408)
        assert prober.take(
            ResponseReceived(
                transaction=transaction,
                status=code,
                reason="",
                timeout=to not in status,
                headers={},
                body=b"",
            )
        )


@in_virtual_time
async def test_a_site_is_down_after_two_misses_and_up_after_one_answer() -> None:
    net, heard = Net(), list[Probe]()
    back = list[SiteId]()
    prober = Prober(edge=EdgeId("a1"), sip=net, on_change=heard.append, on_back=back.append)
    task = asyncio.create_task(prober.run(lambda: SITES))
    both, only_a = {"198.18.1.10:5060": 200, "198.18.2.10:5060": 200}, {"198.18.1.10:5060": 200}
    down = []
    for answers in (both, only_a, both, only_a, only_a, only_a, both):
        await asyncio.sleep(0.5)
        _answer(prober, net, answers)
        down.append(prober.unreachable)
        await asyncio.sleep(0.5)
    assert down == [set(), set(), set(), set(), {B}, {B}, set()]
    assert [probe.down for probe in heard][-2:] == [(B,), ()]
    assert back == [B]
    # One that drains turns keepalives away; its agents can be rung.
    for _ in range(2):
        await asyncio.sleep(0.5)
        _answer(prober, net, {**both, "198.18.2.10:5060": 503})
        await asyncio.sleep(0.5)
    assert prober.unreachable == set()
    task.cancel()


@in_virtual_time
async def test_audio_that_is_lost_is_told_of_a_site_that_has_been_there_for_a_while() -> None:
    """One that comes back answers before its edges send, and the window tells of before."""
    net, heard = Net(), list[Probe]()
    prober = Prober(edge=EdgeId("a1"), sip=net, on_change=heard.append)
    task = asyncio.create_task(prober.run(lambda: SITES))
    both, only_a = {"198.18.1.10:5060": 200, "198.18.2.10:5060": 200}, {"198.18.1.10:5060": 200}

    def said() -> tuple[tuple[SiteId, ...], tuple[SiteId, ...]]:
        return heard[-1].down, heard[-1].lossy

    async def pass_s(count: int, answers: Mapping[str, int]) -> None:
        for _ in range(count):
            await asyncio.sleep(0.5)
            _answer(prober, net, answers)
            await asyncio.sleep(0.5)

    await pass_s(SETTLED - 1, both)
    assert set(heard[-1].unsure) == {A, B}
    await pass_s(1, both)
    assert set(heard[-1].unsure) == set()
    prober.set_lossy(frozenset({B}))
    assert (heard[-1].up, heard[-1].lossy) == ((A, B), (B,))
    await pass_s(1, only_a)
    await pass_s(1, both)
    assert said() == ((), (B,))
    await pass_s(2, only_a)
    assert said() == ((B,), ())
    await pass_s(SETTLED - 1, both)
    assert said() == ((), ())
    assert set(heard[-1].unsure) == {B}, "its sisters speak for it"
    await pass_s(1, both)
    assert said() == ((), (B,))
    task.cancel()


@in_virtual_time
async def test_a_site_with_a_bad_address_is_down_and_the_others_are_probed() -> None:
    net, heard = Net(), list[Probe]()
    prober = Prober(edge=EdgeId("a1"), sip=net, on_change=heard.append)
    sites = {**SITES, B: Site(id=B, name="b", sip="nowhere")}
    task = asyncio.create_task(prober.run(lambda: sites))
    for _ in range(3):
        await asyncio.sleep(0.5)
        _answer(prober, net, {"198.18.1.10:5060": 200})
        await asyncio.sleep(0.5)
    assert prober.unreachable == {B}
    assert not task.done()
    task.cancel()


@in_virtual_time
async def test_an_answer_to_somebody_elses_question_is_not_taken() -> None:
    prober = Prober(edge=EdgeId("a1"), sip=Net(), on_change=lambda _: None)
    response = ResponseReceived(
        transaction=TransactionId("x"), status=200, reason="", timeout=False, headers={}, body=b""
    )
    assert not prober.take(response)
