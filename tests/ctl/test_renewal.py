"""Tokens that are over are renewed, also where the first answer is lost on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest

from drills.ctl import client
from drills.ctl.account import Account, Book
from drills.ctl.client import Api
from tests.ctl.test_account import SOMEBODY


@pytest.mark.parametrize(
    "lost",
    [aiohttp.ServerDisconnectedError(), aiohttp.ClientPayloadError(), None],
    ids=["cut", "cut in its midst", "silent"],
)
async def test_whose_new_tokens_were_lost_asks_again_by_the_same_token_and_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: Exception | None
) -> None:
    sent: list[dict[str, str]] = []

    async def opened(_http: object, url: str, path: str, said: dict[str, str]) -> Account:
        assert (url, path) == ("https://a", "/v1/sessions/refresh")
        sent.append(said)
        if len(sent) == 1:
            if lost:
                raise lost
            await asyncio.Event().wait()
        return msgspec.structs.replace(SOMEBODY, access_token="t2", refresh_token="r2")  # noqa: S106

    monkeypatch.setattr(client, "open_session", opened)
    monkeypatch.setattr(client, "AGAIN_S", 0.0)
    monkeypatch.setattr(client, "RENEWAL_S", 0.05)
    book = Book(tmp_path)
    book.keep(SOMEBODY)
    async with aiohttp.ClientSession() as http:  # never asked: the control plane is played
        api = Api(http, book, SOMEBODY)
        await api.refresh(if_before_s=float("inf"))
    assert api.account.access_token == "t2"  # noqa: S105
    assert book.find(None) == api.account
    assert sent == [{"refresh_token": "r"}] * 2
