// From the board to the page. Rows stay the same elements while they live, so that nothing flickers
// and a screen reader, or a selection, keeps its place.

import { element } from "/docs/elements.js";
import {
  actsOfAgent, actsOfSite, atWork, counted, duration, label, level, longest, many, mode, notCleared, ordered, percent, risk, silentMembers, stateName, storeAlarm,
} from "/wallboard/board.js";

const LONG_S = 30;
const MOST = 200; // rows of agents: a board that shows thousands shows nothing
const LOW = 0.8;

/** `aheadMs`: by how much the center's clock is ahead of ours. */
export function show(board, nowMs, aheadMs) {
  const { sites, queues, agents, readiness } = board.kinds;
  standing(board, readiness.get("center"), sites);
  part("sites", board, keyed(byId("sites"), [...sites.values()], site));
  part("queues", board, keyed(byId("queues"), ordered(queues.values(), nowMs), (each, row) => queue(each, row, nowMs)));
  said("not-cleared", notCleared(queues.values()));
  const people = atWork(agents.values());
  byId("agents-act").hidden = !people.some((each) => each.may?.length);
  part("agents", board, keyed(byId("agents"), people.slice(0, MOST), (each, row) => agent(each, row, nowMs + aheadMs)));
  byId("more").textContent = people.length > MOST ? `And ${people.length - MOST} more, who are counted above.` : "";
  keyed(byId("states"), counted(agents.values()).map(([id, count]) => ({ id, count })), count);
  byId("nothing").hidden = !board.isKnown || [sites, queues, agents].some((each) => each.size);
}

function byId(id) { return document.getElementById(id); }

/** Let a line say so, or be away. */
function said(id, text) {
  const line = byId(id);
  if (line.textContent !== text) line.textContent = text;
  line.hidden = !text;
}

function part(kind, board, isEmpty) { byId(`${kind}-part`).hidden = board.mayNot.has(kind) || isEmpty; }

/** Let `parent` have one child for each item, in this order; return whether there are none. */
function keyed(parent, items, fill) {
  const before = new Map([...parent.children].map((each) => [each.dataset.id, each]));
  const rows = items.map((item) => {
    const made = before.get(item.id) ?? element(parent.tagName === "TBODY" ? "tr" : "li", { "data-id": item.id });
    before.delete(item.id);
    fill(item, made);
    return made;
  });
  for (const gone of before.values()) gone.remove();
  // An element that is moved loses the focus, so the others go round the one that has it.
  const held = rows.find((each) => each.contains(document.activeElement));
  let place = parent.firstElementChild;
  for (const made of rows) {
    while (made === held && place !== held) {
      const passed = place;
      place = place.nextElementSibling;
      parent.appendChild(passed);
    }
    if (place === made) place = place.nextElementSibling;
    else parent.insertBefore(made, place);
  }
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

/** Let a place have these buttons; they stay the same elements while the same can be done. */
function buttons(place, told) {
  const acts = told.map(([act]) => act).join(" ");
  if (place.dataset.acts === acts) return;
  place.dataset.acts = acts;
  const isHeld = place.contains(document.activeElement);
  place.replaceChildren(...told.map(([act, words, aloud]) =>
    element("button", { type: "button", class: "quiet", "data-act": act, "aria-label": aloud }, words)));
  if (isHeld) place.firstElementChild?.focus();
}

function standing(board, told, sites) {
  const risks = (told?.sites ?? []).map((each) => ({ ...each, id: each.site, name: sites.get(each.site)?.name }));
  part("readiness", board, keyed(byId("readiness"), risks, (each, card) => {
    const [word, look, why] = risk(each);
    card.className = look;
    lines(card, [[label(each), "name"], [word, "mode"], [why, "dim"]]);
  }));
  const alarm = told && !told.can_lose_any ? `Alarm${since(told.alarm_since)}: the center cannot lose ${lost(risks)}.` : "";
  const alarms = [alarm, storeAlarm(told?.etcd)].filter((each) => each).join(" ");
  if (byId("alarm").textContent !== alarms) byId("alarm").textContent = alarms;
  said("readiness-members", silentMembers(told?.etcd));
  byId("readiness-old").hidden = !told || told.is_current;
}

function since(moment) {
  if (!moment) return "";
  const at = new Date(moment);
  const isToday = at.toDateString() === new Date().toDateString();
  return ` since ${isToday ? at.toLocaleTimeString() : at.toLocaleString()}`;
}

function lost(risks) {
  return risks.filter((each) => each.is_serving && !each.can_be_lost).map(label).join(", ") || "a site";
}

function site(each, card) {
  const [word, look] = mode(each);
  const alone = word.startsWith("alone") ? since(each.alone_since) : "";
  const edges = many(each.edges.length, "edge");
  const calls = each.calls === undefined ? "" : `${many(each.calls, "call")}, `;
  card.className = look;
  lines(card, [[label(each), "name"], [`${word}${alone}`, "mode"], [`${calls}${edges}`, "dim"]]);
  buttons(card.children[3] ?? card.appendChild(element("div", { class: "acts" })), actsOfSite(each));
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
  const acts = row.children[5] ?? row.appendChild(element("td", { class: "acts" }));
  acts.hidden = !each.may?.length;
  buttons(acts, actsOfAgent(each));
}

function count(each, card) {
  card.className = `state ${each.id}`;
  lines(card, [[String(each.count), "figure"], [stateName(each.id), "dim"]]);
}
