"""The answer to a telephone whose user is in no talk just now, but whose leg goes on.

Such are an agent who has passed the caller on, until the target has answered, and one who was
consulted and is being given the caller. The relay has nothing for them: they are told that nothing
is sent either way (RFC 3264 §5.1), and are asked in by re-INVITE when there is somebody to hear.
To be refused would be no less true. But whoever holds, resumes or refreshes the session (RFC 4028)
takes 488 for the end of the call, and tries again after 491 for as long as a telephone rings.
"""

from __future__ import annotations

import contextlib

from edge.calls.telephony import Telephony
from edge.media.edits import idle
from edge.media.errors import SdpError
from edge.media.facing import standing_answer
from edge.sip.errors import LocalError
from edge.sip.events import LegId

_PENDING = 491


def answer_beside(sip: Telephony, leg: LegId, offer: bytes | None) -> None:
    """Answer their `offer`; None: they ask for ours. One of no use to us may be made again."""
    with contextlib.suppress(LocalError):
        told = sip.told(leg)
        if told is None:
            sip.refuse_offer(leg, _PENDING)
            return
        try:
            answer = idle(told if offer is None else standing_answer(told, offer))
        except SdpError:
            sip.refuse_offer(leg, _PENDING)
            return
        sip.answer_offer(leg, answer)
