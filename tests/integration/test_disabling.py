"""A user is disabled at one site: how soon that is so at all sites, for API and telephone alike."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from drills.lab.control_plane import api_url
from drills.lab.lab import Lab
from drills.lab.plan import Part, plan_lab
from state import keys
from state.clock import SystemClock
from state.codec import encode
from state.configuration import Configuration
from state.etcd import EtcdStore, Tls
from state.mirror import Mirror
from state.model import (
    Agent,
    AgentId,
    Did,
    DidNumber,
    PresenceState,
    Queue,
    QueueId,
    Readiness,
    Site,
    SiteId,
    SkillId,
    Wish,
)
from state.publishing import publish
from state.store import Put
from tests.kemi.phone import asked, proved
from tests.kemi.sip_peer import SipPeer

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

WITHIN_S = 5.0
DORA, PASSWORD, NUMBER = AgentId("dora"), "dora sings in the rain", "15550100"
PARTS = frozenset(Part) - {Part.RTPENGINE, Part.CARRIER}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites() -> AsyncIterator[Lab]:
    """Serve with two sites and one agent, who has no password of her own for SIP."""
    async with Lab(plan_lab(sites=2, edges=1, parts=PARTS)) as lab:
        store = EtcdStore(
            lab.etcd_endpoints,
            tls=Tls(ca=lab.operator.ca, cert=lab.operator.cert, key=lab.operator.key),
        )
        queue = QueueId("orders")
        center = Configuration(
            sites=tuple(
                Site(id=site, name=site, sip=f"{lab.addresses[site]}:5060")
                for site in lab.plan.sites
            ),
            queues=(Queue(id=queue, needs=()),),
            dids=(Did(number=DidNumber(NUMBER), queue=queue),),
            agents=(Agent(id=DORA, name="Dora", site=SiteId("b"), skills={SkillId("orders"): 5}),),
        )
        await publish(store, center)
        wish = Wish(agent=DORA, readiness=Readiness.READY)
        await store.txn((), (Put(key=keys.wish(DORA), value=encode(wish)),))
        await store.close()
        await lab.start_control_planes()
        yield lab
        if directory := os.environ.get("EVERLINE_KEEP_LOGS"):
            lab.keep_logs(Path(directory))


@pytest_asyncio.fixture(loop_scope="module")
async def mirror(sites: Lab) -> AsyncIterator[Mirror]:
    """Follow the shared state."""
    own = sites.operator
    store = EtcdStore(sites.etcd_endpoints, tls=Tls(ca=own.ca, cert=own.cert, key=own.key))
    made = Mirror(store, SystemClock())
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait([task])
    await store.close()


@pytest.fixture
def phone(sites: Lab) -> Iterator[SipPeer]:
    """Give Dora a telephone."""
    host = sites.plan.host("b")
    made = SipPeer(host.router, 0, (host.address, 5060))
    yield made
    made.close()


class Api:
    """The API of every site, for one who is signed in."""

    def __init__(self, lab: Lab, client: aiohttp.ClientSession) -> None:
        self._lab, self._client = lab, client
        self.session: dict[str, Any] = {}

    async def ask(
        self, site: str, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        """Return status and what it says."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token := self.session.get("access_token"):
            sent["Authorization"] = f"Bearer {token}"
        url = f"{api_url(self._lab.plan, SiteId(site))}{path}"
        async with self._client.request(method, url, json=body, headers=sent) as answer:
            return answer.status, await answer.json(content_type=None)

    async def streams_until_closed(self, site: str, is_open: asyncio.Event) -> float:
        """Listen to what happens at a site until one is let go; return when that was."""
        url = f"{api_url(self._lab.plan, SiteId(site))}/v1/events"
        headers = {"Authorization": f"Bearer {self.session['access_token']}"}
        async with self._client.ws_connect(url, headers=headers) as stream:
            async for _ in stream:
                is_open.set()
        return time.monotonic()

    async def sign_in(self, site: str, login: str, password: str) -> None:
        """Begin a session."""
        said = {"tenant": "main", "login": login, "password": password}
        status, self.session = await self.ask(site, "POST", "/v1/sessions", said)
        assert status == 201


async def took(what: Callable[[], Awaitable[bool]], since_s: float, limit_s: float = 30.0) -> float:
    """Return how long after `since_s` something was so; a failure long after it should be."""
    async with asyncio.timeout(limit_s):
        while not await what():  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.02)
    return time.monotonic() - since_s


async def register(phone: SipPeer, given: dict[str, Any]) -> int:
    def go() -> int:
        challenge = asked(phone, "REGISTER", DORA)
        said = proved(phone, "REGISTER", DORA, challenge, given["user"], given["password"])
        return said.status

    return await asyncio.to_thread(go)


async def call(phone: SipPeer, given: dict[str, Any]) -> int:
    def go() -> int:
        uri = f"sip:{NUMBER}@everline"
        challenge = asked(phone, "INVITE", DORA, uri)
        said = proved(phone, "INVITE", DORA, challenge, given["user"], given["password"], uri)
        return said.status

    return await asyncio.to_thread(go)


async def test_disabling_a_user_counts_everywhere_within_five_seconds(  # noqa: PLR0915 - one story
    sites: Lab,
    mirror: Mirror,
    phone: SipPeer,
    record_property: Callable[[str, object], None],
) -> None:
    timeout = aiohttp.ClientTimeout(total=20)
    trusted = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=sites.ca))
    async with aiohttp.ClientSession(connector=trusted, timeout=timeout) as client:
        admin, dora = Api(sites, client), Api(sites, client)
        first = sites.paths.secrets.first_password.read_text().strip()
        await admin.sign_in("a", "admin", first)
        person = {
            "login": "dora",
            "name": "Dora",
            "agent": DORA,
            "roles": ["role:agent"],
            "password": PASSWORD,
        }
        status, user = await admin.ask("a", "POST", "/v1/users", person)
        assert status == 201, user

        # At work: signed in at one site, the phone by credentials at the other, ready.
        await dora.sign_in("a", "dora", PASSWORD)
        status, given = await dora.ask("a", "POST", "/v1/me/phone")
        assert status == 201, given
        assert given["registrar"] == f"{sites.addresses['b']}:5060"
        assert await register(phone, given) == 200

        def state() -> PresenceState | None:
            held = mirror.snapshot.presences.get(DORA)
            return None if held is None else held.value.state

        async def is_ready() -> bool:
            return state() is PresenceState.READY

        await took(is_ready, time.monotonic())
        assert (await dora.ask("b", "GET", "/v1/me"))[0] == 200

        streams, opened = {}, [asyncio.Event() for _ in "ab"]
        for site, is_open in zip("ab", opened, strict=True):
            listening = dora.streams_until_closed(site, is_open)
            streams[site] = asyncio.create_task(listening)
        async with asyncio.timeout(20):
            await asyncio.gather(*(each.wait() for each in opened))

        # Disabled at the one site.
        _, held = await admin.ask("a", "GET", f"/v1/users/{user['id']}")
        since_s = time.monotonic()
        status, _ = await admin.ask(
            "a", "PATCH", f"/v1/users/{user['id']}", {"is_active": False}, If_Match='"1"'
        )
        assert status == 200, held

        def refused_by_api(site: str) -> Callable[[], Awaitable[bool]]:
            async def look() -> bool:
                return (await dora.ask(site, "GET", "/v1/me"))[0] == 401

            return look

        async def signed_out() -> bool:
            return state() is PresenceState.SIGNED_OUT

        async def cannot_register() -> bool:
            await asyncio.sleep(0.2)
            return await register(phone, given) == 401

        looks = {
            "API of a": refused_by_api("a"),
            "API of b": refused_by_api("b"),
            "not offered any call": signed_out,
            "REGISTER refused": cannot_register,
        }
        found = await asyncio.gather(*(took(look, since_s) for look in looks.values()))
        told = {name: round(s, 2) for name, s in zip(looks, found, strict=True)}
        for site, stream in streams.items():
            async with asyncio.timeout(20):
                told[f"event stream of {site}"] = round(await stream - since_s, 2)
        record_property("disabled_s", told)
        assert {name for name, s in told.items() if s > WITHIN_S} == set(), told

        # And nothing that was given before helps.
        assert await call(phone, given) == 407
        renew = {"refresh_token": dora.session["refresh_token"]}
        assert (await admin.ask("b", "POST", "/v1/sessions/refresh", renew))[0] == 401
        again = Api(sites, client)
        said = {"tenant": "main", "login": "dora", "password": PASSWORD}
        assert (await again.ask("b", "POST", "/v1/sessions", said))[0] == 401
        assert state() is PresenceState.SIGNED_OUT

        # Enabled again, she goes on.
        status, _ = await admin.ask(
            "b", "PATCH", f"/v1/users/{user['id']}", {"is_active": True}, If_Match='"2"'
        )
        assert status == 200

        async def is_taken() -> bool:
            # Not too often: ten wrong passwords, and the proxy falls silent for a minute.
            await asyncio.sleep(0.5)
            return await register(phone, given) == 200

        await mirror.wait_until(lambda snapshot: not snapshot.barred, WITHIN_S)
        await took(is_taken, time.monotonic())
        await took(is_ready, time.monotonic())
