"""An agent asks another on a real rtpengine, and hands the caller over, judged by tones."""

from __future__ import annotations

from edge.acd.call_events import Side
from edge.calls.pair_media import PairMedia
from edge.media.rtpengine import FOREVER, MediaEngine
from tests.media.servers import PROMPTS, Person
from tests.media.test_engine import (
    Cast,
    connect,
    engine,
    hear_each_other,
    hears_music,
    packets_pass_no_more,
    people,
    pytestmark,
    server,
    wait_in_queue,
)

__all__ = ["engine", "people", "pytestmark", "server"]


async def holding(engine: MediaEngine, caller: Person, agent: Person) -> None:
    """Bring the two together; then the agent puts the caller on hold."""
    await wait_in_queue(engine, caller)
    await connect(engine, caller, agent)
    await hear_each_other(caller, agent)
    agent.stream.pause()


async def asked(pair: PairMedia, asker: Person, colleague: Person) -> None:
    """Let one agent call the other."""
    offer = await pair.prepare(asker.sdp)
    answer = await pair.join(colleague.session.answer(offer))
    colleague.talk_to(offer)
    asker.talk_to(answer)


async def test_the_two_hear_each_other_and_the_caller_hears_neither(
    engine: MediaEngine,
    people: Cast,
) -> None:
    caller, again = people.caller, people.add("agent again")
    await holding(engine, caller, people.agent)
    pair = PairMedia(engine, "k~1")
    await asked(pair, again, people.other)
    await hear_each_other(again, people.other)
    await packets_pass_no_more(caller)
    # The asker puts the colleague on hold, and comes back.
    again.stream.pause()
    held = await pair.renegotiate(Side.CALLER, again.session.offer())
    assert held
    again.talk_to(held)
    await hear_each_other(again, people.other)
    await pair.close()
    assert await engine.calls() == ("k",)


async def test_the_caller_who_is_handed_over_hears_the_colleague_and_nobody_hears_the_asker(
    engine: MediaEngine,
    people: Cast,
) -> None:
    caller, again, colleague = people.caller, people.add("agent again"), people.other
    await holding(engine, caller, people.agent)
    pair = PairMedia(engine, "k~1")
    await asked(pair, again, colleague)
    await hear_each_other(again, colleague)
    # As the call does it: the caller to the queue, the agent out, the colleague asked in.
    caller.talk_to(await engine.hold_caller("k", caller.sdp))
    await engine.drop_agent("k")
    await engine.play("k", PROMPTS / "music.wav", times=FOREVER)
    await hears_music(caller)
    await connect(engine, caller, colleague)
    await pair.close()
    await hear_each_other(caller, colleague)
    await packets_pass_no_more(again)
