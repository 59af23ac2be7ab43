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
  reconnecting: "Cut off: trying again …",
};
const entrance = new Entrance("board", begin, end);
const session = entrance.session;
let board = new Board();
let stream = null;
let figures = null;
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
  if (each) actions.ask(button.dataset.act, each);
});

function begin() {
  // Listen first, then list: events carry whole things, so what comes twice does no harm.
  stream = new Stream(session, KINDS, {
    state: (word) => {
      byId("state").textContent = WORDS[word];
      byId("state").className = word;
      document.body.classList.toggle("old", word !== "live");
    },
    hello: (isResumed) => { if (!isResumed) list(KINDS); },
    anew: () => list(KINDS),
    event: (each) => { board.take(each, Date.now()); draw(); },
    over: () => entrance.leave(ENDED),
  });
  figures = setInterval(() => list(["sites", "queues"]), FIGURES_MS);
}

function end() {
  stream?.close();
  stream = null;
  clearInterval(figures);
  board = new Board();
  byId("state").textContent = byId("told").textContent = "";
  byId("act").close();
  show(board, Date.now(), aheadMs);
}

async function list(kinds) {
  await Promise.all(kinds.map(async (kind) => {
    board.await(kind);
    try {
      board.list(kind, kind === "readiness" ? [await outlook()] : await all(`/v1/live/${kind}`), Date.now());
    } catch (error) {
      if (error instanceof Refused && error.status === 403) board.forbid(kind);
      else if (error instanceof Refused && error.status === 401) entrance.leave(ENDED);
      // What else fails is tried again with the next listing; the state line says if we are cut off.
    }
  }));
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

setInterval(() => { if (stream) draw(); }, 1000);
entrance.open();
