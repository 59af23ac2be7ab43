"""`ctl` against a control plane that serves: signing in, everyday work, conflicts, two at once."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from control_plane.events.hub import HUB
from control_plane.events.listener import Over
from control_plane.permissions import Role
from drills.cli.errors import CommandError
from drills.ctl import account, client, follow, run
from drills.ctl.account import Account, Book
from drills.ctl.line import Request
from state.clock import ManualClock
from state.memory import MemoryStore
from tests.control_plane.center import PASSWORD, Person
from tests.control_plane.outside.served import Served, served

pytestmark = pytest.mark.parts
Ctl = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("EVERLINE_URL", raising=False)
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        async with served() as made:
            yield made
    finally:
        structlog.configure(**before)


@pytest.fixture
def ctl(capsys: pytest.CaptureFixture[str]) -> Ctl:
    async def call(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(run.main, words)
        return code, capsys.readouterr().out

    return call


async def manager(serving: Served, *roles: Role) -> Person:
    """Make somebody, and let `ctl` have their token."""
    person = await serving.center.person(*(roles or (Role.MANAGER,)))
    Book().keep(
        Account(
            url=serving.url,
            tenant="main",
            user=person.id,
            access_token=person.token,
            refresh_token="none",  # noqa: S106 - it is not used
            until_s=4e9,
        )
    )
    return person


async def test_signing_in_keeps_tokens_to_oneself_and_out_forgets_them(
    serving: Served, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLINE_PASSWORD", "this is not the password")
    with pytest.raises(CommandError, match="wrong"):
        await ctl("sign-in", "--url", serving.url, "--login", "admin")
    assert Book().read().known == {}
    monkeypatch.setenv("EVERLINE_PASSWORD", PASSWORD)
    code, told = await ctl("sign-in", "--url", serving.url, "--login", "admin")
    assert (code, "signed in" in told) == (0, True)
    file = account.folder() / "ctl.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in file.read_text()
    code, told = await ctl("me", "show", "--json")
    assert json.loads(told)["roles"] == ["role:sre", "role:tenant_admin"]
    verbs = [line.split()[:3] for line in (await ctl())[1].splitlines()]
    assert ["queues", "add,", "change,"] in verbs
    held = Book().read().known[serving.url]
    await ctl("sign-out")
    assert Book().read().known == {}
    with pytest.raises(CommandError, match="not signed in"):
        await ctl("me", "show")
    Book().keep(held)
    with pytest.raises(CommandError, match="session is over"):
        await ctl("me", "show")


async def test_tokens_that_others_may_read_are_not_used(serving: Served, ctl: Ctl) -> None:
    await manager(serving)
    (account.folder() / "ctl.json").chmod(0o644)
    with pytest.raises(CommandError, match="others may read"):
        await ctl("me", "show")


async def test_two_commands_at_once_refresh_once(
    serving: Served, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLINE_PASSWORD", PASSWORD)
    await ctl("sign-in", "--url", serving.url, "--login", "admin")
    held = Book().read().known[serving.url]
    over = Account(
        url=held.url,
        tenant=held.tenant,
        user=held.user,
        access_token=held.access_token,
        refresh_token=held.refresh_token,
        until_s=0.0,
    )
    Book().keep(over)
    # A refresh token that comes twice would end the session.
    codes = await asyncio.gather(*(asyncio.to_thread(run.main, ["me", "show"]) for _ in range(4)))
    assert codes == [0, 0, 0, 0]
    assert Book().read().known[serving.url].refresh_token != held.refresh_token
    assert (await ctl("me", "show"))[0] == 0


async def test_queues_are_added_listed_changed_rolled_back(serving: Served, ctl: Ctl) -> None:
    await manager(serving, Role.MANAGER, Role.SRE)
    assert (await ctl("queues", "add", "sales", "--needs", "sales=3", "--dry-run"))[0] == 0
    assert (await ctl("queues", "list"))[1] == "None.\n"
    await ctl("queues", "add", "sales", "--needs", "sales=3")
    changed = await ctl("queues", "change", "sales", "--priority", "4", "--why", "a campaign")
    told = "Version 2 is NOT published yet: no etcd is named in the settings."
    assert told in changed[1]
    tried = await ctl("queues", "change", "sales", "--priority", "5", "--dry-run", "--json")
    assert "publication" not in json.loads(tried[1])
    shown = json.loads((await ctl("queues", "show", "sales", "--json"))[1])
    assert (shown["priority"], shown["needs"]) == (4, {"sales": 3})
    assert "sales" in (await ctl("queues", "list"))[1]
    assert "a campaign" in (await ctl("configuration", "versions", "list"))[1]
    before = json.loads((await ctl("configuration", "versions", "list", "--json"))[1])["items"]
    assert [each["number"] for each in before] == [2, 1]
    with pytest.raises(CommandError, match="configuration-broken"):
        await ctl("dids", "add", "4930100", "--queue", "missing")
    with pytest.raises(CommandError, match="not-found"):
        await ctl("queues", "show", "missing")


async def test_a_conflict_tells_what_is_there_and_changes_nothing(
    serving: Served, ctl: Ctl, capsys: pytest.CaptureFixture[str]
) -> None:
    await manager(serving)
    await ctl("queues", "add", "sales", "--needs", "sales=3")
    await ctl("queues", "change", "sales", "--priority", "4")
    with pytest.raises(CommandError, match="version-mismatch"):
        await ctl("queues", "change", "sales", "--priority", "9", "--if-match", "1")
    told = capsys.readouterr().err
    assert ["priority", "4", "9"] in [each.split() for each in told.splitlines()]
    assert json.loads((await ctl("queues", "show", "sales", "--json"))[1])["priority"] == 4


async def test_customers_are_imported_found_on_all_pages_and_exported(
    serving: Served, ctl: Ctl, tmp_path: Path
) -> None:
    person = await manager(serving)
    file = tmp_path / "people.csv"
    rows = [f"Person {place},+49301234{place:03}" for place in range(120)]
    file.write_text("\n".join(["name,numbers", *rows, "Nobody,no number"]) + "\n")
    code, told = await ctl("customers", "import", str(file), "--dry-run")
    assert (code, "line 122: numbers" in told) == (1, True)
    assert json.loads((await ctl("customers", "list", "--json"))[1])["items"] == []
    file.write_text("\n".join(["name,numbers", *rows]) + "\n")
    code, told = await ctl("customers", "import", str(file))
    assert (code, ["added", "120"] in [each.split() for each in told.splitlines()]) == (0, True)
    assert "There are more: --all" in (await ctl("customers", "list"))[1]
    everybody = json.loads((await ctl("customers", "list", "--all", "--json"))[1])["items"]
    assert len(everybody) == 120
    second = await serving.center.person(Role.MANAGER, team="other")
    given = await second.post(
        "/v1/approvals", {"act": "customer:export", "thing": "customers", "digest": "customers"}
    )
    out = tmp_path / "all.ndjson"
    words = ("customers", "export", "--output", str(out), "--purpose", "a move")
    for before in (None, "of yesterday"):
        if before is not None:
            out.write_text(before)
            out.chmod(0o600)
        with pytest.raises(CommandError, match="forbidden"):
            await ctl(*words)
        assert (out.read_text() if out.exists() else None) == before
    await ctl(*words, "--approval", given.json["id"])
    assert len(out.read_text().splitlines()) == 120
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert person.id


async def test_a_control_plane_that_is_not_there_is_told(serving: Served, ctl: Ctl) -> None:
    await manager(serving)
    with pytest.raises(CommandError, match="https only"):
        await ctl("sign-in", "--url", "http://192.0.2.1", "--login", "admin")
    gone = "http://127.0.0.1:1"
    Book().keep(
        Account(
            url=gone,
            tenant="main",
            user="u",
            access_token="t",  # noqa: S106
            refresh_token="r",  # noqa: S106
            until_s=4e9,
        )
    )
    with pytest.raises(CommandError, match="cannot be reached"):
        await ctl("queues", "list", "--url", gone)


async def test_events_are_followed_over_a_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    store = MemoryStore(ManualClock(), heartbeat_s=0.2)
    async with served(shared=store) as serving, client.session() as http:
        person = await manager(serving)
        api = client.Api(http, Book(), Book().find(serving.url))
        asked = Request(method="GET", path="/v1/events?topics=configuration", headers={}, body=None)
        heard: list[dict[str, object]] = []
        told: list[str] = []
        news = asyncio.Event()

        async def listen() -> None:
            async for said in follow.messages(api, asked):
                heard.append(dict(said))
                told.extend(follow.lines(said))
                news.set()

        async def hear(count: int) -> None:
            async with asyncio.timeout(30):
                while len(told) < count or not heard:
                    news.clear()
                    await news.wait()

        listener = asyncio.create_task(listen())
        await hear(0)
        await person.post("/v1/skills", {"id": "talk"})
        await hear(1)
        assert told[0].startswith("configuration ")
        _end_all(serving, Over.GOING_AWAY)
        await person.post("/v1/skills", {"id": "listen"})
        await hear(2)
        assert [each["type"] for each in heard if each["type"] != "heartbeat"].count("hello") >= 2
        _end_all(serving, Over.SIGNED_OUT)
        with pytest.raises(CommandError, match="session has ended"):
            await asyncio.wait_for(listener, 30)


def _end_all(serving: Served, because: Over) -> None:
    for stream in list(serving.center.app[HUB]._listeners):  # noqa: SLF001 - as if it closed them
        stream.end(because)
