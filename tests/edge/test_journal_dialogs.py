"""Dialogs in the journal whose bytes are no UTF-8: the next life knows them, and says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.call import Rules, State
from edge.acd.call_events import Attempt, Side
from edge.acd.token import Token
from edge.calls.journal import AgentNote, CallNote, ConsultationNote, Journal
from edge.sip.dialog import Dialog
from edge.sip.escapes import escaped, unescaped
from edge.sip.events import Address, Ended, EndedBy, IncomingInvite
from edge.sip.message import Request, parse
from edge.sip.stack import SipStack
from state.model import AgentId
from tests.acd.worlds import ticket
from tests.sip.network import counter_tokens

EDGE, KAMAILIO = Address("192.0.2.1", 5060), Address("192.0.2.9", 5060)
SDP = b"v=0\r\n"
FROM = b'"M\xfcller" <sip:mueller@192.0.2.9>;tag=t\xe4g'
FIELDS = {
    b"From": FROM,
    b"To": b'"Caf\xe9" <sip:cafe@everline>',
    b"Call-ID": b"caf\xe9\x1a@carrier",
    b"Contact": b"<sip:mueller@192.0.2.9;line=\xfc>",
    b"Record-Route": b"<sip:192.0.2.9;lr;ftag=t\xe4g>",
}


def _request(method: bytes, number: int, fields: dict[bytes, bytes], body: bytes = b"") -> bytes:
    lines = [
        method + b" sip:everline@192.0.2.1 SIP/2.0",
        b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK" + method,
        b"Max-Forwards: 70",
        b"CSeq: %d " % number + method,
        *(name + b": " + value for name, value in fields.items()),
        b"Content-Type: application/sdp",
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _stack(name: str) -> SipStack:
    return SipStack(local=EDGE, product="test", token=counter_tokens(name))


def _established() -> tuple[Dialog, dict[bytes, bytes]]:
    """Return a dialog in which nothing is Unicode, and the fields of the caller's requests in it.

    Nor is the escape character what it is for.
    """
    edge = _stack("first")
    (invite,) = edge.receive(_request(b"INVITE", 1, FIELDS, SDP), KAMAILIO, 0.0)
    assert isinstance(invite, IncomingInvite)
    edge.answer(invite.leg, SDP, 0.0)
    to = FIELDS[b"To"] + b";tag=" + invite.leg.encode()
    within = FIELDS | {b"To": to}
    edge.receive(_request(b"ACK", 1, within), KAMAILIO, 0.0)
    return edge.dialog(invite.leg), within


def _note(dialog: Dialog) -> CallNote:
    agent = AgentNote(attempt=Attempt(1), token=Token(epoch=1, revision=1), dialog=dialog)
    return CallNote(
        ticket=ticket(1),
        rules=Rules(greeting=False),
        state=State.CONNECTED,
        caller=dialog,
        said={Side.CALLER: SDP},
        told={},
        is_joined=True,
        agent=agent,
        transferor=agent,
        consultation=ConsultationNote(agent=AgentId("bob"), asker=dialog, colleague=dialog),
    )


def _numbered_anew(note: CallNote) -> CallNote:
    """Return a note whose dialogs count from nothing: each life leaps."""

    def of(dialog: Dialog | None) -> Dialog | None:
        return None if dialog is None else replace(dialog, local_seq=0)

    def of_agent(agent: AgentNote | None) -> AgentNote | None:
        return None if agent is None else replace(agent, dialog=of(agent.dialog))

    consultation = note.consultation
    if consultation is not None:
        asker, colleague = of(consultation.asker), of(consultation.colleague)
        consultation = replace(consultation, asker=asker, colleague=colleague)
    return replace(
        note,
        caller=replace(note.caller, local_seq=0),
        agent=of_agent(note.agent),
        transferor=of_agent(note.transferor),
        consultation=consultation,
    )


def _written_and_read(path: Path, note: CallNote) -> CallNote:
    """Return what two lives later is read of it."""
    for _ in range(2):
        journal = Journal(path)
        left = journal.load()
        journal.open(left)
        if not left.calls:
            journal.note(note)
        journal.close()
    (read,) = Journal(path).load().calls.values()
    return _numbered_anew(read)


def test_a_dialog_that_is_no_unicode_is_taken_up_as_it_was(tmp_path: Path) -> None:
    dialog, within = _established()
    note = _written_and_read(tmp_path / "journal-a1", _note(dialog))
    assert note == _note(dialog)
    heir = _stack("second")
    leg = heir.adopt(note.caller, 10.0)
    heir.ask(leg, 10.0)
    ((options, _),) = heir.take_outgoing()
    assert b"Call-ID: " + FIELDS[b"Call-ID"] + b"\r\n" in options
    assert b"To: " + FROM + b"\r\n" in options
    assert options.startswith(b"OPTIONS sip:mueller@192.0.2.9;line=\xfc SIP/2.0\r\n")
    assert b"Route: <sip:192.0.2.9;lr;ftag=t\xe4g>\r\n" in options
    (ended,) = heir.receive(_request(b"BYE", 2, within), KAMAILIO, 11.0)
    assert isinstance(ended, Ended)
    assert (ended.leg, ended.by) == (leg, EndedBy.REMOTE)


def test_a_note_without_further_legs_is_read_as_it_was(tmp_path: Path) -> None:
    dialog, _ = _established()
    note = replace(_note(dialog), agent=None, transferor=None, consultation=None)
    assert _written_and_read(tmp_path / "journal-a1", note) == note


def _first_of_a_life(path: Path, name: str, method: str) -> Request:
    """Return what a life that dies without having written anything asked of the caller."""
    journal, stack = Journal(path), _stack(name)
    left = journal.load()
    journal.open(left)
    (note,) = left.calls.values()
    leg = stack.adopt(note.caller, 10.0)
    if method == "BYE":
        stack.bye(leg, 10.0)
    else:
        stack.ask(leg, 10.0)
    ((datagram, _),) = stack.take_outgoing()
    journal.close()
    request = parse(datagram)
    assert isinstance(request, Request)
    assert request.method == method
    return request


def test_each_life_s_requests_come_after_those_of_the_last(tmp_path: Path) -> None:
    """Else a telephone says 500 to the goodbye (RFC 3261 §12.2.2), and stays in the call."""
    dialog, _ = _established()
    path = tmp_path / "journal-a1"
    first = Journal(path)
    first.open(first.load())
    first.note(_note(dialog))
    first.close()
    asked = [_first_of_a_life(path, name, "OPTIONS") for name in ("second", "third")]
    goodbye = _first_of_a_life(path, "fourth", "BYE")
    numbers = [each.cseq[0] for each in (*asked, goodbye)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("named", ["plain@carrier", "Müller@carrier", "caf\x1ae9@carrier"])
def test_a_dialog_in_unicode_is_read_as_it_was(tmp_path: Path, named: str) -> None:
    dialog = replace(_established()[0], sip_call_id=named, remote_tag="t", local="<sip:a@b>")
    dialog = replace(dialog, remote="<sip:c@d>", remote_target="sip:c@d", route_set=())
    note = replace(_note(dialog), agent=None, transferor=None, consultation=None)
    assert _written_and_read(tmp_path / "journal-a1", note) == note


@pytest.mark.parametrize(
    "text", ["", "plain", "Müller", "\x1a", "\x1ae9", "caf\udce9", "\udc80\x1a"]
)
def test_what_is_escaped_is_unicode_and_comes_back(text: str) -> None:
    assert unescaped(escaped(text)) == text
    escaped(text).encode()


@given(st.binary())
def test_any_bytes_come_back(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    assert unescaped(escaped(text)).encode("utf-8", "surrogateescape") == raw
    escaped(text).encode()
