"""How the members of a lab's database are started, and what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlalchemy.engine import make_url

from drills.drill.ground import lags
from drills.lab import patroni
from drills.lab.database import Cluster
from drills.lab.plan import plan_lab
from drills.lab.process import Identity

PASSWORDS = patroni.Passwords(superuser="s p/", replication="r", rewind="w")
IDENTITY = Identity(ca=Path("/x/ca.pem"), cert=Path("/x/m.pem"), key=Path("/x/m.key"))


def composed() -> dict[str, dict[str, object]]:
    plan = plan_lab()
    names = dict.fromkeys(map(patroni.process_name, plan.sites), IDENTITY)
    work = patroni.compose(plan, names, PASSWORDS, Path("/bin"))
    assert [each.name for each in work.processes] == ["patroni-a", "patroni-b", "patroni-c"]
    return {path.parent.name: msgspec.json.decode(text) for path, text in work.files.items()}


def test_a_write_waits_for_a_second_site_and_only_such_a_one_becomes_primary() -> None:
    for told in composed().values():
        shared = told["bootstrap"]["dcs"]  # type: ignore[index]
        assert shared["synchronous_mode"] is True
        assert shared["postgresql"]["parameters"]["synchronous_commit"] == "on"
        assert shared["postgresql"]["use_pg_rewind"] is True
        # Patroni takes no less: ttl >= loop_wait + 2 * retry_timeout, and 20 s.
        assert shared["ttl"] >= max(20, shared["loop_wait"] + 2 * shared["retry_timeout"])


def test_nobody_connects_without_tls_from_another_machine() -> None:
    for told in composed().values():
        for rule in told["postgresql"]["pg_hba"]:  # type: ignore[index]
            assert rule.split()[0] in {"hostssl", "local"}
            assert "trust" not in rule
        assert told["etcd3"]["protocol"] == "https"  # type: ignore[index]


def test_a_member_dies_with_its_postgresql() -> None:
    plan = plan_lab()
    names = dict.fromkeys(map(patroni.process_name, plan.sites), IDENTITY)
    for each in patroni.compose(plan, names, PASSWORDS, Path("/bin")).processes:
        assert each.argv[0] == "unshare"
        assert {"-p", "--kill-child"} <= set(each.argv)


def test_the_url_names_every_site_and_hides_nothing_from_libpq() -> None:
    found = make_url(patroni.url(plan_lab(), Path("/run/c a.pem"), PASSWORDS))
    assert (found.password, found.database) == ("s p/", "everline")
    assert found.query["host"] == ("198.18.1.10:5432", "198.18.2.10:5432", "198.18.3.10:5432")
    assert found.query["sslmode"] == "verify-full"
    assert found.query["sslrootcert"] == "/run/c a.pem"


def cluster(*members: dict[str, object]) -> Cluster:
    return msgspec.convert({"members": members, "scope": "everline"}, Cluster)


LEADER = {"name": "b", "role": "leader", "state": "running", "timeline": 2}
SYNC = {"name": "a", "role": "sync_standby", "state": "streaming", "timeline": 2, "lag": 0}
REPLICA = {"name": "c", "role": "replica", "state": "streaming", "timeline": 2, "lag": 77}


def test_members_are_one_when_all_follow_one_primary_and_writes_wait_for_one_of_them() -> None:
    whole = cluster(LEADER, SYNC, REPLICA)
    assert whole.is_whole
    assert whole.primary == "b"
    assert not cluster(LEADER, REPLICA).is_whole, "no write would wait"
    assert not cluster(LEADER, SYNC, REPLICA | {"timeline": 1}).is_whole
    assert not cluster(LEADER, SYNC, REPLICA | {"state": "stopped"}).is_whole
    gone = cluster(LEADER | {"state": "stopped"}, SYNC, REPLICA)
    assert gone.primary is None
    assert not gone.is_whole


def test_a_replica_that_does_not_say_how_far_behind_it_is_counts_as_too_far() -> None:
    lost = REPLICA | {"lag": "unknown"}
    found = {each.replica: each.behind for each in lags(cluster(LEADER, SYNC, lost))}
    assert found == {"database at a": 0, "database at c": None}
    stopped = cluster(LEADER, SYNC | {"state": "stopped"})
    assert [each.behind for each in lags(stopped)] == [None]
