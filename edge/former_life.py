"""What a former life of this edge has left, and what its next life does about it first.

How its calls go on is `edge.calls.takeover`'s, and what is written of those that had ended is
`edge.duties.debts`'.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import structlog

from edge.calls.journal import Journal, Left
from edge.calls.telephony import Telephony
from edge.media.errors import MediaError
from edge.media.relay import Relay
from state.model import CallId

log = structlog.get_logger()


def read(journal: Journal, telephony: Telephony) -> Left:
    """Return what it has left; who says goodbye to what had ended is answered from now on.

    To be called before anything is read from the network.
    """
    left = journal.load()
    journal.open(left)
    telephony.answer_goodbyes_of(each for owed in left.owed.values() for each in owed.sip_call_ids)
    return left


async def release_media(relay: Relay, kept: AbstractSet[CallId]) -> None:
    """End the media of calls that a process of this name left and that are not taken up."""
    try:
        left = [call for call in await relay.calls() if call not in kept]
        for call in left:
            await relay.release(call)
    except MediaError as error:
        log.warning("media_not_reached", error=str(error))
        return
    if left:
        log.warning("media_of_former_life_released", calls=len(left))
