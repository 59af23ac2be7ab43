"""An agent's phone, as far as these tests need one."""

from __future__ import annotations

from tests.kemi.sip_peer import SDP, Message, SipPeer, challenge_of, credentials, ha1_of


def register(
    phone: SipPeer,
    user: str,
    password: str = "pw",  # noqa: S107 - of agents that exist in these tests alone
    *,
    expires_s: int = 60,
    contact: str = "",
) -> Message:
    """REGISTER with a digest; return the final response to the second request."""
    aor = f"sip:{user}@everline"
    contact = contact or f"sip:{user}@{phone.address}"
    expires = f"Expires: {expires_s}\r\n"

    def send(cseq: int, headers: str) -> None:
        phone.send(
            phone.request(
                "REGISTER",
                "sip:everline",
                cseq=cseq,
                headers=headers,
                from_uri=aor,
                to_uri=aor,
                contact=contact,
            )
        )

    send(1, expires)
    challenge = phone.final()
    if challenge.status != 401:
        return challenge
    proof = credentials(
        challenge_of(challenge), "REGISTER", "sip:everline", user, ha1_of(user, password)
    )
    send(2, f"Authorization: {proof}\r\n{expires}")
    return phone.final()


def asked(phone: SipPeer, method: str, agent: str, uri: str = "sip:everline") -> Message:
    """Send a request without credentials, and return the challenge."""
    aor = f"sip:{agent}@everline"
    body = SDP if method == "INVITE" else ""
    phone.send(phone.request(method, uri, from_uri=aor, to_uri=aor, body=body))
    return phone.final()


def proved(  # noqa: PLR0913, PLR0917 - the parts of a request
    phone: SipPeer,
    method: str,
    agent: str,
    challenge: Message,
    user: str,
    password: str,
    uri: str = "sip:everline",
) -> Message:
    """Send the request again, with a digest, and return what becomes of it."""
    proof = credentials(challenge_of(challenge), method, uri, user, ha1_of(user, password))
    field = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
    aor = f"sip:{agent}@everline"
    phone.send(
        phone.request(
            method,
            uri,
            cseq=2,
            from_uri=aor,
            to_uri=aor,
            headers=f"{field}: {proof}\r\n",
            body=SDP if method == "INVITE" else "",
            call_id=f"proved-{phone.port}-{method}",
        )
    )
    return phone.final()


def offer(edge: SipPeer, agent: str, call: str, token: tuple[int, int]) -> str:
    """Ring an agent for an edge; return the Call-ID."""
    call_id = f"{call}-{token[0]}-{token[1]}-{edge.port}"
    headers = f"X-Everline-Offer: {call} {token[0]} {token[1]}\r\n"
    body = SDP
    edge.send(
        edge.request("INVITE", f"sip:{agent}@everline", headers=headers, body=body, call_id=call_id)
    )
    return call_id


def acknowledge(caller: SipPeer, answer: Message, uri: str, *, headers: str = "") -> None:
    """ACK a negative answer, in the transaction of its INVITE."""
    branch = answer["Via"].split("branch=")[1].split(";")[0]
    caller.send(
        f"ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {caller.address};branch={branch};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: {answer['From']}\r\nTo: {answer['To']}\r\n"
        f"Call-ID: {answer['Call-ID']}\r\nCSeq: {answer['CSeq'].split()[0]} ACK\r\n"
        f"{headers}Content-Length: 0\r\n\r\n"
    )
