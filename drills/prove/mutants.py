"""The bugs that are planted to see whether the checker finds them.

Those of the edge are planted by `tests/prove/planted.py`, which starts an edge with one function of
it replaced (`bugs*.py` beside it have them); those of the gate are `mutants_of_gates`. Neither
leaves a switch in the product.
"""

from __future__ import annotations

from drills.prove.faults import EDGES, LONG_DEATH_S, loss
from drills.prove.habits import IN_A_HURRY
from drills.prove.history import FaultKind
from drills.prove.mutant import Mutant, by, fault
from drills.prove.mutants_of_gates import OF_GATES
from drills.prove.violations import Law

_F = FaultKind

LONG_DEATH = (fault(2.0, _F.KILL_EDGE, "a1", LONG_DEATH_S),)
OUTLIVED = (fault(1.0, _F.FREEZE_EDGE, "a1", 12.0), fault(1.5, _F.FREEZE_EDGE, "b1", 12.0))
"""Two edges sleep until a third has closed their calls, and wake up."""
UNHEARD = (
    fault(0.5, _F.KILL_EDGE, "a1", 14.0),
    *(fault(at, _F.CUT_ONE_WAY, "b>a", 0.8) for at in (3.0, 6.0, 9.0, 12.0)),
    *(fault(at, _F.CUT_ONE_WAY, "c>a", 0.8) for at in (4.5, 7.5, 10.5, 13.5)),
)
"""Edges take calls, and their answers do not arrive: the call is given to the next one too."""

SHORT_DEATHS = tuple(
    fault(4.0 + 5.0 * turn, _F.KILL_EDGE, edge, 0.3) for turn, edge in enumerate(("a1", "b1", "c1"))
)
"""Each edge is killed and soon back, with nothing else broken at its site."""

DEATHS = tuple(
    fault(1.5 + 7.5 * turn, _F.KILL_EDGE, edge, 6.0) for turn, edge in enumerate(("a1", "b1", "c1"))
)
"""Each edge is killed for long enough that who waits there dials again elsewhere."""

DEATHS_IN_RUSHES = (
    fault(4.0, _F.KILL_EDGE, "a1", 9.0),
    fault(13.5, _F.KILL_EDGE, "b1", 9.0),
)
"""Edges are killed when many wait there, for longer than a lease: their calls stand for 8 s."""

LOSSES = tuple(loss(edge, 1.0) for edge in EDGES)

CUT_OFF = (fault(1.0, _F.CUT_OFF, "a", 14.0),)

OF_EDGES = (
    Mutant(
        name="offer_not_compared",
        line="reserves without comparing that no offer stands",
        laws=by(Law.TWO_OFFERS),
        kinds=(_F.LATE_EVENTS,),
    ),
    Mutant(
        name="presence_not_compared",
        line="reserves without comparing the presence",
        laws=by(Law.NOT_READY),
        kinds=(_F.LATE_EVENTS,),
    ),
    Mutant(
        name="arrival_not_compared",
        line="creates a ticket over another edge's",
        laws=by(Law.TWO_HOLDERS, Law.RISEN),
        plan=UNHEARD,
    ),
    Mutant(
        name="record_not_compared",
        line="writes a call's record over another's",
        laws=by(Law.TWO_RECORDS, Law.RISEN),
        plan=OUTLIVED,
    ),
    Mutant(name="last_come_first", line="serves the youngest call first", laws=by(Law.OVERTAKEN)),
    Mutant(
        name="priority_ignored",
        line="serves who came first, whatever their queue's priority",
        laws=by(Law.OVERTAKEN),
    ),
    Mutant(
        name="aging_ignored",
        line="lets waiting raise nobody",
        laws=by(Law.OVERTAKEN),
    ),
    Mutant(
        name="raise_ignored",
        line="takes a step that raises a call for one that does not",
        laws=by(Law.OVERTAKEN),
    ),
    Mutant(
        name="overflow_ignored",
        line="hands nobody who overflows to the other queue's agents",
        laws=by(Law.UNSKILLED, Law.OVERTAKEN, Law.FORGOTTEN),
    ),
    Mutant(
        name="place_lost_by_overflow",
        line="puts who overflows behind all others",
        laws=by(Law.OVERTAKEN),
    ),
    Mutant(
        name="level_ignored",
        line="gives whoever has a skill, at whatever level",
        laws=by(Law.UNSKILLED),
    ),
    Mutant(
        name="attributes_ignored",
        line="gives whoever has the skills, whatever language they speak",
        laws=by(Law.UNSKILLED),
    ),
    Mutant(
        name="group_ignored",
        line="asks for none of a group of skills, instead of one",
        laws=by(Law.UNSKILLED),
    ),
    Mutant(
        name="scope_ignored",
        line="gives agents of sites, teams and employers to which a queue does not turn",
        laws=by(Law.UNSKILLED),
    ),
    Mutant(
        name="scope_never_widened",
        line="turns for ever to those to whom a queue turns at first",
        laws=by(Law.OVERTAKEN, Law.FORGOTTEN),
    ),
    Mutant(
        name="tenant_ignored",
        line="takes every caller for the main tenant's",
        laws=by(Law.OTHER_TENANT),
    ),
    Mutant(
        name="tenant_ignored_by_overflow",
        line="lets callers overflow to another tenant's queue",
        laws=by(Law.OTHER_TENANT),
    ),
    Mutant(
        name="tenant_ignored_by_transfers",
        line="lets callers be passed on to another tenant's agents and queues",
        laws=by(Law.OTHER_TENANT),
    ),
    Mutant(
        name="drop_ignored",
        line="asks for ever for a skill that a step gives up",
        laws=by(Law.OVERTAKEN, Law.FORGOTTEN),
    ),
    Mutant(
        name="capacity_ignored",
        line="gives calls to agents who take none",
        laws=by(Law.NO_CALLS),
    ),
    Mutant(
        name="capacity_ignored_by_transfers",
        line="lets callers be passed on to agents who take no calls",
        laws=by(Law.NO_CALLS),
    ),
    Mutant(
        name="steps_too_soon",
        line="asks for less before a caller has waited for it",
        laws=by(Law.UNSKILLED),
    ),
    Mutant(
        name="offer_kept_at_end", line="ends a call and keeps its agent", laws=by(Law.OFFER_LEFT)
    ),
    Mutant(
        name="offer_kept_at_refusal",
        line="puts a caller back and keeps the agent",
        laws=by(Law.OFFER_LEFT),
    ),
    Mutant(name="record_left_out", line="ends a call without a record", laws=by(Law.NO_RECORD)),
    Mutant(
        name="token_of_snapshot",
        line="puts the snapshot's revision into the token",
        laws=by(Law.FALSE_TOKEN, Law.STALE_TOKEN),
    ),
    Mutant(
        name="life_without_lease",
        line="lives for ever in the store",
        laws=by(Law.NOT_FREED),
        plan=LONG_DEATH,
    ),
    Mutant(
        name="dead_left_alone",
        line="closes no dead edge's calls",
        laws=by(Law.NOT_FREED),
        plan=LONG_DEATH,
    ),
    Mutant(
        name="living_passed_over",
        line="passes over the callers of edges that live",
        laws=by(Law.PASSED_OVER),
        kinds=(_F.WRONG_CLOCK,),
    ),
    Mutant(
        name="newest_place",
        line="gives who dials again the newest place instead of the old one",
        laws=by(Law.PLACE_LOST, Law.OVERTAKEN),
        plan=DEATHS,
    ),
    Mutant(
        name="wait_not_inherited",
        line="lets who dials again begin to wait anew at the old place",
        laws=by(Law.PLACE_LOST),
        plan=LONG_DEATH,
    ),
    Mutant(
        name="place_had_twice",
        line="lets a place be had by everybody who dials again, and not once",
        laws=by(Law.PLACE_TWICE),
        plan=DEATHS_IN_RUSHES,
        habits=IN_A_HURRY,
    ),
    Mutant(
        name="callers_not_known_again",
        line="knows nobody again who has called before",
        laws=by(Law.PLACE_LOST),
        plan=LONG_DEATH,
    ),
    Mutant(
        name="living_closed", line="takes every other edge for dead", laws=by(Law.CLOSED_OF_LIVING)
    ),
    Mutant(
        name="journal_forgotten",
        line="knows nothing of its former life's calls",
        laws=by(Law.NOT_TAKEN_UP),
        plan=SHORT_DEATHS,
    ),
    Mutant(
        name="held_back_for_good",
        line="tries no call again for which it has tried once",
        laws=by(Law.FORGOTTEN),
    ),
    Mutant(
        name="goings_unheard",
        line="takes every telephone that was there once for there",
        laws=by(Law.GONE),
        seconds=40.0,
    ),
    Mutant(
        name="check_forgotten",
        line="never compares its mirror with the store",
        laws=by(Law.NOT_HEALED),
        plan=LOSSES,
        seconds=46.0,
    ),
    Mutant(
        name="gates_left_alone",
        line="frees no gate that is held for nothing",
        laws=by(Law.STUCK),
        kinds=(_F.RESTART_PROXY,),
        every_s=0.7,
        seconds=8.0,
    ),
    Mutant(
        name="never_alone",
        line="waits for a quorum for ever",
        laws=by(Law.NOT_ALONE),
        plan=CUT_OFF,
    ),
    Mutant(
        name="merge_left_out",
        line="writes nothing of what it did alone",
        seconds=17.0,
        laws=by(Law.NO_RECORD, Law.STUCK),
        plan=CUT_OFF,
    ),
    Mutant(
        name="alone_token_of_store",
        line="makes tokens without a quorum as if the store had",
        laws=by(Law.FALSE_TOKEN),
        plan=CUT_OFF,
    ),
    Mutant(
        name="transferor_kept",
        line="lets a caller be passed on and keeps the first agent",
        laws=by(Law.OFFER_LEFT),
    ),
    Mutant(
        name="transfer_untold",
        line="rings a second agent without a word of the talk that is over",
        laws=by(Law.NOT_WAITING),
    ),
    Mutant(
        name="colleague_kept",
        line="ends a consultation and keeps the colleague",
        laws=by(Law.OFFER_LEFT),
    ),
    Mutant(
        name="consultation_outlives_call",
        line="lets a consultation go on when its call is over",
        laws=by(Law.TWO_CALLS),
    ),
)


MUTANTS = OF_EDGES + OF_GATES
