"""What is made of the reasons that rtpengine gives for a refusal."""

from __future__ import annotations

import pytest

from edge.media import plan
from edge.media.errors import (
    MediaError,
    MediaExhausted,
    MediaRefused,
    NotPlaying,
    OfferUnreadable,
    UnknownCall,
)
from edge.media.ng import Command, Reply
from edge.media.plan import CALLER
from edge.media.rtpengine.refusals import refusal
from tests.edge.fake_telephony import CALLER_SDP

OFFER, ANSWER = plan.to_queue("k", CALLER_SDP)


@pytest.mark.parametrize(
    ("command", "reason", "error"),
    [
        (OFFER, "Failed to parse SDP", OfferUnreadable),
        (OFFER, "Incomplete SDP specification", OfferUnreadable),
        (ANSWER, "Failed to parse SDP", MediaRefused),
        (OFFER, "Error rewriting SDP", MediaRefused),
        (OFFER, "Invalid dialogue association", MediaRefused),
        (OFFER, "something that a later version says", MediaRefused),
        (OFFER, "Ran out of ports", MediaExhausted),
        (OFFER, "Parallel session limit reached", MediaExhausted),
        (OFFER, "CPU usage limit exceeded", MediaExhausted),
        (ANSWER, "Unknown call-id", UnknownCall),
        (plan.stop("k", CALLER), "Not currently playing media", NotPlaying),
    ],
)
def test_the_reason_of_a_refusal_tells_whose_fault_it_is(
    command: Command, reason: str, error: type[MediaError]
) -> None:
    assert type(refusal(command, Reply(result="error", error_reason=reason))) is error


def test_a_relay_that_takes_no_more_for_its_load_has_no_room() -> None:
    assert type(refusal(OFFER, Reply(result="load limit"))) is MediaExhausted
