"""What follows from a recording's account."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from custody.manifest import NO_AGENT, Manifest, Part, Span, Transfer


def account(parts: tuple[Part, ...], waits: tuple[tuple[int, int], ...] = ()) -> Manifest:
    return Manifest(
        recording="r",
        tenant="main",
        call="r",
        queue="sales",
        agents=tuple(each.agent for each in parts),
        site="a",
        recorder="a",
        started_ms=1,
        segments=(),
        pauses=tuple(Span(start=start, end=end, because=NO_AGENT) for start, end in waits),
        parts=parts,
    )


def part(agent: str, start: int, end: int) -> Part:
    return Part(agent=agent, start=start, end=end)


@pytest.mark.parametrize(
    ("parts", "waits", "transfers"),
    [
        pytest.param((), (), [], id="nobody was in the call"),
        pytest.param((part("ann", 0, 9),), (), [], id="one agent had it all"),
        pytest.param(
            (part("ann", 0, 5), part("ben", 5, 9)), (), [(5, 5, "ann", "ben")], id="at once"
        ),
        pytest.param(
            (part("ann", 0, 4), part("ben", 6, 9)),
            ((4, 6),),
            [(4, 6, "ann", "ben")],
            id="with a wait",
        ),
        pytest.param(
            (part("ann", 0, 4), part("ann", 6, 9)),
            ((4, 6),),
            [(4, 6, "ann", "ann")],
            id="it came back",
        ),
        pytest.param(
            (part("ann", 0, 4),), ((4, 9),), [(4, 9, "ann", "")], id="the caller gave up waiting"
        ),
        pytest.param(
            (part("ann", 0, 2), part("ben", 3, 5), part("cyd", 6, 9)),
            ((2, 3), (5, 6)),
            [(2, 3, "ann", "ben"), (5, 6, "ben", "cyd")],
            id="twice",
        ),
    ],
)
def test_a_recording_tells_where_its_caller_passed_on(
    parts: tuple[Part, ...],
    waits: tuple[tuple[int, int], ...],
    transfers: list[tuple[int, int, str, str]],
) -> None:
    assert account(parts, waits).transfers == tuple(
        Transfer(start=start, end=end, before=before, after=after)
        for start, end, before, after in transfers
    )


def test_a_pause_for_card_data_is_no_transfer() -> None:
    pause = Span(start=3, end=9, because="agent")
    one = account((part("ann", 0, 9),))
    told = replace(one, pauses=(pause,))
    assert told.transfers == ()


def test_a_recording_of_nothing_is_not_whole() -> None:
    assert not account((part("ann", 0, 9),)).is_complete
