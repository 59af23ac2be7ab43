"""What the API takes and gives of calls that go on, and of the last ones."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant
from control_plane.api.paging import Listing
from control_plane.customers.schemas import CustomerView, Discreet
from state.model import Outcome, RecordingState

CallState = Literal["greeting", "queued", "offered", "connected", "ended"]
TransferState = Literal["none", "trying", "ringing", "done", "failed"]


class CallPath(ApiModel):
    """Which one."""

    call: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]


class CodeChange(ApiModel):
    """What a call was about."""

    code: Id
    """One of the tenant's wrap-up codes."""


class PauseQuery(ApiModel):
    """What a recording is paused for."""

    keyed: bool = False
    """For what the caller is about to key: if their telephone keys tones in its audio, the agent
    hears silence in the caller's place until the recording goes on."""


class RecordingPauseView(ApiModel):
    """What the recorder has confirmed."""

    call: str
    state: RecordingState
    """`unrecorded`: there is no recording of this call, and nothing that could be paused."""
    hears_keys: bool
    """Whether the agent hears what the caller keys, as their telephone keys tones in its audio: a
    form into which the caller is to key digits stays shut then, though the recording has none."""
    hears_caller: bool
    """False: the pause keeps the caller from the agent, as one that is `keyed` does with tones. The
    caller hears the agent all the same."""


class TransferBegin(ApiModel):
    """Where a caller is to go."""

    to: Id
    """An agent's id, a queue's, or a number that leads to one."""


class TransferView(ApiModel):
    """How a transfer gets on."""

    call: str
    state: TransferState
    """`none`: nobody has asked here. `failed`: the caller is, or comes, back to the agent who has
    passed them on."""
    status: int
    """SIP's word for it."""
    reason: str = ""


class CallListing(Listing):
    """Which calls; those that came last first."""

    is_live: bool | None = None
    """Only those that run, or only those that are over."""
    state: CallState | None = None
    queue: Id | None = None
    agent: Id | None = None
    site: Id | None = None
    did: Id | None = None
    outcome: Outcome | None = None
    code: Id | None = None
    """What they were about: a wrap-up code."""
    callback_of: Id | None = None
    """Those that called back who was cut off, or sent away, in that call."""
    since: Instant | None = None
    """That came then or later."""
    until: Instant | None = None
    """That came before."""


class CallerView(Discreet):
    """Who calls."""

    number: str
    is_masked: bool


class CallView(Discreet):
    """One call, running or over."""

    id: str
    tenant: str
    did: str
    queue: str
    site: str
    edge: str
    state: CallState
    arrived: Instant
    queued: Instant | None
    connected: Instant | None
    ended: Instant | None
    waited_s: float
    """Until an agent answered, or until it ended without; of one that waits, up to now."""
    talked_s: float | None
    """All agents together, holds included; what was waited between two talks is none."""
    wrap_up_s: float | None
    """All agents together: as long as it was to be, or as they ended it or had it prolonged. Null:
    the call is not over, nobody talked, or an older program wrote its record."""
    agent: str | None
    agent_site: str | None
    tried: tuple[str, ...]
    """Agents who declined it, or let it ring."""
    outcome: Outcome | None
    cause: str
    callback_of: str | None
    """The call that was lost or sent away, if this one calls them back."""
    code: str | None
    """What it was about, as its agent says afterwards: a wrap-up code."""
    position: int | None
    """Among those who compete for the same agents."""
    estimate_s: float | None
    caller: CallerView | None
    """Null: not known, or not for these eyes."""


class CandidateView(ApiModel):
    """One agent, as a call sees them."""

    agent: str
    site: str | None
    rank: int | None
    """1 is the best; null: excluded."""
    score: float | None
    parts: dict[str, float]
    excluded: str | None
    """Why not."""
    given_to: str | None
    """The call before this one that gets them."""


class PassedOverView(ApiModel):
    """Callers who stood before a call and got nobody: their edge did nothing for them."""

    edge: str | None
    """Null: a record does not tell."""
    callers: int | None
    """How many, also of those not shown; null: a record does not tell."""
    calls: tuple[str, ...]
    """Those whom this subject may see, at most 50."""


class ExplanationView(ApiModel):
    """Why a call has the agent it has, or none."""

    call: str
    source: Literal["present", "log", "record"]
    """`present`: as it would be decided now; `log`: as things stood then, from an edge's event log;
    `record`: no more than the call's record keeps."""
    revision: int | None
    decided: Instant | None
    winner: str | None
    step: int
    """How many of the queue's steps had softened its needs."""
    needs: dict[str, int]
    place: int | None
    """In the line of all who wait; to a tenant, of its own callers who do."""
    not_served_because: str | None
    passed_over: tuple[PassedOverView, ...]
    """By edge; each had been silent while agents were there for its callers, or dead."""
    heir_of: str | None
    """The earlier call of the same number, whose edge was silent or dead, at whose place this one
    stood; null: it stood at its own, or that call is not for these eyes."""
    candidates: tuple[CandidateView, ...]
    """Those whom this subject may see, the best first, then the excluded."""
    excluded: dict[str, int]
    """Why -> how many agents of the tenant, also of those not shown; the center's own is told of
    everybody's. Empty to a tenant where only a record tells: it does not say whose they were."""
    tried: tuple[str, ...]
    differs: tuple[str, ...]
    """In what the log, played again, does not come to what was decided."""


class PopView(Discreet):
    """The call that an agent has, or still wraps up, and who may be calling."""

    call: str | None
    """Null: none."""
    queue: str | None
    did: str | None
    connected: Instant | None
    is_wrap_up: bool
    caller: CallerView | None
    customers: tuple[CustomerView, ...] | None
    """Null: customers cannot be reached."""
