"""The edge's command port: a Unix socket, one JSON object a line in, one out.

For the operator's tools on the same machine; the socket's directory is closed to everybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from edge.errors import CommandError, NotRecordedError
from state.discreet import fault

log = structlog.get_logger()

Command = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]
_MAX_LINE = 64 * 1024
IDLE_S = 60.0
"""Who says nothing for so long, or takes no answer, is let go."""


class CommandPort:
    """Serves `commands` by the name that a request gives as `cmd`."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = commands
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket file left by a former life is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(
            self._serve, path=self._path, limit=_MAX_LINE
        )
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await _read(reader):
                await _write(writer, await self._answer(line))
        except ValueError:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await _write(writer, _error(f"line too long: more than {_MAX_LINE} bytes"))
        except (ConnectionError, TimeoutError) as error:
            log.info("command_port_client_left", error=type(error).__name__)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
            answer = {"ok": True, **await self._command(request)(request)}
            return json.dumps(answer).encode() + b"\n"
        except json.JSONDecodeError as error:
            return _error(f"not JSON: {error.msg}")
        except (UnicodeDecodeError, RecursionError) as error:
            return _error(f"not JSON that can be read: {type(error).__name__}")
        except NotRecordedError as error:
            return _error(str(error), because=error.because)
        except CommandError as error:
            return _error(str(error))
        except Exception as error:  # noqa: BLE001 - the top of a task; the edge goes on
            log.error("command_fault", **fault(error))  # noqa: TRY400 - one line
            return _error(f"a fault of the edge: {type(error).__name__}, see its log")

    def _command(self, request: object) -> Command:
        if not isinstance(request, dict):
            raise CommandError('a request should be an object like {"cmd": "stock"}')
        name = str(request.get("cmd"))
        if name not in self._commands:
            known = ", ".join(sorted(self._commands))
            raise CommandError(f"unknown cmd {name[:80]!r}; known are {known}")
        return self._commands[name]


async def _read(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(IDLE_S):
        return await reader.readline()


async def _write(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    async with asyncio.timeout(IDLE_S):
        await writer.drain()


def _error(text: str, **more: str) -> bytes:
    return json.dumps({"ok": False, "error": text, **more}).encode() + b"\n"
