"""The pages' modules without a browser: what they do when answers are late or fail.

They run in the Node that Playwright brings, on as much of a page as `dom.mjs` is.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.control_plane.outside.test_docs_page import TEXTS

DOM = (Path(__file__).parent / "dom.mjs").read_text()
FIRST = """
import assert from "node:assert/strict";
import { byId, later, settled } from "/dom.mjs";
"""


class Stage:
    """The modules as they are served, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for path, text in {**TEXTS, "/dom.mjs": DOM}.items():
            if path.endswith(("js", "mjs")):
                self._write(path, text)

    def play(self, scene: str) -> None:
        """Run a scene; what it asserts in vain fails the test."""
        self._write("/scene.mjs", FIRST + scene)
        node = compute_driver_executable()[0]
        ran = subprocess.run(
            [node, self._folder / "scene.mjs"], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr

    def _write(self, path: str, text: str) -> None:
        file = self._folder / path.lstrip("/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace('from "/', f'from "file://{self._folder}/'))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return Stage(tmp_path)


# ---- what is done --------------------------------------------------------------------------------

ACTS = """
const { Actions } = await import("./wallboard/actions.js");
const [asked, first] = [[], later()];
const isTrial = (path) => path.includes("dry_run");
const session = {
  ask: async (method, path, body) => {
    asked.push([method, path, body.draining]);
    return path.includes("/a/") && isTrial(path) ? first.promise : { move: null };
  },
  get: () => first.promise,
};
const actions = new Actions(session, () => {});
const press = (id, what = "click") => byId(id).dispatch(what);
"""


def test_a_drain_that_was_given_up_is_not_carried_out_in_place_of_the_next(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
actions.ask("drain", { id: "a" });
press("act-cancel");
actions.ask("drain", { id: "b" });
await settled();
first.answer({ move: null });
await settled();
assert.equal(byId("act-title").textContent, "Drain: b");
press("act-form", "submit");
await settled();
assert.deepEqual(asked.at(-1), ["POST", "/v1/sites/b/drain", true]);
"""
    )


def test_nothing_can_be_said_yes_to_before_it_is_known_what_it_comes_to(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
actions.ask("drain", { id: "b" });
press("act-cancel");
actions.ask("drain", { id: "a" });
await settled();
assert.equal(byId("act-do").disabled, true);
first.fail(new TypeError("cut off"));
await settled();
assert.equal(byId("act-do").disabled, true);
assert.match(byId("act-refused").textContent, /cut off/);
"""
    )


def test_what_an_earlier_question_ran_into_is_not_said_of_the_next(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
actions.ask("drain", { id: "a" });
press("act-cancel");
actions.ask("drain", { id: "b" });
await settled();
first.fail(new TypeError("cut off"));
await settled();
assert.equal(byId("act-refused").textContent, "");
assert.equal(byId("act-do").disabled, false);
"""
    )


def test_an_answer_that_comes_late_does_not_close_the_next_question(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
const done = later();
session.ask = async (method, path) => (isTrial(path) ? { move: null } : done.promise);
actions.ask("drain", { id: "a" });
await settled();
press("act-form", "submit");
press("act-cancel");
session.ask = () => later().promise;
actions.ask("drain", { id: "b" });
done.answer({});
await settled();
assert.equal(byId("act").open, true);
assert.equal(byId("act-do").disabled, true);
"""
    )


# ---- what is shown -------------------------------------------------------------------------------

BOARD = """
const { Board } = await import("./wallboard/board.js");
const board = new Board();
const ann = (state) => ({ id: "ann", state });
const event = { topic: "agents", what: "changed", id: "ann" };
const told = (state) => board.take({ ...event, data: ann(state) }, 0);
const shown = () => board.kinds.agents.get("ann").state;
"""


def test_what_is_told_while_two_listings_are_under_way_outlives_both(stage: Stage) -> None:
    stage.play(
        BOARD
        + """
const [one, other] = [board.await("agents"), board.await("agents")];
told("talking");
board.list(one, [ann("ready")], 0);
assert.equal(shown(), "talking");
board.list(other, [ann("ready")], 0);
assert.equal(shown(), "talking");
"""
    )


def test_a_listing_that_is_overtaken_puts_nothing_back(stage: Stage) -> None:
    stage.play(
        BOARD
        + """
const one = board.await("agents");
told("talking");
const other = board.await("agents");
board.list(other, [ann("wrap_up")], 0);
board.list(one, [ann("ready")], 0);
assert.equal(shown(), "wrap_up");
"""
    )


def test_an_earlier_listing_stands_where_the_later_one_never_came(stage: Stage) -> None:
    stage.play(
        BOARD
        + """
const [one, other] = [board.await("agents"), board.await("agents")];
board.giveUp(other);
board.list(one, [ann("ready")], 0);
assert.equal(shown(), "ready");
"""
    )


def test_who_works_by_keyboard_keeps_the_focus_while_rows_change_places(stage: Stage) -> None:
    stage.play(
        BOARD
        + """
const { show } = await import("./wallboard/show.js");
const look = (...states) => {
  const items = states.map((state, place) => (
    { id: "abcdef"[place], state, site: "a", may: ["set_state"] }));
  board.list(board.await("agents"), items, 0);
  show(board, 0, 0);
  return byId("agents").children.map((each) => each.dataset.id).join("");
};
assert.equal(look("talking", "offered", "ready", "ready", "paused"), "abcde");
const button = byId("agents").children[2].querySelector("button[data-act]");
button.focus();
assert.equal(look("signed_out", "offered", "ready", "talking", "talking"), "debca");
assert.equal(document.activeElement, button);
assert.equal(look("talking", "talking", "wrap_up", "talking"), "abdc");
assert.equal(document.activeElement, button);
look("talking", "talking", "paused", "talking");
assert.equal(document.activeElement.dataset.act, "ready");
"""
    )


WALLBOARD = """
const refused = new Map();
let socket = null;
const ticks = [];
globalThis.setInterval = (does, everyMs) => { ticks.push([everyMs, does]); return ticks.length; };
globalThis.clearInterval = () => {};
globalThis.setTimeout = () => 0;
globalThis.WebSocket = class {
  constructor() { socket = this; this.on = {}; }
  addEventListener(what, does) { this.on[what] = does; }
  say(told) { this.on.message({ data: JSON.stringify({ revision: 1, ...told }) }); }
  close() {}
};
const answers = {
  "/v1/me": { roles: ["role:manager"] },
  "/v1/live/sites": { items: [] }, "/v1/live/queues": { items: [] },
  "/v1/live/agents": { items: [{ id: "ann", state: "ready", site: "a" }] },
  "/v1/readiness": { sites: [], can_lose_any: true, is_current: true },
};
globalThis.fetch = async (url) => {
  const path = url.split("?")[0];
  const no = JSON.stringify({ title: "Not now", detail: "You are ten." });
  return refused.has(path)
    ? new Response(no, { status: refused.get(path) })
    : new Response(JSON.stringify(answers[path]));
};
const untilMs = Date.now() + 3e5;
const tokens = { access_token: "t", refresh_token: "r", tenant: "main", untilMs };
sessionStorage.setItem("everline.along", JSON.stringify({ tokens, until: Date.now() + 1e4 }));
const opened = async ({ isIn = true } = {}) => {
  await import("./wallboard/wallboard.js");
  await settled();
  if (!isIn) return;
  socket.say({ type: "hello", resumed: false });
  await settled();
};
const tick = async () => {
  for (const [everyMs, does] of ticks) if (everyMs === 15_000) does();
  await settled();
};
const standing = () => byId("state").textContent;
const people = () => byId("agents").children.map((each) => each.dataset.id);
"""


def test_a_listing_that_failed_is_asked_for_again_and_the_board_says_so(stage: Stage) -> None:
    stage.play(
        WALLBOARD
        + """
refused.set("/v1/live/agents", 503);
await opened();
assert.match(standing(), /Not all can be listed/);
assert.equal(byId("nothing").hidden, true);
refused.clear();
await tick();
assert.deepEqual(people(), ["ann"]);
assert.equal(standing(), "Live");
"""
    )


def test_a_stream_that_is_refused_says_why_until_it_is_let_in(stage: Stage) -> None:
    stage.play(
        WALLBOARD
        + """
const again = [];
globalThis.setTimeout = (does, afterMs) => again.push([afterMs, does]);
const retry = async () => { again.filter(([ms]) => ms < 20_000).at(-1)[1](); await settled(); };
const closed = async () => { socket.on.close({ code: 1006 }); await settled(); };
refused.set("/v1/events", 429);
await opened({ isIn: false });
await closed();
assert.equal(standing(), "Cut off: Not now. You are ten");
await retry();
assert.equal(standing(), "Cut off: Not now. You are ten");
refused.set("/v1/events", 426);
await closed();
assert.equal(standing(), "Cut off: trying again …");
await retry();
socket.say({ type: "hello", resumed: false });
await settled();
assert.equal(standing(), "Live");
assert.deepEqual(people(), ["ann"]);
"""
    )


def test_who_is_new_is_listed_with_the_next_figures_and_can_be_paused_then(stage: Stage) -> None:
    stage.play(
        WALLBOARD
        + """
await opened();
const ben = { id: "ben", state: "ready", site: "a" };
const news = [{ topic: "agents", what: "changed", id: "ben", data: ben }];
socket.say({ type: "events", events: news });
const button = () => byId("agents").children[1].querySelector('[data-act="pause"]');
assert.deepEqual([people(), button()], [["ann", "ben"], null]);
answers["/v1/live/agents"].items.push({ ...ben, may: ["set_state"] });
await tick();
assert.ok(button());
assert.equal(standing(), "Live");
"""
    )


def test_an_alarm_of_another_day_says_of_which(stage: Stage) -> None:
    stage.play(
        WALLBOARD
        + """
const rest = "the center cannot lose a site.";
const look = async (at) => {
  const told = { ...answers["/v1/readiness"], id: "center", can_lose_any: false };
  const data = { ...told, alarm_since: at.toISOString() };
  const news = [{ topic: "readiness", what: "changed", id: "center", data }];
  socket.say({ type: "events", events: news });
  return byId("alarm").textContent;
};
await opened();
const now = new Date();
const before = new Date(now - 3 * 86_400_000);
assert.equal(await look(now), `Alarm since ${now.toLocaleTimeString()}: ` + rest);
assert.equal(await look(before), `Alarm since ${before.toLocaleString()}: ` + rest);
"""
    )


def test_who_may_see_nothing_is_told_so_and_not_that_it_fails(stage: Stage) -> None:
    stage.play(
        WALLBOARD
        + """
for (const path of Object.keys(answers)) if (path !== "/v1/me") refused.set(path, 403);
await opened();
assert.equal(byId("nothing").hidden, false);
assert.equal(standing(), "Live");
"""
    )


def test_what_comes_after_signing_out_is_not_kept(stage: Stage) -> None:
    stage.play(
        WALLBOARD
        + """
const [whole, slow] = [globalThis.fetch, later()];
globalThis.fetch = async (url) => (url.startsWith("/v1/live/agents") ? slow.promise : whole(url));
await opened();
byId("sign-out").dispatch("click");
slow.answer(new Response(JSON.stringify(answers["/v1/live/agents"])));
await settled();
assert.deepEqual(people(), []);
"""
    )


# ---- who is signed in ----------------------------------------------------------------------------

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


ENTRANCE = """
const sockets = [];
globalThis.setInterval = () => 0;
globalThis.clearInterval = () => {};
globalThis.setTimeout = () => 0;
globalThis.WebSocket = class {
  constructor(url, protocols) { Object.assign(this, { on: {}, isOpen: true, protocols }); sockets.push(this); }
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


# ---- recordings ----------------------------------------------------------------------------------

RECORDINGS = """
globalThis.setInterval = () => 0;
globalThis.FormData = class { constructor(form) { return Object.entries(form.fields); } };
const untilMs = Date.now() + 3e5;
const tokens = { access_token: "t", refresh_token: "r", tenant: "main", untilMs };
sessionStorage.setItem("everline.along", JSON.stringify({ tokens, until: Date.now() + 1e4 }));
const about = (id) => ({
  id, queue: "sales", arrived: "2026-05-01T10:00:00Z", tags: [id], length_s: 1, is_kept: true,
  parts: [], holds: [], transfers: [], pauses: [], masks: [], gaps: [],
});
const pages = new Map();
globalThis.fetch = async (url) => {
  const path = url.split("?")[0];
  if (path === "/v1/me") return new Response(JSON.stringify({ roles: [] }));
  if (!pages.has(url)) pages.set(url, later());
  const told = await pages.get(url).promise;
  return new Response(JSON.stringify(told), { status: told.status ?? 200 });
};
const page = (...ids) => ({ items: ids.map(about), next: "more" });
const answered = async (url, told) => { pages.get(url).answer(told); await settled(); };
const search = (queue) => {
  byId("search").elements = { queue: { type: "text" } };
  byId("search").fields = { queue };
  byId("search").dispatch("submit");
};
const found = () => byId("found").children.map((each) => each.dataset.id);
await import("./recordings/recordings.js");
await settled();
"""


def test_an_earlier_search_that_is_answered_late_is_not_shown_among_the_next(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
search("sales");
await settled();
search("support");
await settled();
await answered("/v1/recordings?queue=support", page("c", "d"));
await answered("/v1/recordings?queue=sales", page("a", "b"));
await answered("/v1/recordings?", page("a", "b", "c", "d"));
assert.deepEqual(found(), ["c", "d"]);
"""
    )


def test_more_that_is_asked_for_twice_is_shown_once(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
await answered("/v1/recordings?", page("a"));
byId("more").dispatch("click");
byId("more").dispatch("click");
await settled();
await answered("/v1/recordings?cursor=more", page("b"));
assert.deepEqual(found(), ["a", "b"]);
"""
    )


def test_the_recording_that_was_chosen_last_is_the_one_that_is_open(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
await answered("/v1/recordings?", page("a", "b"));
for (const row of byId("found").children) row.children[0].children[0].dispatch("click");
await settled();
await answered("/v1/recordings/b", about("b"));
await answered("/v1/recordings/a", about("a"));
assert.match(byId("tags").children[0].children[0].textContent, /b/);
"""
    )


def test_of_recordings_nothing_comes_after_signing_out(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
byId("sign-out").dispatch("click");
await answered("/v1/recordings?", page("a"));
assert.deepEqual(found(), []);
"""
    )


def test_who_has_signed_out_is_not_told_that_their_session_has_ended(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
byId("sign-out").dispatch("click");
await answered("/v1/recordings?", { status: 401, error_id: "sign-in-needed" });
assert.equal(byId("refused").textContent, "");
"""
    )


@pytest.mark.parametrize("purpose", ["Beschwerde prüfen", "проверка жалобы", "投诉"])
def test_a_purpose_in_any_language_opens_a_recording(stage: Stage, purpose: str) -> None:
    stage.play(
        RECORDINGS
        + f"const purpose = {json.dumps(purpose)};"
        + """
await answered("/v1/recordings?", page("a"));
byId("found").children[0].children[0].children[0].dispatch("click");
await settled();
await answered("/v1/recordings/a", about("a"));
let heard = null;
globalThis.fetch = async (url, { headers }) => {
  heard = Buffer.from(new Headers(headers).get("Everline-Purpose"), "latin1").toString("utf8");
  return new Response("{}", { status: 503 });
};
byId("why").elements = { purpose: { value: purpose } };
byId("why").dispatch("submit");
await settled();
assert.equal(heard, purpose);
"""
    )


# ---- what is heard -------------------------------------------------------------------------------

SOUND = """
const context = { currentTime: 0, resume: async () => {}, close: async () => {} };
const part = { connect() {}, start() {}, stop() {}, addEventListener() {}, gain: {} };
for (const what of ["ChannelSplitter", "ChannelMerger", "Gain", "BufferSource"]) {
  context[`create${what}`] = () => part;
}
context.createBuffer = (sides, samples) => ({ getChannelData: () => new Float32Array(samples) });
globalThis.AudioContext = class { constructor() { return context; } };
const timers = [];
globalThis.setTimeout = (does) => timers.push(does);
const rested = async () => { for (const does of timers.splice(0)) does(); await settled(); };
const { Sound } = await import("./recordings/sound.js");
const asked = [];
const fetchBytes = () => { asked.push(later()); return asked.at(-1).promise; };
const sound = new Sound(600, fetchBytes, () => {});
const comes = async () => { asked.at(-1).answer(new ArrayBuffer(64_000)); await settled(); };
"""


@pytest.mark.parametrize("to_s", [20, 500])
def test_one_stands_where_one_has_gone_also_before_anything_of_it_has_come(
    stage: Stage, to_s: int
) -> None:
    stage.play(
        SOUND
        + f"const toS = {to_s};"
        + """
await sound.seek(300);
sound.play();
await settled();
await comes();
context.currentTime = 1;
assert.equal(sound.positionS, 301);
sound.seek(toS);
await settled();
context.currentTime = 3;
await rested();
assert.equal(sound.positionS, toS);
await comes();
context.currentTime = 4;
assert.equal(sound.positionS, toS + 1);
"""
    )


def test_who_pauses_for_a_minute_goes_on_where_they_were_though_the_first_piece_fails(
    stage: Stage,
) -> None:
    stage.play(
        SOUND
        + """
sound.play();
await settled();
await comes();
context.currentTime = 1;
sound.pause();
context.currentTime = 61;
const played = sound.play();
await settled();
asked.at(-1).fail(new TypeError("cut off"));
await assert.rejects(played);
assert.equal(sound.positionS, 1);
"""
    )


def test_nobody_gets_past_what_has_come_while_the_line_stands_still(stage: Stage) -> None:
    stage.play(
        SOUND
        + """
sound.play();
await settled();
await comes();
context.currentTime = 1;
assert.equal(sound.positionS, 1);
context.currentTime = 9;
sound.pause();
assert.equal(sound.positionS, 2);
"""
    )


def test_who_drags_the_bar_listens_to_where_they_let_go_and_to_nothing_on_the_way(
    stage: Stage,
) -> None:
    stage.play(
        SOUND
        + """
const from = [];
sound.fetchBytes = (start) => { from.push((start - 44) / 32_000); return fetchBytes(); };
sound.play();
await settled();
await comes();
for (const seconds of [100, 200, 300, 400]) {
  sound.seek(seconds);
  await settled();
}
await rested();
assert.deepEqual(from, [0, 2, 400]); // 2: what comes next is fetched ahead
await comes();
assert.equal(sound.positionS, 400);
"""
    )
