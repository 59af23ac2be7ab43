"""The figures of a drill, each under its name. PURE.

What each is made of: `books` (the calls), `answering` (how soon they are answered), `delays` (who
waited though somebody was free), `reach` (who found whom out of reach), `recovery` (when what was
back), `wire_recovery` (the same by the packets), `talks` (who talked when it broke), `truth` (what
the store said of agents); here, what is
left.
"""

from __future__ import annotations

from typing import Final

from drills.again import again, all_callers, all_dialled
from drills.answering import answering, final_answer, leaderless, short_answering
from drills.blast import killed_sites
from drills.books import counts, failed_after, lost_elsewhere
from drills.calling_back import calling_back
from drills.course import Course
from drills.delays import offer_delay_s
from drills.demo import routing
from drills.demo.ledger import Row
from drills.demo.reports import End
from drills.felt import felt
from drills.flood import flood
from drills.places import places
from drills.reach import noticed_s
from drills.recovery import (
    abort_back_s,
    agents_back_s,
    came_after,
    cut_off_talk,
    data_rto_s,
    drained_s,
    ledger_rto_s,
    media_rto_s,
    offer_wait_s,
    recording_lost_s,
    recording_rto_s,
    sign_in_rto_s,
    unwritten_ms,
    writes,
)
from drills.same_agent import same_agent
from drills.seen import Seen
from drills.served import served
from drills.talks import talks
from drills.truth import untrue_agent_s
from drills.wire_recovery import second_word

_MS: Final = 1000.0


def figures(seen: Seen) -> dict[str, float | None]:
    """Return every figure by its name; None: it could not be measured."""
    course = seen.course
    t0_ms = course.began_ms
    answers: dict[str, float | None] = {**counts(seen), **again(seen)}
    # Where no agent was ever rung nobody has seen that none is given two calls.
    was_rung = bool(seen.agents or seen.offers)
    answers["double_offers"] = (
        len(routing.double_offers(seen.agents, seen.offers)) if was_rung else None
    )
    answers["left_behind"] = sum(stock.left for stock in seen.stocks) + len(seen.silent)
    answers["back_s"] = course.back_s
    if seen.recorded is not None:
        whole = [each for each in seen.recorded if each.is_complete and not each.fault]
        answers["recordings_due"] = len(seen.recorded)
        answers["recordings_lost"] = len(seen.recorded) - len(whole) if seen.recorded else None
        answers["recording_lost_s"] = recording_lost_s(seen)
        answers |= cut_off_talk(seen)
    if seen.clocks_meanwhile:
        # What is certain: where a bound has right between its ends, nothing is.
        sure_ms = (max(e.least_ms, -e.most_ms, 0.0) for e in seen.clocks_meanwhile)
        answers["clock_off_s"] = max(sure_ms) / _MS
    answers |= {
        "stores_away": seen.said.get("store_away", 0),
        "members_away": seen.said.get("etcd_member_benched", 0),
    }
    if t0_ms is None:
        return answers
    dead = killed_sites(course.method)
    after = came_after(seen, t0_ms)
    answers["rto_s"] = ledger_rto_s(seen.ledger, t0_ms, after, dead)
    answers["failed"] = failed_after(all_callers(seen), t0_ms)
    answers["lost_elsewhere"] = len(lost_elsewhere(seen))
    answers["recording_rto_s"] = recording_rto_s(seen, t0_ms, after, dead)
    # Where nothing of the shared state was heard nobody knows what it said.
    answers |= {
        "untrue_agent_s": (
            untrue_agent_s(seen, t0_ms) if was_rung and (seen.offers or seen.words.agents) else None
        ),
        "noticed_s": noticed_s(seen),
    }
    answers["ttl_overrun_s"] = _overrun_s(course)
    answers["offer_wait_s"] = offer_wait_s(seen, t0_ms)
    answers["offer_delay_s"] = offer_delay_s(seen, t0_ms)
    answers["agents_back_s"] = agents_back_s(seen, t0_ms)
    answers["drained_s"] = drained_s(seen, t0_ms)
    answers["media_rto_s"] = media_rto_s(seen.ledger, t0_ms, after, dead)
    answers["data_rto_s"] = data_rto_s(seen.writes_ms, t0_ms)
    answers["sign_in_rto_s"] = sign_in_rto_s(seen.sign_ins, t0_ms)
    answers |= second_word(seen, t0_ms, after, answers)
    merged = [at_ms for at_ms in seen.merged_ms if at_ms >= t0_ms]
    healed_ms = course.healed_ms
    is_known = merged and not seen.alone_still and healed_ms is not None
    answers["reconciled_s"] = (max(merged) - (healed_ms or 0)) / _MS if is_known else None
    answers["abort_back_s"] = abort_back_s(seen)
    if seen.written is not None:
        answers |= writes(seen.written, t0_ms, healed_ms)
    answers |= (
        places(seen)
        | calling_back(seen)
        | same_agent(seen)
        | served(seen)
        | felt(seen)
        | flood(seen)
    )
    answers |= answering(seen.wire, t0_ms) | final_answer(all_dialled(seen), t0_ms)
    if seen.short_calls:
        answers |= short_answering(seen.short_calls, t0_ms, healed_ms)
        answers |= leaderless(seen.short_calls, t0_ms, unwritten_ms(seen.writes_ms, t0_ms))
    if any(_is_unanswered(row) for row in all_callers(seen).placed):
        answers["final_answer_s"] = float("inf")
    answers |= talks(seen, t0_ms)
    return answers


def _is_unanswered(row: Row) -> bool:
    """Tell whether an INVITE never got a final answer, and was not withdrawn."""
    caller = row.caller
    if caller is None or caller.ok_ms is not None:
        return False
    return caller.end in {End.SILENCE, End.UNFINISHED}


def _overrun_s(course: Course) -> float | None:
    """Return by how much a fault outlived its time; None: nobody told of the faults any more."""
    if course.method and not course.made:
        return None
    late = [
        (each.healed_ms - each.until_ms) / _MS if each.healed_ms is not None else float("inf")
        for each in course.made
    ]
    return max([0.0, *late])
