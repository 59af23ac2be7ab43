"""What an edge writes down of its calls, so that its next life can go on with them.

One file, appended to: a line whenever a call has reached a point from which it can be taken up, one
when it ends, with how, and one when its record is written. It outlives the process and not the
machine, so nothing waits for the disk; a caller whose machine is gone has lost the audio anyway.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct, field
from msgspec.structs import replace

from edge.acd.call import NEVER_ASKED, Asked, Hold, Rules, State
from edge.acd.call_events import NO_ATTEMPT, Attempt, Side
from edge.acd.call_resume import Passing
from edge.acd.owed import Owed
from edge.acd.recorded import NOT_ASKED, Heard
from edge.acd.token import Token
from edge.calls.ears import ALL_IS_HEARD, EarsNote
from edge.sip.dialog import Dialog, as_it_was, in_unicode, leapt
from edge.sip.escapes import ESCAPE_IN_JSON
from state.model import AgentId, CallId, Decision, RecordingRules, SiteId, Ticket

log = structlog.get_logger()

FORMAT = 2
BIGGEST_BYTES = 32 * 1024 * 1024
"""Beyond it the file is written anew, with nothing but the calls that are up."""


class AgentNote(Struct, frozen=True, kw_only=True):
    """The agent of the present attempt."""

    attempt: Attempt
    token: Token
    """Of the offer."""
    site: SiteId | None = None
    sip_call_id: str | None = None
    dialog: Dialog | None = None
    """None: not answered yet."""
    told: bytes | None = None
    """What they were told last, where `CallNote.told` has it of another: of a transferor."""


class ConsultationNote(Struct, frozen=True, kw_only=True):
    """A consultation: it is not taken up, but ended."""

    agent: AgentId
    """Who was called."""
    asker: Dialog | None = None
    colleague: Dialog | None = None
    """None: not answered, or handed over to the call."""


class CallNote(Struct, frozen=True, kw_only=True):
    """One call, at a point from which it can be taken up."""

    ticket: Ticket
    """As it would be, had everything been written."""
    rules: Rules
    state: State
    caller: Dialog
    said: Mapping[Side, bytes]
    """What each side last said of its media; with `told`, all that the relay does not remember."""
    told: Mapping[Side, bytes]
    is_joined: bool
    decision: Decision | None = None
    agent: AgentNote | None = None
    hold: Hold = Hold()
    has_talked: bool = False
    hears_nothing: bool = False
    """As `Call` has it."""
    heard_until_ms: int | None = None
    """In the greeting: by the wall clock, when what is played before the queue comes to an end, and
    nothing follows unless an edge plays it. None: not begun, or nobody can tell."""
    heard: Heard = NOT_ASKED
    """What the caller has heard, and said, of being recorded."""
    unrecorded: str = ""
    """Why there is no recording, if there is none."""
    recording: RecordingRules = RecordingRules()
    """Its queue's: the next life takes it up before it has seen the shared state."""
    music: str = "music"
    """The prompt that its queue plays, for the same reason."""
    asked: Asked = NEVER_ASKED
    """Whether the caller has been asked to be called back, and what came of it."""
    passing: Passing | None = None
    """None: nobody has passed the caller on."""
    transferor: AgentNote | None = None
    """The leg of `passing.transferor`."""
    consultation: ConsultationNote | None = None
    ears: EarsNote = ALL_IS_HEARD
    """What the relay may be keeping from the agent."""

    @property
    def attempt(self) -> Attempt:
        """The attempt that was current."""
        if self.agent is not None:
            return self.agent.attempt
        return NO_ATTEMPT if self.transferor is None else self.transferor.attempt


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    v: int
    call: str
    note: CallNote | None = None
    owed: Owed | None = None


class Left(Struct, frozen=True, kw_only=True):
    """What a former life has left."""

    calls: Mapping[CallId, CallNote] = field(default_factory=dict)
    """Those that were up."""
    owed: Mapping[CallId, Owed] = field(default_factory=dict)
    """Those that were over, and whose record may not be written."""


class Journal:
    """One edge's journal. A disk that cannot be written costs the next life its calls, no more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._lines: dict[CallId, bytes] = {}
        self._size = 0
        self._is_failing = False
        self._is_torn = False
        """Whether the disk has taken only the beginning of the last line."""
        self._missed: dict[CallId, bytes] = {}
        """The lines of which the disk has taken nothing, or not all."""
        self._is_open = False
        self._enough = 0
        """From this size on it is written anew, if that is more than `BIGGEST_BYTES`."""

    def load(self) -> Left:
        """Return what the former life has left; what is torn is left out."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Left()
        except OSError as error:
            log.warning("journal_not_read", path=str(self._path), reason=error.strerror)
            return Left()
        lines: dict[CallId, _Line] = {}
        for line in content.splitlines():
            try:
                known = msgspec.json.decode(line, type=_Line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                log.warning("journal_line_unreadable", reason=str(error)[:200])
                continue
            lines.pop(CallId(known.call), None)
            if known.v == FORMAT:
                lines[CallId(known.call)] = known
        return Left(
            calls={
                call: _with_dialogs(line.note, as_it_was)
                for call, line in lines.items()
                if line.note is not None
            },
            owed={call: line.owed for call, line in lines.items() if line.owed is not None},
        )

    def open(self, left: Left) -> None:
        """Begin a new file with what `load` has returned: this life may end before it is used.

        And after it has asked, or refreshed, in dialogs of which it has noted nothing since: the
        next one leaps from where this one does.
        """
        self._lines = {
            call: _noted(_with_dialogs(note, leapt)) for call, note in left.calls.items()
        }
        for call, owed in left.owed.items():
            self._lines[call] = _encode(_Line(v=FORMAT, call=call, owed=owed))
        self._is_open = True
        self._rewrite()

    def note(self, note: CallNote) -> None:
        """Write down where a call stands."""
        self._put(note.ticket.call, _noted(note))

    def owe(self, owed: Owed) -> None:
        """Write down how a call has ended, until its record is written."""
        self._put(owed.call, _encode(_Line(v=FORMAT, call=owed.call, owed=owed)))

    def _put(self, call: CallId, line: bytes) -> None:
        self._lines[call] = line
        self._append(call, line)

    def forget(self, call: CallId) -> None:
        """Write down that a call is over, and its record written or another's to write."""
        if self._lines.pop(call, None) is not None:
            self._append(call, _encode(_Line(v=FORMAT, call=call)))

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._is_open = False
        self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, call: CallId, line: bytes) -> None:
        if not self._is_open:
            return
        if self._descriptor is None:
            self._missed[call] = line
            self._rewrite()
            return
        # What was missed of this call is old now. The rest follows once there is room for a line.
        self._missed.pop(call, None)
        due, each = {call: line, **self._missed}, call
        try:
            for each, what in due.items():
                self._write(what)
                self._missed.pop(each, None)
        except OSError as error:
            self._missed[each] = due[each]
            self._failed(error)
            return
        self._is_failing = False
        if self._size > max(BIGGEST_BYTES, self._enough):
            self._rewrite()

    def _write(self, line: bytes) -> None:
        """Add a line. OSError if the disk does not take all of it."""
        if self._descriptor is None:
            return
        line = b"\n" + line if self._is_torn else line
        written = os.write(self._descriptor, line)
        self._size += written
        self._is_torn = written != len(line)
        _whole(written, line)

    def _rewrite(self) -> None:
        """Write the file anew. What there was stays if the disk does not take all of it."""
        part, content = (
            self._path.with_name(f"{self._path.name}.part"),
            b"".join(self._lines.values()),
        )
        try:
            descriptor = _write_new(part, content)
        except OSError as error:
            self._failed(error)
            self._go_on_with_what_is_there(content)
            return
        try:
            part.replace(self._path)
        except OSError as error:
            os.close(descriptor)
            self._failed(error)
            self._go_on_with_what_is_there(content)
            return
        self._let_go()
        self._descriptor, self._size, self._is_torn = descriptor, len(content), False
        self._missed.clear()
        self._enough = 2 * len(content)

    def _go_on_with_what_is_there(self, content: bytes) -> None:
        """Append to the file that there is, of the former life where none could be begun."""
        # A disk that has room for a line may have none for all: not again with each.
        self._enough = self._size + len(content)
        if self._descriptor is None:
            with contextlib.suppress(OSError):
                self._descriptor = os.open(
                    self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
                )
                # It may have died in the middle of a line.
                self._is_torn = True
                self._missed = {**self._lines, **self._missed}

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            log.warning(
                "journal_not_written",
                path=str(self._path),
                reason=error.strerror,
                remedy="make room; calls go on, but would not outlive this process",
            )
        self._is_failing = True


def _write_new(path: Path, content: bytes) -> int:
    """Return the descriptor of a new file with that in it; raise OSError, and leave none then."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        _whole(os.write(descriptor, content), content)
    except OSError:
        os.close(descriptor)
        # It would take the room that is wanted.
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return descriptor


def _whole(written: int, content: bytes) -> None:
    """Raise OSError if a disk that is full has taken only the beginning."""
    if written != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _noted(note: CallNote) -> bytes:
    """Return the line, with its dialogs escaped if they must be, which hardly any must."""
    line = _Line(v=FORMAT, call=note.ticket.call, note=note)
    try:
        plain = _encode(line)
    except UnicodeEncodeError:
        plain = None
    if plain is not None and ESCAPE_IN_JSON not in plain:
        return plain
    return _encode(replace(line, note=_with_dialogs(note, in_unicode)))


def _with_dialogs(note: CallNote, change: Callable[[Dialog], Dialog]) -> CallNote:
    """Return a note with each of its dialogs changed."""

    def of(dialog: Dialog | None) -> Dialog | None:
        return None if dialog is None else change(dialog)

    def of_agent(agent: AgentNote | None) -> AgentNote | None:
        return None if agent is None else replace(agent, dialog=of(agent.dialog))

    consultation = note.consultation
    if consultation is not None:
        asker, colleague = of(consultation.asker), of(consultation.colleague)
        consultation = replace(consultation, asker=asker, colleague=colleague)
    return replace(
        note,
        caller=change(note.caller),
        agent=of_agent(note.agent),
        transferor=of_agent(note.transferor),
        consultation=consultation,
    )


def _encode(line: _Line) -> bytes:
    return msgspec.json.encode(line, enc_hook=_as_dict) + b"\n"


def _as_dict(value: object) -> object:
    """Let any Mapping stand where JSON has an object."""
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} has no place in a journal")
