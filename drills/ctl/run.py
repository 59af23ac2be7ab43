"""One command line of `ctl`, from the words to the exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import aiohttp
import msgspec

from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console, progress
from drills.ctl import (
    client,
    completion,
    files,
    follow,
    line,
    manual,
    moves,
    problems,
    published,
    show,
    signing,
    sitting,
    telling,
)
from drills.ctl.account import Book
from drills.ctl.client import Api, ProblemError, Reply
from drills.ctl.commands import Command, commands
from drills.ctl.line import Line, LineError, Request
from drills.ctl.schema import Schemas
from drills.ctl.signing import URL
from state.codec import UNREADABLE

HARD_SPACE: Final = "\u00a0"
"""No line ends within a verb."""
HELP: Final = (
    """\
All that the API does, from the terminal.

  ./everline ctl sign-in --url URL --login NAME [--tenant TENANT] [--password-file FILE]
  ./everline ctl sign-in --url URL --oidc [--tenant TENANT]
  ./everline ctl RESOURCE VERB ... [--tenant TENANT] [--json]
  ./everline ctl RESOURCE [VERB] --help
  ./everline ctl sign-out

sign-in asks for the password, or reads EVERLINE_PASSWORD; with --oidc it opens the
tenant's identity provider in a browser, which sends it back to a port of this machine.
--ca FILE names an authority that vouches for the control plane. The tokens stay in your
own folder (~/.config/everline), readable by you alone. EVERLINE_URL stands for --url.

For example:
  ./everline ctl queues list
  ./everline ctl queues change sales --priority 5 --dry-run
  ./everline ctl customers import people.csv --dry-run
  ./everline ctl configuration rollback 12
  ./everline ctl events --topics calls,agents

Traffic, with what moving it would come to before it is done:
"""
    + moves.SHORT
)


def main(words: Sequence[str]) -> int:
    """Carry out one command line. Raise `CommandError`."""
    try:
        return asyncio.run(_main(list(words)))
    except ProblemError as error:
        raise CommandError(problems.words(error.problem)) from error
    except LineError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        said = str(error) or type(error).__name__
        raise CommandError(f"the control plane cannot be reached: {said}") from error


async def _main(words: list[str]) -> int:
    is_lost = "--help" in words and not Book().read().known
    if not words or words[0] in ("--help", "-h") or is_lost:
        print(HELP, end="")  # noqa: T201 - the command's output
        return await _nouns()
    book = Book()
    if words[0] == "sign-in":
        return await signing.sign_in(book, words[1:])
    account = book.find(_url(words))
    async with client.session(account.ca) as http:
        api = Api(http, book, account)
        if words[0] == "sign-out":
            return await signing.sign_out(api, book)
        document = await api.document()
        schemas = Schemas(document["components"]["schemas"])
        known = commands(document)
        completion.keep(known)
        try:
            command, rest = line.find(known, moves.expanded(_without_url(words)))
        except LineError as error:
            if "--help" not in words:
                raise
            print(error)  # noqa: T201 - what somebody asked for is no mistake
            return Exit.OK
        typed = line.understand(command, rest)
        if typed.has("help"):
            print(manual.help_of(command, schemas, console().width))  # noqa: T201
            return Exit.OK
        try:
            return await _carry_out(api, typed, schemas, document)
        except ProblemError as error:
            if error.problem.error_id != problems.FORBIDDEN or not (more := line.may_help(typed)):
                raise
            raise CommandError(f"{problems.words(error.problem)}\n  {more}") from error


async def _nouns() -> int:
    """List the resources, if somebody is signed in who could use them."""
    book = Book()
    if not book.read().now:
        return Exit.OK
    account = book.find(os.environ.get(URL))
    async with client.session(account.ca) as http:
        known = commands(await Api(http, book, account).document())
        completion.keep(known)
    nouns: dict[str, list[str]] = {}
    for each in known:
        nouns.setdefault(each.words[0], []).append(" ".join(each.words[1:]))
    whole = [
        (noun, ", ".join(each.replace(" ", HARD_SPACE) for each in verbs if each))
        for noun, verbs in nouns.items()
    ]
    rows = "\n".join(manual.columns(whole, console().width)).replace(HARD_SPACE, " ")
    print(f"\nResources and verbs:\n{rows}")  # noqa: T201
    return Exit.OK


def _url(words: Sequence[str]) -> str | None:
    for place, word in enumerate(words):
        if word.startswith("--url="):
            return client.checked(word.partition("=")[2])
        if word == "--url":
            if place + 1 == len(words):  # as of a variable that is empty: another one is not meant
                raise LineError("--url needs a value")
            return client.checked(words[place + 1])
    return os.environ.get(URL) or None


def _without_url(words: Sequence[str]) -> list[str]:
    """Return the words with those first that name the command."""
    kept = [word for word in words if not word.startswith("--url=")]
    if "--url" in kept:
        place = kept.index("--url")
        del kept[place : place + 2]
    return kept


async def _carry_out(api: Api, typed: Line, schemas: Schemas, document: Mapping[str, Any]) -> int:
    command = typed.command
    whole = _whole(typed)
    request = line.request(typed, schemas, whole, is_partial=command.merges)
    if command.is_stream:
        return await _follow(api, typed, request)
    if command.takes_file or command.gives not in ("application/json", ""):
        return await files.stream(api, typed, request)
    before: Reply | None = None
    headers = dict(request.headers)
    if command.needs_version:
        if etag := typed.own.get("if-match"):
            headers["If-Match"] = etag if etag.startswith('"') else f'"{etag}"'
        else:
            before = await _read(api, request, command)
            headers["If-Match"] = before.etag
    body: dict[str, Any] | None = request.body
    if command.merges:
        there = before or await _read(api, request, command)
        body = _merged(there.json, body or {}, schemas, _shape(document, command))
    if command.is_once:
        headers["Idempotency-Key"] = client.key(typed.own.get("again"))
    if moves.is_to_be_asked(typed) and sys.stdin.isatty():
        path = moves.tried(request.path)
        trial = await api.ask(command.method, path, headers=headers, body=body)
        if not _may_go_on(trial.json):
            return Exit.FAILED
    sent = msgspec.structs.replace(request, headers=headers, body=body)
    reply = await _answered(api, command, sent, before)
    told = await published.followed(api, reply.json, request.headers)
    if command.is_listing and typed.has("all"):
        told = {"items": [each async for each in pages(api, request, told)], "next": None}
    telling.tell(told, as_json=typed.has("json"))
    return Exit.OK


async def _answered(api: Api, command: Command, request: Request, before: Reply | None) -> Reply:
    """Return the answer; of a refusal show what led to it. `before`: what was read first."""
    try:
        return await api.ask(
            command.method,
            request.path,
            headers=request.headers,
            body=request.body,
            again=command.is_once,
        )
    except ProblemError as error:
        if error.problem.error_id == problems.CONFLICT:
            now = (await _read(api, request, command)).json
            _tell_conflict(None if before is None else before.json, now, request.body)
        if move := error.problem.more.get("move"):
            console(aside=True).print(moves.shown(move))
        raise


def _may_go_on(told: Mapping[str, Any]) -> bool:
    """Show what moving traffic would come to, and ask whoever sits there."""
    if not (move := told.get("move")):
        return True
    aside = console(aside=True)
    aside.print(moves.shown(move))
    if outside := moves.outside(told.get("findings", ())):
        aside.print(outside)
    return sitting.says_yes("Move it?")


def _whole(typed: Line) -> dict[str, Any] | None:
    source = typed.own.get("from")
    if source is None:
        return None
    try:
        if source == "-":
            text = sys.stdin.read()
        else:
            text = source if source.lstrip().startswith("{") else Path(source).read_text()
        return msgspec.json.decode(text, type=dict[str, Any])
    except OSError as error:
        raise LineError(f"--from {source}: {error.strerror}") from error
    except UNREADABLE as error:
        raise LineError(f"--from: no JSON object: {error}") from error


async def _read(api: Api, request: Request, command: Command) -> Reply:
    path = request.path.partition("?")[0]
    if command.is_part:
        path = path.rpartition("/")[0]
    tenant = {k: v for k, v in request.headers.items() if k.startswith("Everline-")}
    return await api.ask("GET", path, headers=tenant)


def _shape(document: Mapping[str, Any], command: Command) -> Mapping[str, Any]:
    operation = document["paths"][command.path][command.method.lower()]
    shape: Mapping[str, Any] = operation["requestBody"]["content"][command.takes]["schema"]
    return shape


def _merged(
    there: Mapping[str, Any],
    changed: Mapping[str, Any],
    schemas: Schemas,
    shape: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what is there, of the fields that can be sent, with the changes."""
    known = schemas.properties(shape)
    return {name: value for name, value in there.items() if name in known} | dict(changed)


def _tell_conflict(
    before: Mapping[str, Any] | None, now: Mapping[str, Any], body: Mapping[str, Any] | None
) -> None:
    """Show what another has changed since, or how it differs from what would be written."""
    say = console(aside=True).print
    if before is not None:
        say("Changed by somebody else since it was read:")
        say(show.differences(before, now, ("was", "is")))
        return
    sent = {name: value for name, value in (body or {}).items() if name in now}
    there = {name: now[name] for name in sent}
    say("What is there, beside what you would write:")
    say(show.differences(there, sent, ("there", "yours")))


async def pages(
    api: Api, request: Request, first: Mapping[str, Any]
) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the items of all pages from the first one on, wherever that began."""
    where, _, query = request.path.partition("?")
    asked = [each for each in parse_qsl(query, keep_blank_values=True) if each[0] != "cursor"]
    told = first
    with progress("pages") as task:
        while True:
            for each in told["items"]:
                yield each
            if told["next"] is None:
                return
            task.advance()
            path = f"{where}?{urlencode([*asked, ('cursor', told['next'])])}"
            told = (await api.ask("GET", path, headers=request.headers)).json


async def _follow(api: Api, typed: Line, request: Request) -> int:
    """Print what is told until Ctrl-C; as JSON, a line for each message."""
    async for said in follow.messages(api, request):
        told = [msgspec.json.encode(said).decode()] if typed.has("json") else follow.lines(said)
        for each in told:
            sys.stdout.write(each + "\n")
        sys.stdout.flush()
    return Exit.OK
