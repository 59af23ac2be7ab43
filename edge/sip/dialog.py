"""A dialog (RFC 3261 §12) as a frozen value: whoever holds it can go on with the call.

Written down field by field, another process can take it up (`SipStack.adopt`).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from edge.sip.errors import RemoteError
from edge.sip.escapes import escaped, unescaped
from edge.sip.events import Address
from edge.sip.message import Message, Request, Response
from edge.sip.session_timer import SessionTimer
from edge.sip.uri import parse_uri

BRANCH_COOKIE = "z9hG4bK"
ADOPTED_SEQ_GAP = 1000
"""How far CSeq jumps when a dialog changes hands: its last owner may have sent more since."""


class Dialog(Struct, frozen=True, kw_only=True):
    """One dialog, as our side sees it."""

    sip_call_id: str
    local_tag: str
    remote_tag: str
    local: str
    """Our From value in requests, tag included."""
    remote: str
    """Their To value in our requests, tag included."""
    local_seq: int
    """CSeq of our last request; 0 before the first."""
    remote_seq: int
    """CSeq of their last request; -1 before the first."""
    remote_target: str
    """Their Contact URI."""
    route_set: tuple[str, ...]
    hop: Address
    """Where the dialog was established: next hop where the route names no IP literal."""
    caller: bool
    """We sent the INVITE: the owner of the Call-ID waits longer after glare (RFC 3261 §14.1)."""
    can_update: bool = False
    """Their Allow names UPDATE."""
    session: SessionTimer | None = None

    @property
    def target(self) -> tuple[str, tuple[str, ...]]:
        """Request-URI and Route fields of a request within this dialog (§12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, ()
        first = _route_uri(self.route_set[0])
        if parse_uri(first).is_loose:
            return self.remote_target, self.route_set
        # A strict router takes its own URI in the request line and looks for the target at the end.
        return first.partition("?")[0], (*self.route_set[1:], f"<{self.remote_target}>")

    @property
    def next_hop(self) -> Address:
        """Where its requests are sent."""
        uri = _route_uri(self.route_set[0]) if self.route_set else self.remote_target
        try:
            return parse_uri(uri).address or self.hop
        except RemoteError:
            return self.hop


def dialog_of_uas(request: Request, local_tag: str, hop: Address) -> Dialog:
    """Return the dialog that our response to `request` makes (§12.1.1), or raise RemoteError."""
    target = request.contact
    if not target:
        if request.via.branch.startswith(BRANCH_COOKIE):
            raise RemoteError(400, "Missing Contact")
        # RFC 2543 did not ask for one.
        target = request.from_.uri
    parse_uri(target)
    to = request.first("to")
    return Dialog(
        sip_call_id=request.call_id,
        local_tag=local_tag,
        remote_tag=request.from_.tag,
        local=to if request.to.tag else f"{to};tag={local_tag}",
        remote=request.first("from"),
        local_seq=0,
        remote_seq=request.cseq[0],
        remote_target=target,
        route_set=_routes(request),
        hop=hop,
        caller=False,
        can_update="UPDATE" in request.tokens("allow"),
    )


def dialog_of_uac(
    response: Response, *, local: str, local_tag: str, target: str, hop: Address
) -> Dialog:
    """Return the dialog that a response to our INVITE makes (§12.1.2).

    `target` stands in for a Contact that is missing or unusable.
    """
    try:
        contact = response.contact or target
        parse_uri(contact)
    except RemoteError:
        contact = target
    return Dialog(
        sip_call_id=response.call_id,
        local_tag=local_tag,
        remote_tag=response.to.tag,
        local=local,
        remote=response.first("to"),
        local_seq=response.cseq[0],
        remote_seq=-1,
        remote_target=contact,
        route_set=tuple(reversed(_routes(response))),
        hop=hop,
        caller=True,
        can_update="UPDATE" in response.tokens("allow"),
    )


def leapt(dialog: Dialog) -> Dialog:
    """Return the dialog for whoever takes it up: their requests are not out of order (§12.2.2)."""
    return replace(dialog, local_seq=dialog.local_seq + ADOPTED_SEQ_GAP)


def in_unicode(dialog: Dialog) -> Dialog:
    """Return the dialog with its bytes that are no UTF-8 escaped, to be written down."""
    return _each_text(dialog, escaped)


def as_it_was(dialog: Dialog) -> Dialog:
    """Return the dialog that was written down `in_unicode`."""
    return _each_text(dialog, unescaped)


def _each_text(dialog: Dialog, change: Callable[[str], str]) -> Dialog:
    """Return it with every text changed that the other side has chosen."""
    return replace(
        dialog,
        sip_call_id=change(dialog.sip_call_id),
        remote_tag=change(dialog.remote_tag),
        local=change(dialog.local),
        remote=change(dialog.remote),
        remote_target=change(dialog.remote_target),
        route_set=tuple(change(route) for route in dialog.route_set),
    )


def refreshed(dialog: Dialog, message: Message) -> Dialog:
    """Return the dialog with the remote target that a target refresh brings (§12.2)."""
    try:
        contact = message.contact
        if contact:
            parse_uri(contact)
    except RemoteError:
        return dialog
    allow = message.tokens("allow")
    can_update = "UPDATE" in allow if allow else dialog.can_update
    if (
        contact or dialog.remote_target
    ) == dialog.remote_target and can_update == dialog.can_update:
        return dialog
    return replace(dialog, remote_target=contact or dialog.remote_target, can_update=can_update)


def _routes(message: Message) -> tuple[str, ...]:
    held = message.elements("record-route")
    for route in held:
        parse_uri(_route_uri(route))
    return tuple(held)


def _route_uri(route: str) -> str:
    opening = route.find("<")
    return (
        route[opening + 1 : route.find(">", opening)] if opening >= 0 else route.partition(";")[0]
    )
