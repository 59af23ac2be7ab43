"""PURE. A command line, against the command that it names: what to send, and how to show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from msgspec import Struct

from drills.ctl.commands import JSON, Command, Field
from drills.ctl.schema import BadValueError, Schemas

OWN: Final = {
    "json": "Print the answer as JSON.",
    "all": "Of a listing, all pages.",
    "tenant": "Where to act; left out: where you belong.",
    "url": "Another control plane than the one you signed in to.",
    "from": "The whole body, as JSON: a file, - for standard input, or the text itself.",
    "if-match": "The ETag that it was read with; left out: it is read now.",
    "again": "The key of the same command, when it was cut off: what is done is not done twice.",
    "output": "Write what comes to this file.",
    "yes": "Move traffic without being asked, whatever is shown.",
    "help": "Show what it takes.",
}
"""Options that every command has, beside those of its endpoint."""
_APPROVED: Final = (
    "An approval is good once, for whoever asked for it, and for exactly that: the same act, the "
    "same things in the state that they had, by somebody of another team, within its time "
    "(approvals requests show ID)"
)
_FLAGS: Final = frozenset({"json", "all", "help", "yes"})


def is_of_use(name: str, command: Command) -> bool:
    """Whether an option of `ctl` itself makes a difference to this command."""
    return {
        "all": command.is_listing,
        "yes": any(each.name == "force" for each in command.options),
        "from": bool(command.takes) and not command.takes_file,
        "if-match": command.needs_version,
        "again": command.is_once,
        "output": command.takes_file or command.gives not in (JSON, ""),
    }.get(name, True)


class LineError(Exception):
    """What was typed is no command; the text says what would be."""


class Line(Struct, frozen=True, kw_only=True):
    """A command line, understood."""

    command: Command
    words: dict[str, list[str]]
    """Of the endpoint, by the terminal's names."""
    own: dict[str, str]
    """Of `ctl` itself."""
    file: str = ""

    def has(self, flag: str) -> bool:
        """Whether a flag of `ctl`'s own was given."""
        return flag in self.own


class Request(Struct, frozen=True, kw_only=True):
    """What is sent, but for a file."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None


def find(commands: Sequence[Command], words: Sequence[str]) -> tuple[Command, tuple[str, ...]]:
    """Return the command that `words` begin with, and the rest. Raise `LineError`."""
    fitting = [
        each for each in commands if tuple(words[: len(each.words)]) == each.words
    ]  # the longest: `customers cases list` and `customers cases`
    if fitting:
        best = max(fitting, key=lambda each: len(each.words))
        return best, tuple(words[len(best.words) :])
    typed = [each for each in words if not each.startswith("-")]
    near = [each for each in commands if each.words[: len(typed[:1])] == tuple(typed[:1])]
    if not near:
        nouns = ", ".join(dict.fromkeys(each.words[0] for each in commands))
        raise LineError(f"there is nothing called {typed[0]!r}; there are {nouns}")
    verbs = "\n".join(f"  {usage(each)}" for each in near)
    raise LineError(f"{' '.join(typed)}: which of these?\n{verbs}")


def understand(command: Command, rest: Sequence[str]) -> Line:
    """Return `rest` sorted into what the command takes. Raise `LineError`."""
    given: dict[str, list[str]] = {}
    own: dict[str, str] = {}
    plain: list[str] = []
    words = iter(rest)
    for word in words:
        if word == "--":
            plain += words
        elif word.startswith("--"):
            _take_option(command, word, words, given, own)
        elif word == "-h":
            own["help"] = ""
        else:
            plain.append(word)
    file = ""
    if command.takes_file and plain:
        file = plain.pop(0) if len(plain) > len(command.places) else ""
    if len(plain) > len(command.places):
        raise LineError(f"{plain[len(command.places)]!r} is too much: {usage(command)}")
    for place, word in zip(command.places, plain, strict=False):
        given.setdefault(place.name, []).append(word)
    return Line(command=command, words=given, own=own, file=file)


def _take_option(
    command: Command,
    word: str,
    words: Iterator[str],
    given: dict[str, list[str]],
    own: dict[str, str],
) -> None:
    options = {each.name: each for each in (*command.options, *command.places)}
    name, equals, value = word[2:].partition("=")
    field = options.get(name)
    if field is None and name not in OWN:
        positive = options.get(name.removeprefix("no-"))
        field = positive if positive and Schemas({}).is_flag(positive.schema) else None
    if field is not None:
        if not equals and Schemas({}).is_flag(field.schema):
            given.setdefault(field.name, []).append("true" if name in options else "false")
            return
        given.setdefault(name, []).append(value if equals else _next(words, name))
    elif name in OWN and is_of_use(name, command):
        own[name] = "" if name in _FLAGS else value if equals else _next(words, name)
    else:
        of_use = {each for each in OWN if is_of_use(each, command)}
        known = ", ".join(f"--{each}" for each in sorted({*options, *of_use}))
        raise LineError(f"--{name} is not known here; there are {known}")


def _next(words: Iterator[str], name: str) -> str:
    try:
        return next(words)
    except StopIteration as error:
        raise LineError(f"--{name} needs a value") from error


def request(
    line: Line, schemas: Schemas, whole: Mapping[str, Any] | None, *, is_partial: bool = False
) -> Request:
    """Return what to send; `whole`: the body that was given as one. Raise `LineError`."""
    command = line.command
    path, query, headers = command.path, [], {}
    body: dict[str, Any] = dict(whole or {})
    for field in (*command.places, *command.options):
        words = line.words.get(field.name)
        if words is None:
            _check_needed(command, field, body, is_partial=is_partial)
            continue
        match field.where:
            case "path":
                path = path.replace(f"{{{field.wire}}}", quote(words[-1], safe=""))
            case "query":
                query += [(field.wire, each) for each in schemas.apart(field.schema, words)]
            case "header":
                headers[field.wire] = words[-1]
            case _:
                try:
                    body[field.wire] = schemas.value(field.schema, words)
                except BadValueError as error:
                    raise LineError(f"--{field.name} {error}") from error
    if tenant := line.own.get("tenant"):
        headers["Everline-Tenant"] = tenant
    return Request(
        method=command.method,
        path=f"{path}?{urlencode(query)}" if query else path,
        headers=headers,
        body=body if command.takes == JSON else None,
    )


def _check_needed(
    command: Command, field: Field, body: Mapping[str, Any], *, is_partial: bool
) -> None:
    if not field.is_needed or (field.where == "body" and (field.wire in body or is_partial)):
        return
    how = field.wire.upper() if field in command.places else f"--{field.name}"
    raise LineError(f"{how} is missing: {usage(command)}")


def usage(command: Command) -> str:
    """Return one line that shows how it is typed."""
    words = [*command.words, *(field.wire.upper() for field in command.places)]
    if command.takes_file:
        words.append("FILE")
    words += [f"--{each.name} ..." for each in command.options if each.is_needed]
    return " ".join(words)


def may_help(line: Line) -> str:
    """Return what was not said and could make a difference to the policy; empty: nothing."""
    ways = {
        "purpose": "with a purpose: --purpose WHY",
        "approval": "with a second person's approval: --approval ID (approvals requests add)",
        "glass": "with broken glass: --glass ID",
    }
    there = {each.name for each in line.command.options} - set(line.words)
    found = [way for name, way in ways.items() if name in there]
    if found:
        return f"Some rights count only {', or '.join(found)}"
    return _APPROVED if "approval" in line.words else ""
