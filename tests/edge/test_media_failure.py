"""What a caller is told when the relay does not take them in."""

from __future__ import annotations

import pytest

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.calls.media_failure import failure
from edge.media.errors import (
    MediaError,
    MediaExhausted,
    MediaRefused,
    MediaUnavailable,
    OfferUnreadable,
    SdpError,
    UnknownCall,
)
from edge.sip.events import LegId
from state.model import Outcome
from tests.edge.fake_telephony import CALLER_SDP
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, until


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SdpError, 488),
        (OfferUnreadable, 488),
        (MediaRefused, 503),
        (UnknownCall, 503),
        (MediaExhausted, 503),
        (MediaUnavailable, 503),
    ],
)
def test_a_caller_is_sent_on_to_another_site_unless_what_they_offer_is_no_use_to_any(
    error: type[MediaError], status: int
) -> None:
    said = failure(fx.OpenMedia(sdp=CALLER_SDP), error("no"))
    assert isinstance(said, ev.MediaFailed)
    assert said.status == status


def test_an_offer_of_ours_that_a_relay_cannot_read_is_not_the_callers_fault() -> None:
    said = failure(fx.OpenMedia(sdp=None), OfferUnreadable("no"))
    assert said == ev.MediaFailed(status=503, cause="media_unavailable")


@in_virtual_time
async def test_who_offers_what_the_relay_cannot_read_hears_that_it_is_not_acceptable() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.media.fails_with["hold_caller"] = OfferUnreadable("Incomplete SDP specification")
        theirs: LegId = a1.sip.arrive("15550001")
        await until(lambda: not a1.sip.open, "refused")
        assert a1.sip.over[theirs].status == 488
        assert await made.outcome(a1, theirs) == (Outcome.REFUSED, "offer_unreadable")
