"""How far members of etcd are behind, by their metrics."""

from __future__ import annotations

from drills.lab import replicas

METRICS = b"""# HELP etcd_server_proposals_applied_total The total number
etcd_server_proposals_applied_total 1234
etcd_server_proposals_committed_total 1.2e+03
etcd_server_is_leader 1
"""


def test_a_member_tells_up_to_which_entry_it_knows_and_has_applied() -> None:
    assert replicas.indexes(METRICS) == (1200, 1234)
    assert replicas.indexes(b"etcd_server_is_leader 1") is None
