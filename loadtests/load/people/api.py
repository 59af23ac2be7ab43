"""Somebody who uses the API: signs in, stays signed in, listens to the stream, over cuts.

They begin at their own site and go on at another when it does not answer, as a desktop does. Each
time that they sign in anew they look at home first: else all would gather, one failed site after
the other, and what a site's control plane holds for people would look like something that grows.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection
from typing import Any, Final

import gevent
from locust import HttpUser
from msgspec import Struct
from websocket import (
    WebSocket,
    WebSocketBadStatusException,
    WebSocketException,
    create_connection,
)

from loadtests.load.people.around import Around, around, enter
from loadtests.load.plan import SiteRef
from loadtests.load.telling import Row

TENANT: Final = "main"
RENEW_S: Final = 150.0
"""Access tokens are good for five minutes. A site that came back has its people again within the
time for which a life of its programs is left out (`growth.WARMING_S`)."""
ANSWER_S: Final = 5.0
GONE: Final = 0
"""Locust's status of a request that nobody answered."""
_SERVER_FAULT: Final = 500
_STRANGER: Final = 401
_AGAIN_S: Final = 0.5


class Request(Struct, frozen=True, kw_only=True):
    """What is asked."""

    method: str
    path: str
    name: str = ""
    body: object = None
    headers: dict[str, str] = {}
    fine: Collection[int] = ()


class Person(HttpUser):
    """One who has signed in."""

    abstract = True
    host = "http://everline"
    """Of no meaning: every request names its site."""
    _here: Around
    _login: str
    _password: str

    def begin(self, login: str, password: str, first: str) -> None:
        """Sign in at `first`, or where it works."""
        self._here = around(self.environment)
        self._login, self._password = login, password
        self._first = first
        self._sites = list(self._here.plan.sites_from(first))
        self._session: dict[str, Any] = {}
        self._renew_at_s = 0.0
        self._streaming: gevent.Greenlet | None = None
        self.client.trust_env = False
        self.client.verify = self.here.ca or True
        self._sign_in()

    def end(self) -> None:
        """Hang up the stream, sign out."""
        if self._streaming is not None:
            self._streaming.kill()
        self.ask("DELETE", "/v1/sessions/current")

    @property
    def here(self) -> SiteRef:
        """The site that is asked now."""
        return self._sites[0]

    def ask(  # noqa: PLR0913 - a request has these parts
        self,
        method: str,
        path: str,
        *,
        name: str = "",
        body: object = None,
        headers: dict[str, str] | None = None,
        fine: Collection[int] = (),
    ) -> tuple[int, Any, dict[str, str]]:
        """Ask; return status, answer and header fields. Status 0: no site has answered.

        `fine` are refusals that people bring about in the best of worlds: no failures.
        """
        self._stay_signed_in()
        request = Request(
            method=method, path=path, name=name, body=body, headers=headers or {}, fine=fine
        )
        status, said, fields = self._ask(request)
        if status == _STRANGER:
            self._sign_in()
            status, said, fields = self._ask(request)
        return status, said, fields

    def _ask(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        for _ in range(len(self._sites)):
            sent = dict(request.headers)
            if token := self._session.get("access_token"):
                sent["Authorization"] = f"Bearer {token}"
            with self.client.request(
                request.method,
                f"{self.here.api}{request.path}",
                name=request.name or request.path.partition("?")[0],
                json=request.body,
                headers=sent,
                timeout=ANSWER_S,
                catch_response=True,
            ) as answer:
                if answer.status_code in request.fine:
                    answer.success()
                if answer.status_code != GONE and answer.status_code < _SERVER_FAULT:
                    said = answer.json() if answer.content else None
                    return answer.status_code, said, dict(answer.headers)
            self._go_on_elsewhere()
        return GONE, None, {}

    def _go_on_elsewhere(self) -> None:
        self._sites.append(self._sites.pop(0))

    def _stay_signed_in(self) -> None:
        if time.monotonic() > self._renew_at_s:
            self._sign_in()

    def _sign_in(self) -> None:
        said = {"tenant": TENANT, "login": self._login, "password": self._password}
        self._session = {}
        self._sites.sort(key=lambda each: each.id != self._first)
        request = Request(method="POST", path="/v1/sessions", body=said)
        status, session, _ = self._ask(request)
        if status < _STRANGER and isinstance(session, dict):
            self._session = session
            self._renew_at_s = time.monotonic() + RENEW_S
        else:
            self._renew_at_s = time.monotonic() + _AGAIN_S

    # -- the stream

    def listen(self, topics: tuple[str, ...]) -> None:
        """Follow events in the background until `end`; `heard` gets each."""
        self._streaming = gevent.spawn(self._stream, "&".join(f"topics={each}" for each in topics))

    def heard(self, event: dict[str, Any]) -> None:
        """Take one event."""

    def _stream(self, query: str) -> None:
        cursor = 0
        while True:
            # Whoever has asked for nothing in a while has a token that is over.
            self._stay_signed_in()
            site = self.here
            try:
                with contextlib.closing(self._connect(query, cursor)) as stream:
                    # A desktop is at one site: where its owner goes, its stream goes.
                    while self.here == site and (message := self._next(stream)):
                        cursor = int(message.get("revision", cursor))
                        for event in message.get("events", ()):
                            self.heard(event)
            except WebSocketBadStatusException as error:
                if error.status_code == _STRANGER:
                    self._renew_at_s = 0.0
                else:
                    self._go_on_elsewhere()
            except (OSError, WebSocketException, ValueError):
                self._go_on_elsewhere()
            gevent.sleep(_AGAIN_S)

    def _connect(self, query: str, cursor: int) -> WebSocket:
        """Open the stream and wait for its first message; both are one row of the tables."""
        began_s, fault = time.perf_counter(), ""
        after = f"&after={cursor}" if cursor else ""
        url = f"ws{self.here.api.removeprefix('http')}/v1/events?{query}{after}"
        header = [f"Authorization: Bearer {self._session.get('access_token', '')}"]
        try:
            stream = create_connection(
                url,
                header=header,
                timeout=ANSWER_S,
                http_proxy_host=None,
                sslopt={"ca_certs": self.here.ca} if self.here.ca else {},
            )
            stream.settimeout(4 * ANSWER_S)
            self._next(stream)
        except (OSError, WebSocketException, ValueError) as error:
            fault = type(error).__name__
            raise
        finally:
            took_ms = 1000 * (time.perf_counter() - began_s)
            enter(self.environment, Row(kind="WS", name="hello", value_ms=took_ms, fault=fault))
        return stream

    @staticmethod
    def _next(stream: WebSocket) -> dict[str, Any]:
        text = stream.recv()
        found: dict[str, Any] = json.loads(text) if text else {}
        return found
