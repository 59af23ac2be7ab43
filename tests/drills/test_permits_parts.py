"""Two people's leave from the terminal, against a control plane that serves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.permissions import Role
from drills import permits
from drills.cli import drill_live
from drills.cli.errors import CommandError, Exit
from drills.ctl.account import Account, Book
from drills.ctl.client import ProblemError
from drills.library import experiment_of
from tests.control_plane.center import Person
from tests.control_plane.outside.served import Served, served

pytestmark = pytest.mark.parts
DRILL = experiment_of("site_killed")
OTHER = experiment_of("site_frozen")


@pytest.fixture
async def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(drill_live, "_up", lambda _lab: ())
    async with served() as made:
        yield made


def signed_in(serving: Served, person: Person) -> None:
    """Let this machine's user be somebody."""
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


async def test_one_asks_another_approves_and_the_drill_may_begin_once(
    serving: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    sre = await serving.center.person(Role.SRE, team="platform")
    manager = await serving.center.person(Role.MANAGER, team="service")
    signed_in(serving, sre)
    assert await asyncio.to_thread(drill_live.ask, DRILL.name, why="quarterly") == Exit.OK
    (request,) = set(re.findall(r"apq_\w+", capsys.readouterr().out))
    async with permits.signed_in([serving.url]) as api:
        assert await permits.approved(api, DRILL) is None
    with pytest.raises(CommandError, match="forbidden"):
        await asyncio.to_thread(drill_live.approve, request, really=True)

    signed_in(serving, manager)
    assert await asyncio.to_thread(drill_live.approve, request) == Exit.OK
    told = capsys.readouterr().out
    assert f"{sre.id} asks for: {DRILL.title}" in told
    assert "would do at 0 s: kill_site {leader}" in told
    assert "is waiting" in told, "looking is not saying yes"
    assert await asyncio.to_thread(drill_live.approve, request, really=True) == Exit.OK

    signed_in(serving, sre)
    async with permits.signed_in([serving.url]) as api:
        assert await permits.approved(api, OTHER) is None
        found = await permits.approved(api, DRILL)
        assert found is not None
        permit = await permits.use(api, DRILL, found.id)
        assert (permit.asked_by, permit.approved_by) == (sre.id, manager.id)
        assert (permit.plan_hash, permit.why) == (DRILL.plan_hash, "quarterly")
        assert await permits.approved(api, DRILL) is None
        with pytest.raises(ProblemError, match="forbidden"):
            await permits.use(api, DRILL, found.id)


async def test_a_plan_that_is_another_one_here_is_not_approved(
    serving: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    sre = await serving.center.person(Role.SRE, team="platform")
    body = {"act": "drill:run", "things": [DRILL.name], "digest": "0" * 64, "why": "x"}
    asked = await sre.post("/v1/approval-requests", body)
    signed_in(serving, await serving.center.person(Role.MANAGER, team="service"))
    with pytest.raises(CommandError, match="look at the same version"):
        await asyncio.to_thread(drill_live.approve, asked.json["id"], really=True)
    assert await asyncio.to_thread(drill_live.approve, asked.json["id"], refuse=True) == Exit.OK
    assert "is refused" in capsys.readouterr().out


async def test_what_is_asked_for_another_act_is_no_drill(serving: Served) -> None:
    manager = await serving.center.person(Role.MANAGER, team="service")
    body = {"act": "customer:export", "things": ["customers"], "digest": "customers", "why": "x"}
    asked = await manager.post("/v1/approval-requests", body)
    signed_in(serving, manager)
    with pytest.raises(CommandError, match="no request for a drill"):
        await asyncio.to_thread(drill_live.approve, asked.json["id"])


async def test_who_is_signed_in_elsewhere_is_told_where_to_sign_in(serving: Served) -> None:
    signed_in(serving, await serving.center.person(Role.SRE))
    with pytest.raises(CommandError, match=r"--url https://127\.0\.0\.1:8441"):
        async with permits.signed_in(["https://127.0.0.1:8441"]):
            pass
