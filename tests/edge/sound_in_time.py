"""Sound in virtual time: what telephones send each other by relays, and what they hear.

The relays are asked by the real `MediaEngine` and its plan; what they do about it is what
`edge.media.plan` says of rtpengine, as far as who hears whom depends on it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from edge.media.errors import MediaUnavailable, SdpError
from edge.media.ng import Command, Counters, Media, Reply, Stats, Verb
from edge.media.ng import Party as Told
from edge.media.rtpengine.engine import MediaEngine
from edge.media.rtpengine.refusals import refusal
from edge.media.sdp import audio
from edge.phone.tones import Listener
from tests.edge.lab_in_time import Net
from tests.edge.virtual_time import LoopClock

PACKET_S: Final = 0.02
ASKED_S: Final = 0.001
"""How long a relay takes to do what it is asked."""
REPEATED_S: Final = 0.3
"""A question is asked again so often (`edge.media.rtpengine.client`)."""
GREETING_S: Final = 1.0
MUSIC: Final = bytes(range(160))
Place = tuple[str, int]


class Air:
    """Brings packets from telephones to relays and back, every 20 ms."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.ears: dict[Place, Ear] = {}
        self.relays: dict[str, SoundRelay] = {}
        self._ports = itertools.count(40_000, 2)

    def port(self) -> int:
        """Return one that nobody has."""
        return next(self._ports)

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            await asyncio.sleep(PACKET_S)
            if self.ears:
                self._tick()

    def _tick(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for ear in list(self.ears.values()):
            if ear.remote is None:
                continue
            ear.sent += 1
            relay = self.relays.get(ear.remote[0])
            if relay is not None and relay.is_up and self.net.hears(ear.host, relay.host):
                source = (ear.host, ear.port)
                relay.take(source, ear.remote[1], ear.payload, ear.payload_type, now_s)
        for relay in self.relays.values():
            if relay.is_up:
                relay.play(now_s)

    def send(self, relay: str, to: Place, payload: bytes, payload_type: int, now_s: float) -> None:
        """Bring a relay's packet to a telephone."""
        ear = self.ears.get(to)
        if ear is not None and self.net.hears(relay, ear.host):
            ear.take(payload, payload_type, now_s)


class Ear:
    """What `edge.phone.rtp.RtpStream` is, without a socket."""

    def __init__(
        self, clock: Air, host: str, *, on_sound: Callable[[str], None] | None = None
    ) -> None:
        self._air = clock
        self._on_sound = on_sound
        self.listener = Listener()
        self.sent = self.received = self.send_errors = self.lost = 0
        self.last_received_s: float | None = None
        self.stalls: tuple[tuple[float, float], ...] = ()
        self.host, self.port = host, clock.port()
        self.remote: Place | None = None
        self.payload, self.payload_type = b"", 0
        clock.ears[host, self.port] = self

    def send_to(self, host: str, port: int, payload: bytes, payload_type: int) -> None:
        """Send it there every 20 ms."""
        self.remote, self.payload, self.payload_type = (host, port), payload, payload_type

    def pause(self) -> None:
        """Send nothing."""
        self.remote = None

    def close(self) -> None:
        """Hear nothing more, either."""
        self.pause()
        self._air.ears.pop((self.host, self.port), None)

    def take(self, payload: bytes, payload_type: int, now_s: float) -> None:
        """Hear a packet."""
        self.received += 1
        self.last_received_s = now_s
        before = self.listener.now_hearing
        name = self.listener.hear(payload, payload_type, now_s)
        if name != before and self._on_sound is not None:
            self._on_sound(name)


@dataclass
class Party:
    """Somebody as a relay knows them."""

    port: int
    """Where they send to."""
    source: Place | None = None
    """Where they are, by their word: who sends from elsewhere is heard by nobody."""
    remote: Place | None = None
    """There, if they listen."""
    peer: str = ""
    packets: int = 0
    last_s: int = 0
    is_blocked: bool = False
    plays: float = 0.0
    """So many packets more of a file."""

    def takes(self, sdp: str, wall_s: int) -> None:
        """Take in where they are."""
        self.last_s = wall_s
        try:
            section = audio(sdp.encode())
        except SdpError:
            self.source = self.remote = None
            return
        self.source = (section.host, section.port)
        listens = not section.is_on_hold and section.port not in {0, 9}
        self.remote = self.source if listens else None


@dataclass
class SoundRelay:
    """A site's rtpengine."""

    air: Air
    host: str
    is_up: bool = True
    calls: dict[str, dict[str, Party]] = field(default_factory=dict)
    _by_port: dict[int, tuple[str, str]] = field(default_factory=dict)

    def die(self) -> None:
        """Forget everything."""
        self.is_up = False
        self.calls.clear()
        self._by_port.clear()

    # -- packets

    def take(
        self, source: Place, port: int, payload: bytes, payload_type: int, now_s: float
    ) -> None:
        """Hand on a packet that has come to a port (`strict source`)."""
        call, tag = self._by_port.get(port, ("", ""))
        party = self.calls.get(call, {}).get(tag)
        if party is None:
            return
        party.last_s = _wall_s()
        if source != party.source:
            return
        party.packets += 1
        peer = self.calls[call].get(party.peer)
        if not party.is_blocked and peer is not None and peer.remote is not None:
            self.air.send(self.host, peer.remote, payload, payload_type, now_s)

    def play(self, now_s: float) -> None:
        """Play to everybody who is played to, for 20 ms."""
        for parties in self.calls.values():
            for party in parties.values():
                if party.plays > 0:
                    party.plays -= 1
                    if party.remote is not None:
                        self.air.send(self.host, party.remote, MUSIC, 0, now_s)

    # -- commands

    def do(self, command: Command) -> Reply:
        """Do what is asked."""
        match command.verb:
            case Verb.PING:
                return Reply(result="pong")
            case Verb.LIST:
                return Reply(result="ok", calls=tuple(self.calls))
            case Verb.OFFER:
                return self._exchange(command, command.from_tag, command.to_tag)
            case Verb.DELETE:
                return self._delete(command)
            case _:
                return self._of_known(command)

    def _of_known(self, command: Command) -> Reply:
        parties = self.calls.get(command.call)
        if parties is None:
            return Reply(result="error", error_reason="Unknown call-ID")
        match command.verb:
            case Verb.ANSWER:
                return self._exchange(command, command.to_tag, command.from_tag)
            case Verb.QUERY:
                return Reply(result="ok", tags={tag: _told(each) for tag, each in parties.items()})
            case Verb.BLOCK_MEDIA | Verb.UNBLOCK_MEDIA:
                parties[command.from_tag].is_blocked = command.verb is Verb.BLOCK_MEDIA
            case Verb.PLAY_MEDIA:
                is_short = command.repeat_times == 1
                parties[command.from_tag].plays = GREETING_S / PACKET_S if is_short else 1e9
                return Reply(result="ok", duration_ms=round(GREETING_S * 1000) if is_short else 0)
            case Verb.STOP_MEDIA:
                if not parties[command.from_tag].plays:
                    return Reply(result="error", error_reason="Not currently playing media")
                parties[command.from_tag].plays = 0
            case _:
                pass
        return Reply(result="ok")

    def _exchange(self, command: Command, sender: str, receiver: str) -> Reply:
        """Take in what one of two says; the reply is for the other."""
        if not self.air.net.hears(self.host, self.host):
            return Reply(result="error", error_reason="dead")
        parties = self.calls.setdefault(command.call, {})
        for tag, other in ((sender, receiver), (receiver, sender)):
            if tag not in parties:
                parties[tag] = Party(port=self.air.port())
                self._by_port[parties[tag].port] = (command.call, tag)
            parties[tag].peer = other
        parties[sender].takes(command.sdp, _wall_s())
        return Reply(result="ok", sdp=_at(command.sdp, self.host, parties[receiver].port))

    def _delete(self, command: Command) -> Reply:
        parties = self.calls.get(command.call, {})
        gone = list(parties) if not command.to_tag else [command.to_tag]
        for tag in gone:
            party = parties.pop(tag, None)
            if party is not None:
                self._by_port.pop(party.port)
            for other in parties.values():
                if other.peer == tag:
                    other.peer, other.plays = "", 0
        if not parties:
            self.calls.pop(command.call, None)
        return Reply(result="ok")


def _told(party: Party) -> Told:
    stats = Stats(stats=Counters(packets=party.packets), last_packet=party.last_s)
    return Told(medias=(Media(type="audio", streams=(stats,)),))


def _at(sdp: str, host: str, port: int) -> str:
    lines = []
    for line in sdp.split("\r\n"):
        if line.startswith("c="):
            line = f"c=IN IP4 {host}"  # noqa: PLW2901 - the same, elsewhere
        elif line.startswith("m=audio "):
            line = f"m=audio {port} {line.split(' ', 2)[2]}"  # noqa: PLW2901 - as above
        lines.append(line)
    return "\r\n".join(lines)


def _wall_s() -> int:
    return LoopClock().now().wall_ms // 1000


class _Client:
    """What `NgClient` is, without a socket: one life of an edge asks."""

    def __init__(self, relay: SoundRelay) -> None:
        self._relay = relay
        self.is_dead = False
        """Whoever asks: nothing is done any more."""

    async def ask(self, command: Command, *, within_s: float = 1.0) -> Reply:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + within_s
        while True:
            await asyncio.sleep(ASKED_S)
            if self.is_dead:
                await loop.create_future()
            if self._relay.is_up:
                break
            if loop.time() >= ends_s:
                raise MediaUnavailable("the relay gave no answer")
            await asyncio.sleep(min(REPEATED_S, max(0.0, ends_s - loop.time())))
        reply = self._relay.do(command)
        if reply.result not in {"ok", "pong"}:
            raise refusal(command, reply)
        return reply


class SoundEngine(MediaEngine):
    """A life's way to the relay of its site."""

    def __init__(self, owner: str, relay: SoundRelay) -> None:  # no socket
        self._owner = owner
        self._ours = _Client(relay)
        self._client = self._ours  # type: ignore[assignment]  # as far as the engine uses it
        self._patience_s = 3.0

    def die(self) -> None:
        """Ask no more."""
        self._ours.is_dead = True
