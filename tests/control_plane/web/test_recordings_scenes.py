"""The recordings without a browser: found, and heard."""

from __future__ import annotations

import json

import pytest

from tests.control_plane.web.scenes import Stage, stage

__all__ = ("stage",)

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


def test_it_is_told_that_a_search_goes_on_and_what_it_has_found(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
const told = () => byId("listed").textContent;
assert.equal(told(), "Searching …");
await answered("/v1/recordings?", page("a"));
assert.equal(told(), "1 recording so far: there may be more.");
byId("more").dispatch("click");
await settled();
assert.equal(told(), "Searching …");
await answered("/v1/recordings?cursor=more", { items: [about("b")] });
assert.equal(told(), "2 recordings.");
search("sales");
await settled();
assert.deepEqual([told(), byId("more").hidden], ["Searching …", true]);
await answered("/v1/recordings?queue=sales", { items: [] });
assert.match(told(), /^No recording that you may see/);
search("support");
await settled();
await answered("/v1/recordings?queue=support", { status: 503, title: "Not now" });
assert.deepEqual([told(), byId("problem").textContent], ["", "Not now"]);
"""
    )


def test_who_asks_by_keyboard_for_the_last_of_what_was_found_goes_on_at_those(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
await answered("/v1/recordings?", page("a"));
byId("more").focus();
byId("more").dispatch("click");
await settled();
await answered("/v1/recordings?cursor=more", { items: [about("b"), about("c")] });
assert.equal(byId("more").hidden, true);
assert.equal(document.activeElement, byId("found").children[1].children[0].children[0]);
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


def test_who_opens_a_recording_far_down_the_list_is_brought_to_it(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
await answered("/v1/recordings?", page("a", "b"));
const button = byId("found").children[1].children[0].children[0];
button.focus();
button.dispatch("click");
await settled();
await answered("/v1/recordings/b", about("b"));
assert.equal(document.activeElement, byId("player-title"));
"""
    )


def test_the_open_recording_stays_marked_in_the_list_when_it_is_tagged_or_searched_anew(
    stage: Stage,
) -> None:
    stage.play(
        RECORDINGS
        + """
const marked = () => byId("found").children.filter((each) => each.className === "chosen");
const names = () => marked().map((each) => each.dataset.id);
await answered("/v1/recordings?", page("a", "b"));
byId("found").children[1].children[0].children[0].dispatch("click");
await settled();
await answered("/v1/recordings/b", about("b"));
assert.deepEqual(names(), ["b"]);
pages.delete("/v1/recordings/b");
const before = marked()[0];
byId("tags").children[0].children[0].dispatch("click");
await settled();
await answered("/v1/recordings/b/tags/b", {});
await answered("/v1/recordings/b", { ...about("b"), tags: [] });
assert.notEqual(marked()[0], before);
assert.deepEqual(names(), ["b"]);
search("sales");
await settled();
await answered("/v1/recordings?queue=sales", page("b", "c"));
assert.deepEqual(names(), ["b"]);
"""
    )


def test_who_takes_tags_away_by_keyboard_goes_on_among_them(stage: Stage) -> None:
    stage.play(
        RECORDINGS
        + """
await answered("/v1/recordings?", page("a"));
byId("found").children[0].children[0].children[0].dispatch("click");
await settled();
await answered("/v1/recordings/a", { ...about("a"), tags: ["one", "two"] });
pages.delete("/v1/recordings/a");
const tag = () => byId("tags").children[0].children[0];
tag().focus();
tag().dispatch("click");
await settled();
await answered("/v1/recordings/a/tags/one", {});
await answered("/v1/recordings/a", { ...about("a"), tags: ["two"] });
assert.equal(document.activeElement, tag());
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
