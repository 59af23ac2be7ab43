"""When what a fault took away was back, by the packets: the second word on it. PURE.

The same times as `recovery` has by telephones and recordings, from the captures alone: the fault
begins with the last packet of a site that dies, an agent is heard with the first packet of their
own voice, a telephone is registered with the registrar's answer. Data have no second word: what
members of etcd say to each other is encrypted.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from drills.blast import killed_sites
from drills.demo.ledger import Row
from drills.packets import Wire, rto_s
from drills.recovery import ANSWER_LIMIT_S, is_listened_to, sign_in_rto_s, wholly_recorded
from drills.seen import Seen
from state.model import SiteId

SILENT_S: Final = 1.0
"""Whoever plays music or passes voices on is never silent for so long while they live."""
BORNE_OUT: Final[Mapping[str, tuple[str, str]]] = {
    "rto_s": ("rto_capture_s", "rto_error_ms"),
    "media_rto_s": ("media_capture_s", "media_error_ms"),
    "recording_rto_s": ("recording_capture_s", "recording_error_ms"),
    "sign_in_rto_s": ("sign_in_capture_s", "sign_in_error_ms"),
}
"""By which name the packets tell the same, and how far they are from it."""
_NS: Final = 1_000_000_000
_NS_IN_MS: Final = 1_000_000


def second_word(
    seen: Seen, t0_ms: int, after: Collection[str], told: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return each time by the packets, and how far it is from what is `told` otherwise."""
    dead = killed_sites(seen.course.method)
    from_ns = _began_ns(seen, t0_ms, dead)
    found: dict[str, float | None] = {}
    if from_ns is not None:
        rows = [
            row
            for row in seen.ledger.placed
            if row.caller and row.caller.sip_call_id in after and is_listened_to(row, dead)
        ]
        whole = wholly_recorded(seen)
        found = {
            "rto_s": rto_s(seen.wire, from_ns, after, ANSWER_LIMIT_S, dead),
            "media_rto_s": _first_s(seen, rows, from_ns),
            "recording_rto_s": _first_s(
                seen, [row for row in rows if row.caller and row.caller.call in whole], from_ns
            ),
            "sign_in_rto_s": _sign_in_s(seen, from_ns),
        }
    answers: dict[str, float | None] = {}
    for figure, (by_packets, error) in BORNE_OUT.items():
        answers[by_packets] = found.get(figure)
        answers[error] = difference_ms(told.get(figure), found.get(figure))
    return answers


def difference_ms(one: float | None, other: float | None) -> float | None:
    """Return how far two accounts of a recovery are from each other; None: one says nothing."""
    if one is None or other is None:
        return None
    if one == other == math.inf:
        return None  # both say that there was no recovery: of none no time can be compared
    return abs(one - other) * 1000


def fell_silent_ns(sent_ns: Sequence[int], near_ns: int) -> int | None:
    """Return when somebody sent the last packet before a silence, if that was about `near_ns`.

    None: nothing was sent until then, or they have gone on.
    """
    count = bisect_right(sent_ns, near_ns + round(SILENT_S * _NS))
    if not count:
        return None
    is_over = count < len(sent_ns) and sent_ns[count] - sent_ns[count - 1] < SILENT_S * _NS
    return None if is_over else sent_ns[count - 1]


def heard_ns(wire: Wire, voices: Collection[int], sip_call_id: str) -> int | None:
    """Return when the first packet of an agent's voice came to a caller; None: none did."""
    for call in wire.calls:
        if call.sip_call_id == sip_call_id and call.audio_port is not None:
            came = wire.voices_ns.get(call.audio_port, {})
            known = [at for voice, at in came.items() if voice in voices and at >= call.invite_ns]
            return min(known, default=None)
    return None


def _began_ns(seen: Seen, t0_ms: int, dead: Iterable[SiteId]) -> int | None:
    """Return when the fault began. Of one that kills no site no packet tells: when it was made.

    A busy machine takes seconds to kill a site: until that is done it may send.
    """
    sites = tuple(dead)
    if not sites:
        return t0_ms * _NS_IN_MS
    first_done = (each.done_ms for each in seen.course.made if each.at_ms == t0_ms)
    done_ms = max((each for each in first_done if each is not None), default=t0_ms)
    heard = [seen.wire.sent_ns] if seen.lines is None else [seen.wire.sent_ns, seen.lines.sent_ns]
    silent = (
        fell_silent_ns(
            sorted(
                chain.from_iterable(each.get(seen.addresses.get(site, ""), ()) for each in heard)
            ),
            done_ms * _NS_IN_MS,
        )
        for site in sites
    )
    return min((each for each in silent if each is not None), default=None)


def _first_s(seen: Seen, rows: Iterable[Row], from_ns: int) -> float | None:
    """Return when the first of these callers heard their agent."""
    if seen.lines is None:
        return None
    voices = seen.lines.voices
    heard = (heard_ns(seen.wire, voices, row.caller.sip_call_id) for row in rows if row.caller)
    first_ns = min((each for each in heard if each is not None), default=None)
    return None if first_ns is None else (first_ns - from_ns) / _NS


def _sign_in_s(seen: Seen, from_ns: int) -> float | None:
    if seen.lines is None:
        return None
    told = [
        (each.at_ns / _NS_IN_MS, each.agent, each.is_registered) for each in seen.lines.sign_ins
    ]
    return sign_in_rto_s(told, from_ns / _NS_IN_MS)
