"""The list of Debian packages against dpkg's directory."""

from __future__ import annotations

from pathlib import Path

from drills.setup.packages import PACKAGES, missing


def test_on_a_bare_machine_every_package_of_the_list_is_missing(tmp_path: Path) -> None:
    assert missing(tmp_path) == [package.name for package in PACKAGES]
    assert missing(tmp_path / "no dpkg here") == [package.name for package in PACKAGES]


def test_a_package_counts_with_and_without_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "kamailio.md5sums").touch()
    (tmp_path / "kamailio-extra-modules:amd64.md5sums").touch()
    assert not {"kamailio", "kamailio-extra-modules"} & set(missing(tmp_path))


def test_a_removed_package_whose_configuration_stays_is_missing(tmp_path: Path) -> None:
    (tmp_path / "kamailio.list").touch()
    (tmp_path / "kamailio.postrm").touch()
    assert "kamailio" in missing(tmp_path)
