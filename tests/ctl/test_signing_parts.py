"""`ctl` signs in by a real provider in a browser, and over TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import threading
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import structlog

from drills.cli.errors import CommandError
from drills.ctl import run, signing
from drills.ctl.account import Book
from drills.lab.certs import make_authority
from state.clock import SystemClock
from tests.control_plane.center import PASSWORD, Person
from tests.control_plane.oidc import stage
from tests.control_plane.oidc.provider import TERMINAL
from tests.control_plane.oidc.stage import Provider
from tests.control_plane.outside.served import Served, served

pytestmark = pytest.mark.parts


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("EVERLINE_PASSWORD", PASSWORD)
    monkeypatch.delenv("EVERLINE_URL", raising=False)
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with stage.running(tmp_path_factory.mktemp("provider")) as made:
        yield made


async def ctl(*words: str) -> int:
    return await asyncio.to_thread(run.main, words)


@asynccontextmanager
async def known(provider: Provider) -> AsyncIterator[Served]:
    """Serve a tenant that takes whomever the provider knows."""
    async with served(oidc_issuers=(provider.issuer,)) as serving:
        admin: Person = await serving.center.administrator()
        body = stage.settings_of(
            provider,
            redirect_uris=[TERMINAL],
            creates_users=True,
            roles={"leads": ["role:manager"]},
        )
        assert (await stage.put(admin, body)).status == 200
        yield serving


def browser(monkeypatch: pytest.MonkeyPatch, login: str, spoil: str = "") -> None:
    """Let whoever opens a browser be this one, at the provider and back."""

    def visit(url: str) -> None:
        back = asyncio.run(stage.sent_back(url, login))
        with urlopen(back.replace("state=", f"state={spoil}")) as page:  # noqa: S310 - ours
            assert b"go on in the terminal" in page.read()

    def opened(url: str) -> bool:
        threading.Thread(target=visit, args=(url,), daemon=True).start()
        return True

    monkeypatch.setattr(webbrowser, "open", opened)


async def test_a_terminal_signs_in_by_the_tenants_provider(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with known(provider) as serving:
        browser(monkeypatch, "ada")
        assert await ctl("sign-in", "--url", serving.url, "--oidc") == 0
        assert provider.issuer in capsys.readouterr().out
        assert await ctl("me", "show", "--json") == 0
        assert json.loads(capsys.readouterr().out)["roles"] == ["role:manager"]


async def test_the_answer_of_another_sign_in_opens_nothing(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with known(provider) as serving:
        browser(monkeypatch, "ada", spoil="x")
        with pytest.raises(CommandError, match="another sign-in"):
            await ctl("sign-in", "--url", serving.url, "--oidc")
        monkeypatch.setattr(webbrowser, "open", lambda _: False)
        monkeypatch.setattr(signing, "WAIT_S", 0.05)
        with pytest.raises(CommandError, match="nobody came back"):
            await ctl("sign-in", "--url", serving.url, "--oidc")
        assert Book().read().known == {}


async def test_a_control_plane_speaks_tls_to_who_believes_its_authority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = dt.datetime.fromtimestamp(SystemClock().now().wall_ms / 1000, dt.UTC)
    authority = make_authority(tmp_path / "certs", now=now)
    async with served(identity=authority.issue("api", addresses=("127.0.0.1",))) as serving:
        assert serving.url.startswith("https://")
        words = ("sign-in", "--url", serving.url, "--login", "admin")
        with pytest.raises(CommandError, match=r"(?i)certificate"):
            await ctl(*words)
        assert await ctl(*words, "--ca", str(authority.ca)) == 0
        capsys.readouterr()
        assert await ctl("me", "show", "--json") == 0, "the authority is kept with the account"
        assert json.loads(capsys.readouterr().out)["tenant"] == "main"
        authority.ca.unlink()
        with pytest.raises(CommandError, match="sign in again with --ca"):
            await ctl("me", "show")
