// What is done from the board, once somebody has said yes: an agent's state, a site's draining. The
// API decides; a button stands only where it has said that this subject may.

import { element } from "/docs/elements.js";
import { label, misfits } from "/wallboard/board.js";
import { inWords } from "/wallboard/entrance.js";
import { Refused } from "/wallboard/session.js";

const STATES = { pause: "paused", ready: "ready", sign_out: "signed_out" };
const TITLES = {
  pause: "Pause", ready: "Make ready", sign_out: "Sign out", drain: "Drain", undrain: "End draining",
};

export class Actions {
  #session; #done; #run = null;
  #opener = {}; // the row that was asked about, and which of its buttons asked
  #question = 0; // what an earlier one still waits for is not for the one that stands now

  /** `done(act, each)` hears that something was done. */
  constructor(session, done) {
    [this.#session, this.#done] = [session, done];
    byId("act-cancel").addEventListener("click", () => byId("act").close());
    byId("act-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#carryOut();
    });
    byId("act").addEventListener("close", () => this.#giveFocusBack());
  }

  /** Ask about it. `each`: the agent or site; `row`: where its buttons are. */
  async ask(act, each, row) {
    const question = ++this.#question;
    this.#opener = { act, row };
    this.#run = null;
    byId("act-title").textContent = `${TITLES[act]}: ${label(each)}`;
    byId("act-do").textContent = TITLES[act];
    byId("act-told").textContent = "…";
    byId("act-refused").textContent = "";
    byId("act-short").replaceChildren();
    fields({});
    byId("act-do").disabled = true;
    byId("act").showModal();
    try {
      const found = await (act in STATES ? this.#state(act, each) : this.#draining(act === "drain", each));
      if (question === this.#question) this.#offer(found);
    } catch (error) {
      if (question === this.#question) refuse(error);
    }
  }

  /** Say what it comes to, and let it be done. */
  #offer({ told, short = [], needs, run }) {
    byId("act-told").textContent = told;
    byId("act-short").replaceChildren(...short.map((each) => element("li", {}, each)));
    if (short.length) byId("act-do").textContent = `${byId("act-do").textContent} all the same`;
    fields(needs);
    this.#run = run;
    byId("act-do").disabled = false;
  }

  async #state(act, agent) {
    const codes = act === "pause" ? await this.#codes() : [];
    const told = {
      pause: "No calls are offered from then on; one that goes on is ended first.",
      ready: "Calls are offered again.",
      sign_out: "No calls are offered until they sign in again.",
    }[act];
    const needs = { codes, why: act === "pause" && !codes.length ? "Reason" : "" };
    const run = async () => {
      const reason = act === "pause" ? byId(codes.length ? "act-code" : "act-why").value : "";
      const taken = await this.#session.ask("PUT", `/v1/agents/${encodeURIComponent(agent.id)}/state`, { state: STATES[act], reason });
      this.#done(act, agent, taken.missing);
    };
    return { told, needs, run };
  }

  async #codes() {
    try {
      return (await this.#session.get("/v1/pause-codes?limit=200")).items;
    } catch (error) {
      if (error instanceof Refused) return []; // who may not read them says it in words
      throw error;
    }
  }

  async #draining(isTo, site) {
    const path = `/v1/sites/${encodeURIComponent(site.id)}/drain`;
    const tried = await this.#session.ask("POST", `${path}?dry_run=true`, { draining: isTo });
    const short = misfits(tried.move);
    const run = async () => {
      const why = byId("act-why").value;
      const forced = short.length ? `?${new URLSearchParams({ force: "true", why })}` : "";
      await this.#session.ask("POST", path + forced, { draining: isTo });
      this.#done(isTo ? "drain" : "undrain", site, "");
    };
    return { told: said(isTo, tried.move, short), short, needs: { why: short.length ? "Why all the same" : "" }, run };
  }

  async #carryOut() {
    const question = this.#question;
    byId("act-refused").textContent = "";
    byId("act-do").disabled = true;
    try {
      await this.#run();
      if (question === this.#question) byId("act").close();
    } catch (error) {
      if (question === this.#question) refuse(error);
    }
    if (question === this.#question) byId("act-do").disabled = false;
  }

  #giveFocusBack() {
    const { act, row } = this.#opener;
    const button = row?.querySelector(`[data-act="${act}"]`) ?? row?.querySelector("button[data-act]");
    button?.focus();
  }
}

function said(isTo, move, short) {
  if (!isTo) return "Calls come to it again.";
  if (!move?.is_checked) return `Its calls go to other sites. ${move?.emergency || move?.why_unchecked || ""}`.trim();
  return short.length
    ? "Those who would take its calls have not enough room or people for them:"
    : "Its calls go to other sites, which have room and people for them.";
}

/** Show the fields that this needs, and empty them. */
function fields({ codes = [], why = "" }) {
  byId("act-code-part").hidden = !codes.length;
  byId("act-code").replaceChildren(...codes.map((each) => element("option", { value: each.id }, each.name || each.id)));
  byId("act-why-part").hidden = !why;
  byId("act-why-name").textContent = why;
  byId("act-why").value = "";
  byId("act-why").required = Boolean(why);
}

function refuse(error) { byId("act-refused").textContent = inWords(error); }

function byId(id) { return document.getElementById(id); }
