"""The doctor's table, its JSON, and that it finds what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drills.lab.enter import Ground
from drills.lab.errors import EnterError
from drills.setup import checks, doctor
from drills.setup.checks import Finding, State

ROOT = Path(__file__).parents[2]
LACKING = Finding("tun", State.MISSING, "no such device", "modprobe tun")
FINE = Finding("python", State.OK, "3.11.2")


def test_what_mends_a_thing_stands_under_it() -> None:
    assert doctor.table([FINE, LACKING]).splitlines() == [
        "python  ok       3.11.2",
        "tun     missing  no such device",
        "                 -> modprobe tun",
    ]


@pytest.mark.parametrize(("found", "code"), [([FINE], 0), ([FINE, LACKING], 1)])
def test_the_exit_code_and_the_json_say_whether_all_is_ready(
    found: list[Finding],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "findings", lambda: iter(found))
    assert doctor.report(as_json=True) == code
    told = json.loads(capsys.readouterr().out)
    assert told["ready"] is (code == 0)
    assert [row["name"] for row in told["findings"]] == [row.name for row in found]


@pytest.mark.parametrize("has_ground", [True, False])
def test_every_check_that_lacks_something_names_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, *, has_ground: bool
) -> None:
    def try_(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "it is not there")

    def find_ground() -> Ground:
        if has_ground:
            return Ground.USER
        raise EnterError("refused")

    monkeypatch.setattr(checks, "_try", try_)
    monkeypatch.setattr(checks, "find_ground", find_ground)
    found = list(checks.findings())
    missing = {each.name for each in found if each.state is State.MISSING}
    assert missing >= {"etcd-server", "links" if has_ground else "namespaces"}
    assert [each for each in found if each.state is State.MISSING and not each.mend] == []


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("??5??????   /usr/sbin/kamailio", "/usr/sbin/kamailio"),
        ("missing     /usr/lib/x86_64-linux-gnu/kamailio/modules/tm.so", "tm.so"),
        ("??5?????? c /etc/kamailio/kamailio.cfg", ""),
        ("missing     /usr/share/doc/kamailio/copyright", ""),
        ("missing     /var/lib/kamailio (Permission denied)", ""),
    ],
)
def test_a_program_that_is_not_as_its_package_brought_it_is_named(
    said: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dpkg"
    program.write_text(f'#!/bin/sh\ncase "$*" in *" kamailio"*) echo "{said}";; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    rows = {row.name: row for row in checks.debian_packages()}
    kamailio = rows["kamailio"]
    assert (kamailio.state is State.MISSING) is bool(found)
    assert found in kamailio.found
    assert ("--reinstall kamailio" in kamailio.mend) is bool(found)
    assert rows["etcd-server"].state is State.OK


def test_a_machine_with_nothing_gets_a_full_list_and_no_traceback(tmp_path: Path) -> None:
    """Run the doctor as on a bare machine: no tools in reach, the system's Python, no packages."""
    program = "import sys; from drills.setup import doctor; sys.exit(doctor.main(['--json']))"
    done = subprocess.run(
        ["/usr/bin/python3", "-S", "-c", program],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode in {0, 1}
    assert json.loads(done.stdout)["findings"]


def test_set_up_needs_nothing_but_the_standard_library() -> None:
    modules = [
        file.stem for file in (ROOT / "drills/setup").glob("*.py") if file.stem != "__init__"
    ]
    program = "\n".join(f"import drills.setup.{module}" for module in modules)
    done = subprocess.run(
        [
            "/usr/bin/python3",
            "-S",
            "-E",
            "-c",
            f"import sys; sys.path.append({str(ROOT)!r})\n{program}",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert sys.prefix != "/usr", "these tests run in the project's own environment"
