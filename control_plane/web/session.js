// Who is signed in. All of it stays in this page's memory: it is gone with the page, unless the next of
// ours takes it over (along.js).

import { octets } from "/docs/octets.js";

const EARLY_MS = 30_000;
const PATIENCE_MS = 30_000; // of a line that has died a browser may say nothing for a quarter of an hour
const RENEWAL_MS = 6_000; // twice that, and the same answer can still be had
const OVER = "sign-in-needed";

/** What the API refuses, with all that it says of it. */
export class Refused extends Error {
  constructor(status, told, { retryS = null } = {}) {
    const faults = (told.faults ?? []).map((each) => `${each.where}: ${each.fault}`);
    const again = retryS ? [`Try again in ${retryS} s`] : [];
    const said = [told.title ?? `The API answered ${status}`, told.detail, ...faults, ...again];
    super(said.filter(Boolean).map((each) => each.replace(/[.]$/, "")).join(". "));
    this.status = status;
    this.errorId = told.error_id ?? "";
  }
}

export class Session {
  #tokens = null;
  #refreshing = null;
  #turn = 0; // whose: what was asked for somebody who has gone is not for who came after

  get isOpen() { return this.#tokens !== null; }
  get tenant() { return this.#tokens?.tenant ?? ""; }
  get tokens() { return this.#tokens; }
  get turn() { return this.#turn; }

  /** Go on with the session of the page before. */
  takeOver(tokens) { this.#begin(tokens); }

  async signIn(said) { this.#begin(await opened("/v1/sessions", said)); }

  /** Ask where the tenant's identity provider is, and what to bring back from there. */
  async begin(said) { return send("POST", "/v1/oidc/begin", { body: said }); }

  async complete(said) { this.#begin(await opened("/v1/oidc/complete", said)); }

  async signOut() {
    const token = this.#tokens?.access_token;
    this.forget();
    if (token) await send("DELETE", "/v1/sessions/current", { token }).catch(() => {});
  }

  forget() { this.#begin(null); }

  #begin(tokens) {
    this.#turn += 1;
    this.#tokens = tokens;
    this.#refreshing = null;
  }

  /** Return a token that is good for a while. Raise Refused where the session has ended. */
  async token() {
    if (!this.#tokens) throw new Refused(401, { title: "Sign in" });
    const turn = this.#turn;
    if (this.#tokens.untilMs - Date.now() < EARLY_MS) await this.#renew();
    if (turn !== this.#turn) throw new Refused(401, { title: "Sign in" }); // signed out meanwhile
    return this.#tokens.access_token;
  }

  // A refresh token is good once: whoever asks meanwhile waits for the same answer. One that was lost on
  // the way is asked for again at once: the control plane gives it again for 15 s, and then no more.
  #renew() {
    this.#refreshing ??= this.#refresh(this.#turn);
    return this.#refreshing;
  }

  async #refresh(turn) {
    try {
      const said = { refresh_token: this.#tokens.refresh_token };
      const renew = () => opened("/v1/sessions/refresh", said, RENEWAL_MS);
      const told = await renew().catch((error) => {
        if (error instanceof Refused || turn !== this.#turn) throw error;
        return renew();
      });
      if (turn === this.#turn) this.#tokens = told;
    } finally {
      if (turn === this.#turn) this.#refreshing = null;
    }
  }

  async get(path, headers = {}) { return json(await this.#reach("GET", path, { headers })); }

  async ask(method, path, body) { return json(await this.#reach(method, path, { body })); }

  /** Return the answer as it comes, for what is no JSON, and may come slowly. */
  async fetch(path, headers = {}) { return this.#reach("GET", path, { headers, patienceMs: null }); }

  async #reach(method, path, said) {
    const turn = this.#turn;
    const token = await this.token();
    try {
      return await reach(method, path, { ...said, token });
    } catch (error) {
      // Over already: this machine has slept, or its clock was set.
      const isOver = error instanceof Refused && error.errorId === OVER;
      if (isOver && turn === this.#turn && this.#tokens.access_token === token) await this.#renew();
      if (!isOver || turn !== this.#turn) throw error;
      return reach(method, path, { ...said, token: await this.token() });
    }
  }
}

async function send(method, path, said = {}) { return json(await reach(method, path, said)); }

async function json(reply) {
  const text = await reply.text();
  return text ? JSON.parse(text) : {};
}

/** Return tokens, and `untilMs`: when they end by our clock, however far that is from the center's. */
async function opened(path, body, patienceMs = PATIENCE_MS) {
  const reply = await reach("POST", path, { body, patienceMs });
  const theirsMs = Date.parse(reply.headers.get("Date") ?? "") || Date.now();
  const told = await json(reply);
  return { ...told, untilMs: Date.now() + Date.parse(told.expires) - theirsMs };
}

/** Raise Refused unless the answer is well, and TimeoutError if not all of it has come in time. */
async function reach(method, path, { token, body, headers = {}, patienceMs = PATIENCE_MS } = {}) {
  const sent = octets(headers);
  if (token) sent.Authorization = `Bearer ${token}`;
  if (body) sent["Content-Type"] = "application/json";
  const reply = await fetch(path, {
    method, headers: sent, body: body && JSON.stringify(body), credentials: "omit", redirect: "error", cache: "no-store",
    signal: patienceMs && AbortSignal.timeout(patienceMs),
  });
  if (!reply.ok) throw new Refused(reply.status, problem(await reply.text()), { retryS: Number(reply.headers.get("Retry-After")) });
  return reply;
}

/** Return what an answer says, whatever it is: a proxy may have given it. */
function problem(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
