"""What a capture at the agents' links says: what they hear and say, and their sign-ins. PURE.

An account of its own, as `packets` is of the callers' link: it knows nothing of what telephones or
edges report.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from drills.packets import Packet, audio_port_of, fields_of, packets, status_of, user_of, voice_of

ANSWERED_WITHIN_S: Final = 2.0
"""A registrar that has not answered a REGISTER by then is gone for the telephone that sent it."""
_CHALLENGES: Final = frozenset({401, 407})
_BUSY: Final = 503
_OK: Final = 200
_NS: Final = 1_000_000_000

Ear = tuple[str, int]
"""An address and a port at which sound is heard."""


class SignIn(Struct, frozen=True, kw_only=True):
    """That an agent's telephone had its registrar from then on, or had it no longer."""

    at_ns: int
    agent: str
    is_registered: bool


class AgentLines(Struct, frozen=True, kw_only=True):
    """All that was captured there."""

    ears: Mapping[str, Ear] = {}
    """Where an agent wanted to hear, by the Call-ID of their leg."""
    audio_ns: Mapping[Ear, Sequence[int]] = {}
    """When audio came there."""
    sent_ns: Mapping[str, Sequence[int]] = {}
    """When audio for agents came from which address."""
    voices: frozenset[int] = frozenset()
    """Sources of sound (SSRC, RFC 3550 §8) that agents' telephones sent."""
    sign_ins: tuple[SignIn, ...] = ()


def read_lines(pcap: bytes, agents: Collection[str]) -> AgentLines:
    """Return what a capture at the agents' links says. `agents`: the addresses there."""
    ears: dict[str, Ear] = {}
    audio: defaultdict[Ear, list[int]] = defaultdict(list)
    sent: defaultdict[str, list[int]] = defaultdict(list)
    voices: set[int] = set()
    signalling: list[Packet] = []
    last_ns = 0
    # Each link's packets are in their order, and the links' are mixed.
    for packet in sorted(packets(pcap), key=lambda each: each.at_ns):
        last_ns = packet.at_ns
        voice = voice_of(packet.payload)
        if voice is not None and packet.source in agents:
            voices.add(voice)
        elif voice is not None:
            audio[packet.target, packet.target_port].append(packet.at_ns)
            sent[packet.source].append(packet.at_ns)
        elif (ear := _answered(packet)) is not None and packet.source in agents:
            ears.setdefault(ear[0], (packet.source, ear[1]))
        else:
            signalling.append(packet)
    return AgentLines(
        ears=ears,
        audio_ns=dict(audio),
        sent_ns=dict(sent),
        voices=frozenset(voices),
        sign_ins=tuple(_sign_ins(signalling, agents, last_ns)),
    )


def _answered(packet: Packet) -> tuple[str, int] | None:
    """Return which call a telephone takes, and at which port it hears; None: it takes none."""
    if status_of(packet.payload) != _OK:
        return None
    fields, port = fields_of(packet.payload), audio_port_of(packet.payload)
    is_taken = fields.get("cseq", "").endswith("INVITE") and "call-id" in fields
    return (fields["call-id"], port) if is_taken and port is not None else None


class _Asked(Struct, frozen=True, kw_only=True):
    """A REGISTER that binds, and not one that takes a binding back."""

    agent: str
    registrar: str
    at_ns: int


def _sign_ins(
    signalling: Iterable[Packet], agents: Collection[str], last_ns: int
) -> Iterable[SignIn]:
    """Return when whose registrar was lost, and when they had one again.

    It is lost where the one that had bound a telephone does not answer it, or refuses.
    """
    asked: dict[tuple[str, str], _Asked] = {}
    answers: dict[tuple[str, str], tuple[int, int]] = {}
    for packet in signalling:
        fields = fields_of(packet.payload)
        key = (fields.get("call-id", ""), fields.get("cseq", ""))
        if packet.source in agents and packet.payload.startswith(b"REGISTER "):
            if fields.get("expires", "") != "0":
                agent = user_of(fields.get("from", ""))
                sent = _Asked(agent=agent, registrar=packet.target, at_ns=packet.at_ns)
                asked.setdefault(key, sent)
        elif (status := status_of(packet.payload)) is not None and status >= _OK and key in asked:
            answers.setdefault(key, (packet.at_ns, status))
    bound_at: dict[str, str] = {}
    for key, each in sorted(asked.items(), key=lambda item: item[1].at_ns):
        given_up_ns = each.at_ns + round(ANSWERED_WITHIN_S * _NS)
        at_ns, status = min(answers.get(key, (given_up_ns, 0)), (given_up_ns, 0))
        if status == _OK:
            bound_at[each.agent] = each.registrar
            yield SignIn(at_ns=at_ns, agent=each.agent, is_registered=True)
        elif status in _CHALLENGES or status == _BUSY:
            continue  # it is there: it asks who calls, or has too many at once
        # One that goes home and is not answered there stays where it is.
        elif bound_at.get(each.agent, each.registrar) == each.registrar and at_ns <= last_ns:
            yield SignIn(at_ns=at_ns, agent=each.agent, is_registered=False)
