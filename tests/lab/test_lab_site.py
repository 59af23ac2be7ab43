"""What runs at the sites, and how it is started."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from control_plane.settings import Settings
from drills.lab import control_plane
from drills.lab.errors import PlanError
from drills.lab.paths import Paths, Work
from drills.lab.plan import LabPlan, Part, plan_lab
from drills.lab.process import Identity, ProcessSpec
from drills.lab.site import compose, etcd_endpoints
from edge.recorder.settings import load as load_recorder
from edge.settings import parse
from state.model import SiteId

PATHS = Paths(
    run=Path("/run/everline"),
    project=Path("/srv/everline"),
    python=Path("/srv/everline/.venv/bin/python"),
    kemi=Path("/srv/everline/edge/kemi"),
    carrier=Path("/srv/everline/drills/lab/carrier"),
)


def composed(plan: LabPlan) -> Work:
    names: list[str] = [*plan.sites, *(edge for site in plan.sites for edge in plan.edges(site))]
    names += [f"recorder-{site}" for site in plan.sites]
    identity = Identity(ca=Path("/ca.pem"), cert=Path("/own.pem"), key=Path("/own.key"))
    signers = {str(site): site.encode() * 32 for site in plan.sites}
    return compose(plan, PATHS, dict.fromkeys(names, identity), signers)


def process(work: Work, name: str) -> ProcessSpec:
    return next(process for process in work.processes if process.name == name)


PARTS = ("etcd", "kamailio", "rtpengine", "recorder")


def test_three_whole_sites_and_a_carrier_are_nineteen_processes() -> None:
    names = sorted(process.name for process in composed(plan_lab()).processes)
    assert names == sorted(
        [
            *(f"{part}-{site}" for part in PARTS for site in "abc"),
            *(f"edge-{site}{number}" for site in "abc" for number in (1, 2)),
            "kamailio-carrier",
        ]
    )


def test_every_process_runs_on_its_own_host_with_unique_names() -> None:
    plan = plan_lab()
    work = composed(plan)
    assert len({process.name for process in work.processes}) == len(work.processes)
    for spec in work.processes:
        assert spec.host is not None
        assert plan.host(spec.host).name in spec.name


def test_only_the_planned_parts_run() -> None:
    work = composed(plan_lab(sites=2, parts=frozenset({Part.ETCD})))
    assert [process.name for process in work.processes] == ["etcd-a", "etcd-b"]


def test_a_recorder_reads_its_settings_and_copies_to_the_next_site_first(tmp_path: Path) -> None:
    config = tmp_path / "recorder.toml"
    config.write_text(composed(plan_lab()).files[Path("/run/everline/b/recorder.toml")])
    settings = load_recorder(config)
    assert (settings.site, settings.replica_listen) == ("b", "198.18.2.10:5090")
    assert settings.peers == ("198.18.3.10:5090", "198.18.1.10:5090")
    assert set(settings.recorders) == {"a", "b", "c"}
    assert settings.socket == "/run/everline/b/recorder.sock"


def test_an_edge_reads_its_settings_from_the_file_that_the_lab_writes() -> None:
    path = Path("/run/everline/b/edge-b2.toml")
    settings = parse(tomllib.loads(composed(plan_lab()).files[path]), str(path))
    assert settings.edge == "b2"
    assert settings.sip == "198.18.2.10:5082"
    assert settings.recorder == Path("/run/everline/b/recorder.sock")
    assert settings.etcd == ("198.18.2.10:2379", "198.18.1.10:2379", "198.18.3.10:2379")
    assert settings.kamailio_rpc == Path("/run/everline/b/kamailio.rpc")
    assert settings.etcd_key == Path("/own.key")
    assert settings.command_socket == Path("/run/everline/b/edge-b2.sock")


def test_an_edge_starts_after_the_parts_of_its_own_site() -> None:
    edge = process(composed(plan_lab()), "edge-c1")
    assert sorted(edge.after) == ["etcd-c", "kamailio-c", "rtpengine-c"]


def test_an_edge_waits_for_nothing_that_is_not_planned() -> None:
    work = composed(plan_lab(parts=frozenset({Part.EDGE})))
    assert {process.after for process in work.processes} == {()}


def test_etcd_members_know_each_other_and_ask_everyone_for_a_certificate() -> None:
    argv = process(composed(plan_lab()), "etcd-b").argv
    cluster = argv[argv.index("--initial-cluster") + 1]
    assert cluster.split(",") == [
        "a=https://198.18.1.10:2380",
        "b=https://198.18.2.10:2380",
        "c=https://198.18.3.10:2380",
    ]
    assert {"--client-cert-auth", "--peer-client-cert-auth"} <= set(argv)


def test_etcd_forgets_old_revisions_before_it_is_full_and_takes_no_writes() -> None:
    argv = process(composed(plan_lab()), "etcd-a").argv
    assert argv[argv.index("--auto-compaction-mode") + 1] == "periodic"
    assert argv[argv.index("--auto-compaction-retention") + 1] == "5m"
    # Twice what is kept: 450 calls a second (docs/scale.md), some 10 KB each.
    needed = 2 * 300 * 450 * 10_000
    assert int(argv[argv.index("--quota-backend-bytes") + 1]) > needed


def test_nothing_but_sip_rtp_and_etcd_listens_beyond_the_host_itself() -> None:
    argv = process(composed(plan_lab()), "rtpengine-a").argv
    assert "--listen-ng=127.0.0.1:2223" in argv
    assert "--config-file=none" in argv
    assert not [word for word in argv if "listen-http" in word or "listen-cli" in word]


def test_a_command_of_the_plan_takes_the_place_of_ours() -> None:
    work = composed(plan_lab(commands={"edge-a1": ("sleep", "100")}))
    assert process(work, "edge-a1").argv == ("sleep", "100")
    assert process(work, "edge-a2").argv[1:3] == ("-m", "edge")


def test_a_command_for_a_process_that_does_not_run_is_refused() -> None:
    with pytest.raises(PlanError, match="commands for edge-z1"):
        composed(plan_lab(commands={"edge-z1": ("true",)}))


def test_the_carrier_hunts_through_all_sites_from_each_first_choice() -> None:
    rows = (
        composed(plan_lab()).files[Path("/run/everline/carrier/dispatcher.list")].splitlines()[1:]
    )
    hunts: dict[str, list[str]] = {}
    for first, destination, _, _ in sorted((r.split() for r in rows), key=lambda r: -int(r[3])):
        hunts.setdefault(first, []).append(destination.removeprefix("sip:198.18.")[0])
    assert hunts == {"1": ["1", "2", "3"], "2": ["2", "3", "1"], "3": ["3", "1", "2"]}


def test_the_carriers_list_for_three_sites_is_the_one_beside_its_configuration() -> None:
    root = Path(__file__).parents[2]
    beside = (root / "drills" / "lab" / "carrier" / "sites.list").read_text()
    ours = composed(plan_lab()).files[Path("/run/everline/carrier/dispatcher.list")]

    def rows(text: str) -> set[str]:
        return {line for line in text.splitlines() if not line.startswith("#")}

    assert rows(ours) == rows(beside)


def control_planes(database: str = "") -> Work:
    plan = plan_lab(parts=frozenset(Part))
    identity = Identity(ca=Path("/ca.pem"), cert=Path("/own.pem"), key=Path("/own.key"))
    names = [control_plane.process_name(site) for site in plan.sites]
    return control_plane.compose(plan, PATHS, dict.fromkeys(names, identity), database)


def test_control_planes_are_planned_apart_from_what_calls_need() -> None:
    assert not [p for p in composed(plan_lab()).processes if "control" in p.name]
    work = control_planes()
    assert {(p.name, p.host) for p in work.processes} == {
        (f"control-plane-{site}", site) for site in "abc"
    }


def test_control_planes_take_the_settings_and_share_a_database_and_keys() -> None:
    made = {
        path: Settings.model_validate(tomllib.loads(text))
        for path, text in control_planes().files.items()
    }
    b = made[Path("/run/everline/b/control-plane-b.toml")]
    assert (b.site, b.listen, b.tls_cert) == ("b", "198.18.2.10:8443", Path("/own.pem"))
    assert b.etcd[0] == "198.18.2.10:2379"
    assert (
        len({(each.database, each.keys_database, each.signing_key) for each in made.values()}) == 1
    )
    assert b.database == "sqlite+aiosqlite:////run/everline/center/everline.db"


def test_control_planes_take_a_database_outside() -> None:
    url = "postgresql://everline@/everline?host=/srv/sockets"
    texts = control_planes(url).files.values()
    assert {f'database = "{url}"' in text for text in texts} == {True}


def test_endpoints_begin_with_the_own_site() -> None:
    assert etcd_endpoints(plan_lab(), first=SiteId("c"))[0] == "198.18.3.10:2379"
