"""The fault agent: every fault has its undoing, and a timer of its own that brings it about."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import cast

import pytest

from drills import breaking
from drills.course import FaultError, Made
from drills.fault import Fault, FaultKind
from drills.faults import AGAIN_S, FaultAgent, FaultClient
from drills.lab import recorders, wan
from drills.lab.errors import LabError, NetworkError, ProcessError
from drills.lab.lab import Lab
from drills.lab.plan import plan_lab
from drills.lab.wan import Wan
from drills.lab.wan_rules import Direction, WanState
from drills.lever import Lever
from state.model import SiteId
from tests.edge.virtual_time import LoopClock, in_virtual_time


class _Spy:
    """A lab of which only what is done to it is kept."""

    def __init__(self) -> None:
        self.plan = plan_lab()
        self.wan: object = self
        self.supervisor = self
        self.broken: list[str] = []
        """What is broken now."""
        self.fails = False
        self.cuts_left = 99
        """So many more cuts are possible."""
        self.paths: object = None

    def _break(self, what: str) -> None:
        self.broken.append(what)

    def _mend(self, what: str) -> None:
        while what in self.broken:
            self.broken.remove(what)

    def kill_site(self, site: SiteId) -> None:
        self._break(f"site {site}")

    async def let_site_start(self, site: SiteId) -> None:
        await asyncio.sleep(0.5)
        self._mend(f"site {site}")
        if self.fails:
            raise ProcessError("kamailio-a: not ready in 10 s")

    def names(self, host: str) -> list[str]:
        return [f"etcd-{host}", f"kamailio-{host}"]

    def pid(self, name: str) -> int:
        self._known(name)
        return hash(name)

    def kill(self, name: str) -> None:
        self._known(name)

    def _known(self, name: str) -> None:
        if name == "edge-x9":
            raise ProcessError("there is no process 'edge-x9'")

    def hold_down(self, name: str) -> None:
        self._break(f"held {name}")

    async def release(self, name: str) -> None:
        self._mend(f"held {name}")

    def freeze(self, name: str) -> None:
        self._break(f"frozen {name}")

    def thaw(self, name: str) -> None:
        self._mend(f"frozen {name}")

    def apart(self) -> _Spy:
        return self

    def isolate(self, host: str) -> None:
        self._break(f"isolated {host}")

    def reconnect(self, host: str) -> None:
        self._mend(f"isolated {host}")

    def cut(self, source: str, sink: str) -> None:
        self._break(f"{source}>{sink}")

    def heal(self, source: str, sink: str) -> None:
        self._mend(f"{source}>{sink}")

    def cut_between(self, one: str, other: str) -> None:
        if self.cuts_left <= 0:
            raise NetworkError("nft: no")
        self.cuts_left -= 1
        self.cut(one, other)
        self.cut(other, one)

    def heal_between(self, one: str, other: str) -> None:
        self.heal(one, other)
        self.heal(other, one)

    def mute(self, host: str) -> None:
        self._break(f"mute {host}")

    def unmute(self, host: str) -> None:
        self._mend(f"mute {host}")

    def part_etcd(self, host: str) -> None:
        self._break(f"no etcd at {host}")

    def rejoin_etcd(self, host: str) -> None:
        self._mend(f"no etcd at {host}")

    async def set_etcd_full(self, *, is_full: bool) -> None:
        self._mend("full etcd")
        if is_full:
            self._break("full etcd")

    def set_clock(self, site: SiteId, off_s: float) -> None:
        self._mend(f"clock of {site}")
        if off_s:
            self._break(f"clock of {site}")

    def set_sync_delay(self, process: str, delay_ms: float) -> None:
        self._known(process)
        self._mend(f"slow disk of {process}")
        if delay_ms:
            self._break(f"slow disk of {process}")

    def renew_certificates(self, site: SiteId, *, are_expired: bool = False) -> None:
        self._mend(f"expired at {site}")
        if are_expired:
            self._break(f"expired at {site}")

    def shape(self, source: str, sink: str, **_how: float) -> None:
        self.cut(source, sink)


class _Folder:
    """The run directory of every host."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, _host: str) -> Path:
        return self._path


class _NoDelay:
    name = "none"

    def apply(self, state: WanState) -> None:
        pass


class _OnNetwork(_Spy):
    """The same, with the network's own books."""

    def __init__(self) -> None:
        super().__init__()
        self.wan = self.network = Wan(self.plan.hosts, _NoDelay())


def agent_of(lab: _Spy, lever: Lever | None = None) -> FaultAgent:
    return FaultAgent(cast("Lab", lab), LoopClock(), lever)


FAULTS = [
    Fault(kind=FaultKind.KILL_SITE, target="a", ttl_s=5.0),
    Fault(kind=FaultKind.FREEZE_SITE, target="b", ttl_s=5.0),
    Fault(kind=FaultKind.HOLD_DOWN, target="etcd-a", ttl_s=5.0),
    Fault(kind=FaultKind.FREEZE, target="edge-a1", ttl_s=5.0),
    Fault(kind=FaultKind.STUTTER, target="etcd-a", ttl_s=5.0),
    Fault(kind=FaultKind.CUT, target="a-b", ttl_s=5.0),
    Fault(kind=FaultKind.CUT, target="carrier-a", ttl_s=5.0),
    Fault(kind=FaultKind.CUT_ONE_WAY, target="a>b", ttl_s=5.0),
    Fault(kind=FaultKind.CUT_OFF, target="c", ttl_s=5.0),
    Fault(kind=FaultKind.ISOLATE, target="agents-a", ttl_s=5.0),
    Fault(kind=FaultKind.SHAPE, target="a", ttl_s=5.0, loss_pct=10.0),
    Fault(kind=FaultKind.SHAPE, target="a-b", ttl_s=5.0, delay_ms=80.0),
    Fault(kind=FaultKind.FLAP, target="a-b", ttl_s=5.0, period_s=1.0),
    Fault(kind=FaultKind.CUT_ETCD, target="a", ttl_s=5.0),
    Fault(kind=FaultKind.MUTE, target="b", ttl_s=5.0),
    Fault(kind=FaultKind.WRONG_CLOCK, target="a", ttl_s=5.0, off_s=600.0),
    Fault(kind=FaultKind.EXPIRE, target="a", ttl_s=5.0),
    Fault(kind=FaultKind.SLOW_SYNC, target="etcd-a", ttl_s=5.0, delay_ms=300.0),
    Fault(kind=FaultKind.FILL_ETCD, target="etcd", ttl_s=5.0),
]
DRAIN = Fault(kind=FaultKind.DRAIN, target="a", ttl_s=5.0)
ON_FILES = {FaultKind.LOSE_KEYS, FaultKind.LOSE_STORE, FaultKind.FILL_STORE}


def test_every_kind_of_fault_that_lasts_is_tried_here() -> None:
    alone = {FaultKind.KILL, FaultKind.DRAIN, *ON_FILES}
    assert {fault.kind for fault in FAULTS} == set(FaultKind) - alone


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind} {fault.target}")
@in_virtual_time
async def test_a_fault_ends_by_its_own_timer_whoever_asked_for_it(fault: Fault) -> None:
    lab = _Spy()
    agent = agent_of(lab)
    await agent.make(fault)
    await asyncio.sleep(0.1)
    assert lab.broken
    await asyncio.sleep(4.7)
    assert agent.made[0].healed_ms is None
    await asyncio.sleep(1.2)
    assert lab.broken == []
    (made,) = agent.made
    assert made.by == "timer"
    assert made.healed_ms is not None
    assert 0 <= made.healed_ms - made.until_ms <= 1000


class _Slow(_Spy):
    """A machine that takes its time."""

    async def set_etcd_full(self, *, is_full: bool) -> None:
        await asyncio.sleep(1.5)
        await super().set_etcd_full(is_full=is_full)


@in_virtual_time
async def test_a_fault_tells_when_it_was_wholly_made() -> None:
    made = await agent_of(_Slow()).make(Fault(kind=FaultKind.FILL_ETCD, target="etcd", ttl_s=5.0))
    assert made.done_ms == made.at_ms + 1_500


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind} {fault.target}")
@in_virtual_time
async def test_a_fault_is_undone_at_once_when_asked_and_only_once(fault: Fault) -> None:
    lab = _Spy()
    agent = agent_of(lab)
    await agent.make(fault)
    await asyncio.sleep(0.1)
    await agent.heal_all("runner")
    assert lab.broken == []
    assert agent.made[0].by == "runner"
    await asyncio.sleep(10.0)
    assert agent.made[0].by == "runner"


BETWEEN = [
    Fault(kind=FaultKind.CUT, target="a-b", ttl_s=5.0),
    Fault(kind=FaultKind.CUT_OFF, target="a", ttl_s=5.0),
    Fault(kind=FaultKind.CUT_ONE_WAY, target="a>b", ttl_s=5.0),
    Fault(kind=FaultKind.SHAPE, target="a-b", ttl_s=5.0, delay_ms=80.0, loss_pct=10.0),
    Fault(kind=FaultKind.SHAPE, target="a", ttl_s=5.0, loss_pct=20.0),
    Fault(kind=FaultKind.FLAP, target="a-b", ttl_s=5.0, period_s=0.4),
    Fault(kind=FaultKind.ISOLATE, target="a", ttl_s=5.0),
    Fault(kind=FaultKind.CUT_ETCD, target="a", ttl_s=5.0),
    Fault(kind=FaultKind.MUTE, target="a", ttl_s=5.0),
]


@pytest.mark.parametrize("first", BETWEEN, ids=Fault.told)
@pytest.mark.parametrize("second", BETWEEN, ids=Fault.told)
@in_virtual_time
async def test_what_one_fault_breaks_of_a_link_stays_broken_when_another_is_over(
    first: Fault, second: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wan, "run_tool", lambda *_: "")
    alone, both = _OnNetwork(), _OnNetwork()
    agent, other = agent_of(both), agent_of(alone)
    await agent.make(first)
    await asyncio.sleep(1.0)
    await agent.make(second)
    await other.make(second)
    await asyncio.sleep(4.5)
    assert agent.made[0].healed_ms is not None
    assert agent.made[1].healed_ms is None
    assert both.network.state == alone.network.state
    await asyncio.sleep(1.0)
    assert both.network.state == WanState()


@in_virtual_time
async def test_two_faults_of_one_link_are_worse_than_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wan, "run_tool", lambda *_: "")
    lab = _OnNetwork()
    agent = agent_of(lab)
    for fault in (BETWEEN[3], BETWEEN[4], BETWEEN[2]):
        await agent.make(fault)
    link = lab.network.state.link(Direction("a", "b"))
    assert (link.cut, link.delay_ms) == (True, 80.0)
    assert link.loss_pct == pytest.approx(28.0), "a tenth, and a fifth of the rest"


async def test_keys_and_store_are_gone_and_come_back_with_what_was_in_them(tmp_path: Path) -> None:
    lab = _Spy()
    lab.paths = _Folder(tmp_path)
    key, store = tmp_path / recorders.PROVIDER, recorders.store_of(tmp_path)
    key.write_text("secret")
    store.mkdir()
    (store / "recording").write_text("sound")
    agent = agent_of(lab)
    await agent.make(Fault(kind=FaultKind.LOSE_KEYS, target="a", ttl_s=5.0))
    await agent.make(Fault(kind=FaultKind.LOSE_STORE, target="a", ttl_s=5.0))
    assert key.read_text() == ""
    with pytest.raises(NotADirectoryError):
        (store / "recording").write_text("another")
    await agent.heal_all("runner")
    assert key.read_text() == "secret"
    assert (store / "recording").read_text() == "sound"
    key.unlink()
    with pytest.raises(FaultError, match="cannot be taken away"):
        await agent.make(Fault(kind=FaultKind.LOSE_KEYS, target="a", ttl_s=5.0))


async def test_who_writes_recordings_stands_still_only_while_the_full_disk_comes_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = _Spy()
    lab.paths = _Folder(tmp_path)
    steps: list[tuple[str, bool]] = []

    class Disk:
        def __init__(self, _folder: Path) -> None:
            pass

        def bring(self) -> None:
            steps.append(("bring", bool(lab.broken)))

        def lay(self) -> None:
            steps.append(("lay", bool(lab.broken)))

        def take_away(self) -> None:
            steps.append(("take away", bool(lab.broken)))

    monkeypatch.setattr(breaking, "FullDisk", Disk)
    agent = agent_of(lab)
    await agent.make(Fault(kind=FaultKind.FILL_STORE, target="a", ttl_s=5.0))
    await agent.heal_all("runner")
    assert steps == [("bring", False), ("lay", True), ("take away", True)]
    assert lab.broken == []


@in_virtual_time
async def test_a_fault_without_end_or_of_nobody_is_refused() -> None:
    agent = agent_of(_Spy())
    with pytest.raises(FaultError, match="ends by itself"):
        await agent.make(Fault(kind=FaultKind.KILL_SITE, target="a"))
    with pytest.raises(FaultError, match="edge-x9"):
        await agent.make(Fault(kind=FaultKind.KILL, target="edge-x9"))
    assert agent.made == ()


@in_virtual_time
async def test_the_lever_mends_within_a_second_and_lets_nothing_be_broken() -> None:
    # The lever's own files are tried elsewhere.
    class Hand:
        is_pulled = False

    hand, lab = Hand(), _Spy()
    agent = agent_of(lab, cast("Lever", hand))
    obeying = asyncio.create_task(agent.obey_lever())
    await agent.make(FAULTS[5])
    await asyncio.sleep(2.0)
    assert lab.broken
    hand.is_pulled = True
    await asyncio.sleep(1.0)
    assert lab.broken == []
    assert agent.made[0].by == "the safety lever"
    with pytest.raises(FaultError, match="lever"):
        await agent.make(FAULTS[5])
    obeying.cancel()


@in_virtual_time
async def test_whoever_has_all_undone_waits_for_what_a_timer_is_just_undoing() -> None:
    lab = _Spy()
    agent = agent_of(lab)
    await agent.make(FAULTS[0])
    await asyncio.sleep(5.1)
    assert lab.broken  # the timer has begun
    await agent.heal_all("runner")
    assert lab.broken == []
    assert agent.made[0].healed_ms is not None
    assert agent.made[0].by == "timer"


@in_virtual_time
async def test_what_two_have_undone_at_once_is_undone_when_either_hears_so() -> None:
    lab = _Spy()
    agent = agent_of(lab)
    await agent.make(FAULTS[0])
    first = asyncio.create_task(agent.heal_all("runner"))
    await asyncio.sleep(0.1)
    await agent.heal_all("the safety lever")
    assert lab.broken == []
    assert agent.made[0].by == "runner"
    await first


@in_virtual_time
async def test_what_was_begun_to_be_undone_is_undone_though_whoever_asked_leaves() -> None:
    lab = _Spy()
    agent = agent_of(lab)
    await agent.make(FAULTS[0])
    asking = asyncio.create_task(agent.heal_all("runner"))
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.sleep(1.0)
    assert lab.broken == []
    assert agent.made[0].healed_ms is not None


@in_virtual_time
async def test_an_undoing_that_goes_wrong_keeps_no_other_fault_broken() -> None:
    class Full(_Spy):
        def set_clock(self, site: SiteId, off_s: float) -> None:
            super().set_clock(site, off_s)
            if not off_s:
                raise OSError(28, "No space left on device")

    lab = Full()
    agent = agent_of(lab)
    await agent.make(FAULTS[5])
    await agent.make(Fault(kind=FaultKind.WRONG_CLOCK, target="a", ttl_s=5.0, off_s=600.0))
    await agent.heal_all("runner")
    assert lab.broken == []
    assert [made.by for made in agent.made] == [
        "runner",
        "runner, but: OSError: [Errno 28] No space left on device",
    ]
    assert [made.healed_ms is None for made in agent.made] == [False, True]


class Busy(_Spy):
    """A disk that cannot be given back while somebody has a file open on it."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.busy = times
        """So many times more."""
        self.tried = 0

    async def set_etcd_full(self, *, is_full: bool) -> None:
        """Break at once; mend only when it can be."""
        self.tried += not is_full
        if not is_full and self.busy > 0:
            self.busy -= 1
            raise ProcessError("umount: target is busy")
        await super().set_etcd_full(is_full=is_full)


@in_virtual_time
async def test_what_could_not_be_undone_stands_and_its_timer_tries_again() -> None:
    lab = Busy(times=2)
    agent = agent_of(lab)
    await agent.make(FAULTS[-1])
    await asyncio.sleep(5.5)
    assert [(each.healed_ms, each.by) for each in agent.made] == [
        (None, "timer, but: umount: target is busy")
    ]
    assert lab.broken
    await asyncio.sleep(2 * AGAIN_S + 0.5)
    assert lab.broken == []
    (made,) = agent.made
    assert made.healed_ms is not None
    assert made.healed_ms - made.until_ms >= 2000 * AGAIN_S, "it has outlived its time"
    await asyncio.sleep(60.0)
    assert lab.tried == 3, "and nobody undoes it once more"


@in_virtual_time
async def test_whoever_has_all_undone_has_that_tried_once_more_that_could_not_be() -> None:
    lab = Busy(times=2)
    agent = agent_of(lab)
    await agent.make(FAULTS[-1])
    await agent.heal_all("runner")
    assert lab.tried == 1, "one who asks asks once"
    assert agent.made[0].healed_ms is None
    await agent.heal_all("the safety lever")
    assert agent.made[0].by == "the safety lever, but: umount: target is busy"
    await agent.heal_all("the end")
    assert [(each.healed_ms is None, each.by) for each in agent.made] == [(False, "the end")]
    assert lab.broken == []


@pytest.mark.parametrize(
    "fault", [FAULTS[8], Fault(kind=FaultKind.CUT, target="agents-a", ttl_s=5.0)], ids=Fault.told
)
@in_virtual_time
async def test_of_a_fault_that_can_be_made_in_part_only_nothing_stays(fault: Fault) -> None:
    lab = _Spy()
    lab.cuts_left = 1
    agent = agent_of(lab)
    with pytest.raises(FaultError, match="nft: no"):
        await agent.make(fault)
    assert lab.broken == []
    assert agent.made == ()


class _Stuck(_Spy):
    """A lab whose etcd is full at once, and does not say so for a while."""

    def __init__(self, says_after_s: float) -> None:
        super().__init__()
        self.says_after_s = says_after_s
        self.refuses = 0
        """So many times it will not be emptied."""

    async def set_etcd_full(self, *, is_full: bool) -> None:
        if not is_full and self.refuses:
            self.refuses -= 1
            raise LabError("etcd was not emptied")
        await super().set_etcd_full(is_full=is_full)
        if is_full:
            await asyncio.sleep(self.says_after_s)
            raise LabError("etcd was not filled")


FULL = Fault(kind=FaultKind.FILL_ETCD, target="etcd", ttl_s=5.0)


@in_virtual_time
async def test_a_breaking_that_hangs_is_undone_by_its_timer() -> None:
    lab = _Stuck(says_after_s=600.0)
    agent = agent_of(lab)
    making = asyncio.create_task(agent.make(FULL))
    await asyncio.sleep(4.9)
    assert lab.broken
    assert [made.healed_ms for made in agent.made] == [None]  # whoever asks is told that it stands
    await asyncio.sleep(0.2)
    assert lab.broken == []
    with pytest.raises(FaultError, match="not made within its time to live"):
        await making
    (made,) = agent.made
    assert made.by == "timer"
    assert made.healed_ms is not None
    assert 0 <= made.healed_ms - made.until_ms <= 100
    await agent.make(FAULTS[5])  # and others can be made


@in_virtual_time
async def test_a_breaking_that_cannot_be_stopped_is_undone_all_the_same() -> None:
    class Deaf(_Spy):
        async def set_etcd_full(self, *, is_full: bool) -> None:
            await super().set_etcd_full(is_full=is_full)
            while is_full:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60.0)
                    return

    lab = Deaf()
    agent = agent_of(lab)
    with pytest.raises(FaultError, match="not made within its time to live"):
        await agent.make(FULL)
    assert lab.broken == []
    assert agent.made[0].by == "timer"


@in_virtual_time
async def test_a_faults_time_runs_from_when_it_was_begun_to_be_made() -> None:
    class Slow(_Spy):
        async def set_etcd_full(self, *, is_full: bool) -> None:
            await super().set_etcd_full(is_full=is_full)
            await asyncio.sleep(2.0 if is_full else 0.0)

    lab = Slow()
    agent = agent_of(lab)
    began_ms = LoopClock().now().wall_ms
    made = await agent.make(FULL)
    assert made.until_ms == began_ms + 5000
    await asyncio.sleep(2.9)
    assert lab.broken
    await asyncio.sleep(0.2)
    assert lab.broken == []


@in_virtual_time
async def test_what_was_made_before_an_error_is_undone_at_once() -> None:
    class Tired(_Spy):
        def freeze(self, name: str) -> None:
            super().freeze(name)
            if name.startswith("kamailio"):
                raise ProcessError(f"{name} does not run")

    lab = Tired()
    agent = agent_of(lab)
    with pytest.raises(FaultError, match="kamailio-b does not run"):
        await agent.make(FAULTS[1])
    assert lab.broken == []
    assert agent.made == ()
    stuck = _Stuck(says_after_s=1.0)
    with pytest.raises(FaultError, match="etcd was not filled"):
        await agent_of(stuck).make(FULL)
    assert stuck.broken == []


@in_virtual_time
async def test_what_cannot_be_taken_back_at_once_stands_and_is_undone_by_its_timer() -> None:
    lab = _Stuck(says_after_s=1.0)
    lab.refuses = 1
    agent = agent_of(lab)
    with pytest.raises(FaultError, match=r"not filled; and what was .* stands .*: .* not emptied"):
        await agent.make(FULL)
    assert lab.broken
    assert [made.healed_ms for made in agent.made] == [None]
    await asyncio.sleep(4.1)
    assert lab.broken == []
    assert agent.made[0].by == "timer"


@in_virtual_time
async def test_of_a_fault_whose_making_is_given_up_nothing_stays() -> None:
    lab = _Stuck(says_after_s=600.0)
    agent = agent_of(lab)
    making = asyncio.create_task(agent.make(FULL))
    await asyncio.sleep(1.0)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert lab.broken == []
    assert agent.made == ()


@pytest.mark.parametrize("kind", [FaultKind.ISOLATE, FaultKind.DRAIN, FaultKind.KILL_SITE])
@in_virtual_time
async def test_a_site_that_there_is_not_is_refused_before_anything_is_begun(
    kind: FaultKind,
) -> None:
    lab = _Spy()
    with pytest.raises(FaultError, match="no host 'x'"):
        await agent_of(lab).make(Fault(kind=kind, target="x", ttl_s=5.0))
    assert lab.broken == []


@in_virtual_time
async def test_edges_that_cannot_be_started_anew_have_no_expired_certificates_left() -> None:
    class Down(_Spy):
        def kill(self, name: str) -> None:
            raise ProcessError(f"{name} does not run")

    lab = Down()
    with pytest.raises(FaultError, match="does not run"):
        await agent_of(lab).make(Fault(kind=FaultKind.EXPIRE, target="a", ttl_s=5.0))
    assert lab.broken == []


@pytest.mark.parametrize("kind", [FaultKind.STUTTER, FaultKind.FREEZE])
@in_virtual_time
async def test_a_process_that_there_is_not_is_refused(kind: FaultKind) -> None:
    agent = agent_of(_Spy())
    with pytest.raises(FaultError, match="edge-x9"):
        await agent.make(Fault(kind=kind, target="edge-x9", ttl_s=5.0))
    assert agent.made == ()


@in_virtual_time
async def test_a_link_that_can_flap_no_longer_is_healed_all_the_same() -> None:
    lab = _Spy()
    agent = agent_of(lab)
    lab.cuts_left = 1
    await agent.make(Fault(kind=FaultKind.FLAP, target="a-b", ttl_s=5.0, period_s=1.0))
    assert lab.broken
    await asyncio.sleep(2.5)
    lab.cut("a", "b")  # as it may be left
    await agent.heal_all("runner")
    assert lab.broken == []


@in_virtual_time
async def test_a_part_that_does_not_come_up_again_is_said_with_the_fault() -> None:
    lab = _Spy()
    lab.fails = True
    agent = agent_of(lab)
    await agent.make(FAULTS[0])
    await asyncio.sleep(7.0)
    assert "not ready" in agent.made[0].by


async def test_over_its_socket_it_makes_mends_and_says_what_is_wrong(tmp_path: Path) -> None:
    lab = _Spy()
    agent = agent_of(lab)
    server = await agent.serve(tmp_path / "faults.sock")
    client = FaultClient(tmp_path / "faults.sock")
    made: Made = await client.make(FAULTS[7])
    assert lab.broken == ["a>b"]
    assert (await client.standing())[0].id == made.id
    with pytest.raises(FaultError, match="edge-x9"):
        await client.make(Fault(kind=FaultKind.KILL, target="edge-x9"))
    (healed,) = await client.heal_all("runner")
    assert healed.by == "runner"
    assert lab.broken == []
    server.close()
    await server.wait_closed()
    with pytest.raises(FaultError, match="does not answer"):
        await client.standing()


class _SlowEdge:
    """An edge that says that it has done something when it may."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.was_told = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def serve(self, path: Path) -> asyncio.Server:
        return await asyncio.start_unix_server(self._converse, path)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.said.append(json.loads(await reader.readline())["cmd"])
        self.was_told.set()
        await self.may_answer.wait()
        writer.write(b'{"ok": true}\n')
        await writer.drain()
        writer.close()


async def test_a_fault_that_is_just_being_made_is_healed_with_the_others(tmp_path: Path) -> None:
    lab, edge = _Spy(), _SlowEdge()
    lab.paths = _Folder(tmp_path)
    servers = [await edge.serve(tmp_path / f"edge-{name}.sock") for name in ("a1", "a2")]
    agent = agent_of(lab)
    await agent.make(FAULTS[5])
    making = asyncio.create_task(agent.make(DRAIN))
    await edge.was_told.wait()
    healing = asyncio.create_task(agent.heal_all("runner"))
    async with asyncio.timeout(5.0):  # what stands waits for no other
        while lab.broken:  # noqa: ASYNC110 - until others have had their turn
            await asyncio.sleep(0)
    edge.may_answer.set()
    await asyncio.gather(making, healing)
    assert sorted(edge.said) == ["drain", "drain", "undrain", "undrain"]
    assert [made.by for made in agent.made] == ["runner", "runner"]
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_a_fault_that_waited_for_another_is_not_made_once_the_lever_is_pulled(
    tmp_path: Path,
) -> None:
    class Hand:
        is_pulled = False

    hand, lab, edge = Hand(), _Spy(), _SlowEdge()
    lab.paths = _Folder(tmp_path)
    servers = [await edge.serve(tmp_path / f"edge-{name}.sock") for name in ("a1", "a2")]
    agent = agent_of(lab, cast("Lever", hand))
    first = asyncio.create_task(agent.make(DRAIN))
    await edge.was_told.wait()
    second = asyncio.create_task(agent.make(FAULTS[5]))
    await asyncio.sleep(0)
    hand.is_pulled = True
    edge.may_answer.set()
    await first
    with pytest.raises(FaultError, match="lever"):
        await second
    assert lab.broken == []
    await agent.heal_all("the safety lever")
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_a_site_is_drained_by_its_edges_own_command_and_taken_back(tmp_path: Path) -> None:
    said: list[bytes] = []

    async def edge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.readline())
        writer.write(b'{"ok": true}\n' if len(said) < 5 else b'{"ok": false, "error": "no"}\n')
        await writer.drain()
        writer.close()

    lab = _Spy()
    lab.paths = _Folder(tmp_path)
    servers = [
        await asyncio.start_unix_server(edge, tmp_path / f"edge-{name}.sock")
        for name in ("a1", "a2")
    ]
    agent = agent_of(lab)
    await agent.make(DRAIN)
    await agent.heal_all("runner")
    assert said == [b'{"cmd":"drain"}\n'] * 2 + [b'{"cmd":"undrain"}\n'] * 2
    with pytest.raises(FaultError, match="would not drain"):
        await agent.make(DRAIN)
    for server in servers:
        server.close()
        await server.wait_closed()
    with pytest.raises(FaultError, match="did not drain"):
        await agent.make(DRAIN)


async def test_an_edge_that_does_not_answer_keeps_no_other_from_ending_its_drain(
    tmp_path: Path,
) -> None:
    lab, edge = _Spy(), _SlowEdge()
    edge.may_answer.set()
    lab.paths = _Folder(tmp_path)
    gone, there = [await edge.serve(tmp_path / f"edge-{name}.sock") for name in ("a1", "a2")]
    agent = agent_of(lab)
    await agent.make(DRAIN)
    gone.close()
    await gone.wait_closed()
    await agent.heal_all("runner")
    assert edge.said == ["drain", "drain", "undrain"]
    by = agent.made[0].by
    assert "edge-a1.sock did not undrain" in by
    assert "edge-a2" not in by
    assert '{"cmd": "undrain"}' in by
    there.close()
    await there.wait_closed()


async def test_a_drain_that_one_edge_refuses_is_taken_back_at_the_others(tmp_path: Path) -> None:
    lab, edge = _Spy(), _SlowEdge()
    edge.may_answer.set()
    lab.paths = _Folder(tmp_path)
    server = await edge.serve(tmp_path / "edge-a1.sock")
    with pytest.raises(FaultError, match=r"edge-a2\.sock did not drain"):
        await agent_of(lab).make(DRAIN)
    assert edge.said == ["drain", "undrain"]
    server.close()
    await server.wait_closed()
