"""Asks a control plane of the sites that are drilled for two people's leave; gives the second word.

Whoever has signed in by `./everline ctl sign-in` is who asks or approves. Never a machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from msgspec import Struct

from drills.cli.errors import CommandError
from drills.ctl import client
from drills.ctl.account import Account, Book
from drills.ctl.client import Api
from drills.experiment import Experiment
from drills.permit import Permit

ACT: Final = "drill:run"
APPROVED: Final = "approved"
_REQUESTS: Final = "/v1/approval-requests"
MOST: Final = 100


class Asked(Struct, frozen=True, kw_only=True):
    """A request for approval, as far as drills need it."""

    id: str
    act: str
    things: dict[str, str]
    """The drill's name, and the hash of its plan."""
    why: str
    ticket: str
    by: str
    until: str
    state: str
    decided_by: str = ""

    @property
    def drill(self) -> str:
        """Return which drill it is of; empty: of none, or of several things."""
        return next(iter(self.things)) if len(self.things) == 1 else ""


class _Page(Struct, frozen=True, kw_only=True):
    items: tuple[Asked, ...]


@asynccontextmanager
async def signed_in(urls: Iterable[str], book: Book | None = None) -> AsyncIterator[Api]:
    """Give a control plane of these sites, for whoever is signed in at one of them.

    No `urls`: wherever one has signed in last. Raise `CommandError`, which says how to sign in.
    """
    accounts = book or Book()
    account = _account(accounts, tuple(urls))
    async with client.session(account.ca) as http:
        yield Api(http, accounts, account)


def _account(book: Book, urls: tuple[str, ...]) -> Account:
    known = book.read()
    for url in (known.now, *urls) if urls else (known.now,):
        if url in known.known and (not urls or url in urls):
            return known.known[url]
    where = urls[0] if urls else "URL"
    raise CommandError(
        "you are not signed in at the sites that are up, so nobody can approve a drill of yours:"
        f" ./everline ctl sign-in --url {where} --login NAME"
    )


async def ask(api: Api, experiment: Experiment, why: str, ticket: str = "") -> Asked:
    """Ask a second person to approve exactly this plan, once."""
    body = {
        "act": ACT,
        "things": [experiment.name],
        "digest": experiment.plan_hash,
        "why": why,
        "ticket": ticket,
    }
    reply = await api.ask("POST", _REQUESTS, body=body)
    return msgspec.convert(reply.json, Asked)


async def find(api: Api, request: str) -> Asked:
    """Return a request. Raise `CommandError` when it is of no drill."""
    reply = await api.ask("GET", f"{_REQUESTS}/{request}")
    asked = msgspec.convert(reply.json, Asked)
    if asked.act != ACT or not asked.drill:
        raise CommandError(f"{request} is no request for a drill: it is for {asked.act}")
    return asked


async def say(api: Api, asked: Asked, word: str) -> Asked:
    """Say `approve` or `refuse` to it."""
    reply = await api.ask("POST", f"{_REQUESTS}/{asked.id}/{word}")
    return msgspec.convert(reply.json, Asked)


async def approved(api: Api, experiment: Experiment) -> Asked | None:
    """Return the newest request of one's own for this plan that may still be used."""
    query = f"act={ACT}&by={api.account.user}&limit={MOST}"
    reply = await api.ask("GET", f"{_REQUESTS}?{query}")
    for each in msgspec.convert(reply.json, _Page).items:
        is_it = each.things == {experiment.name: experiment.plan_hash}
        if is_it and each.state == APPROVED:
            return each
    return None


async def use(api: Api, experiment: Experiment, request: str) -> Permit:
    """Use an approval up; return the permit, which is good for the drill that begins now."""
    body = {"drill": experiment.name, "plan_hash": experiment.plan_hash}
    headers = {"Everline-Approval": request}
    reply = await api.ask("POST", "/v1/drill-permits", headers=headers, body=body)
    return msgspec.convert(reply.json, Permit)
