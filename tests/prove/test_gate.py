"""The proxy's own script in the stand-in: it decides as it does in Kamailio."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.prove.ksr import Kamailio, Message
from drills.prove.mutants_of_gates import GATE_FAULTS

OPEN = {"do": "open_gate", "id": "x", "count": 0, "floor": [1, 10]}


class Outside:
    """What the script sets in motion."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.cancelled: list[str] = []

    def tell(self, edge: str, text: str) -> None:
        """Hear a line."""
        self.told.append(f"{edge} {text}")

    def cancel(self, sip_call_id: str) -> None:
        """Hear of a CANCEL."""
        self.cancelled.append(sip_call_id)


def _kamailio(run_dir: Path, *, is_open: bool = True) -> tuple[Kamailio, Outside]:
    outside = Outside()
    kamailio = Kamailio("a", run_dir, outside)
    kamailio.tables.put("home", "a01", "0.0")
    if is_open:
        kamailio.routes.obey(OPEN)
    return kamailio, outside


def _offer(
    kamailio: Kamailio, revision: int, call: str = "call", *, is_registered: bool = True
) -> Message:
    kamailio.message = Message(
        user="a01",
        offer=f"{call} 1 {revision}",
        call_id=f"{call}@edge",
        is_registered=is_registered,
    )
    kamailio.serves.offer()
    return kamailio.message


def _over(kamailio: Kamailio, message: Message) -> None:
    kamailio.message = message
    kamailio.serves.ksr_agent_failed(None)


def test_a_gate_that_was_not_loaded_lets_nothing_through(tmp_path: Path) -> None:
    kamailio, _ = _kamailio(tmp_path, is_open=False)
    assert _offer(kamailio, 11).reply == (503, "gate not loaded")


def test_only_a_higher_token_rings_and_only_an_idle_agent(tmp_path: Path) -> None:
    kamailio, _ = _kamailio(tmp_path)
    assert _offer(kamailio, 10).reply == (403, "stale token")
    first = _offer(kamailio, 11)
    assert (first.is_relayed, first.reply) == (True, None)
    assert _offer(kamailio, 12).reply == (486, "busy")
    _over(kamailio, first)
    assert _offer(kamailio, 11).reply == (403, "stale token")
    assert _offer(kamailio, 12).is_relayed


def test_a_gate_loaded_with_an_offer_that_is_over_takes_no_token_of_before(tmp_path: Path) -> None:
    """Whoever loaded it had not heard that another offer rang the agent after that one."""
    kamailio, _ = _kamailio(tmp_path, is_open=False)
    held = [["a01", 1, 20, "ringing", "old", ""]]
    kamailio.routes.obey({"do": "load_gate", "id": "x", "offers": held})
    kamailio.routes.obey({"do": "open_gate", "id": "x", "count": 1, "floor": [1, 50]})
    kamailio.routes.obey({"do": "free_gate", "agent": "a01", "epoch": 1, "revision": 20})
    assert _offer(kamailio, 40).reply == (403, "stale token")
    assert _offer(kamailio, 51).is_relayed


def test_freeing_a_gate_from_outside_stops_the_telephone(tmp_path: Path) -> None:
    kamailio, outside = _kamailio(tmp_path)
    _offer(kamailio, 11)
    kamailio.routes.obey({"do": "free_gate", "agent": "a01", "epoch": 1, "revision": 11})
    assert outside.cancelled == ["call@edge"]
    assert _offer(kamailio, 12).is_relayed


def test_an_edge_that_listens_is_told(tmp_path: Path) -> None:
    kamailio, outside = _kamailio(tmp_path)
    kamailio.routes.obey({"do": "listen", "name": "a1"})
    _offer(kamailio, 11)
    assert [line.partition(" ")[0] for line in outside.told] == ["a1", "a1"]
    assert '"state": "ringing"' in outside.told[1]


@pytest.mark.parametrize("name", sorted(GATE_FAULTS))
def test_a_planted_gate_lets_through_what_the_sound_one_refuses(tmp_path: Path, name: str) -> None:
    for is_sound in (True, False):
        kamailio, _ = _kamailio(tmp_path, is_open=False)
        if not is_sound:
            GATE_FAULTS[name](kamailio.gate)
        if name == "never_shut":
            assert _offer(kamailio, 11).is_relayed is not is_sound
            continue
        kamailio.routes.obey(OPEN)
        if name == "gone_rung":
            assert _offer(kamailio, 11, is_registered=False).is_relayed is not is_sound
            continue
        if name == "no_floor":
            assert _offer(kamailio, 9).is_relayed is not is_sound
            continue
        _over(kamailio, _offer(kamailio, 12))
        stale = 12 if name == "equal_token" else 11
        assert _offer(kamailio, stale).is_relayed is not is_sound


def test_the_script_hears_a_telephone_ring_and_answer(tmp_path: Path) -> None:
    kamailio, outside = _kamailio(tmp_path)
    kamailio.routes.obey({"do": "listen", "name": "a1"})
    message = _offer(kamailio, 11)
    for status in (180, 200):
        message.status = status
        kamailio.serves.ksr_agent_replies(None)
    assert '"state": "talking"' in outside.told[-1]


def test_room_that_an_edge_says_is_kept_for_a_while(tmp_path: Path) -> None:
    kamailio, _ = _kamailio(tmp_path)
    kamailio.routes.obey({"do": "headroom", "edge": "198.18.1.10:5081", "calls": 50})
    assert kamailio.tables.get("room", "198.18.1.10:5081") == "50"
    kamailio.tables.put_for("room", "198.18.1.10:5081", 50, -1)
    assert kamailio.tables.get("room", "198.18.1.10:5081") is None
