"""What a process of phones is told to do: JSON in, frozen values out.

One object, from a file or a line on stdin:

    {"agents": [{"id": "alba", "password": "...", "registrar": "198.18.1.10:5060"}],
     "callers": [{"id": "call-1", "carrier": "198.18.10.10:5060", "did": "15550100", "at_s": 0.5}]}

Durations are seconds; a pair is the range from which one is drawn. Unknown keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from edge.sip.events import Address
from state.patterns import whole

Span = tuple[float, float]


class ConfigError(ValueError):
    """The configuration is not what it should be; the message says where."""


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One agent's phone and how its owner behaves."""

    id: str
    registrar: str
    """`host:port` of the home site's Kamailio; empty: a telephone that somebody is called back at,
    which is no agent's."""
    password: str = ""
    backups: tuple[str, ...] = ()
    """Registrars where the phone registers while its own is silent, in turn."""
    domain: str = "everline"
    port: int = 0
    """Local SIP port; 0: any."""
    expires_s: int = 60
    answer_after_s: Span = (0.2, 0.8)
    talk_s: Span = (5.0, 8.0)
    """From the answer until the agent hangs up, if the caller has not."""
    decline: float = 0.0
    """Probability of declining instead of answering."""
    decline_status: int = 603
    ignore: float = 0.0
    """Probability of letting it ring."""
    hold_after_s: float | None = None
    """From the answer, once a call; None: never."""
    hold_s: float = 1.0
    silence_s: float = 5.0
    """Hang up after so long without any RTP (while not on hold)."""
    transfer: float = 0.0
    """Probability of asking, half-way through a call, that it goes to `transfer_to` (REFER)."""
    transfer_to: str = ""
    """A SIP URI."""


class CallerPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call that somebody places."""

    id: str
    carrier: str
    """`host:port` that the INVITE is sent to."""
    did: str
    number: str = "anonymous"
    at_s: float = 0.0
    """From the moment that this plan was read, or from `start_mono_s`."""
    sip_call_id: str = ""
    """Made up when empty."""
    headers: dict[str, str] = {}
    late_offer: bool = False
    """Send INVITE without a session description."""
    give_up_s: float | None = None
    """Hang up this long after the INVITE if it has not been answered (CANCEL)."""
    answer_timeout_s: float = 32.0
    """The SIP transaction's own patience (timer B)."""
    patience_s: float = 30.0
    """From the answer until the caller leaves without an agent: in the greeting or in the queue."""
    digits: Annotated[str, whole(r"[0-9*#A-D]{0,32}")] = ""
    """Keyed once the call is answered, as telephone-events (RFC 4733)."""
    has_events: bool = True
    """False: the telephone has none, and keys tones in its audio."""
    digits_after_s: float = 0.5
    """From the answer until the first one."""
    talk_s: float = 5.0
    """From the agent's first sound until the caller hangs up; a large value leaves it to the
    agent."""
    hold_after_s: float | None = None
    """From the agent's first sound; None: never."""
    hold_s: float = 1.0
    silence_s: float = 10.0
    """Hang up after so long without any RTP."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything."""

    host: str = ""
    """Local address; the command line's wins."""
    seed: int = 0
    start_mono_s: float | None = None
    """What `at_s` counts from, on the machine's monotonic clock; None: from reading."""
    agents: tuple[AgentPlan, ...] = ()
    callers: tuple[CallerPlan, ...] = ()


_decoder = msgspec.json.Decoder(Plan)


def read(text: bytes) -> Plan:
    """Read one object; `ConfigError` names the key that is wrong."""
    try:
        plan = _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"phones: {error}") from error
    for agent in plan.agents:
        if agent.transfer and not agent.transfer_to:
            raise ConfigError(f"phones: {agent.id} transfers, but nowhere: say `transfer_to`")
        for registrar in filter(None, (agent.registrar, *agent.backups)):
            address(registrar)
    for caller in plan.callers:
        address(caller.carrier)
    return plan


def read_file(path: Path) -> Plan:
    """Read a file; `ConfigError` when it cannot be read or makes no sense."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"phones: cannot read {path}: {error.strerror}") from error
    return read(text)


def address(text: str) -> Address:
    """Read `host:port`; `ConfigError` if it is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:  # noqa: PLR2004 - ports
        raise ConfigError(f"phones: `{text}` is no host:port")
    return Address(host, int(port))
