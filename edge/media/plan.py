"""What rtpengine is asked for at each step of a call. PURE.

A call in rtpengine has up to three parties, by tags of our own: the **caller**, the **queue**
(nobody: a session description at the discard port) and the **agent**. Laws, each found by trying:

1. Every offer names both parties. An offer without a to-tag hands out the queue's port again, and
   an agent who sends there is dropped by `strict source`.
2. An offer to a further party takes the caller's audio from the present one. So a call is moved
   to the queue first, then offered to the next agent.
3. Refusals need no undoing: the next agent is offered the same port under the same tag, and the
   music has not stopped. Deleting the refused branch would stop it.
4. An agent's party is blocked until it has answered: its address is unknown until then, so that
   anybody could talk to the waiting caller.
5. `port latching` keeps our port towards each party through every step, so a caller who cannot be
   re-INVITEd hears the agent all the same.
6. Out of ports, rtpengine destroys the whole call, not just the new branch.
"""

from __future__ import annotations

import zlib
from typing import Final, NewType

import msgspec

from edge.media import edits, inert, lines
from edge.media.ng import Command, Verb

Party = NewType("Party", str)
CALLER = Party("caller")
QUEUE = Party("queue")
AGENT = Party("agent")

HELD_BACK_MS: Final = 120
"""What a caller who may key tones says comes to the agent so much later: the recorder, whose copy
is not held back, needs 40 ms of a tone to know it for one, and up to 20 to look."""

_FLAGS = ("strict-source", "trust-address", "port-latching")
"""Only from the address that the party signalled, which never is learnt from packets."""
_REPLACE = ("origin", "session-connection", "sdp-version", "username", "session-name")
"""To each side it is one session whose versions count up (RFC 3264 §8), whoever is behind it."""


def offer(call: str, sender: Party, receiver: Party, sdp: bytes) -> Command:
    """`sender` has offered `sdp`; the reply is for `receiver`."""
    return _exchange(Verb.OFFER, call, sender, receiver, sdp)


def answer(call: str, offerer: Party, answerer: Party, sdp: bytes) -> Command:
    """`answerer` has answered `sdp`; the reply is for `offerer`."""
    return _exchange(Verb.ANSWER, call, offerer, answerer, sdp)


def _exchange(verb: Verb, call: str, offerer: Party, answerer: Party, sdp: bytes) -> Command:
    return Command(
        verb=verb,
        call=call,
        from_tag=offerer,
        to_tag=answerer,
        sdp=_ours(call, sdp),
        flags=_FLAGS,
        replace=_REPLACE,
        ice="remove",
        rtcp_mux=("demux",),
    )


def _ours(call: str, sdp: bytes) -> str:
    # JSON carries no bytes outside UTF-8, and after the origin nothing that matters can hold any.
    return edits.with_origin(lines.tidy(sdp), zlib.crc32(call.encode())).decode("utf-8", "replace")


def to_queue(call: str, caller_sdp: bytes) -> tuple[Command, Command]:
    """Bring the caller to the queue; the reply to the second command is for the caller."""
    ours = inert.inert_answer(caller_sdp)
    return offer(call, CALLER, QUEUE, caller_sdp), answer(call, CALLER, QUEUE, ours)


def from_queue(call: str) -> Command:
    """Offer for the queue to a caller who sent no offer; the reply is for the caller."""
    return offer(call, QUEUE, CALLER, inert.inert_offer())


def play(call: str, listener: Party, file: str, times: int) -> Command:
    """Play `file` to `listener`; what was playing stops."""
    return Command(
        verb=Verb.PLAY_MEDIA, call=call, from_tag=listener, file=file, repeat_times=times
    )


def stop(call: str, listener: Party) -> Command:
    """Stop what is played to `listener`."""
    return Command(verb=Verb.STOP_MEDIA, call=call, from_tag=listener)


def block(call: str, speaker: Party) -> Command:
    """Drop what `speaker` sends."""
    return Command(verb=Verb.BLOCK_MEDIA, call=call, from_tag=speaker)


def unblock(call: str, speaker: Party) -> Command:
    """Let `speaker` be heard again."""
    return Command(verb=Verb.UNBLOCK_MEDIA, call=call, from_tag=speaker)


def hide_digits(call: str, speaker: Party, *, holds_back: bool = False) -> Command:
    """Hand the digits that `speaker` keys (RFC 4733) to nobody.

    In its mode `drop`, the default. `silence` and the others end the copies of the speaker at the
    first event (tried on 10.5.3.5). `holds_back`: whoever is offered to or has answered next gets
    all of `speaker` later by `HELD_BACK_MS`, and nobody else: a copy that is begun, or another
    offer or answer, takes the holding back with it. A further answer of the listener's brings it
    back, and lets go at once of what was held back until then.
    """
    held_back_ms = HELD_BACK_MS if holds_back else 0
    return Command(verb=Verb.BLOCK_DTMF, call=call, from_tag=speaker, held_back_ms=held_back_ms)


def silence(call: str, speaker: Party, *, on: bool) -> Command:
    """Put silence in the place of what `speaker` sends, or let them be heard again.

    It lasts through every later offer and answer, and asked twice it is asked once. The copies of
    the speaker hold silence, too. G.711 alone: Opus passes as it is (10.5.3.5).
    """
    verb = Verb.SILENCE_MEDIA if on else Verb.UNSILENCE_MEDIA
    return Command(verb=verb, call=call, from_tag=speaker)


def part(
    call: str, speaker: Party, listener: Party, listener_sdp: bytes
) -> tuple[Command, Command]:
    """Send `listener` nothing more of `speaker`, who hears them all the same.

    To the relay `listener` is at the discard port from now on, and has to be let speak from another
    place than that, so without `strict-source`. Copies of `speaker` go on. To undo it, answer with
    what `listener` said.

    An answer lets go of what is held back before it looks where the listener is. So they say first
    that they have moved, to the queue, which has nothing to do with what `speaker` sends.
    """
    away = edits.at_discard_port(listener_sdp)
    moved = offer(call, listener, QUEUE, away), answer(call, speaker, listener, away)
    there, back = (msgspec.structs.replace(each, flags=_FLAGS[1:]) for each in moved)
    return there, back


def drop(call: str, party: Party) -> Command:
    """Take `party` out, with its ports. Stops what is played to the caller."""
    return Command(verb=Verb.DELETE, call=call, from_tag=CALLER, to_tag=party, delete_delay_s=0)


def release(call: str) -> Command:
    """End the whole call at once; a delay would keep its ports."""
    return Command(verb=Verb.DELETE, call=call, delete_delay_s=0)


def fork(call: str, speaker: Party) -> Command:
    """Ask for a copy of what `speaker` sends; the reply offers it."""
    return Command(verb=Verb.SUBSCRIBE_REQUEST, call=call, from_tag=speaker)


def take_fork(call: str, speaker: Party, listener: str, sdp: bytes) -> Command:
    """Say where the copy goes."""
    return Command(
        verb=Verb.SUBSCRIBE_ANSWER,
        call=call,
        from_tag=speaker,
        to_tag=listener,
        sdp=sdp.decode(),
    )


def end_fork(call: str, listener: str) -> Command:
    """End a copy."""
    return Command(verb=Verb.UNSUBSCRIBE, call=call, to_tag=listener)
