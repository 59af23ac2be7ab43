"""What is looked at when the people have gone, also of a lab that does not answer."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.desk.answers import EdgeRow, QueueRow, Status
from drills.desk.call_answers import CallRow
from drills.desk.errors import DeskError
from loadtests.load.after import look, watch
from loadtests.load.growth import Held
from loadtests.load.plan import SAID
from state.keys import call_id_for
from state.model import CallId, DidNumber, EdgeId, Outcome, QueueId, SiteId
from tests.load.test_locusts import plan


class SilentDesk:
    """A lab that does not answer."""

    def status(self) -> Status:
        """Answer nothing."""
        raise DeskError("lab 1 has not answered within 15 s")

    def calls(self) -> list[CallRow]:
        """Answer nothing."""
        raise DeskError("lab 1 has not answered within 15 s")


class DeskAt(SilentDesk):
    """One that answers of its ledger from the second question on."""

    def __init__(self) -> None:
        self.asked = 0

    def calls(self) -> list[CallRow]:
        """Answer, but not the first one."""
        self.asked += 1
        return super().calls() if self.asked == 1 else []


async def test_lab_that_does_not_answer_leaves_figures_out_and_is_told(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    found = await look(plan(tmp_path), SilentDesk(), ledger_s=0.0, left_s=0.0)
    assert found.figures() == {}
    assert [each.partition(":")[0] for each in found.unknown] == [
        "the ledger could not be read",
        "what is still held could not be asked",
    ]
    told = [json.loads(line)["what"] for line in capfdbinary.readouterr().out.splitlines()]
    assert told == [
        "comparing the callers' accounts with the ledger",
        "waiting until nothing is held for a call any more",
    ]


async def test_lab_that_is_busy_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    desk = DeskAt()
    found = await look(plan(tmp_path), desk, ledger_s=5.0, left_s=0.0)
    assert found.figures()["ledger.exact"] == 1.0
    assert desk.asked == 2


class DeskWith(SilentDesk):
    """A lab whose ledger has these calls."""

    def __init__(self, *calls: str) -> None:
        self._calls = calls

    def calls(self) -> list[CallRow]:
        """Answer a row for each."""
        return [row(call) for call in self._calls]


def row(call: str) -> CallRow:
    return CallRow(
        call=CallId(call),
        did=DidNumber("1"),
        queue=QueueId("load"),
        site=SiteId("a"),
        edge=EdgeId("a1"),
        arrived_ms=5,
        state=None,
        outcome=Outcome.ABANDONED,
        cause="caller_hung_up",
        waited_s=1.0,
        talked_s=None,
        ended_ms=6,
        agent=None,
        agent_site=None,
    )


async def test_call_of_which_only_its_beginning_was_told_is_claimed_all_the_same(
    tmp_path: Path,
) -> None:
    invite = {"event": "invite", "role": "caller", "phone": "1", "sip_call_id": "x@y"}
    line = json.dumps(invite | {"local_tag": "t", "wall_ms": 4})
    (tmp_path / f"{SAID}-0.jsonl").write_text(line + "\n")
    desk = DeskWith(call_id_for("x@y", "t"), "stranger")
    found = await look(plan(tmp_path), desk, ledger_s=0.0, left_s=0.0)
    assert found.books is not None
    assert found.books.unclaimed == ("stranger: abandoned",)


class DeskThatHolds(SilentDesk):
    """A lab that holds a ticket more at each look, and is silent at the second."""

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked_enough = threading.Event()

    def status(self) -> Status:
        """Answer, but not the second one."""
        self.asked += 1
        if self.asked > 4:
            self.was_asked_enough.set()
        return super().status() if self.asked == 2 else holding(self.asked)


def holding(tickets: int) -> Status:
    queue = QueueRow(
        queue=QueueId("load"),
        dids=(),
        needs={},
        waiting=tickets,
        longest_s=None,
        ringing=0,
        talking=0,
        free=0,
    )
    return Status(
        lab=1,
        kind="up",
        up_s=1.0,
        now_ms=1,
        revision=1,
        snapshot="live",
        snapshot_age_s=0.0,
        sites=(),
        edges=(),
        queues=(queue,),
        agents={},
        alone={},
        bad_records={},
    )


class DeskOfAnEdge(SilentDesk):
    """A lab with one edge, of which this is said each time."""

    def __init__(self, edge: EdgeRow) -> None:
        self._edge = edge

    def status(self) -> Status:
        """Answer."""
        return replace(holding(0), edges=(self._edge,))


EDGE = EdgeRow(edge=EdgeId("a1"), site=SiteId("a"), has_lease=True, answers=True, media_calls=0)


@pytest.mark.parametrize(
    ("edge", "unknown"),
    [
        (EDGE, set()),
        (replace(EDGE, media_calls=None), {"left.media_calls"}),
        (
            replace(EDGE, answers=False, media_calls=None),
            {"left.calls", "left.legs", "left.media_calls"},
        ),
    ],
    ids=["all_told", "relay_silent", "edge_silent"],
)
async def test_what_an_edge_holds_that_does_not_tell_is_not_nothing(
    edge: EdgeRow, unknown: set[str], tmp_path: Path
) -> None:
    found = await look(plan(tmp_path), DeskOfAnEdge(edge), ledger_s=0.0, left_s=0.0)
    names = {"left.calls", "left.tickets", "left.legs", "left.media_calls", "left.silent_edges"}
    assert {each for each in found.figures() if each.startswith("left.")} == names - unknown
    # And whoever may tell yet is waited for.
    asked = asyncio.get_running_loop().time()
    await look(plan(tmp_path), DeskOfAnEdge(edge), ledger_s=0.0, left_s=0.6)
    waited_s = asyncio.get_running_loop().time() - asked
    assert (waited_s >= 0.6) is bool(unknown)


async def test_what_is_held_is_seen_again_and_again_while_people_call() -> None:
    seen: list[Held] = []
    desk = DeskThatHolds()
    watching = asyncio.create_task(watch(desk, 0.0, seen))
    await asyncio.wait_for(asyncio.to_thread(desk.was_asked_enough.wait), 5.0)
    watching.cancel()
    assert [each.tickets for each in seen[:3]] == [1, 3, 4]
