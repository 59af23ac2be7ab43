// From the board to the page. Rows stay the same elements while they live, so that nothing flickers
// and a screen reader, or a selection, keeps its place.

import { element } from "/docs/elements.js";
import { atWork, counted, duration, label, level, longest, mode, ordered, percent, stateName } from "/wallboard/board.js";

const LONG_S = 30;
const MOST = 200; // rows of agents: a board that shows thousands shows nothing
const LOW = 0.8;

/** `aheadMs`: by how much the center's clock is ahead of ours. */
export function show(board, nowMs, aheadMs) {
  const { sites, queues, agents } = board.kinds;
  part("sites", board, keyed(byId("sites"), [...sites.values()], site));
  part("queues", board, keyed(byId("queues"), ordered(queues.values(), nowMs), (each, row) => queue(each, row, nowMs)));
  const people = atWork(agents.values());
  part("agents", board, keyed(byId("agents"), people.slice(0, MOST), (each, row) => agent(each, row, nowMs + aheadMs)));
  byId("more").textContent = people.length > MOST ? `And ${people.length - MOST} more, who are counted above.` : "";
  keyed(byId("states"), counted(agents.values()).map(([id, count]) => ({ id, count })), count);
  byId("nothing").hidden = [sites, queues, agents].some((each) => each.size);
}

function byId(id) { return document.getElementById(id); }

function part(kind, board, isEmpty) { byId(`${kind}-part`).hidden = board.mayNot.has(kind) || isEmpty; }

/** Let `parent` have one child for each item, in this order; return whether there are none. */
function keyed(parent, items, fill) {
  const before = new Map([...parent.children].map((each) => [each.dataset.id, each]));
  items.forEach((item, place) => {
    const made = before.get(item.id) ?? element(parent.tagName === "TBODY" ? "tr" : "li", { "data-id": item.id });
    before.delete(item.id);
    fill(item, made);
    if (parent.children[place] !== made) parent.insertBefore(made, parent.children[place] ?? null);
  });
  for (const gone of before.values()) gone.remove();
  return items.length === 0;
}

/** Set the cells of a row: [text, class, label for narrow screens]. The first one heads the row. */
function cells(row, told) {
  told.forEach(([text, look, name], place) => {
    const cell = row.children[place] ?? row.appendChild(element(place ? "td" : "th", place ? {} : { scope: "row" }));
    if (cell.textContent !== text) cell.textContent = text;
    if (cell.className !== look) cell.className = look;
    if (name) cell.dataset.label = name;
  });
}

function lines(card, told) {
  told.forEach(([text, look], place) => {
    const line = card.children[place] ?? card.appendChild(element("span"));
    if (line.textContent !== text) line.textContent = text;
    if (line.className !== look) line.className = look;
  });
}

function site(each, card) {
  const [word, look] = mode(each);
  const edges = `${each.edges.length} edge${each.edges.length === 1 ? "" : "s"}`;
  const calls = each.calls === undefined ? "" : `${each.calls} call${each.calls === 1 ? "" : "s"}, `;
  card.className = look;
  lines(card, [[label(each), "name"], [word, "mode"], [`${calls}${edges}`, "dim"]]);
}

function queue(each, row, nowMs) {
  const wait = longest(each, nowMs);
  const share = level(each);
  const nobody = each.waiting > 0 && each.free === 0;
  row.className = wait !== null && wait > LONG_S ? "bad" : "";
  cells(row, [
    [each.id, ""],
    [String(each.waiting), each.waiting ? "strong" : "dim", "Waiting"],
    [duration(wait), wait !== null && wait > LONG_S ? "bad strong" : "", "Longest wait"],
    [String(each.ringing), each.ringing ? "" : "dim", "Ringing"],
    [String(each.talking), each.talking ? "" : "dim", "Talking"],
    [String(each.free), nobody ? "bad strong" : "", "Agents free"],
    [percent(share), share !== null && share < LOW ? "bad strong" : "", "Service level"],
    [percent(each.service?.abandon_rate), "", "Given up"],
  ]);
}

function agent(each, row, nowMs) {
  const since = each.since ? (nowMs - Date.parse(each.since)) / 1000 : null;
  const reason = each.reason && each.state === "paused" ? `: ${each.reason}` : "";
  cells(row, [
    [label(each), ""],
    [stateName(each.state) + reason, `state ${each.state}`, "State"],
    [each.state === "signed_out" ? "–" : duration(since), "", "For"],
    [each.site, "", "Site"],
    [each.team || "–", each.team ? "" : "dim", "Team"],
  ]);
}

function count(each, card) {
  card.className = `state ${each.id}`;
  lines(card, [[String(each.count), "figure"], [stateName(each.id), "dim"]]);
}
