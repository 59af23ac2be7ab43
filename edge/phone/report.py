"""What phones tell: one JSON object a line, with both clocks.

    {"event": "answered", "mono_s": 81.2, "wall_ms": 1790000000000, "phone": "alba", "role":
    "agent", ...}

Events, in the order in which a phone meets them:

- agents: `registered`, `registration_failed` (once an outage), `unregistered`;
- calls: `invite` (sent or received), `ringing`, `answered` (200 sent or received), `refused`,
  `keyed`, `reinvite` (the other side's), `held` and `resumed` (ours), `joined` (the first chord of
  another), `transfer` (how our REFER was answered in the end), `hanging_up`, `ended`, and `call`:
  the summary, once for every call, whatever came of it;
- the process: `ready`, `stopped`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from state.clock import Clock
from state.model import Now


class Role(StrEnum):
    """Whose phone it is."""

    AGENT = "agent"
    CALLER = "caller"


class How(StrEnum):
    """How a phone's half of a call ended, as the phone saw it."""

    HUNG_UP = "hung_up"
    """We said BYE and were answered."""
    UNHEARD = "unheard"
    """We said BYE and nobody was there: no answer, or one that knows no such call."""
    FAR_END = "far_end"
    """They said BYE."""
    CANCELLED = "cancelled"
    """The INVITE was withdrawn before the answer, by whoever sent it."""
    REFUSED = "refused"
    """The INVITE got a final answer above 299, from whichever side."""
    SILENCE = "silence"
    """The INVITE never got a final answer."""
    FAULT = "fault"
    """No ACK came, or the session timer ran out."""


class Summary(msgspec.Struct, kw_only=True, omit_defaults=False):
    """A whole call, as one side saw it. Stamps in `_ms` are wall-clock milliseconds."""

    phone: str
    role: Role
    sip_call_id: str
    local_tag: str = ""
    """Of the caller: with the Call-ID it names our call."""
    call: str = ""
    """Our name for the call, from the token that came with the INVITE to an agent."""
    sent_chord: str = ""
    heard: dict[str, int] = {}
    """Chord -> packets. Music, speech and noise are `other_packets`."""
    other_packets: int = 0
    silent_packets: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    send_errors: int = 0
    longest_gap_s: float = 0.0
    """Between two packets of the chord that was heard most."""
    gap_from_ms: int | None = None
    """When that gap began."""
    stalls: tuple[tuple[int, int], ...] = ()
    """From when to when it sent nothing since its own process stood still."""
    invite_ms: int = 0
    ringing_ms: int | None = None
    answered_ms: int | None = None
    joined_ms: int | None = None
    """When the first chord of the other side was heard."""
    last_heard_ms: int | None = None
    """When its last one was."""
    hung_up_ms: int | None = None
    """When its owner put the phone down; the other side may take long to hear of it, or never."""
    packets_at_goodbye: int | None = None
    """How many had been received by then."""
    crossed: bool = False
    """Its owner's goodbye met one of the other side: somebody had ended the call before."""
    ended_ms: int = 0
    setup_ms: int | None = None
    """From INVITE to 200."""
    digits: int = 0
    """How many we have keyed; which ones is nobody's business."""
    passed_on_ms: int | None = None
    """When the other side said that it passes its caller on, and has not said since that it cannot
    be done."""
    held: int = 0
    """How often we have put the other side on hold and come back."""
    reinvites: int = 0
    """How many offers of the other side we have answered."""
    how: How = How.FAULT
    status: int | None = None
    """Of a refusal."""
    cause: str = ""
    """Why: a constant word of ours (`talked`, `impatient`, `no_media`, ...) or the stack's."""
    reason: str = ""
    """The Reason header field that came with the end."""


class Report:
    """Where phones write."""

    def __init__(self, clock: Clock, write: Callable[[bytes], object]) -> None:
        self._clock = clock
        self._write = write
        self._encoder = msgspec.json.Encoder()

    def now(self) -> Now:
        """Return this instant."""
        return self._clock.now()

    def event(self, event: str, *, phone: str, role: Role, **fields: object) -> Now:
        """Write an event; return its instant."""
        return self._put({"event": event}, {"phone": phone, "role": role, **fields})

    def process(self, event: str, **fields: object) -> None:
        """Write an event of the process itself."""
        self._put({"event": event}, fields)

    def summary(self, summary: Summary) -> None:
        """Write the end of a call."""
        self._put({"event": "call"}, msgspec.to_builtins(summary))

    def _put(self, head: dict[str, object], fields: dict[str, object]) -> Now:
        now = self._clock.now()
        stamps = {"mono_s": round(now.mono_s, 6), "wall_ms": now.wall_ms}
        self._write(self._encoder.encode(head | stamps | fields) + b"\n")
        return now
