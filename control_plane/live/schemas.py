"""What the API takes and gives of what goes on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Line
from control_plane.api.paging import Listing
from control_plane.customers.schemas import CustomerView, Discreet
from edge.acd.attendance import RestChange
from state.model import Outcome, RecordingState

Missing = Literal["", "home_site_dead", "no_telephone", "not_taken_yet", "not_configured"]
CallState = Literal["greeting", "queued", "offered", "connected", "ended"]


class CallPath(ApiModel):
    """Which one."""

    call: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]


class AgentPath(ApiModel):
    """Which one."""

    agent: Id


class StateChange(ApiModel):
    """What an agent is to be."""

    state: Literal["ready", "paused", "signed_out"]
    """Signed out: the telephone stays registered, and no call comes."""
    reason: Line = ""
    """Why they pause: where the tenant has pause codes, one of these."""


class WrapUpChange(ApiModel):
    """What is to become of a rest."""

    do: RestChange
    by_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """By how much it is prolonged; in all an hour at most."""


class CodeChange(ApiModel):
    """What a call was about."""

    code: Id
    """One of the tenant's wrap-up codes."""


class QueuePath(ApiModel):
    """Which one."""

    queue: Id


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


TransferState = Literal["none", "trying", "ringing", "done", "failed"]


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


class AgentLiveView(ApiModel):
    """What an agent is doing."""

    id: str
    tenant: str
    name: str
    site: str
    team: str
    employer: str
    state: str
    since: Instant | None
    reason: str
    by: str
    """Who asked for it, when it was not the agent."""
    call: str | None
    channels: dict[str, int]
    calls: int
    rest_left_s: float
    may: tuple[Literal["set_state"], ...] = ()
    """What whoever asks may do with them; not told by the stream."""


class StateView(ApiModel):
    """What became of it."""

    agent: AgentLiveView | None
    missing: Missing
    """What keeps it from counting; it does as soon as that is no longer so. Empty: it counts."""


class AgentListing(Listing):
    """Which agents; by id."""

    state: Annotated[str, Field(max_length=20)] | None = None
    site: Id | None = None
    team: Annotated[str, Field(max_length=64)] | None = None


class ServiceQuery(ApiModel):
    """Over which time, and against which target."""

    interval_s: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """Over so long, up to now."""
    target_s: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Within so long a call should be answered."""
    short_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """Who left within so long is a short abandon, whatever the target; null: within the target."""


class EstimatesView(ApiModel):
    """How wrong the waits were that had been estimated for callers as they came."""

    count: int
    """Answered calls that had an estimate: all of a queue with a limit of estimated waits, of
    others a sample (one of an edge's in five seconds, or more seldom where many work and wait)."""
    bias_s: float
    """Mean of estimate - wait: above 0, callers were told too much."""
    mean_error_s: float
    median_error_s: float
    within_share: float
    """Of these, right to 30 % of the wait, or to a second."""


class ServiceView(ApiModel):
    """How callers were served who came in the interval; null: nothing to count.

    Those with whom an agent talks are among them; only their handling is not known yet.
    """

    interval_s: int
    """Over how long, up to now: less than was asked for where more calls came than are looked at
    (20,000, of all queues that are listed)."""
    target_s: float
    short_s: float | None
    calls: int
    answered: int
    abandoned: int
    short_abandoned: int
    """Of the abandoned, those who left within `short_s`."""
    turned_away: int
    lost: int
    service_level: dict[str, float | None]
    """Each form by its name; the glossary and `edge/acd/service_level.py` say how each is made."""
    asa_s: float | None
    wait_p50_s: float | None
    wait_p95_s: float | None
    abandon_rate: float | None
    aht_s: float | None
    """Talk and wrap-up, as long as they really were; `edge/acd/handling.py` has the formula."""
    occupancy: float | None
    """Handling / (handling + idle), of the agents in these calls; see there."""
    estimates: EstimatesView | None


class WorkQuery(ApiModel):
    """Over which time."""

    interval_s: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """Of the calls that came in so long, up to now, and are over."""
    queue: Id | None = None
    """Only of calls of that queue."""


class AgentWorkView(ApiModel):
    """What an agent did in calls; each by its name in `edge/acd/handling.py`."""

    agent: str
    calls: int
    """In which they talked."""
    talk_s: float
    holds: int
    held_s: float
    wrap_up_s: float
    """As long as it really was."""
    idle_s: float
    """For which they were free before these calls, as far as records tell."""
    aht_s: float | None
    occupancy: float | None
    """Null: no record tells how long they had been free."""


class AgentsWork(ApiModel):
    """All agents who talked in calls that came in the interval."""

    interval_s: int
    """Less than was asked for where more calls came than are looked at (20,000)."""
    items: tuple[AgentWorkView, ...]


class QueueLiveView(ApiModel):
    """How a queue stands."""

    id: str
    tenant: str
    employer: str
    waiting: int
    longest_s: float | None
    ringing: int
    talking: int
    free: int
    """Agents who could take a call of it now."""
    estimate_s: float | None
    """How long somebody who came now would probably wait; null: nothing tells."""
    callbacks: int
    """Callers who are to be called back, and are not in the line yet."""
    callbacks_not_cleared: int
    """Of these, those who wait until somebody has looked whether they may be called."""
    service: ServiceView | None
    """Null: the database cannot be reached."""


class EdgeView(ApiModel):
    """One edge."""

    edge: str
    state: str
    since: Instant
    applied: int
    """The version of the configuration by which it goes."""


class SiteLiveView(ApiModel):
    """How a site stands."""

    id: str
    name: str
    is_draining: bool
    shares: dict[str, int]
    has_quorum: bool | None
    """Null: this control plane has no news of the shared state itself."""
    alone_since: Instant | None
    """Since when its edges serve without a quorum; told at the site itself."""
    alone_because: Literal["no_quorum", "store_full"] | None
    """Why they do; `store_full`: etcd's space is used up. Told at the site itself."""
    edges: tuple[EdgeView, ...]
    out_of_reach_of: tuple[str, ...]
    """Edges elsewhere that do not reach it."""
    calls: int
    """Of this tenant, held there."""
    may: tuple[Literal["drain"], ...] = ()
    """What whoever asks may do with it; not told by the stream."""


class LiveQueues(ApiModel):
    """All queues."""

    as_of: Instant
    revision: int
    is_current: bool
    """False: the shared state has not been heard of for some seconds."""
    items: tuple[QueueLiveView, ...]


class LiveSites(ApiModel):
    """All sites."""

    as_of: Instant
    revision: int
    is_current: bool
    items: tuple[SiteLiveView, ...]


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
