// Recordings: searches them, opens one for a purpose, plays it and shows what is marked.

import { element, byId } from "/docs/elements.js";
import { clock, marksOf } from "/recordings/marks.js";
import { Sound } from "/recordings/sound.js";
import { draw } from "/recordings/waveform.js";
import { many } from "/wallboard/board.js";
import { ENDED, Entrance, inWords } from "/wallboard/entrance.js";
import { Refused } from "/wallboard/session.js";

const NONE = "No recording that you may see is like this. Whom one hears goes by role, team and purpose.";
const entrance = new Entrance("library", () => attempt(search), end);
const session = entrance.session;
let query = "";
let next = null;
let opened = null; // { recording, marks, sound, peaks, purpose }
let [listed, chosen] = [0, 0]; // which asking is the last: an earlier one that is answered late is void

on("search", "submit", async (form) => {
  const told = [...new FormData(form)].filter(([, value]) => value.trim());
  query = String(new URLSearchParams(told.map(([name, value]) => [name, form.elements[name].type === "datetime-local" ? new Date(value).toISOString() : value.trim()])));
  await search();
});

on("more", "click", list);

on("why", "submit", async (form) => {
  const { recording, marks } = opened;
  const purpose = form.elements.purpose.value;
  const peaks = await session.get(`/v1/recordings/${recording.id}/waveform`, { "Everline-Purpose": purpose });
  if (opened?.recording !== recording) return;
  await opened.sound?.close();
  const sound = new Sound(recording.length_s, (start, end) => bytes(recording.id, purpose, start, end), show);
  for (const side of [0, 1]) sound.mute(side, !byId(`hear-${side}`).checked);
  opened = { recording, marks, peaks, sound };
  byId("seek").max = recording.length_s;
  byId("sound").hidden = false;
  show();
});

on("play", "click", async () => {
  const { sound } = opened;
  if (sound.isPlaying) sound.pause();
  else await sound.play();
});

for (const side of [0, 1]) on(`hear-${side}`, "change", (box) => opened?.sound?.mute(side, !box.checked));

on("seek", "input", (bar) => opened.sound.seek(Number(bar.value)));

on("waveform", "click", (canvas, event) => {
  const box = canvas.getBoundingClientRect();
  return opened.sound.seek(((event.clientX - box.left) / box.width) * opened.recording.length_s);
});

on("tag", "submit", async (form) => {
  await retag("PUT", form.elements.tag.value);
  form.reset();
});

window.addEventListener("resize", show);
setInterval(() => { if (opened?.sound?.isPlaying) show(); }, 100);

async function search() {
  next = null;
  byId("found").replaceChildren();
  byId("more").hidden = true; // of what was searched for before
  await list();
}

async function list() {
  const turn = listed += 1;
  const asked = new URLSearchParams(query);
  if (next) asked.set("cursor", next);
  byId("listed").textContent = "Searching …";
  const page = await session.get(`/v1/recordings?${asked}`).finally(() => {
    if (turn === listed) byId("listed").textContent = "";
  });
  if (turn !== listed) return;
  const isHeld = document.activeElement === byId("more");
  const rows = page.items.map(row);
  byId("found").append(...rows);
  next = page.next ?? null;
  byId("more").hidden = !next;
  byId("listed").textContent = sum(byId("found").children.length);
  // What is hidden loses the focus: who has pressed it goes on among those that came.
  if (isHeld && !next) (rows[0] ?? byId("found").lastElementChild)?.firstElementChild.firstElementChild.focus();
}

function sum(count) {
  if (next) return `${count ? many(count, "recording") : "None"} so far: there may be more.`;
  return count ? `${many(count, "recording")}.` : NONE;
}

function row(recording) {
  const open = element("button", { type: "button", class: "quiet", onclick: () => attempt(() => choose(recording.id)) }, new Date(recording.arrived).toLocaleString());
  const cells = [
    ["Queue", recording.queue], ["Agent", recording.agent || "–"], ["Site", recording.site],
    ["Length", has(recording) ? clock(recording.length_s) : "–"], ["Disposition", recording.disposition || "–"],
    ["Tags", recording.tags.join(", ") || "–"], ["State", state(recording)],
  ];
  return chosenOrNot(element("tr", { "data-id": recording.id }, element("th", { scope: "row" }, open), cells.map(([name, text]) => element("td", { "data-label": name }, text))));
}

/** Let a row show whether its recording is the one that is open. */
function chosenOrNot(made) {
  made.classList.toggle("chosen", made.dataset.id === opened?.recording.id);
  return made;
}

function has(recording) {
  return recording.is_kept && !recording.is_damaged && !recording.is_unreadable;
}

function state(recording) {
  if (recording.is_deleted) return "deleted";
  if (recording.is_damaged) return "damaged";
  if (recording.is_unreadable) return "unreadable";
  if (!recording.is_kept) return recording.unrecorded ? `not recorded: ${recording.unrecorded.replaceAll("_", " ")}` : "none";
  return recording.is_complete ? "complete" : "incomplete";
}

async function choose(id) {
  const turn = chosen += 1;
  const recording = await session.get(`/v1/recordings/${id}`);
  if (turn !== chosen) return;
  await opened?.sound?.close();
  if (turn !== chosen) return;
  opened = { recording, marks: marksOf(recording), sound: null, peaks: null };
  [...byId("found").children].forEach(chosenOrNot);
  byId("player").hidden = false;
  byId("sound").hidden = true;
  byId("why").hidden = !has(recording) || recording.is_deleted;
  byId("player-title").textContent = `${new Date(recording.arrived).toLocaleString()}, ${recording.queue}`;
  const parts = recording.parts.map((each) => `${each.agent} ${clock(each.start_s)} to ${clock(each.end_s)}`);
  byId("facts").textContent = [clock(recording.length_s), state(recording), ...parts].join(" · ");
  byId("marks").replaceChildren(...(opened.marks.length ? opened.marks.map(mark) : [element("li", { class: "dim" }, "None")]));
  tags(recording.tags);
  byId("player-title").focus(); // it stands above the list, out of sight of who looks far down
}

function mark(each) {
  const go = () => attempt(() => opened.sound?.seek(each.startS));
  return element("li", {}, element("button", { type: "button", class: `quiet ${each.kind}`, onclick: go }, `${clock(each.startS)} to ${clock(each.endS)} ${each.text}`));
}

function tags(all) {
  const isHeld = byId("tags").contains(document.activeElement);
  byId("tags").replaceChildren(...all.map((each) => element("li", {}, element("button", { type: "button", class: "quiet", "aria-label": `Take away ${each}`, onclick: () => attempt(() => retag("DELETE", each)) }, `${each} ×`))));
  if (isHeld) (byId("tags").firstElementChild?.firstElementChild ?? byId("player-title")).focus();
}

async function retag(method, tag) {
  const { id } = opened.recording;
  await session.ask(method, `/v1/recordings/${id}/tags/${encodeURIComponent(tag)}`);
  const fresh = await session.get(`/v1/recordings/${id}`);
  if (opened?.recording.id === id) tags(fresh.tags);
  byId("found").querySelector(`tr[data-id="${id}"]`)?.replaceWith(row(fresh));
}

async function bytes(id, purpose, start, end) {
  const reply = await session.fetch(`/v1/recordings/${id}/audio`, { "Everline-Purpose": purpose, Range: `bytes=${start}-${end - 1}` });
  return reply.arrayBuffer();
}

function show() {
  if (!opened?.sound) return;
  const { sound, recording, marks, peaks } = opened;
  byId("play").textContent = sound.isPlaying ? "Pause" : "Play";
  byId("position").textContent = `${clock(sound.positionS)} of ${clock(recording.length_s)}`;
  if (document.activeElement !== byId("seek") || sound.isPlaying) byId("seek").value = sound.positionS;
  draw(byId("waveform"), peaks, recording.length_s, marks, sound.positionS);
}

function end() {
  listed += 1;
  chosen += 1;
  opened?.sound?.close();
  opened = null;
  byId("player").hidden = true;
  for (const id of ["found", "marks", "tags"]) byId(id).replaceChildren();
  for (const id of ["facts", "listed", "player-title", "problem"]) byId(id).textContent = "";
  byId("why").reset();
  byId("search").reset();
  query = "";
}

function on(id, what, does) {
  byId(id).addEventListener(what, (event) => {
    if (what === "submit") event.preventDefault();
    return attempt(() => does(event.currentTarget, event));
  });
}

async function attempt(does) {
  const { turn } = session;
  byId("problem").textContent = "";
  try {
    await does();
  } catch (error) {
    if (turn !== session.turn) return; // who asked has gone
    if (error instanceof Refused && error.status === 401) entrance.leave(ENDED);
    else byId("problem").textContent = inWords(error);
  }
}

entrance.open();
