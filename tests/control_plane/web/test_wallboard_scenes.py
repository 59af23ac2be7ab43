"""The wallboard without a browser: what is done from it, and what it shows."""

from __future__ import annotations

from tests.control_plane.web.scenes import Stage, stage

__all__ = ("stage",)

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


def test_who_gives_a_question_up_is_back_at_the_button_that_they_pressed(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
const row = document.createElement("tr");
for (const act of ["pause", "sign_out"]) {
  const button = document.createElement("button");
  button.setAttribute("data-act", act);
  row.appendChild(button);
}
session.get = async () => ({ items: [] });
for (const act of ["sign_out", "pause"]) {
  actions.ask(act, { id: "ann" }, row);
  await settled();
  press("act-cancel");
  press("act", "close");
  assert.equal(document.activeElement.dataset.act, act);
}
row.children[0].setAttribute("data-act", "ready");
press("act", "close");
assert.equal(document.activeElement.dataset.act, "ready");
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


def test_a_site_that_serves_alone_says_since_when(stage: Stage) -> None:
    stage.play(
        BOARD
        + """
const { show } = await import("./wallboard/show.js");
const now = new Date();
const before = new Date(now - 3 * 86_400_000);
const usual = { name: "B", edges: [{ edge: "b1" }], out_of_reach_of: [], has_quorum: true };
const words = (changes) => {
  const site = { id: "b", ...usual, alone_since: null, alone_because: null, ...changes };
  board.list(board.await("sites"), [site], 0);
  show(board, 0, 0);
  return byId("sites").children[0].children[1].textContent;
};
assert.equal(words({}), "serving");
assert.equal(
  words({ alone_since: now.toISOString(), alone_because: "no_quorum" }),
  `alone, without a quorum since ${now.toLocaleTimeString()}`);
assert.equal(
  words({ alone_since: before.toISOString(), alone_because: "store_full" }),
  `alone: etcd has no space left since ${before.toLocaleString()}`);
assert.equal(words({ has_quorum: null, alone_since: now.toISOString() }), "not known");
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
  socket.say({ type: "hello", resumed: false, is_current: true });
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
socket.say({ type: "hello", resumed: false, is_current: true });
await settled();
assert.equal(standing(), "Live");
assert.deepEqual(people(), ["ann"]);
"""
    )


def test_a_board_that_is_opened_where_there_is_no_news_says_so_from_the_first_moment(
    stage: Stage,
) -> None:
    stage.play(
        WALLBOARD
        + """
await opened({ isIn: false });
socket.say({ type: "hello", resumed: false, is_current: false });
await settled();
assert.match(standing(), /No news of the shared state/);
"""
    )


def test_a_board_on_a_machine_that_has_slept_is_live_only_when_it_hears_again(stage: Stage) -> None:
    stage.play(
        WALLBOARD
        + """
const again = [];
globalThis.setTimeout = (does, afterMs) => again.push([afterMs, does]);
const second = () => { for (const [everyMs, does] of ticks) if (everyMs === 1000) does(); };
const now = Date.now;
await opened();
second();
assert.equal(standing(), "Live");
const before = socket;
Date.now = () => now() + 60_000;
for (let passed = 0; passed < 3; passed += 1) second();
assert.equal(standing(), "Cut off: trying again …");
const retries = again.filter(([afterMs]) => afterMs < 20_000);
assert.equal(retries.length, 1);
retries[0][1]();
await settled();
assert.notEqual(socket, before);
second();
socket.say({ type: "hello", resumed: true, is_current: true });
assert.equal(standing(), "Live");
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
