"""Everything that was seen in one run of a drill, as a value. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from drills.agent_lines import AgentLines
from drills.course import Course
from drills.demo.figures import Stock
from drills.demo.hearing import Recorded
from drills.demo.history import TicketSeen
from drills.demo.ledger import Ledger
from drills.demo.reports import AgentReport, OfferEvent
from drills.demo.said import Words
from drills.demo.scenario import Scenario
from drills.demo.waiting import OutOfReach, Waiting
from drills.evidence import ClockBound
from drills.packets import Dialled, Wire
from state.model import AgentId, CallId, CallRecord, EdgeId, SiteId, Unreplicated


class Redialled(Struct, frozen=True, kw_only=True):
    """A caller who was cut off and came again: they dialled, or their carrier sent them in."""

    lost_sip_call_id: str
    sip_call_id: str
    call: CallId
    joined_ms: int | None
    """When they heard an agent."""
    had_talked: bool = False
    """They had heard an agent before they were cut off."""
    by_carrier: bool = False
    """Their carrier sent them in again, and nobody dialled."""


class CalledBack(Struct, frozen=True, kw_only=True):
    """A call that came to a caller's own telephone. Times: wall-clock milliseconds."""

    number: str
    sip_call_id: str
    came_ms: int
    answered_ms: int | None
    joined_ms: int | None
    """When they heard an agent."""
    ended_ms: int | None


class CallingBack(Struct, frozen=True, kw_only=True):
    """What there is of a drill whose queues call back who was cut off."""

    calls: tuple[CalledBack, ...] = ()
    """By the callers' telephones."""
    records: tuple[CallRecord, ...] = ()
    """By the edges: of calls with which somebody was called back."""


_NO_CALLS: Final = Ledger(rows=(), unclaimed_records=(), unclaimed_answers=())


class Again(Struct, frozen=True, kw_only=True):
    """The books of those who came again, or were called back: they are no calls of the plan."""

    dialled: Ledger = _NO_CALLS
    """Of those who came again."""
    called: Ledger = _NO_CALLS
    """Of those who were called back: a row for each call that came to a telephone."""
    wire_dialled: tuple[Dialled, ...] = ()
    wire_called: tuple[Dialled, ...] = ()
    """The same calls by the capture."""


class Note(Struct, frozen=True, kw_only=True):
    """How the members of the database stood at a moment, in words."""

    at_ms: int
    what: str


class Written(Struct, frozen=True, kw_only=True):
    """What became of writes through the API while the drill went on."""

    acknowledged_ms: tuple[int, ...]
    """When each was acknowledged."""
    unanswered: int
    """Writes that failed, or whose answer never came."""
    missing: tuple[str, ...]
    """Acknowledged ones that were not there at the end."""
    whole_ms: int | None
    """Since when the database's members are one; None: they are not."""
    most_lag_bytes: int
    """How far a replica was behind at most."""
    until_ms: int | None = None
    """When nobody tried to write any more; None: nobody has noted it."""
    notes: tuple[Note, ...] = ()


class Crossing(Struct, frozen=True, kw_only=True):
    """A packet that was sent over a broken link, to see what becomes of it."""

    source: str
    target: str
    sent_ms: float
    took_ms: float | None
    """Until it arrived; None: it never did."""


class Opening(Struct, frozen=True, kw_only=True):
    """Somebody who had no key in memory wanted to open a recording."""

    site: str
    at_ms: int
    is_open: bool


class Synced(Struct, frozen=True, kw_only=True):
    """How often a member of etcd had had its log written to disk, and how long that took in all."""

    site: str
    at_ms: int
    times: int
    took_s: float


class Felt(Struct, frozen=True, kw_only=True):
    """What was noticed of the faults themselves, by whoever tried what they break."""

    crossings: tuple[Crossing, ...] = ()
    openings: tuple[Opening, ...] = ()
    synced: tuple[Synced, ...] = ()


class Seen(Struct, frozen=True, kw_only=True):
    """Everything that was seen in one run."""

    scenario: Scenario
    ledger: Ledger
    """Of the calls of the plan."""
    agents: tuple[AgentReport, ...]
    """Of all calls, also of those that are none of the plan's."""
    offers: tuple[OfferEvent, ...]
    course: Course
    wire: Wire
    dropped: int | None
    """Packets that the capture lost; None: it never told its end, and `wire` has nothing."""
    lines: AgentLines | None = AgentLines()
    """What was captured at the agents' links; None: that capture never told its end."""
    addresses: Mapping[SiteId, str] = {}
    """Of the sites, as the captures have them."""
    stocks: tuple[Stock, ...]
    silent: tuple[EdgeId, ...]
    """Edges that did not say what is left there."""
    edges: Mapping[EdgeId, SiteId]
    writes_ms: tuple[int, ...] = ()
    """When the shared state changed, as a watch saw it."""
    sign_ins: tuple[tuple[int, str, bool], ...] = ()
    """When which agent's telephone said that it is registered, or no longer."""
    moved_ms: Mapping[AgentId, int] = {}
    """When agents of a site that was gone were first there by the word of another one."""
    merged_ms: tuple[int, ...] = ()
    """When edges had merged what they did without a quorum."""
    taken_over: tuple[tuple[EdgeId, int], ...] = ()
    """Which edges went on with the calls of a life before, and when."""
    alone_still: tuple[EdgeId, ...] = ()
    """Edges that went on without one and have not said that they have merged it."""
    clocks_meanwhile: tuple[ClockBound, ...] = ()
    """How clocks differed a moment after the first fault, where that was to set one wrong."""
    aborted_ms: int | None = None
    """When an operator aborted it, where it is about that."""
    said: Mapping[str, int] = {}
    """What sites wrote down themselves since the first fault: how often each event."""
    redialled: tuple[Redialled, ...] = ()
    calling_back: CallingBack | None = None
    """None: nobody is called back there."""
    again: Again | None = None
    """None: nobody comes again there, nor is called back."""
    tickets: tuple[TicketSeen, ...] = ()
    waiting: Waiting = Waiting()
    """Who waited, and who was free, by the shared state's history."""
    words: Words = Words()
    """What that said of each agent, and which edges it took for alive."""
    out_of_reach: tuple[OutOfReach, ...] = ()
    """Which sites each edge did not reach by its own log, whoever else could be told."""
    short_calls: tuple[Dialled, ...] = ()
    """Test calls beside those of the plan, by the capture: they are in no ledger."""
    short_records: tuple[CallRecord, ...] = ()
    """By the edges: of these."""
    written: Written | None = None
    """What became of writes through the API; None: nobody wrote."""
    recorded: tuple[Recorded, ...] | None = None
    """What became of the recordings of all answered calls; None: nobody listened."""
    recorded_lost: tuple[Recorded, ...] = ()
    """What there is of calls that were cut off while people talked."""
    alone: tuple[Unreplicated, ...] = ()
    """What, at the first fault, each site said it had recorded and no other site had."""
    felt: Felt = Felt()
    """What was noticed of the faults themselves."""
