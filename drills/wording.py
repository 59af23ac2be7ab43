"""Figures in words, for a report that people read who know no code. PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from drills import endless

if TYPE_CHECKING:
    from drills.experiment import Bound


class Figure(NamedTuple):
    """What a figure is called, and its unit: `s`, `ms`, `times`, `%`, `yes`, or none: a count."""

    words: str
    unit: str = ""


_S, _MS, _SHARE, _YES = "s", "ms", "%", "yes"
FIGURES: Final[Mapping[str, Figure]] = {
    "rto_s": Figure("calls are set up again", _S),
    "rto_capture_s": Figure("calls are set up again, by the packets", _S),
    "rto_error_ms": Figure("recovery time: telephones against packets, difference", _MS),
    "media_capture_s": Figure("a new caller hears an agent, by the packets", _S),
    "media_error_ms": Figure("the same: telephones against packets, difference", _MS),
    "recording_capture_s": Figure("a new talk is recorded as a whole, by the packets", _S),
    "recording_error_ms": Figure("the same: telephones against packets, difference", _MS),
    "sign_in_capture_s": Figure("the last telephone is registered again, by the packets", _S),
    "sign_in_error_ms": Figure("the same: telephones against packets, difference", _MS),
    "data_rto_s": Figure("longest time without a write to the shared state", _S),
    "media_rto_s": Figure("a new caller hears an agent", _S),
    "recording_rto_s": Figure("a new talk is recorded as a whole", _S),
    "sign_in_rto_s": Figure("the last telephone is registered again", _S),
    "failed": Figure("calls that got no answer, 5 s after the fault and later"),
    "final_answer_s": Figure("longest wait of a caller for any answer", _S),
    "offered": Figure("calls placed"),
    "answered": Figure("calls answered"),
    "abandoned": Figure("callers who gave up"),
    "lost": Figure("calls lost"),
    "refused": Figure("calls refused"),
    "lost_elsewhere": Figure("calls lost that had nothing where it was broken"),
    "double_offers": Figure("agents with two calls, or calls with two agents"),
    "untrue_agent_s": Figure("longest time that something untrue was said of an agent", _S),
    "noticed_s": Figure("everybody has found whom they no longer reach", _S),
    "ledger_exact": Figure("the ledger of calls is exact", _YES),
    "ledger_exact_elsewhere": Figure(
        "the ledger of calls is exact, but for ends of calls that were broken", _YES
    ),
    "kept_share": Figure("connected calls that went on", _SHARE),
    "cleared_s": Figure("both people of a lost call are free", _S),
    "spared_gap_ms": Figure("longest gap in what spared callers and agents heard", _MS),
    "spared_agents_gap_ms": Figure("longest gap in what spared agents heard", _MS),
    "kept_gap_ms": Figure("longest gap in what people heard whose calls went on", _MS),
    "setup_delay_ms": Figure("calls are answered later than before by", _MS),
    "reconciled_s": Figure("sites have merged what they did alone", _S),
    "redialled": Figure("cut off while waiting, and came again"),
    "sent_again": Figure("of these, sent in again by their carrier"),
    "places_regained": Figure("cut off while waiting, came again, got their place back", _SHARE),
    "ranks_lost": Figure("callers behind such a place who were served first, at most"),
    "called_back": Figure("cut off while waiting, called back, and given an agent"),
    "called_back_share": Figure("of those cut off while waiting, these", _SHARE),
    "called_back_twice": Figure("called while they are, or again when they have been served"),
    "called_back_in_order": Figure("pairs who were called in the order of their places", _SHARE),
    "same_agent_share": Figure("cut off in talk: the same agent first, who could be had", _SHARE),
    "talks_called_back": Figure("cut off in talk, called back, and given an agent"),
    "talks_redialled": Figure("cut off in talk, dialled again, and given an agent"),
    "offer_wait_s": Figure("longest wait of an answered caller until an agent was given", _S),
    "offer_delay_s": Figure("longest wait of a caller while an agent was free for them", _S),
    "agents_back_s": Figure("95 of 100 agents of the dead site can be rung elsewhere", _S),
    "drained_s": Figure("last new call at the site with bad lines", _S),
    "flood_times": Figure("calls came so many times as fast as before", "times"),
    "flood_s": Figure("for so long", _S),
    "flood_answered_share": Figure("of the callers of that time, answered by an agent", _SHARE),
    "usual_again_s": Figure("an agent is given as soon as before, after the flood", _S),
    "calls_met": Figure("calls that had something where it was broken, while it was"),
    "link_lost_share": Figure("of what was sent over the broken link, lost", _SHARE),
    "link_delay_ms": Figure("median time over the broken link", _MS),
    "link_outages": Figure("times that the broken link was gone and came back"),
    "openings_refused": Figure("recordings that did not open while the keys were gone"),
    "opened_meanwhile": Figure("recordings that opened all the same"),
    "recorded_meanwhile": Figure("talks begun meanwhile, and recorded as a whole"),
    "sync_ms": Figure("mean time that etcd's disk took to write, by etcd itself", _MS),
    "served_there": Figure("calls served where nobody should have come in meanwhile"),
    "served_elsewhere": Figure("calls meant for that site, and served elsewhere"),
    "served_again": Figure("calls of the site that was gone, served by itself again"),
    "served_by_next_life": Figure("calls answered by the killed edge's next life, meanwhile"),
    "takeover_s": Figure("the killed edge's next life goes on with its calls", _S),
    "recordings_due": Figure("answered calls, of which there should be a recording"),
    "recordings_lost": Figure("recordings that are missing or not whole"),
    "recording_lost_s": Figure("talk of answered calls of which there is no recording", _S),
    "cut_off_talk_s": Figure("talk of calls that were cut off, until nobody was heard", _S),
    "cut_off_unrecorded_s": Figure("talk of calls that were cut off and is not recorded", _S),
    "writes": Figure("writes to the database that were acknowledged"),
    "writes_after": Figure("of these, after the first fault"),
    "writes_unanswered": Figure("writes that failed, or whose answer never came"),
    "writes_lost": Figure("acknowledged writes that are gone"),
    "write_gap_s": Figure("longest time without an acknowledged write", _S),
    "database_whole_s": Figure("the database's members are one again, after the mending", _S),
    "replica_lag_bytes": Figure("bytes that a replica of the database was behind at most"),
    "clock_off_s": Figure("a clock was wrong by", _S),
    "stores_away": Figure("times that a recorder missed its store"),
    "members_away": Figure("times that a member of etcd was missed"),
    "ttl_overrun_s": Figure("a fault outlived its time by", _S),
    "back_s": Figure("the steady state is back, after all was mended", _S),
    "abort_back_s": Figure("the steady state is back, after the abort", _S),
    "setup_before_ms": Figure("median time from INVITE to 200 before the first fault", _MS),
    "setup_after_ms": Figure("median time from INVITE to 200 after it", _MS),
    "setup_max_ms": Figure("longest time from INVITE to 200 after it", _MS),
    "short_calls_before": Figure("short test calls answered before the first fault"),
    "short_calls_during": Figure("short test calls answered while it was broken"),
    "short_calls_failed": Figure("short test calls that were not answered"),
    "setup_p99_before_ms": Figure("99 of 100 short calls are answered within, before", _MS),
    "setup_p99_during_ms": Figure("99 of 100 short calls are answered within, meanwhile", _MS),
    "setup_p99_ratio": Figure("the same, meanwhile over before", "times"),
    "leaderless_calls": Figure("short test calls that came while nothing could be written"),
    "leaderless_delay_ms": Figure("the longest of these is answered later than usual by", _MS),
    "talking": Figure("calls that were connected at the first fault"),
    "talking_touched": Figure("of these, those that had something where it was broken"),
    "talking_kept": Figure("of these, those that went on"),
    "redial_answered": Figure("cut off while waiting, came again, and given an agent"),
    "redial_answered_share": Figure("of all who came again, given an agent", _SHARE),
    "again_offered": Figure("calls of who came again, or was called back"),
    "again_answered": Figure("of these, answered"),
    "again_abandoned": Figure("of these, given up by the caller"),
    "again_refused": Figure("of these, refused"),
    "again_lost": Figure("of these, lost"),
    "again_unreached": Figure("of these, callers who were called back and not reached"),
    "again_mismatches": Figure("of these, calls of which people and edges tell two stories"),
    "again_wire_differs": Figure("of these, calls of which the packets tell otherwise"),
    "again_exact": Figure("the ledger of who came again, or was called back, is exact", _YES),
    "sipp_calls": Figure("calls placed by SIPp"),
    "captured_calls": Figure("calls seen in the packets at the callers' link"),
    "capture_dropped": Figure("packets that the capture lost"),
    "wire_differs": Figure("calls of which the packets tell otherwise"),
    "mismatches": Figure("calls of which people and edges tell two stories"),
    "not_placed": Figure("planned calls that nobody placed"),
    "to_call_back": Figure("callers sent away, to be called back"),
    "still_on": Figure("calls still on when the drill was over"),
    "unaccounted": Figure("calls that were on, of which nothing is recorded"),
    "records_differ": Figure("calls of which two records tell two stories"),
    "ledger_sums": Figure("the sites' ledger of calls adds up", _YES),
    "test_calls": Figure("test calls placed"),
    "left_behind": Figure("calls, legs, tickets or media left behind"),
}


def called(figure: str) -> str:
    """Return a figure's name in words."""
    found = FIGURES.get(figure)
    return figure if found is None else found.words


def told(figure: str, value: float | None) -> str:
    """Return a value in its unit, as exact as anybody needs."""
    if value is None:
        return "not measured"
    if value == math.inf:
        return endless.WORDS
    unit = FIGURES.get(figure, Figure("")).unit
    match unit:
        case "yes":
            return "yes" if value >= 1.0 else "no"
        case "%":
            return f"{value * 100:.4g} %"
        case "s" | "ms" | "times":
            return f"{_rounded(value)} {unit}"
        case _:
            return _rounded(value)


def limit(bound: Bound) -> str:
    """Return between what a figure has to be."""
    if FIGURES.get(bound.figure, Figure("")).unit == _YES:
        return "yes"
    least = None if bound.at_least is None else f"at least {told(bound.figure, bound.at_least)}"
    most = None if bound.at_most is None else f"at most {told(bound.figure, bound.at_most)}"
    if bound.at_most == 0 and bound.at_least is None:
        return "none"
    return ", ".join(each for each in (least, most) if each)


def missed(bound: Bound, value: float | None) -> str:
    """Return a value that is not within, in its unit: never rounded to what was asked for."""
    found = told(bound.figure, value)
    limits = {told(bound.figure, each) for each in (bound.at_least, bound.at_most)}
    if value is None or not math.isfinite(value) or found not in limits:
        return found
    exact, unit = float(bound.missed_by(value)), FIGURES.get(bound.figure, Figure("")).unit
    return f"{exact * 100:.10g} %" if unit == _SHARE else f"{exact:.10g} {unit}".strip()


def _rounded(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.0f}"  # noqa: PLR2004 - two places
