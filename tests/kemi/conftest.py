"""One real Kamailio for each file of tests, with empty tables before each; or the script, alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kemi.fake_ksr import FakeKsr, World, load
from tests.kemi.script import Script
from tests.kemi.site import Site, running


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site for the whole file."""
    site = Site(tmp_path_factory.mktemp("site"))
    with running(site):
        yield site


@pytest.fixture
def site(kamailio: Site) -> Iterator[Site]:
    """Return the site with nothing but its gate open; see that no worker died and nobody raised."""
    for table in ("steer", "peers", "ha1", "home", "gate", "leg", "meta", "listen"):
        kamailio.rpc("htable.flush", table)
    for table in ("down", "silent", "unanswered", "room", "strike", "ban", "known", "forward"):
        kamailio.rpc("htable.flush", table)
    kamailio.put("meta", "tables", "1")
    kamailio.put("meta", "gate_loaded", "1")
    before = len(kamailio.log_text())
    yield kamailio
    kamailio.close_peers()
    assert kamailio.process is not None
    assert kamailio.process.poll() is None
    said = kamailio.log_text()[before:]
    assert "Traceback" not in said, said
    assert "exception" not in said.lower(), said
    assert_alive(kamailio)


def assert_alive(site: Site) -> None:
    """See that every process that Kamailio started still runs, and that it answers."""
    assert len(site.rpc("core.psx")) >= 10


@pytest.fixture(scope="session")
def loaded() -> tuple[FakeKsr, dict[str, Any]]:
    """Load the script over a fake, once."""
    return load()


@pytest.fixture
def script(loaded: tuple[FakeKsr, dict[str, Any]]) -> Script:
    """Return the script."""
    return Script(*loaded)


@pytest.fixture
def world(script: Script, tmp_path: Path) -> Iterator[World]:
    """Return a new world for it; see that no lock is kept in it."""
    world = script.begin(tmp_path)
    yield world
    assert world.locked == []
