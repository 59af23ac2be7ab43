"""A small call center in the lab, and the questions that every test ends with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

from drills.lab.lab import Lab
from edge.sip import events as sip
from edge.sip.events import Address
from state import keys
from state.codec import decode, encode
from state.configuration import Configuration, ha1_of
from state.errors import StoreError
from state.etcd import EtcdStore, Tls
from state.model import (
    Agent,
    AgentId,
    CallId,
    CallRecord,
    Did,
    DidNumber,
    EdgeId,
    PresenceState,
    Queue,
    QueueId,
    Readiness,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Trunk,
    TrunkId,
    Wish,
)
from state.publishing import publish
from state.store import Put
from tests.integration.people import Leg, Telephone

OK = 200
PASSWORD = "not a secret"  # noqa: S105 - true
SALES, HELP, GREETED = DidNumber("15550001"), DidNumber("15550002"), DidNumber("15550003")
TALKING, FIXING = SkillId("talking"), SkillId("fixing")
RING_S = 2.0


def _queue(name: str, need: SkillNeed, *, greeting: str | None = None) -> Queue:
    return Queue(
        id=QueueId(name),
        needs=(need,),
        greeting=greeting,
        ring_timeout_s=RING_S,
        wrap_up_s=0.0,
        no_answer_pause_s=0.5,
    )


class Center:
    """Sites, edges and agents that tests move by hand."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        own = lab.operator
        self.store = EtcdStore(lab.etcd_endpoints, tls=Tls(ca=own.ca, cert=own.cert, key=own.key))
        self.telephones: list[Telephone] = []

    def site(self, site: str = "a") -> Address:
        """Return where a site's Kamailio is."""
        return Address(self.lab.addresses[site], 5060)

    # -- people

    def caller(self, user: str = "4930123") -> Telephone:
        """Bring a caller, who stands where the carrier does."""
        return self._telephone("carrier", user)

    def stranger(self) -> Telephone:
        """Bring somebody whom nobody knows."""
        return self._telephone("callers", "mallory")

    async def agent(self, user: str, *, site: str = "a", is_ready: bool = True) -> Telephone:
        """Bring an agent: registered, and ready as far as the edges know."""
        telephone = self._telephone(f"agents-{site}", user)
        status = await telephone.register(self.site(site), PASSWORD)
        assert status == OK, f"REGISTER of {user}: {status}"
        telephone.home = site
        if is_ready:
            await self.wish(user, Readiness.READY)
            await self.presence(user, PresenceState.READY)
        return telephone

    async def sign_out(self, telephone: Telephone) -> None:
        """Let an agent go home."""
        site, telephone.home = self.site(telephone.home), ""
        assert await telephone.register(site, PASSWORD, expires_s=0) == OK
        await self.presence(telephone.user, PresenceState.SIGNED_OUT)

    def _telephone(self, host: str, user: str) -> Telephone:
        telephone = Telephone(self.lab.plan.host(host).router, user=user)
        self.telephones.append(telephone)
        return telephone

    async def wish(self, agent: str, readiness: Readiness) -> None:
        """Let an agent say what they want to be."""
        wish = Wish(agent=AgentId(agent), readiness=readiness)
        await self.store.txn((), (Put(key=keys.wish(AgentId(agent)), value=encode(wish)),))

    async def presence(self, agent: str, state: PresenceState) -> None:
        """Wait until the home site says so of an agent."""
        await eventually(lambda: self._has_presence(agent, state), f"{agent} is {state}")

    async def _has_presence(self, agent: str, state: PresenceState) -> bool:
        found = await self.store.range(keys.presence(AgentId(agent)))
        return bool(found.records) and json.loads(found.records[0].value)["state"] == state

    # -- calls

    def dial(self, caller: Telephone, number: DidNumber = SALES, **how: Any) -> Leg:  # noqa: ANN401 - as dial
        """Let a caller ring one of our numbers at site a."""
        return caller.dial(number, self.site(), **how)

    async def talking(self, caller: Telephone, agent: Telephone) -> tuple[Leg, Leg]:
        """Bring two people into a call with each other; return their legs."""
        theirs = self.dial(caller)
        ours = await agent.rung()
        await agent.answer(ours)
        await theirs.wait(sip.OfferReceived)
        await self.connected()
        return theirs, ours

    async def connected(self, count: int = 1) -> None:
        """Wait until so many calls are connected, as the edges say."""

        async def is_so() -> bool:
            answers = [await self.ask(edge, "status") for edge in self.edges()]
            return sum(int(each["calls"].get("connected", 0)) for each in answers) == count

        await eventually(is_so, f"{count} connected")

    async def in_queue(self, count: int) -> None:
        """Wait until so many callers wait for an agent, as the edges say."""

        async def is_so() -> bool:
            answers = [await self.ask(edge, "status") for edge in self.edges()]
            return sum(int(each["calls"].get("queued", 0)) for each in answers) == count

        await eventually(is_so, f"{count} in the queue")

    async def record(self, leg: Leg, *, within_s: float = 10.0) -> CallRecord:
        """Return how the edges say that a caller's call ended."""
        found: list[CallRecord] = []

        async def is_there() -> bool:
            found[:] = [
                each for each in await self.records() if each.sip_call_id == leg.sip_call_id
            ]
            return bool(found)

        await eventually(is_there, f"the record of {leg.sip_call_id}", within_s=within_s)
        assert len(found) == 1
        return found[0]

    async def records(self) -> list[CallRecord]:
        """Return the ledger."""
        listed = await self.store.range(keys.ENDED, prefix=True)
        return [decode(CallRecord, record.value, record.key) for record in listed.records]

    async def tickets(self) -> list[CallId]:
        """Return the calls that have a place."""
        listed = await self.store.range(f"{keys.STATE}ticket/", prefix=True, keys_only=True)
        return [CallId(record.key.rpartition("/")[2]) for record in listed.records]

    async def offers(self) -> list[AgentId]:
        """Return the agents who are given to a call."""
        listed = await self.store.range(f"{keys.STATE}offer/", prefix=True, keys_only=True)
        return [AgentId(record.key.rpartition("/")[2]) for record in listed.records]

    async def abreast(self) -> None:
        """Wait until every edge knows of each agent's presence what the store knows now."""
        listed = await self.store.range(f"{keys.STATE}presence/", prefix=True, keys_only=True)
        now = max((record.mod_revision for record in listed.records), default=0)

        async def is_so() -> bool:
            answers = [await self.ask(edge, "status") for edge in self.edges()]
            return all(int(each["revision"]) >= now for each in answers)

        await eventually(is_so, f"every edge has revision {now}")

    # -- taking stock

    async def ask(self, edge: EdgeId, command: str) -> Mapping[str, Any]:
        """Ask an edge over its command socket."""
        path = self.lab.paths.of(SiteId(edge[0])) / f"edge-{edge}.sock"
        async with asyncio.timeout(8):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(json.dumps({"cmd": command}).encode() + b"\n")
            answer: Mapping[str, Any] = json.loads(await reader.readline())
            writer.close()
        assert answer["ok"], answer
        return answer

    def edges(self) -> list[EdgeId]:
        """Return every edge of every site."""
        return [edge for site in self.lab.plan.sites for edge in self.lab.plan.edges(site)]

    async def serving(self) -> None:
        """Wait until every edge is current, and the Kamailio of its site knows what it should."""

        async def is_so() -> bool:
            for edge in self.edges():
                status = await self.ask(edge, "status")
                if status["snapshot"] != "live" or not status["proxy_is_in_step"]:
                    return False
            return True

        await eventually(is_so, "every edge serves", within_s=15)

    async def nothing_is_left(self, *, within_s: float = 12.0) -> None:
        """Wait until no leg, media, ticket, offer or busy gate is anywhere."""
        left: list[str] = []

        async def is_clean() -> bool:
            left[:] = await self._left()
            return not left

        await eventually(is_clean, "nothing is left", within_s=within_s, detail=left)

    async def _left(self) -> list[str]:
        left = [f"ticket {call}" for call in await self.tickets()]
        left += [f"offer of {agent}" for agent in await self.offers()]
        for edge in self.edges():
            with contextlib.suppress(OSError, TimeoutError):
                stock = await self.ask(edge, "stock")
                left += [
                    f"{edge}: {stock[what]} {what}"
                    for what in ("calls", "legs", "media_calls")
                    if stock[what]
                ]
        for telephone in self.telephones:
            if legs := telephone.endpoint.stack.legs():
                left.append(f"{telephone.user}: {legs} legs")
        return left


async def eventually(
    question: Any,  # noqa: ANN401 - an async question
    what: str,
    *,
    within_s: float = 8.0,
    detail: list[str] | None = None,
) -> None:
    """Ask until the answer is yes."""
    ends_s = time.monotonic() + within_s
    while True:
        # Whoever is asked may be dead, or starting, at this moment.
        with contextlib.suppress(StoreError, OSError):
            if await question():
                return
        if time.monotonic() > ends_s:
            raise AssertionError(f"not within {within_s} s: {what}; {detail or ''}")
        await asyncio.sleep(0.02)


async def configure(center: Center) -> None:
    """Publish the center: three numbers, two skills, six agents at site a, two at each other."""
    lab = center.lab
    skills: Mapping[str, Mapping[SkillId, int]] = {
        "ann": {TALKING: 9},
        "bob": {TALKING: 5},
        "cem": {TALKING: 5},
        "fay": {FIXING: 5},
        "gus": {FIXING: 5},
    }
    agents = [
        Agent(
            id=AgentId(name),
            name=name.title(),
            site=lab.plan.sites[0],
            skills=has,
            ha1=ha1_of(name, PASSWORD),
        )
        for name, has in skills.items()
    ]
    agents += [
        Agent(
            id=AgentId(f"{site}{name}"),
            name=name.title(),
            site=site,
            skills={TALKING: 5, FIXING: 5},
            ha1=ha1_of(f"{site}{name}", PASSWORD),
        )
        for site in lab.plan.sites[1:]
        for name in ("kim", "lou")
    ]
    talk, fix = SkillNeed(skill=TALKING, level=3), SkillNeed(skill=FIXING, level=3)
    await publish(
        center.store,
        Configuration(
            sites=tuple(
                Site(id=site, name=site.upper(), sip=str(center.site(site)))
                for site in lab.plan.sites
            ),
            trunks=(Trunk(id=TrunkId("test"), addresses=(lab.plan.host("carrier").router,)),),
            queues=(
                _queue("sales", talk),
                _queue("help", fix),
                _queue("greeted", talk, greeting="greeting"),
            ),
            dids=(
                Did(number=SALES, queue=QueueId("sales")),
                Did(number=HELP, queue=QueueId("help")),
                Did(number=GREETED, queue=QueueId("greeted")),
            ),
            agents=tuple(agents),
        ),
    )
