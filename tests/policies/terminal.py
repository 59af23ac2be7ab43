"""What `./everline ctl` gets to see: the same requests, typed."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from drills.ctl import line
from drills.ctl.account import Account, Book
from drills.ctl.client import Api, ProblemError
from drills.ctl.commands import commands
from drills.ctl.schema import Schemas
from tests.control_plane.center import Center, Person, Reply
from tests.control_plane.outside.crawl import DOCUMENT, SCHEMAS, Sent

OWN = {"Everline-Tenant": "tenant"}
PROBLEM = {"Content-Type": "application/problem+json"}


class Terminal:
    """Somebody's, whoever is signed in."""

    def __init__(self, center: Center, folder: Path) -> None:
        self._center, self._book = center, Book(folder)
        self._all = commands(DOCUMENT)

    async def get(self, sent: Sent, person: Person) -> Reply:
        """Type what asks for the same, and return what comes back."""
        understood = self._understood(sent)
        account = Account(
            url=f"http://{self._center.host}",
            tenant="main",
            user=person.id,
            access_token=person.token,
            refresh_token="none",  # noqa: S106 - it is not used
            until_s=4e9,
        )
        self._book.keep(account)
        api = Api(self._center.client, self._book, account)
        try:
            reply = await api.ask(understood.method, understood.path, headers=understood.headers)
        except ProblemError as error:
            told = {"error_id": error.problem.error_id}
            return Reply(error.problem.status, PROBLEM, json.dumps(told).encode())
        return Reply(reply.status, {}, reply.body)

    def _understood(self, sent: Sent) -> line.Request:
        asked = urlsplit(sent.path)
        command = next(
            each for each in self._all
            if (each.method.upper(), each.path) == (sent.route.method, sent.route.path)
        )  # fmt: skip
        parts = zip(sent.route.path.split("/"), asked.path.split("/"), strict=True)
        words = [unquote(value) for name, value in parts if name.startswith("{")]
        names = {each.wire: each.name for each in (*command.places, *command.options)}
        for wire, value in (*parse_qsl(asked.query), *sent.headers.items()):
            words += [f"--{OWN.get(wire) or names[wire]}={value}"]
        found, rest = line.find(self._all, [*command.words, *words])
        assert found == command
        return line.request(line.understand(found, rest), Schemas(SCHEMAS), None)
