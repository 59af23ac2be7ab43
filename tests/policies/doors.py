"""Every case through the doors that its permission has: REST, the event stream, the terminal.

A case is allowed if the endpoint does it, or says what stands against it beyond the policy, and
denied if it refuses, finds nothing, or lists without the thing. Denials come first, and each is of
a thing that is there: the allowing cases ask for the same one afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
from sqlalchemy import insert, select, update

from control_plane.api.route import AnyRoute, Check, Method, Public, Routes
from control_plane.app import ROUTES
from control_plane.calls.tables import CallRow
from control_plane.events.hub import HUB
from control_plane.holds.tables import HoldRow
from control_plane.permissions import Permission, Role
from control_plane.proof import Case
from control_plane.users.tables import UserRow
from tests.control_plane.center import Person, Reply
from tests.control_plane.events.stage import listening
from tests.control_plane.live.stage import Scene, call_id
from tests.control_plane.outside.crawl import OF_SECTION, Sent, one
from tests.control_plane.outside.pair import both, two_tenants
from tests.control_plane.outside.tenants import Furnished, well
from tests.policies import fields, told
from tests.policies.fields import FieldDoor
from tests.policies.second import Second
from tests.policies.staging import Staged, stage
from tests.policies.terminal import Terminal

REST, STREAM, TERMINAL = "rest", "event stream", "ctl"
UNBUILT = "no endpoint asks for it"
REFUSED = (401, 403, 404)
REACHED = (409, 412)
NOT_SET_UP = ("recordings-not-served", "phone-credentials-off")
"""As these statuses, these errors come after the policy's yes: the handler had another reason."""
OWN_ONLY = frozenset({"live_pop", fields.LOOK_UP})
"""They are about the subject's own call, whatever else the role may see. (Who sees numbers in full
looks them up at any time: that is asked as of the fields.)"""
ENFORCER_ONLY = {
    ("recordings_list_all", True): "no store of recordings is served here",
    ("sign_in_change_password", True): "who has no password is told that there is none",
}
"""What no case can be driven through, by endpoint and what the case says, and why."""
FITTING = {
    "language": "de", "zone": "Europe/Berlin", "sip": "198.18.1.11:5060",
    "addresse": "198.51.100.2", "role": "role:agent", "issuer": "https://q7ours.example.org",
    "redirect_uri": "https://q7ours.example.org/back", "new": "long enough a secret",
    "password": "long enough a secret", "cases": "", "digest": "d", "drill": "site_killed",
    "plan_hash": "0" * 64,
}  # fmt: skip
"""What is no mere text in a body."""
NAMED = {"approvals_request": {"thing": "customers"}}
"""Which thing it is about, where not ours: of all customers one need not be able to see any."""
QUERIES = {
    "users_list_all": "team={team}", "knowledge_find": "q={mark}",
    "knowledge_suggest": "queue={queue}",
    "configuration_compare": "before=1&after=2", "audit_trail": "thing={thing}",
}  # fmt: skip
LISTED = {
    "customer.basic": "customer", "service_token": "token", "call": "live_call",
    "approval": "request",
}  # fmt: skip
"""Which id a listing of the kind bears, where it is not called like the kind."""
UNOWNED = {"article": "own_article", "call": "waiting_call", "queue": "backup"}
"""What is nobody's, beside what is."""
LAST = ("policies_apply", "configuration_roll_back", "customers_merge", "customers_erase")
"""They take away what others ask of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One case at one endpoint."""

    route: AnyRoute
    case: Case
    staged: Staged
    field: FieldDoor | None = None
    """Not the endpoint's own permission is asked for, but one of fields that it shows."""

    @property
    def name(self) -> str:
        """Return what it is called where doors are counted."""
        return self.route.name if self.field is None else self.field.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What came of all of them."""

    allowed: frozenset[str]
    """Endpoints that have let somebody in."""
    denied: frozenset[str]
    requests: int
    failed: tuple[str, ...]
    doors: tuple[str, ...]
    told: frozenset[told.Field] = frozenset()
    """Fields of answers to whoever was let in."""
    resources: frozenset[str] = frozenset()
    """What was asked of."""

    @property
    def by_door(self) -> frozenset[tuple[str, bool]]:
        """Return the endpoints and what they said."""
        yes = {(name, True) for name in self.allowed}
        return frozenset(yes | {(name, False) for name in self.denied})


def routes_of(case: Case, routes: Routes = ROUTES) -> Iterator[AnyRoute]:
    """Yield the endpoints that ask for the case's permission."""
    for route in routes:
        if route.access == case.may:
            yield route


def half_driven(routes: Routes, drives: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the endpoints that no allowing or no denying case drives, by (name, allow)."""
    known = {*drives, *ENFORCER_ONLY}
    return fields.half_driven(routes, known) + tuple(
        f"{route.name} ({route.access}): no case that is {'allowed' if told else 'denied'}"
        for route in routes
        for told in (True, False)
        if not isinstance(route.access, Public) and (route.name, told) not in known
    )


def plan(
    cases: Iterable[Case], ids: Mapping[str, str], routes: Routes = ROUTES
) -> tuple[list[Drive], dict[str, str]]:
    """Return what to drive, in order, and by case why it is left to the enforcer."""
    drives: list[Drive] = []
    left: dict[str, str] = {}
    for case in cases:
        name = f"{case.n}: {case.case} ({case.may})"
        there = tuple(routes_of(case, routes))
        shown = tuple(fields.doors_of(case.may, routes))
        staged = stage(case, ids)
        if not there and not shown:
            left[name] = UNBUILT
            continue
        if isinstance(staged, str):
            left[name] = staged
            continue
        found = [
            Drive(route=route, case=case, staged=staged)
            for route in there
            if (route.name, case.allow) not in ENFORCER_ONLY
            and (route.name not in OWN_ONLY or "on_call_with" in case.thing)
            and _names_it(route, staged)
        ]
        found += [
            Drive(route=door.route, case=case, staged=staged, field=door)
            for door in shown
            if _names_it(door.route, staged) and door.is_asked(case, staged.roles)
        ]
        if not found:
            beside = (ENFORCER_ONLY.get((route.name, case.allow)) for route in there)
            left[name] = next(filter(None, beside), "its endpoints name no thing")
        drives += found
    drives.sort(key=_turn)
    return drives, left


def _part(drives: list[Drive], part: int, parts: int) -> list[Drive]:
    """Return those of some resources: what is done to one thing stays together, in its order."""
    nouns = sorted({told.resource(each.route) for each in drives})
    mine = frozenset(nouns[part::parts])
    return [each for each in drives if told.resource(each.route) in mine]


def _doors_of(route: AnyRoute) -> set[str]:
    """Return where it is asked: what reads is typed in a terminal too."""
    if route.is_socket:
        return {STREAM}
    return {REST, TERMINAL} if route.method is Method.GET else {REST}


def _turn(each: Drive) -> tuple[bool, int, int]:
    """Return when it comes: who is refused first, then who reads, and who takes away last."""
    name = each.route.name
    last = LAST.index(name) + 1 if name in LAST else 0
    return each.case.allow, last, list(Method).index(each.route.method)


def _names_it(route: AnyRoute, staged: Staged) -> bool:
    """Return whether what is another tenant's can be asked for, or could be listed."""
    if staged.acts_there or staged.is_foreign:
        return bool(route.at.model_fields) or (route.check is Check.EACH and not staged.acts_there)
    return True


async def drive(
    cases: tuple[Case, ...], part: int = 0, parts: int = 1
) -> tuple[Driven, dict[str, str]]:
    """Serve on SQLite, furnish two tenants, and ask for every case; or for one part of them."""
    with tempfile.TemporaryDirectory(prefix="everline-doors-") as home:
        async with two_tenants(Path(home)) as scene:
            ours, theirs = await both(scene)
            ours.ids |= {"employer": f"{ours.mark}corp", "live_call": call_id(41)}
            place = {"queue": ours.ids["queue"], "did": ours.ids["did"]}
            await _prepare(ours)
            await scene.connect(41, ours.ids["agent"], caller=ours.ids["number"], **place)
            drives, left = plan(cases, ours.ids)
            terminal = Terminal(scene.center, Path(home) / "ctl")
            driver = Driver(scene, ours, theirs, terminal)
            return await driver.all(_part(drives, part, parts)), left


async def _prepare(ours: Furnished) -> None:
    """Let the agent's user have the case, and let there be customers to erase and to merge."""
    ids, manager = ours.ids, ours.manager
    path = f"/v1/customers/{ids['customer']}/cases/{ids['case']}"
    etag = (await manager.get(path)).headers["ETag"]
    well(await manager.ask("PATCH", path, {"owner": ids["user"]}, {"If-Match": etag}))
    for name in ("doomed", "held", "another"):
        body: dict[str, object] = {"name": f"{ours.mark} {name}"}
        if name == "another":
            body["numbers"] = [ids["number"]]
        made = well(await manager.post("/v1/customers", body))
        ids[name] = made.json["id"]
    officer = await manager.center.person(Role.PRIVACY_OFFICER)
    hold, seen = {"has_legal_hold": True}, {"If-Match": '"1"', "Everline-Purpose": "a court"}
    well(await officer.ask("PUT", f"/v1/customers/{ids['held']}/hold", hold, seen))
    article = {"language": "de", "title": f"{ours.mark} for ours", "body": "b"}
    ids["own_article"] = well(await manager.post("/v1/articles", article)).json["id"]
    ids["waiting_call"] = call_id(11)
    ids["held_recording"] = await _hold_another(ours)


async def _hold_another(ours: Furnished) -> str:
    """Let another call have been like the one that there is, and be under legal hold."""
    call = call_id(51)
    async with ours.manager.center.services.database.write() as connection:
        found = select(CallRow.__table__).where(CallRow.id == ours.ids["recording"])
        row = (await connection.execute(found)).one()._mapping  # noqa: SLF001 - its documented way
        await connection.execute(insert(CallRow).values(**{**row, "id": call}))
        await connection.execute(insert(HoldRow).values(
            tenant=ours.tenant, call=call, has_legal_hold=True, because="an order",
            by=ours.admin.id, at_ms=1, version=1,
        ))  # fmt: skip
    return call


class Driver:
    """Asks."""

    def __init__(
        self, scene: Scene, ours: Furnished, theirs: Furnished, terminal: Terminal
    ) -> None:
        self._scene, self._center, self._ours, self._theirs = scene, scene.center, ours, theirs
        self._terminal = terminal
        self._second = Second(scene.center)
        self._readers: dict[object, Person] = {}
        self._told: set[told.Field] = set()

    async def all(self, drives: list[Drive]) -> Driven:
        """Ask for each."""
        said_so: dict[bool, set[str]] = {True: set(), False: set()}
        failed: list[str] = []
        doors: set[str] = set()
        for each in drives:
            doors |= _doors_of(each.route)
            said = await self._one(each)
            if said:
                failed.append(f"{each.case.n}: {each.case.case}: {each.route.name}: {said}")
            else:
                said_so[each.case.allow].add(each.name)
        return Driven(
            allowed=frozenset(said_so[True]), denied=frozenset(said_so[False]),
            requests=len(drives), failed=tuple(failed), doors=tuple(sorted(doors)),
            told=frozenset(self._told),
            resources=frozenset(told.resource(each.route) for each in drives),
        )  # fmt: skip

    async def _one(self, each: Drive) -> str:
        """Return what was wrong."""
        person = await self._asks(each)
        if each.route.is_socket and each.field is not None:
            return await self._hear(each, person)
        if each.route.is_socket:
            return await self._listen(each, person)
        sent = await self._request(each, person)
        replies = {REST: await sent.by(person)}
        if each.route.name == fields.EXPORT and each.field is not None:
            sent = await self._request(each, person)  # with another approval: each is good once
            replies[TERMINAL] = await self._terminal.get(sent, person)
        elif TERMINAL in _doors_of(each.route):
            replies[TERMINAL] = await self._terminal.get(sent, person)
        for door, reply in replies.items():
            if each.case.allow is not self._says(each, reply):
                return f"{door}: {reply.status} {reply.body[:400]!r}"
        if each.case.allow and replies[REST].status < 300:
            self._told.update(told.in_answer(each.route, replies[REST]))
        return ""

    def _says(self, each: Drive, reply: Reply) -> bool | None:
        """Return whether an answer lets the subject do it; None: it says neither."""
        if each.field is None:
            return _is_allowed(reply, self._listed(each))
        said = _is_allowed(reply, "")
        if not said or each.field.query or each.field.body(self._ours.ids) is not None:
            return said
        return each.field.is_shown(reply, self._ours.ids)

    async def _asks(self, each: Drive) -> Person:
        """Return who asks; who only reads is there once for all cases that want the same."""
        if each.route.method is not Method.GET or each.route.is_socket:
            return await self._person(each.staged)
        staged = each.staged
        same = (staged.roles, tuple(sorted(staged.values.items())), staged.is_active)
        if same not in self._readers:
            self._readers[same] = await self._person(staged)
        return self._readers[same]

    async def _person(self, staged: Staged) -> Person:
        person = await self._center.person(*staged.roles, **staged.values)
        if not staged.is_active:
            async with self._center.services.database.write() as connection:
                gone = update(UserRow).where(UserRow.id == person.id).values(is_active=False)
                await connection.execute(gone)
        return person

    async def _request(self, each: Drive, person: Person) -> Sent:
        staged = each.staged
        whose = self._theirs if staged.is_foreign or staged.acts_there else self._ours
        ids = {**whose.ids, **FITTING, "code": whose.ids["wrap_up_code"]}
        ids |= _others(each, whose.ids) | NAMED.get(each.route.name, {})
        if each.route.name == "sign_in_end_mine" and staged.is_active:
            ids["session"] = (await person.get("/v1/me/sessions")).json["items"][0]["id"]
        sent = one(each.route, ids)
        if each.field is not None and (body := each.field.body(ids)) is not None:
            sent = replace(sent, body=body)
        if each.field is not None and each.field.query:
            sent = replace(sent, path=f"{sent.path}?{each.field.query}")
        if query := QUERIES.get(each.route.name):
            sent = replace(sent, path=f"{sent.path}?{query.format(**ids, mark=whose.mark)}")
        headers = {k: v for k, v in sent.headers.items() if not k.startswith("Everline-")}
        if purpose := staged.purpose or (each.field.purpose(staged.roles) if each.field else ""):
            headers["Everline-Purpose"] = purpose
        if staged.acts_there:
            headers["Everline-Tenant"] = self._theirs.tenant
        if staged.is_approved or (each.field is not None and each.route.name == fields.EXPORT):
            headers["Everline-Approval"] = await self._approval(each, person)
        if staged.has_glass and each.route.takes_glass:
            headers["Everline-Glass"] = await self._second.glass(
                person, each.case, ids["recording"]
            )
        if each.route.needs_version:
            # Nothing changes: the handler says that somebody else was faster.
            headers["If-Match"] = '"999"'
        return replace(sent, headers=headers)

    async def _approval(self, each: Drive, person: Person) -> str:
        """Have somebody say yes to this, as the case has it."""
        if each.field is not None:
            act, everybody = Permission.CUSTOMER_EXPORT, "customers"
            return await self._second.approve(act, everybody, everybody)
        approval = await self._good_approval(each, person)
        await self._second.spoil(approval, each.case, person, each.staged.values["team"])
        return approval

    async def _good_approval(self, each: Drive, person: Person) -> str:
        ids = self._ours.ids
        if each.case.may == "glass:break":
            return await self._second.permit(person, ids["recording"])
        if each.case.may == "drill:run":
            return await self._second.permit(
                person, FITTING["drill"], each.case.may, FITTING["plan_hash"]
            )
        asked = {**ids, **_others(each, ids)}
        thing = asked["customer"]
        if each.case.may == "policy:apply":
            thing = ids["version"]
            shown = await self._ours.admin.get(f"/v1/policy/versions/{thing}")
            digest = shown.json["digest"]
        elif each.route.name == "customers_give":
            thing = digest = "customers"
        elif each.case.may in ("recording:delete", "recording:export"):
            thing, digest = asked["recording"], "none"  # no store is served here
        else:
            shown = await self._ours.manager.get(f"/v1/customers/{thing}")
            digest = shown.headers["ETag"].strip('"')
        return await self._second.approve(each.case.may, thing, digest)

    def _listed(self, each: Drive) -> str:
        """Return what a listing holds that shows the thing."""
        if each.route.check is not Check.EACH:
            return ""
        kind = each.case.kind
        if kind == "customer":
            name = "customer"
        elif kind == "vocabulary":
            name = OF_SECTION[each.route.path.split("/")[2]]
        else:
            name = LISTED.get(kind, kind)
        whose = self._theirs if each.staged.is_foreign else self._ours
        return f'"{(whose.ids | _others(each, whose.ids))[name]}"'

    async def _hear(self, each: Drive, person: Person) -> str:
        """Return what was wrong in what the stream tells of the call that goes on."""
        assert each.field is not None
        ids = self._ours.ids
        async with listening(person, "?topics=calls") as ear:
            place = {"queue": ids["queue"], "did": ids["did"]}
            await self._scene.connect(41, ids["agent"], caller=ids["number"], **place)
            self._center.app[HUB].beat()  # comes after all that this person is told
            told = await ear.up_to_heartbeat()
        mine = (event["data"] for event in told if event["id"] == ids["live_call"])
        shows = fields.OF_CALLERS[each.field.permission]
        is_shown = any(data is not None and shows(data, ids) for data in mine)
        return "" if is_shown is each.case.allow else f"{STREAM}: the number is shown: {is_shown}"

    async def _listen(self, each: Drive, person: Person) -> str:
        """Return what was wrong at the stream's handshake."""
        headers = {"Authorization": f"Bearer {person.token}"}
        url = f"http://{self._center.host}{each.route.path}"
        try:
            async with self._center.client.ws_connect(url, headers=headers):
                is_in = True
        except aiohttp.WSServerHandshakeError as error:
            is_in = error.status not in REFUSED
        return "" if is_in is each.case.allow else f"the stream is open: {is_in}"


def _others(each: Drive, ids: Mapping[str, str]) -> dict[str, str]:
    """Return which other things the case is about than those that all others ask for."""
    found: dict[str, str] = {}
    thing = each.case.thing
    if each.route.name == "customers_erase":
        found["customer"] = ids["held" if thing.get("has_legal_hold") else "doomed"]
    if each.route.name == "customers_merge":
        found["gone"] = ids.get("another", ids["gone"])
    if each.route.name == "recordings_delete" and thing.get("has_legal_hold"):
        found["recording"] = ids["held_recording"]
    if thing.get("employer") == "" or thing.get("agent") == "" or thing.get("team") == "":
        found |= {name: ids[other] for name, other in UNOWNED.items()}
    return found


def _is_allowed(reply: Reply, listed: str) -> bool | None:
    """Return whether it was; None: neither is shown, for instance by a body that does not fit."""
    if reply.status in REFUSED:
        return False
    if reply.status >= 300:
        is_reached = reply.status in REACHED or reply.error_id in NOT_SET_UP
        return True if is_reached and not listed else None
    return listed in reply.body.decode(errors="replace")
