"""What the relay says of a copy, as the recorder takes it."""

from __future__ import annotations

import pytest

from edge.media.ng import Command, Reply
from edge.media.plan import AGENT
from edge.recorder.forks import Forks

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"


class Client:
    """Stands for the relay: offers a copy."""

    def __init__(self, sdp: str) -> None:
        self.sdp = sdp

    async def ask(self, _: Command) -> Reply:
        """Answer whatever is asked."""
        return Reply(result="ok", sdp=self.sdp, to_tag="l1")


@pytest.mark.parametrize(
    ("types", "lines", "clocks"),
    [
        ("0", [], {}),
        ("8 101", ["a=rtpmap:101 telephone-event/8000"], {101: 8000}),
        (
            "111 0 110 126",
            [
                "a=rtpmap:111 opus/48000/2",
                "a=rtpmap:110 telephone-event/48000",
                "a=rtpmap:126 telephone-event/8000",
            ],
            {110: 48_000, 126: 8000},
        ),
        ("0 101", ["a=rtpmap:101 telephone-event/nonsense"], {}),
        ("0 101", ["a=rtpmap:101 telephone-event/0"], {}),
    ],
)
async def test_each_telephone_event_that_a_party_has_is_known_with_its_clock(
    types: str, lines: list[str], clocks: dict[int, int]
) -> None:
    said = "".join(f"{line}\r\n" for line in (f"m=audio 4000 RTP/AVP {types}", *lines))
    forks = Forks(Client(HEAD + said), "127.0.0.1", 9)  # type: ignore[arg-type]
    fork = await forks.open("a1:c1", AGENT)
    assert fork.event_clocks == clocks
    assert fork.has_tones_alone is (not clocks)
