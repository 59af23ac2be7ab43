"""How far replicas are behind: by members' metrics, and by what sites keep and count."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from drills.lab import recorders, replicas
from state.model import CallId, CallRecord, Outcome, SiteId
from tests.edge.lone import guess

A, B = SiteId("a"), SiteId("b")
METRICS = b"""# HELP etcd_server_proposals_applied_total The total number
etcd_server_proposals_applied_total 1234
etcd_server_proposals_committed_total 1.2e+03
etcd_server_is_leader 1
"""


def test_a_member_tells_up_to_which_entry_it_knows_and_has_applied() -> None:
    assert replicas.indexes(METRICS) == (1200, 1234)
    assert replicas.indexes(b"etcd_server_is_leader 1") is None


def kept(run: Path, *calls: str) -> None:
    folder = recorders.store_of(run) / "main" / "manifests"
    folder.mkdir(parents=True)
    for call in calls:
        (folder / f"{call}.json").touch()


def of(call: str, site: SiteId, outcome: Outcome = Outcome.ANSWERED) -> CallRecord:
    return replace(guess(), call=CallId(call), site=site, outcome=outcome)


def test_a_recording_is_alone_until_its_site_counts_it(tmp_path: Path) -> None:
    runs = {A: tmp_path / "a", B: tmp_path / "b"}
    kept(runs[A], "one", "two", "three")
    kept(runs[B], "one")
    recorders.counted_of(runs[A]).parent.mkdir(parents=True)
    recorders.counted_of(runs[A]).write_text("main/one\n")
    records = [of("one", A), of("two", A), of("three", A, Outcome.LOST), of("gone", B)]
    assert replicas.unreplicated(runs, records) == {A: 1, B: 0}
