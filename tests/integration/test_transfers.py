"""Real telephones pass callers on: to agents here and at another site, and into a queue."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from drills.lab.lab import Lab
from drills.lab.plan import CALLS, Part, plan_lab
from edge.sip import events as sip
from state.model import AgentId, Outcome
from tests.integration.center import HELP, PASSWORD, Center, eventually
from tests.integration.people import Leg, Telephone, sdp, until
from tests.integration.test_recording import kept

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Lab]:
    """Serve with two sites and their recorders."""
    async with Lab(plan_lab(sites=2, parts=CALLS | {Part.RECORDER})) as lab:
        yield lab
        if directory := os.environ.get("EVERLINE_KEEP_LOGS"):
            lab.keep_logs(Path(directory))


def refer(agent: Telephone, leg: Leg, to: str) -> None:
    """Let an agent pass the caller on."""
    agent.do("refer", leg, f"sip:{to}@everline")


async def heard_last(leg: Leg) -> int:
    """Wait for the last NOTIFY; return its status."""
    await until(lambda: any(final for _, final in leg.notified()), "the last NOTIFY")
    return leg.notified()[-1][0]


async def test_a_caller_is_passed_on_to_another_site_in_one_record_and_one_recording(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    bkim = await center.agent("bkim", site="b")
    (call,) = await center.tickets()
    refer(ann, ours, "bkim")
    second = await bkim.rung()
    assert (100, False) in ours.notified()
    assert set(await center.offers()) == {"ann", "bkim"}
    await bkim.answer(second)
    assert await heard_last(ours) == 200
    assert "transferred" in (await ours.wait(sip.Ended)).reason
    await center.connected()
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert (record.outcome, record.cause) == (Outcome.ANSWERED, "caller_hung_up")
    assert (record.agent, record.agent_site) == ("bkim", "b")
    assert [(talk.agent, talk.site) for talk in record.talks] == [("ann", "a"), ("bkim", "b")]
    assert all(one.until_ms <= two.since_ms for one, two in pairwise(record.talks))
    account = await kept(center, call)
    assert [part.agent for part in account.parts] == ["ann", "bkim"]
    assert account.agents == ("ann", "bkim")
    await center.nothing_is_left()
    # At home at the other site: whoever clears up after a test looks at this one.
    await center.sign_out(bkim)


async def test_a_target_who_declines_brings_the_caller_back_and_they_go_on_talking(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    bob = await center.agent("bob")
    (call,) = await center.tickets()
    refer(ann, ours, "bob")
    bob.do("reject", await bob.rung(), 603, reason="Decline")
    assert await heard_last(ours) >= 400
    await center.connected()
    assert await center.offers() == ["ann"]
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
    assert [talk.agent for talk in record.talks] == ["ann", "ann"]
    assert [part.agent for part in (await kept(center, call)).parts] == ["ann", "ann"]
    await center.nothing_is_left()


async def test_a_caller_is_put_into_another_queue_and_its_agent_has_them(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    fay = await center.agent("fay")
    refer(ann, ours, str(HELP))
    assert await heard_last(ours) == 200
    await ours.wait(sip.Ended)
    await fay.answer(await fay.rung())
    await center.connected()
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert (record.queue, record.agent) == ("help", "fay")
    assert [talk.agent for talk in record.talks] == ["ann", "fay"]
    await center.nothing_is_left()


@pytest.mark.parametrize("to", ["ann", "nobody", "+4930999999", "cem"])
async def test_who_cannot_have_the_caller_is_refused_and_the_talk_goes_on(
    center: Center, to: str
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    refer(ann, ours, to)
    assert await heard_last(ours) in {403, 404, 480}
    await center.connected()
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).talks == ()
    await center.nothing_is_left()


async def test_an_agent_who_hangs_up_with_the_refer_is_out_and_free_for_the_next(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    bob = await center.agent("bob")
    refer(ann, ours, "bob")
    ann.do("bye", ours)
    second = await bob.rung()

    async def is_out() -> bool:
        return await center.offers() == [AgentId("bob")]

    await eventually(is_out, "ann is out")
    await bob.answer(second)
    await center.connected()
    await bob.hang_up(second)
    await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.cause) == (Outcome.ANSWERED, "agent_hung_up")
    assert [talk.agent for talk in record.talks] == ["ann", "bob"]
    await center.nothing_is_left()


async def test_an_edge_killed_while_the_target_rings_brings_the_caller_back(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    bob = await center.agent("bob")
    (call,) = await center.tickets()
    refer(ann, ours, "bob")
    await bob.rung()
    held = [edge for edge in center.edges() if (await center.ask(edge, "status"))["calls"]]
    assert held
    for edge in held:
        center.lab.supervisor.kill(f"edge-{edge}")

    async def is_back() -> bool:
        return await center.offers() == [AgentId("ann")]

    await eventually(is_back, "ann has the caller again", within_s=15)
    await center.connected()
    assert await center.tickets() == [call]
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).agent == "ann"
    await center.nothing_is_left()


# ---- the agent asks the other first --------------------------------------------------------------


async def holding(center: Center) -> tuple[Telephone, Leg, Leg]:
    """Bring a caller to ann, who puts them on hold; return ann, the caller's leg and hers."""
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    ann.do("reinvite", ours, sdp(ann.endpoint.local.host, direction="sendonly"))
    await ours.wait(sip.OfferAnswered)
    return ann, theirs, ours


def asks(center: Center, agent: Telephone, colleague: str, *, site: str = "a") -> Leg:
    """Let an agent, who is at home at `site`, call another."""
    return agent.dial(colleague, center.site(site), password=PASSWORD)


def replacing(agent: Telephone, asking: Leg) -> str:
    """Return where a REFER hands the caller over to, as a telephone writes it (RFC 5589 §7)."""
    dialog = agent.endpoint.stack.dialog(asking.id)
    named = f"{dialog.sip_call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    return f"sip:someone@everline?Replaces={quote(named, safe='')}"


async def test_an_agent_asks_one_of_another_site_and_hands_the_caller_over_in_one_record(
    center: Center,
) -> None:
    ann, theirs, ours = await holding(center)
    bkim = await center.agent("bkim", site="b")
    await center.abreast()
    (call,) = await center.tickets()
    asking = asks(center, ann, "bkim")
    second = await bkim.rung()
    assert second.invite is not None
    assert "sip:ann@" in second.invite.from_uri
    assert set(await center.offers()) == {"ann", "bkim"}
    assert await center.tickets() == [call]
    await bkim.answer(second)
    assert isinstance(await asking.outcome(), sip.Answered)
    ann.do("refer", ours, replacing(ann, asking))
    for leg in (ours, asking):
        assert "transferred" in (await leg.wait(sip.Ended)).reason
    assert ours.notified()[-1] == (200, True)
    await center.connected()

    async def is_out() -> bool:
        return await center.offers() == [AgentId("bkim")]

    await eventually(is_out, "ann is out")
    await bkim.hang_up(second)
    await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.cause) == (Outcome.ANSWERED, "agent_hung_up")
    assert (record.agent, record.agent_site) == ("bkim", "b")
    assert [(talk.agent, talk.site) for talk in record.talks] == [("ann", "a"), ("bkim", "b")]
    assert record.talks[0].holds == 1
    account = await kept(center, call)
    assert [part.agent for part in account.parts] == ["ann", "bkim"]
    await center.nothing_is_left()
    await center.sign_out(bkim)


@pytest.mark.parametrize(
    "way", [("refer",), ("cancel", "refer"), ("refer", "cancel")], ids="+".join
)
async def test_an_agent_hands_the_caller_over_while_the_colleagues_telephone_rings(
    center: Center, way: tuple[str, ...]
) -> None:
    """Beside the call that rings, or by RFC 5589's CANCEL with a REFER right after it.

    Two processes of Kamailio may turn these two round: which was first is seen at what follows.
    """
    ann, theirs, ours = await holding(center)
    bob = await center.agent("bob")
    await center.abreast()
    asking = asks(center, ann, "bob")
    second = await bob.rung()
    bob.do("progress", second, 180)
    await asking.wait(sip.Progress)
    for request in way:
        if request == "cancel":
            ann.do("cancel", asking)
        else:
            refer(ann, ours, "bob")

    def is_rung_on() -> bool:
        return (180, False) in ours.notified()

    await until(lambda: second.has(sip.Cancelled) or is_rung_on(), "bob is rung on, or no more")
    if second.has(sip.Cancelled):
        second = await bob.rung()
    else:
        assert not bob.incoming
    await bob.answer(second)
    assert await heard_last(ours) == 200
    await until(lambda: asking.is_over, "the call to bob is over, too")
    await ours.wait(sip.Ended)
    await center.connected()
    await bob.hang_up(second)
    await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.cause) == (Outcome.ANSWERED, "agent_hung_up")
    assert [talk.agent for talk in record.talks] == ["ann", "bob"]
    await center.nothing_is_left()


async def test_an_agent_of_another_site_than_the_callers_asks_one_who_is_at_home_here(
    center: Center,
) -> None:
    kim = await center.agent("bkim", site="b")
    await center.abreast()
    theirs, ours = await center.talking(center.caller(), kim)
    ann = await center.agent("ann")
    await center.abreast()
    asking = asks(center, kim, "ann", site="b")
    second = await ann.answer(await ann.rung())
    assert isinstance(await asking.outcome(), sip.Answered)
    kim.do("refer", ours, replacing(kim, asking))
    for leg in (ours, asking):
        assert "transferred" in (await leg.wait(sip.Ended)).reason
    assert ours.notified()[-1] == (200, True)
    await center.connected()
    await ann.hang_up(second)
    await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert [(talk.agent, talk.site) for talk in record.talks] == [("bkim", "b"), ("ann", "a")]
    await center.nothing_is_left()
    await center.sign_out(kim)


async def test_an_agent_asks_another_and_goes_on_with_the_caller(center: Center) -> None:
    ann, theirs, ours = await holding(center)
    bob = await center.agent("bob")
    await center.abreast()
    for way in ("declines", "hangs up", "is hung up on"):
        asking = asks(center, ann, "bob")
        second = await bob.rung()
        if way == "declines":
            bob.do("reject", second, 603, reason="Decline")
            refused = await asking.outcome()
            assert isinstance(refused, sip.Rejected)
            assert refused.status == 603
        else:
            await bob.answer(second)
            assert isinstance(await asking.outcome(), sip.Answered)
            first, other = (second, asking) if way == "hangs up" else (asking, second)
            await first.owner.hang_up(first)
            await other.wait(sip.Ended)

        async def is_free() -> bool:
            return await center.offers() == [AgentId("ann")]

        await eventually(is_free, f"bob is free after he {way}")
    ann.do("reinvite", ours, ann.sdp)
    await center.connected()
    await ann.hang_up(ours)
    await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.agent, record.talks) == (Outcome.ANSWERED, "ann", ())
    await center.nothing_is_left()


async def test_an_agent_asks_another_though_the_proxy_has_died_meanwhile(center: Center) -> None:
    ann, theirs, ours = await holding(center)
    center.lab.supervisor.kill("kamailio-a")
    await center.lab.supervisor.wait_ready("kamailio-a", 20)
    await center.serving()
    cem = await center.agent("cem")
    await center.abreast()
    asking = asks(center, ann, "cem")

    async def is_rung() -> bool:
        nonlocal asking
        if asking.is_over:  # the gate is not loaded yet
            asking = asks(center, ann, "cem")
        return bool(cem.incoming)

    await eventually(is_rung, "cem is rung")
    second = await cem.answer(await cem.rung())
    assert isinstance(await asking.outcome(), sip.Answered)
    ann.do("refer", ours, replacing(ann, asking))
    await ours.wait(sip.Ended)
    await center.connected()
    await cem.hang_up(second)
    await theirs.wait(sip.Ended)
    assert (await center.record(theirs)).agent == "cem"
    await center.nothing_is_left()


async def test_a_caller_who_hangs_up_meanwhile_ends_it_all(center: Center) -> None:
    ann, theirs, ours = await holding(center)
    bob = await center.agent("bob")
    await center.abreast()
    asking = asks(center, ann, "bob")
    second = await bob.rung()
    await bob.answer(second)
    await asking.outcome()
    await theirs.owner.hang_up(theirs)
    for leg in (ours, asking, second):
        await leg.wait(sip.Ended)
    assert (await center.record(theirs)).agent == "ann"
    await center.nothing_is_left()


async def test_nobody_calls_an_agent_but_one_who_talks_with_a_caller(center: Center) -> None:
    ann, bob = await center.agent("ann"), await center.agent("bob")
    refused = await asks(center, ann, "bob").outcome()
    assert isinstance(refused, sip.Rejected)
    assert refused.status == 403
    assert not bob.incoming
    await center.nothing_is_left()


async def test_an_edge_killed_in_a_consultation_keeps_the_caller_and_lets_the_two_go(
    center: Center,
) -> None:
    ann, theirs, ours = await holding(center)
    bob = await center.agent("bob")
    await center.abreast()
    asking = asks(center, ann, "bob")
    second = await bob.rung()
    await bob.answer(second)
    await asking.outcome()
    held = [edge for edge in center.edges() if (await center.ask(edge, "status"))["calls"]]
    for edge in held:
        center.lab.supervisor.kill(f"edge-{edge}")
    for leg in (asking, second):
        await leg.wait(sip.Ended, within_s=15)

    async def is_free() -> bool:
        return await center.offers() == [AgentId("ann")]

    await eventually(is_free, "bob is free", within_s=15)
    await center.connected()
    await ann.hang_up(ours)
    await theirs.wait(sip.Ended)
    assert (await center.record(theirs)).agent == "ann"
    await center.nothing_is_left()
