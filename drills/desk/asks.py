"""What one may ask a lab that is up: one JSON object a line. PURE.

Owns the questions; the answers are in `answers`. Who asks and who answers are two processes of the
same checkout, so there is no version to negotiate.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from drills.fault import Fault
from edge.acd.attendance import RestChange
from state.model import AgentId, Readiness, SiteId


class _Ask(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask", forbid_unknown_fields=True):
    """Any question; its kind stands in the field `ask`."""


class StatusAsk(_Ask, frozen=True, kw_only=True, tag="status"):
    """How is everything? Answer: `Status`."""


class AgentsAsk(_Ask, frozen=True, kw_only=True, tag="agents"):
    """What is everybody doing? Answer: `Agents`."""


class WishAsk(_Ask, frozen=True, kw_only=True, tag="wish"):
    """Let these agents be ready or paused. Answer, when their homes have taken it: `Wished`."""

    agents: tuple[AgentId, ...]
    readiness: Readiness
    reason: str = ""
    by: str = ""
    """Who wants it, when it is not the agent."""


class CallsAsk(_Ask, frozen=True, kw_only=True, tag="calls"):
    """Which calls are there, and which were the last? Answer: `Calls`."""

    last: int
    is_live: bool = False
    """Only those that run: the ledger is not read, as it may have grown long."""


class ExplainAsk(_Ask, frozen=True, kw_only=True, tag="explain"):
    """Why does this call have the agent it has? Answer: `Explained`."""

    call: str = ""
    """How its id begins; empty: the newest call of which there is a decision."""


class PlaceAsk(_Ask, frozen=True, kw_only=True, tag="place"):
    """Place a test call. Answers: what the caller's phone reports, line by line."""

    did: str
    first: str = "a"
    talk_s: float = 5.0


class LoadAsk(_Ask, frozen=True, kw_only=True, tag="load"):
    """Let people come and load this lab. Answers: what the load tells, line by line."""

    request: dict[str, object]
    """`loadtests.load.plan.Request`, which is checked there."""
    json: str = ""
    """Files for the reports, and the limits to hold it to; empty: none, or the shape's own."""
    html: str = ""
    limits: str = ""


class ExportAsk(_Ask, frozen=True, kw_only=True, tag="export"):
    """Tell the recorded day. Answers: its lines, as `./everline replay` reads them."""


class AuditAsk(_Ask, frozen=True, kw_only=True, tag="audit"):
    """What is in the audit log, and by what is it checked? Answer: `Source`."""


class ReportAsk(_Ask, frozen=True, kw_only=True, tag="report"):
    """How were callers served? Answer: `Report`."""

    interval_s: float
    target_s: float
    short_s: float | None = None
    """Who left within so long is a short abandon; None: within the target."""
    since_ms: int | None = None
    """Callers who came from then on; None: from the first."""
    until_ms: int | None = None
    """And before then; None: to the last."""
    zone: str = ""
    """IANA name of the place from whose midnight intervals count; empty: that of the calendars."""
    here: str = "UTC"
    """Of who asks, where the calendars of numbers name no zone, or several."""


class WrapUpAsk(_Ask, frozen=True, kw_only=True, tag="wrap_up"):
    """End or prolong an agent's rest after a call. Answer: `WrapUp`."""

    agent: AgentId
    do: RestChange
    by_s: float = 0.0


class FaultDo(StrEnum):
    """What a drill asks of the fault agent."""

    BREAK = "break"
    HEAL = "heal"
    STANDING = "standing"


class FaultAsk(_Ask, frozen=True, kw_only=True, tag="fault"):
    """Break something for a while, mend everything, or say what is broken. Answer: `Faults`."""

    do: FaultDo
    fault: Fault | None = None
    by: str = ""


class ReadinessAsk(_Ask, frozen=True, kw_only=True, tag="readiness"):
    """What would happen if a site died now? Answer: `Readiness`."""


class StakesAsk(_Ask, frozen=True, kw_only=True, tag="stakes"):
    """What would a drill put at stake: members of etcd, numbers, the peak? Answer: `Stakes`."""


class CodeAsk(_Ask, frozen=True, kw_only=True, tag="code"):
    """Say what a call was about. Answer: `Coded`."""

    agent: AgentId
    code: str
    call: str = ""
    """How its id begins; empty: the agent's last one."""
    by: str = ""


class CallbacksAsk(_Ask, frozen=True, kw_only=True, tag="callbacks"):
    """Who is to be called back? Answer: `Callbacks`."""


class CancelCallbackAsk(_Ask, frozen=True, kw_only=True, tag="cancel_callback"):
    """Call nobody back for this lost call. Answer: `Callbacks`, those that are left."""

    call: str
    """How its id begins."""


class RecordingsAsk(_Ask, frozen=True, kw_only=True, tag="recordings"):
    """What is there of the answered calls, also of those cut off? Answer: `Recordings`."""

    call: str = ""
    """How the id begins; empty: all."""
    last: int | None = None
    """How many, the newest; None: all."""
    is_thorough: bool = False
    """Hash and open each."""


class SampleAsk(_Ask, frozen=True, kw_only=True, tag="sample"):
    """Do other sites' recordings open with each site's own keys alone? Answer: `Samples`."""

    most: int = 20


class RotateAsk(_Ask, frozen=True, kw_only=True, tag="rotate"):
    """How far is the rotation of a site's key provider? Answer: `Rotation` of custody."""

    site: SiteId
    is_to_begin: bool = False


class RoomAsk(_Ask, frozen=True, kw_only=True, tag="room"):
    """How full is etcd? Answer: `Rooms`."""

    is_to_make: bool = False
    """Compact, defragment and disarm first."""


Ask: TypeAlias = (
    StatusAsk
    | AgentsAsk
    | WishAsk
    | CallsAsk
    | ExplainAsk
    | PlaceAsk
    | LoadAsk
    | ExportAsk
    | ReportAsk
    | WrapUpAsk
    | ReadinessAsk
    | StakesAsk
    | RecordingsAsk
    | AuditAsk
    | SampleAsk
    | RotateAsk
    | CodeAsk
    | CallbacksAsk
    | CancelCallbackAsk
    | FaultAsk
    | RoomAsk
)


NOTHING = msgspec.Raw()


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an answer."""

    ok: msgspec.Raw = NOTHING
    error: str = ""
    """Why there is no answer, and the way out; empty: there is one."""
    is_end: bool = False
    """After an answer of many lines: that was all."""


asks: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)
replies = msgspec.json.Decoder(Reply)
