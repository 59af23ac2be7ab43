// The wallboard: lists, listens, and shows what goes on.

import { byId } from "/docs/elements.js";
import { Actions } from "/wallboard/actions.js";
import { Board } from "/wallboard/board.js";
import { ENDED, Entrance } from "/wallboard/entrance.js";
import { Refused } from "/wallboard/session.js";
import { show } from "/wallboard/show.js";
import { Stream } from "/wallboard/stream.js";

const KINDS = ["sites", "queues", "agents", "readiness"];
const FIGURES_MS = 15_000; // service levels and calls of sites are in the listings alone
const WORDS = {
  connecting: "Connecting …",
  live: "Live",
  stale: "No news of the shared state: this may be old",
  partly: "Not all can be listed: trying again …",
  reconnecting: "Cut off: trying again …",
};
const entrance = new Entrance("board", begin, end);
const session = entrance.session;
let board = new Board();
let stream = null;
let figures = null;
let standing = ""; // of the stream, in its own word
let refused = ""; // and why it is
const missing = new Set(); // kinds whose last listing failed
const due = new Set(); // kinds of which there is one that no listing had: what one may do with it, only a listing says
let isDrawn = true;
let aheadMs = 0; // of the center's clock: since when an agent is so is told by that

const actions = new Actions(session, (act, each, missing) => {
  byId("told").textContent = missing ? `${each.name || each.id}: ${missing.replaceAll("_", " ")}` : "";
  list([act.endsWith("drain") ? "sites" : "agents"]);
});

byId("board").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  const place = button?.closest("[data-id]");
  const kind = place?.parentElement.id;
  const each = board.kinds[kind]?.get(place.dataset.id);
  if (each) actions.ask(button.dataset.act, each, place);
});

function begin() {
  // Listen first, then list: events carry whole things, so what comes twice does no harm.
  stream = new Stream(session, KINDS, {
    state: (word, why) => { [standing, refused] = [word, why]; tell(); },
    hello: (isResumed) => { if (!isResumed) list(KINDS); },
    anew: () => list(KINDS),
    event: (each) => {
      if (each.what !== "gone" && board.kinds[each.topic]?.has(each.id) === false) due.add(each.topic);
      board.take(each, Date.now());
      draw();
    },
    over: () => entrance.leave(ENDED),
  });
  figures = setInterval(() => list([...new Set(["sites", "queues", ...missing, ...due])]), FIGURES_MS);
}

/** Say how current all this is. */
function tell() {
  const word = standing === "live" && missing.size ? "partly" : standing;
  const told = word === "refused" ? `Cut off: ${refused}` : WORDS[word];
  if (byId("state").textContent !== told) byId("state").textContent = told; // else it is read out again
  byId("state").className = word;
  document.body.classList.toggle("old", word !== "live");
}

function end() {
  stream?.close();
  stream = null;
  clearInterval(figures);
  board = new Board();
  missing.clear();
  due.clear();
  byId("state").textContent = byId("told").textContent = "";
  byId("act").close();
  show(board, Date.now(), aheadMs);
}

async function list(kinds) {
  const mine = board; // who signs in next has another
  await Promise.all(kinds.map(async (kind) => {
    const asked = mine.await(kind);
    due.delete(kind);
    try {
      const items = kind === "readiness" ? [await outlook()] : await all(`/v1/live/${kind}`);
      mine.list(asked, items, Date.now());
      if (mine === board) missing.delete(kind);
    } catch (error) {
      mine.giveUp(asked);
      if (mine !== board) return;
      missing.delete(kind);
      if (error instanceof Refused && error.status === 403) mine.forbid(asked);
      else if (error instanceof Refused && error.status === 401) entrance.leave(ENDED);
      else missing.add(kind); // asked for again with the next figures
    }
  }));
  if (mine !== board) return;
  tell();
  draw();
}

async function outlook() { return { id: "center", ...await session.get("/v1/readiness") }; }

async function all(path) {
  const items = [];
  let cursor = null;
  do {
    const asked = path.endsWith("agents") ? `?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}` : "";
    const page = await session.get(path + asked);
    items.push(...page.items);
    if (page.as_of) aheadMs = Date.parse(page.as_of) - Date.now();
    cursor = page.next ?? null;
  } while (cursor);
  return items;
}

function draw() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(() => {
    isDrawn = true;
    show(board, Date.now(), aheadMs);
  });
}

setInterval(() => {
  if (!stream) return;
  stream.look();
  draw();
}, 1000);
entrance.open();
