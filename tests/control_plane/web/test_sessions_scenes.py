"""Who is signed in on the pages, without a browser."""

from __future__ import annotations

import pytest

from tests.control_plane.web.scenes import Stage, stage

__all__ = ("stage",)

SESSION = """
const { Session } = await import("./wallboard/session.js");
let [oursMs, theirsMs] = [1_700_000_000_000, 1_700_000_000_000];
Date.now = () => oursMs;
const pass = (ms) => { oursMs += ms; theirsMs += ms; };
const asked = [];
let given = 0;
let answer = async () => new Response("{}");
globalThis.fetch = async (path, { headers }) => {
  asked.push(path);
  if (!path.startsWith("/v1/sessions")) return answer(headers.Authorization);
  given += 1;
  const until = new Date(theirsMs + 300_000).toISOString();
  const told = { access_token: `t${given}`, refresh_token: `r${given}`, expires: until };
  const now = { Date: new Date(theirsMs).toUTCString() };
  return new Response(JSON.stringify(told), { headers: now });
};
const over = () => new Response(JSON.stringify({ error_id: "sign-in-needed" }), { status: 401 });
const refused = async (how) => {
  try { await how(); } catch (error) { return error; }
  assert.fail("it was not refused");
};
const session = new Session();
"""


@pytest.mark.parametrize("ahead_s", [-3600, 0, 3600])
def test_tokens_last_as_long_as_they_do_whatever_this_machines_clock_says(
    stage: Stage, ahead_s: int
) -> None:
    stage.play(
        SESSION
        + f"oursMs += {ahead_s * 1000};"
        + """
await session.signIn({});
pass(260_000);
assert.equal(await session.token(), "t1");
pass(20_000);
assert.equal(await session.token(), "t2");
assert.equal(await session.token(), "t2");
assert.deepEqual(asked, ["/v1/sessions", "/v1/sessions/refresh"]);
"""
    )


def test_a_token_that_is_over_before_its_time_is_renewed_once(stage: Stage) -> None:
    stage.play(
        SESSION
        + """
await session.signIn({});
answer = async (token) => (token === "Bearer t1" ? over() : new Response('{"id": 7}'));
const both = await Promise.all([session.get("/v1/me"), session.get("/v1/me")]);
assert.deepEqual(both, [{ id: 7 }, { id: 7 }]);
assert.equal(asked.filter((each) => each.endsWith("refresh")).length, 1);
answer = async () => over();
assert.equal((await refused(() => session.get("/v1/me"))).status, 401);
assert.equal(asked.filter((each) => each.endsWith("refresh")).length, 2);
"""
    )


def test_who_signs_out_while_tokens_are_renewed_is_signed_out(stage: Stage) -> None:
    stage.play(
        SESSION
        + """
await session.signIn({});
pass(290_000);
const asking = refused(() => session.get("/v1/me"));
session.forget();
assert.equal((await asking).status, 401);
assert.equal(session.isOpen, false);
"""
    )


def test_tokens_of_who_has_signed_out_never_become_those_of_who_came_after(stage: Stage) -> None:
    stage.play(
        SESSION
        + """
await session.signIn({});
pass(290_000);
const [whole, slow] = [globalThis.fetch, later()];
globalThis.fetch = async (path, said) => {
  const reply = await whole(path, said);
  if (path.endsWith("refresh")) await slow.promise;
  return reply;
};
const asking = refused(() => session.get("/v1/me"));
await settled();
session.forget();
await session.signIn({});
assert.equal(await session.token(), "t3");
slow.answer();
assert.equal((await asking).status, 401);
assert.equal(await session.token(), "t3");
"""
    )


def test_what_somebody_asked_before_they_signed_out_is_not_asked_as_who_came_after(
    stage: Stage,
) -> None:
    stage.play(
        SESSION
        + """
await session.signIn({});
const [slow, heard] = [later(), []];
answer = async (token) => { heard.push(token); return slow.promise; };
const asking = refused(() => session.ask("POST", "/v1/sites/a/drain", { draining: true }));
await settled();
session.forget();
await session.signIn({});
slow.answer(over());
assert.equal((await asking).status, 401);
assert.deepEqual(heard, ["Bearer t1"]);
"""
    )


def test_what_is_refused_is_told_with_where_and_the_way_out(stage: Stage) -> None:
    stage.play(
        SESSION
        + """
const { inWords } = await import("./wallboard/entrance.js");
const told = async (body, status, headers) => {
  answer = async () => new Response(body, { status, headers });
  return inWords(await refused(() => session.get("/v1/recordings")));
};
await session.signIn({});
const faults = [{ where: "query.since", fault: "has to be before until" }];
const unfit = JSON.stringify({ title: "It does not fit", detail: "Look again.", faults });
assert.equal(
  await told(unfit, 422),
  "It does not fit. Look again. query.since: has to be before until",
);
const many = JSON.stringify({ title: "Too many requests" });
const wait = { "Retry-After": "31" };
assert.equal(await told(many, 429, wait), "Too many requests. Try again in 31 s");
assert.equal(await told("<html>502 of a proxy</html>", 502), "The API answered 502");
"""
    )


LINE = """
const waits = [];
AbortSignal.timeout = (ms) => {
  const patience = new AbortController();
  waits.push([ms, () => patience.abort(new DOMException("signal timed out", "TimeoutError"))]);
  return patience.signal;
};
const whole = globalThis.fetch;
let isDead = false;
globalThis.fetch = (path, said) => (isDead
  ? new Promise((_, reject) => {
      said.signal?.addEventListener("abort", () => reject(said.signal.reason));
    })
  : whole(path, said));
const passed = async () => { for (const [, over] of waits.splice(0)) over(); await settled(); };
"""


def test_what_is_asked_over_a_line_that_has_died_is_given_up_and_asked_anew(stage: Stage) -> None:
    stage.play(
        SESSION
        + LINE
        + """
const { inWords } = await import("./wallboard/entrance.js");
await session.signIn({});
answer = async () => new Response('{"id": 7}');
assert.deepEqual(await session.get("/v1/me"), { id: 7 });
isDead = true;
waits.length = 0;
const asking = refused(() => session.get("/v1/live/agents"));
await settled();
assert.deepEqual(waits.map(([ms]) => ms), [30_000]);
await passed();
assert.match(inWords(await asking), /cannot be reached/);
pass(290_000);
const [one, other] = [1, 2].map(() => refused(() => session.get("/v1/me")));
const patience = [];
for (const _ of ["once", "again, and no more"]) {
  await settled();
  patience.push(...waits.map(([ms]) => ms));
  await passed();
}
assert.deepEqual(patience, [6_000, 6_000]);
assert.equal((await one).name, "TimeoutError");
assert.equal((await other).name, "TimeoutError");
isDead = false;
assert.deepEqual(await session.get("/v1/me"), { id: 7 });
assert.ok(session.isOpen);
"""
    )


def test_a_recording_may_come_as_slowly_as_the_line_is(stage: Stage) -> None:
    stage.play(
        SESSION
        + LINE
        + """
await session.signIn({});
answer = async () => new Response("RIFF");
waits.length = 0;
assert.equal(await (await session.fetch("/v1/recordings/a/audio")).text(), "RIFF");
assert.equal(waits.length, 0);
"""
    )


ENTRANCE = """
const sockets = [];
globalThis.setInterval = () => 0;
globalThis.clearInterval = () => {};
globalThis.setTimeout = () => 0;
globalThis.WebSocket = class {
  constructor(url, protocols) {
    Object.assign(this, { on: {}, isOpen: true, protocols });
    sockets.push(this);
  }
  addEventListener(what, does) { this.on[what] = does; }
  close() { this.isOpen = false; }
};
globalThis.FormData = class { constructor(form) { return Object.entries(form.fields); } };
const begun = [];
globalThis.fetch = async (path, { method }) => {
  if (path === "/v1/sessions") {
    begun.push(later());
    return begun.at(-1).promise;
  }
  const told = { roles: [], items: [], sites: [], can_lose_any: true, is_current: true };
  return new Response(JSON.stringify(told));
};
const letIn = async (place, name) => {
  const expires = new Date(Date.now() + 3e5).toISOString();
  const told = { access_token: name, refresh_token: name, tenant: "main", expires };
  begun[place].answer(new Response(JSON.stringify(told)));
  await settled();
};
const form = byId("sign-in");
form.elements = { password: { value: "secret" }, tenant: { value: "main" } };
form.fields = { tenant: "main", login: "ada", password: "secret" };
await import("./wallboard/wallboard.js");
await settled();
"""


def test_who_presses_sign_in_twice_is_signed_in_once_and_leaves_no_stream_behind(
    stage: Stage,
) -> None:
    stage.play(
        ENTRANCE
        + """
form.dispatch("submit");
form.dispatch("submit");
await settled();
for (const place of begun.keys()) await letIn(place, `ada-${place}`);
byId("sign-out").dispatch("click");
await settled();
assert.equal(sockets.filter((each) => each.isOpen).length, 0);
assert.equal(begun.length, 1);
"""
    )


def test_who_was_refused_or_has_signed_out_may_sign_in_again(stage: Stage) -> None:
    stage.play(
        ENTRANCE
        + """
form.dispatch("submit");
await settled();
begun[0].answer(new Response('{"title": "Wrong login or password"}', { status: 401 }));
await settled();
assert.equal(byId("refused").textContent, "Wrong login or password");
form.dispatch("submit");
await settled();
await letIn(1, "ada");
byId("sign-out").dispatch("click");
form.dispatch("submit");
await settled();
await letIn(2, "ben");
assert.equal(sockets.at(-1).protocols[1], "bearer.ben");
assert.equal(form.hidden, true);
"""
    )


def test_who_uses_no_mouse_is_where_the_page_goes_on_when_the_door_opens_or_closes(
    stage: Stage,
) -> None:
    stage.play(
        ENTRANCE
        + """
const button = document.createElement("button");
form.append(button);
button.focus();
form.dispatch("submit");
await settled();
begun[0].answer(new Response('{"title": "Wrong login or password"}', { status: 401 }));
await settled();
assert.equal(document.activeElement, button);
form.dispatch("submit");
await settled();
await letIn(1, "ada");
assert.equal(document.activeElement, byId("title"));
byId("sign-out").focus();
byId("sign-out").dispatch("click");
assert.equal(document.activeElement, byId("sign-in-title"));
form.dispatch("submit");
await settled();
await letIn(2, "ada");
sockets.at(-1).on.close({ code: 4001 });
await settled();
assert.equal(byId("refused").textContent, "Your session has ended: sign in again.");
assert.equal(document.activeElement, byId("sign-in-title"));
"""
    )


@pytest.mark.parametrize("times", [1, 2])
def test_whose_new_tokens_were_lost_on_the_way_asks_once_more_by_the_same_one(
    stage: Stage, times: int
) -> None:
    """The control plane gives the same again for some seconds; later, it ends the session."""
    stage.play(
        SESSION
        + f"let left = {times};"
        + """
await session.signIn({});
pass(290_000);
const whole = globalThis.fetch;
const sent = [];
globalThis.fetch = async (path, said) => {
  if (!path.endsWith("refresh")) return whole(path, said);
  sent.push(said.body);
  if (left-- > 0) throw new TypeError("Failed to fetch");
  return whole(path, said);
};
if (left === 1) assert.equal(await session.token(), "t2");
else assert.equal((await refused(() => session.token())).name, "TypeError");
assert.deepEqual(sent, Array(2).fill('{"refresh_token":"r1"}'));
"""
    )


def test_tokens_that_are_refused_are_not_asked_for_again(stage: Stage) -> None:
    stage.play(
        SESSION
        + """
await session.signIn({});
pass(290_000);
const sent = [];
globalThis.fetch = async (path) => { sent.push(path); return over(); };
assert.equal((await refused(() => session.token())).status, 401);
assert.equal(sent.length, 1);
"""
    )
