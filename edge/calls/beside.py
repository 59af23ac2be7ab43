"""The answer to a telephone of which the relay need not hear.

Such is one that makes an offer before its user has answered (RFC 3311 §5.2): what it says then
comes again with the answer. And one whose user is in no talk just now, but whose leg goes on: an
agent who has passed the caller on, until the target has answered, or who was consulted and is being
given the caller. The relay has nothing for them: they are told that nothing is sent either way
(RFC 3264 §5.1), and are asked in by re-INVITE when there is somebody to hear. To be refused would
be no less true. But whoever holds, resumes or refreshes the session (RFC 4028) takes 488 for the
end of the call, and tries again after 491 for as long as a telephone rings.
"""

from __future__ import annotations

import contextlib

from edge.calls.telephony import Telephony
from edge.media.edits import idle
from edge.media.errors import SdpError
from edge.media.facing import standing_answer
from edge.sip.errors import LocalError
from edge.sip.events import LegId, OfferReceived

_NOT_ACCEPTABLE = 488
_PENDING = 491


def answer_early(sip: Telephony, offered: OfferReceived) -> None:
    """Answer an offer that `is_early`, with what they have been offered."""
    with contextlib.suppress(LocalError):
        answer = _standing(sip.told(offered.leg), offered.sdp)
        if answer is None:
            sip.refuse_offer(offered.leg, _NOT_ACCEPTABLE)
        else:
            sip.answer_offer(offered.leg, answer)


def answer_beside(sip: Telephony, leg: LegId, offer: bytes | None) -> None:
    """Answer their `offer`; None: they ask for ours. One of no use to us may be made again."""
    with contextlib.suppress(LocalError):
        answer = _standing(sip.told(leg), offer)
        if answer is None:
            sip.refuse_offer(leg, _PENDING)
        else:
            sip.answer_offer(leg, idle(answer))


def _standing(told: bytes | None, offer: bytes | None) -> bytes | None:
    if told is None or offer is None:
        return told
    try:
        return standing_answer(told, offer)
    except SdpError:
        return None
