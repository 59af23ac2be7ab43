"""The laws over the seam: what a site that was cut off may do, and what it may not."""

from __future__ import annotations

from msgspec.structs import replace

from drills.prove.history import PASSED, AtGate, FaultKind, Mode
from drills.prove.violations import Law
from state.keys import Kind
from state.model import AgentId, EdgeId, Outcome, SiteId, TicketState
from state.overlay import ALONE_FROM
from tests.prove.histories import Tale, call_id


def _says(tale: Tale, edge: str, mode: str) -> None:
    tale.note(Mode(at_s=tale.now(), edge=EdgeId(edge), mode=mode))


def _passes(tale: Tale, agent: str, token: tuple[int, int]) -> None:
    tale.note(
        AtGate(
            at_s=tale.now(),
            site=SiteId(agent[0]),
            agent=AgentId(agent),
            call=call_id("c1"),
            token=token,
            verdict=PASSED,
            is_late=False,
        )
    )


def _alone(tale: Tale) -> None:
    _says(tale, "a1", "quorum")
    _says(tale, "b1", "quorum")
    tale.breaks(FaultKind.CUT_OFF, "a")
    tale.now(6.0)
    _says(tale, "a1", "alone")


def _whole(tale: Tale) -> None:
    tale.mends(FaultKind.CUT_OFF, "a")
    tale.now(1.5)
    _says(tale, "a1", "merging")
    tale.now(0.5)
    _says(tale, "a1", "quorum")


def test_a_site_that_serves_alone_in_time_and_is_whole_in_time_breaks_no_law() -> None:
    tale = Tale("a01")
    _alone(tale)
    _passes(tale, "a01", (2, 1))
    tale.now(6.0)
    _whole(tale)
    tale.now(20.0)
    tale.presence("a01")
    assert tale.laws() == []


def test_a_site_that_waits_for_a_quorum_for_ever_is_noticed() -> None:
    tale = Tale("a01")
    _says(tale, "a1", "quorum")
    tale.breaks(FaultKind.CUT_OFF, "a")
    tale.now(12.0)
    tale.mends(FaultKind.CUT_OFF, "a")
    tale.presence("a01")
    assert tale.laws() == [Law.NOT_ALONE]


def test_a_site_that_is_joined_again_and_stays_alone_is_noticed() -> None:
    tale = Tale("a01")
    _alone(tale)
    tale.now(8.0)
    tale.mends(FaultKind.CUT_OFF, "a")
    tale.now(13.0)
    tale.presence("a01")
    assert tale.laws() == [Law.NOT_MERGED]


def test_a_site_whose_edge_is_killed_meanwhile_has_other_troubles() -> None:
    tale = Tale("a01")
    _says(tale, "a1", "quorum")
    tale.breaks(FaultKind.CUT_OFF, "a")
    tale.breaks(FaultKind.KILL_EDGE, "a1")
    tale.now(12.0)
    tale.mends(FaultKind.CUT_OFF, "a")
    tale.presence("a01")
    assert tale.laws() == []


def test_a_token_made_alone_rings_only_where_a_site_is_alone() -> None:
    tale = Tale("a01", "b01")
    _alone(tale)
    _passes(tale, "b01", (2, 1))
    assert tale.laws() == [Law.ALONE_TOKEN]


def test_a_token_made_alone_that_is_not_above_the_last_is_stale() -> None:
    tale = Tale("a01")
    _alone(tale)
    _passes(tale, "a01", (2, 2))
    _passes(tale, "a01", (2, 2))
    assert tale.laws() == [Law.STALE_TOKEN]


def test_what_was_done_alone_is_merged_over_a_survivors_guess_and_over_nothing_else() -> None:
    for cause, laws in (
        ("edge_died", []),
        ("caller_cancelled", []),
        ("caller_hung_up", [Law.RISEN]),
    ):
        tale = Tale("a01")
        tale.waits("c1")
        _alone(tale)
        tale.dies("a1")
        tale.ends("c1", Outcome.LOST, cause=cause)
        tale.mends(FaultKind.CUT_OFF, "a")
        _says(tale, "a1", "merging")
        ticket = replace(
            tale._tickets["c1"],  # noqa: SLF001 - the tale's own
            state=TicketState.CONNECTED,
            agent=AgentId("a01"),
        )
        offer = replace(tale.offer_of("c1", "a01"), epoch=2, granted=1)
        tale.store(tale.ticket(ticket), (Kind.OFFER, "a01", offer), (Kind.ENDED, "c1", None))
        assert tale.laws() == laws


def test_a_call_that_came_and_went_while_its_edge_was_alone_needs_no_place() -> None:
    for is_alone, laws in ((True, []), (False, [Law.TWO_RECORDS])):
        tale = Tale("a01")
        tale.waits("c1")
        record = tale.record("c1", Outcome.ABANDONED)
        tale.store((Kind.TICKET, "c1", None), (Kind.ENDED, "c1", record))
        if is_alone:
            _alone(tale)
            _says(tale, "a1", "merging")
        other = replace(record, call=call_id("c2"))
        tale.store((Kind.ENDED, "c2", other))
        assert tale.laws() == laws


def test_a_decision_made_alone_is_not_judged_on_what_the_store_had() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.waits("c2")
    _alone(tale)
    tale.gets("c2", "a01")
    tale.ends("c2", Outcome.ANSWERED, decided_at=ALONE_FROM + 5)
    assert Law.OVERTAKEN not in tale.laws()
