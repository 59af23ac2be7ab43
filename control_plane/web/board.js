// PURE. What is known of sites, queues and agents, and what follows for who looks at it.

export const STATES = ["talking", "hold", "offered", "ready", "wrap_up", "elsewhere", "paused", "unreachable", "signed_out"];
const LEVEL = "answered_in_time_of_all";
const NAMES = {
  offered: "ringing", hold: "on hold", wrap_up: "wrapping up", elsewhere: "other channels", signed_out: "signed out",
};

export class Board {
  kinds = { sites: new Map(), queues: new Map(), agents: new Map(), readiness: new Map() };
  mayNot = new Set();
  #awaited = new Set();
  #count = 0;
  #shown = new Map(); // by kind, which listing; none: it has never come

  /** Whether there is anything to show, or to miss: of every kind we have a listing, or may have none. */
  get isKnown() { return ["sites", "queues", "agents"].every((kind) => this.#shown.has(kind) || this.mayNot.has(kind)); }

  /** A listing of this kind is asked for: what is told from now on may be newer than it. Return what `list` takes back. */
  await(kind) {
    const asked = { kind, place: this.#count += 1, newer: [] };
    this.#awaited.add(asked);
    return asked;
  }

  /** Take a whole listing that was asked for; `nowMs` is when it came. */
  list(asked, items, nowMs) {
    const { kind, place, newer } = asked;
    this.giveUp(asked);
    if (place < (this.#shown.get(kind) ?? 0)) return; // one that was asked for later has overtaken it
    this.#shown.set(kind, place);
    this.kinds[kind] = new Map(items.map((each) => [each.id, stamped(each, nowMs)]));
    this.mayNot.delete(kind);
    for (const [event, heardMs] of newer) this.#put(event, heardMs);
  }

  /** The listing does not come. */
  giveUp(asked) { this.#awaited.delete(asked); }

  forbid(asked) {
    this.giveUp(asked);
    this.kinds[asked.kind].clear();
    this.mayNot.add(asked.kind);
  }

  /** Take one event of the stream. It has no service level and counts no calls: those stay. */
  take(event, nowMs) {
    if (!this.kinds[event.topic]) return;
    for (const asked of this.#awaited) if (asked.kind === event.topic) asked.newer.push([event, nowMs]);
    this.#put(event, nowMs);
  }

  #put({ topic, what, id, data }, nowMs) {
    const known = this.kinds[topic];
    if (what === "gone") known.delete(id);
    else known.set(id, stamped({ ...known.get(id), ...data }, nowMs));
  }
}

function stamped(each, nowMs) { return { ...each, heardMs: nowMs }; }

/** How a site stands: a word and how grave it is. */
export function mode(site) {
  if (site.has_quorum === null) return ["not known", "warn"];
  if (site.alone_because === "store_full") return ["alone: etcd has no space left", "bad"];
  if (site.alone_since) return ["alone, without a quorum", "bad"];
  if (!site.edges.length) return ["no edge lives", "bad"];
  if (site.out_of_reach_of.length) return [`out of reach of ${site.out_of_reach_of.join(", ")}`, "bad"];
  if (site.is_draining) return ["draining", "warn"];
  return ["serving", "good"];
}

/** What may be done with a site: [what, in words, and said aloud]. */
export function actsOfSite(site) {
  if (!site.may?.includes("drain")) return [];
  return [site.is_draining ? named("undrain", "End draining", site) : named("drain", "Drain", site)];
}

/** What may be done with an agent: likewise. */
export function actsOfAgent(agent) {
  if (!agent.may?.includes("set_state") || agent.state === "signed_out") return [];
  const other = agent.state === "paused" ? named("ready", "Make ready", agent) : named("pause", "Pause", agent);
  return [other, named("sign_out", "Sign out", agent)];
}

function named(act, words, each) { return [act, words, `${words}: ${label(each)}`]; }

/** What would not fit if traffic moved so, in words. */
export function misfits(move) {
  if (!move || move.fits) return [];
  const queues = move.queues.filter((each) => !each.fits).map((each) =>
    `queue ${each.queue}: ${many(each.short, "agent")} short, wait ${each.wait_s === null ? "for ever" : `${each.wait_s} s`}, ${percent(each.level)} in time`);
  const sites = move.sites.filter((each) => !each.fits).map((each) =>
    each.lines_short ? `site ${each.site}: ${many(each.lines_short, "line")} short` : `site ${each.site}: more calls than its edges let in`);
  return [...queues, ...sites, ...(move.others_short ? [others(move.others_short)] : [])];
}

function others(count) { return `${many(count, "queue")} of other tenants`; }

/** Recordings that would be lost with a site, those of calls under way too. */
function onlyThere(alone) {
  const count = alone ? alone.recordings + alone.under_way : 0;
  return count ? `with ${many(count, "recording")} (${alone.recorded_s + alone.under_way_s} s)` : "";
}

/** What a site's death would come to: a word, how grave it is, and why. */
export function risk(each) {
  if (!each.is_serving) return ["is gone already", "warn", ""];
  if (each.can_be_lost) return ["can be lost", "good", onlyThere(each.unreplicated)];
  const why = [
    ...(each.sites_left ? [] : ["no site would be left"]),
    ...(each.quorum_left ? [] : ["no quorum would be left"]),
    ...(each.lines_short ? [`${many(each.lines_short, "line")} short`] : []),
    ...each.queues.filter((queue) => !queue.fits).map((queue) => (queue.short ? `${queue.queue}: ${many(queue.short, "agent")} short` : `${queue.queue}: waits too long`)),
    ...(each.others_short ? [others(each.others_short)] : []),
    ...(each.unreplicated?.is_late ? [`${many(each.unreplicated.recordings, "recording")} nowhere else, copies are late`] : []),
  ];
  return ["cannot be lost", "bad", why.join("; ")];
}

/** What is wrong with etcd, in words, and what mends it; empty: nothing. */
export function storeAlarm(etcd) {
  if (!etcd || etcd.has_room) return "";
  const taken = etcd.taken === null ? "" : ` (${percent(etcd.taken)} of its quota)`;
  const told = etcd.is_full ? "etcd has no space left, each site serves alone" : `etcd is nearly full${taken}, and once it is full each site serves alone`;
  return `Alarm: ${told}. Make room: ${etcd.remedy}`;
}

/** Which members of etcd do not take part, in words; empty: all do. */
export function silentMembers(etcd) {
  return etcd?.silent.length ? `etcd: ${etcd.silent.length} of ${many(etcd.members, "member")} silent: ${etcd.silent.join(", ")}.` : "";
}

/** How long the first has waited by now, in s; null: nobody waits. */
export function longest(queue, nowMs) {
  return queue.longest_s === null || !queue.waiting ? null : queue.longest_s + (nowMs - queue.heardMs) / 1000;
}

/** What waits until somebody has looked whether they may be called, in words; empty: nobody. */
export function notCleared(queues) {
  const count = [...queues].reduce((sum, each) => sum + (each.callbacks_not_cleared ?? 0), 0);
  return count ? `${many(count, "caller")} to be called back: waiting until somebody has looked whether they may be.` : "";
}

export function level(queue) { return queue.service?.service_level?.[LEVEL] ?? null; }

/** Queues in which somebody waits first, those who wait longest at the top. */
export function ordered(queues, nowMs) {
  return [...queues].sort((one, other) =>
    (longest(other, nowMs) ?? -1) - (longest(one, nowMs) ?? -1) || one.id.localeCompare(other.id));
}

/** Agents by what they do, then by name. */
export function atWork(agents) {
  return [...agents].sort((one, other) =>
    STATES.indexOf(one.state) - STATES.indexOf(other.state) || label(one).localeCompare(label(other)));
}

export function counted(agents) {
  const found = new Map(STATES.map((each) => [each, 0]));
  for (const each of agents) found.set(each.state, (found.get(each.state) ?? 0) + 1);
  return [...found].filter(([state, count]) => count || ["talking", "ready", "paused"].includes(state));
}

export function stateName(state) { return NAMES[state] ?? state; }

export function label(each) { return each.name || each.id; }

/** 1 -> "1 agent", 2 -> "2 agents". */
export function many(count, noun) { return `${count} ${noun}${count === 1 ? "" : "s"}`; }

/** 75 -> "1:15"; from an hour on "1 h 02"; from two days on "3 days". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  if (whole >= 172_800) return `${Math.floor(whole / 86_400)} days`;
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${String(Math.floor(whole / 60) % 60).padStart(2, "0")}`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function percent(share) { return share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`; }
