"""Files that a command of `ctl` sends, and answers that have no end in sight, with progress."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import msgspec

from drills.cli.errors import CommandError, Exit
from drills.cli.progress import Task, console, progress
from drills.ctl import client, line, show
from drills.ctl.client import Api, ProblemError
from drills.ctl.commands import JSON
from drills.ctl.line import Line, LineError, Request


async def stream(api: Api, typed: Line, request: Request) -> int:
    """Send a file, or take an answer that has no end in sight; with progress.

    Raise `CommandError` where the machine does not read the one, or take the other.
    """
    try:
        return await _stream(api, typed, request)
    except (aiohttp.ClientError, TimeoutError, BrokenPipeError):
        raise  # of the network, or of who reads no further
    except OSError as error:
        where = error.filename or typed.own.get("output", "standard output")
        raise CommandError(f"{where}: {error.strerror}") from error


async def _stream(api: Api, typed: Line, request: Request) -> int:
    headers = dict(request.headers)
    with ExitStack() as stack:
        data: Any = None
        if typed.command.takes_file:
            source = _file(typed)
            size = source.stat().st_size
            file = stack.enter_context(source.open("rb"))
            headers["Content-Type"] = typed.command.takes
            task = stack.enter_context(progress(f"{typed.command.name}, bytes", total=size))
            data = _sent(file, task)
            if typed.command.is_once:
                headers["Idempotency-Key"] = client.key(typed.own.get("again"))
        else:
            if request.body is not None:
                data = msgspec.json.encode(request.body)
                headers["Content-Type"] = JSON
            task = stack.enter_context(progress(f"{typed.command.name}, lines"))
        sink, is_made = _sink(typed, stack)
        try:
            method = typed.command.method
            async with api.stream(method, request.path, headers=headers, data=data) as reply:
                if "output" in typed.own and _is_plain(sink):
                    sink.truncate(0)  # now there is something to put in place of what was there
                return await _take(reply, typed, sink, task)
        except ProblemError:
            if is_made:  # for an answer that did not come
                os.unlink(typed.own["output"])  # noqa: PTH108 - as it was made
            raise
        except (aiohttp.ClientError, TimeoutError) as error:
            if (key := headers.get("Idempotency-Key")) is None:
                raise
            said = str(error) or type(error).__name__
            raise CommandError(
                f"cut off: {said}; the same with --again {key} goes on where it was"
            ) from error


async def _take(reply: aiohttp.ClientResponse, typed: Line, sink: BinaryIO, task: Task) -> int:
    """Write what comes, line by line; a report of faults in words, unless JSON is asked for."""
    is_report = typed.command.takes_file and not typed.has("json") and "output" not in typed.own
    last: Mapping[str, Any] = {}
    async for raw in reply.content:
        if not is_report:
            sink.write(raw)
            if not typed.command.takes_file:
                task.advance()
            continue
        last = msgspec.json.decode(raw)
        if "fault" in last:
            told = ": ".join(filter(None, (f"line {last['line']}", last["field"], last["fault"])))
            sink.write(f"{told}\n".encode())
    sink.flush()
    if is_report:
        if not last.get("done"):
            raise CommandError("the report ended before it was done: look what was added")
        console().print(show.thing({k: v for k, v in last.items() if k != "done"}))
        return Exit.FAILED if last.get("faulty") else Exit.OK
    return Exit.OK


def _file(typed: Line) -> Path:
    if not typed.file:
        raise LineError(f"FILE is missing: {line.usage(typed.command)}")
    source = Path(typed.file)
    if not source.is_file():
        raise CommandError(f"no such file: {source}", Exit.USAGE)
    return source


def _sink(typed: Line, stack: ExitStack) -> tuple[BinaryIO, bool]:
    """Return where it goes, and whether that is a file which was made for it."""
    if output := typed.own.get("output"):
        is_made = not os.path.lexists(output)
        try:
            # What is exported is people's data: nobody else's to read.
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror}", Exit.USAGE) from error
        return stack.enter_context(os.fdopen(descriptor, "wb")), is_made
    if sys.stdout.isatty() and not typed.command.gives.endswith(("json", "csv")):
        # Its bytes would be commands to the terminal.
        raise CommandError(f"{typed.command.gives} goes into a file: --output FILE", Exit.USAGE)
    return sys.stdout.buffer, False


def _is_plain(sink: BinaryIO) -> bool:
    """Tell whether it can be cut: what a device or a pipe was given stays given."""
    return stat.S_ISREG(os.fstat(sink.fileno()).st_mode)


async def _sent(file: BinaryIO, task: Task) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, 65_536):
        yield piece
        task.advance(by=len(piece))
